//! Names of what is made: readable, within the limits of AWS, and the same whenever they are made again.
//!
//! The hash is over the cluster, the Service's UID and what cannot be changed about the object, so two objects have the
//! same name only if one may stand for the other.

use ring::digest::{SHA256, digest};

use crate::owner::Owner;

/// Whether AWS keeps a cluster's name as it is in tags and finds it by a filter, where `*` and `?` stand for others.
///
/// # Errors
/// What is wrong with it.
pub fn cluster(name: &str) -> Result<(), &'static str> {
    let fits = |letter: char| letter.is_alphanumeric() || " _.:/=+-@".contains(letter);
    if name.trim().is_empty() {
        Err("is empty")
    } else if name.trim() != name {
        Err("begins or ends with white space")
    } else if !name.chars().all(fits) {
        Err(
            "has a letter that AWS takes in no tag; it takes letters, digits, spaces and _ . : / = + - @",
        )
    } else if name.chars().count() > CLUSTER_LIMIT {
        Err("has more than 100 letters")
    } else {
        Ok(())
    }
}

/// The longest name of a cluster: it is also part of the tag's key `kubernetes.io/cluster/NAME`, which has 128 letters.
const CLUSTER_LIMIT: usize = 100;
/// More balancers of one Service under names like that there are hardly ever at a time.
const ROUNDS: u32 = 8;
/// The longest name of a balancer or target group.
const LIMIT: usize = 32;

/// The name of a balancer; `round` counts up where an earlier one is taken by a balancer of ours that is to go.
#[must_use]
pub fn balancer(owner: &Owner, wanted: Option<&str>, round: u32) -> String {
    match (wanted, round) {
        (Some(name), 0) => name.to_owned(),
        (Some(name), _) => {
            let hash = hash(&["balancer", &owner.cluster, &owner.uid, &round.to_string()]);
            let room: String = name.chars().take(LIMIT - 1 - hash.len()).collect();
            format!("{room}-{hash}")
        }
        (None, _) => readable(owner, &["balancer", &round.to_string()]),
    }
}

/// Whether a balancer's name is one that Herald made up for the Service, not one that a user chose.
#[must_use]
pub fn is_made_for(name: &str, owner: &Owner) -> bool {
    (0..=ROUNDS).any(|round| balancer(owner, None, round) == name)
}

/// The name of a target group: `balancer` is the name of the one that it is for, `fixed` what cannot be changed.
#[must_use]
pub fn target_group(owner: &Owner, balancer: &str, port: u16, fixed: &str) -> String {
    readable(owner, &["target-group", balancer, &port.to_string(), fixed])
}

/// The name of the balancer's security group.
#[must_use]
pub fn security_group(owner: &Owner) -> String {
    readable(owner, &["security-group"])
}

fn readable(owner: &Owner, what: &[&str]) -> String {
    let mut hashed = vec![owner.cluster.as_str(), owner.uid.as_str()];
    hashed.extend(what);
    let part = |text: &str| -> String {
        text.chars()
            .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
            .take(8)
            .collect()
    };
    // AWS reserves names that begin with internal-, which may be a namespace.
    format!(
        "hd-{}-{}-{}",
        part(&owner.service.namespace),
        part(&owner.service.name),
        hash(&hashed)
    )
}

/// Ten hexadecimal digits. The parts are kept apart, so that `a`, `bc` is not `ab`, `c`.
fn hash(parts: &[&str]) -> String {
    let digest = digest(&SHA256, parts.join("\0").as_bytes());
    let bytes = digest.as_ref().iter().take(5);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use herald_spi::ServiceKey;

    use super::*;

    #[test]
    fn names_fit_aws_and_tell_objects_apart() {
        let owner = |namespace: &str, uid: &str| Owner {
            cluster: "c".to_owned(),
            uid: uid.to_owned(),
            service: ServiceKey::new(namespace, "a-very-long-name-of-a-service"),
        };
        let one = owner("internal", "u1");
        let names = [
            balancer(&one, None, 0),
            balancer(&one, None, 1),
            balancer(&one, Some("a-name-of-thirty-two-letters-abc"), 0),
            balancer(&one, Some("a-name-of-thirty-two-letters-abc"), 1),
            balancer(&owner("internal", "u2"), None, 0),
            target_group(&one, "b", 80, "TCP"),
            target_group(&one, "b", 80, "UDP"),
            target_group(&one, "b2", 80, "TCP"),
            security_group(&one),
        ];
        for (at, name) in names.iter().enumerate() {
            assert!(name.len() <= LIMIT, "{name}");
            assert!(
                !name.starts_with("internal-") && !name.ends_with('-'),
                "{name}"
            );
            assert!(!names[..at].contains(name), "{name} twice");
        }
        assert_eq!(names[0], balancer(&one, None, 0));
    }

    #[test]
    fn whatever_the_cluster_and_the_service_are_called_names_fit_aws() {
        for (cluster, namespace, name) in [
            ("Prod_EU-West.1", "team--a", "-web-"),
            ("PROD", "a", "b"),
            ("-", "under_score", "Ünïcode"),
        ] {
            let owner = Owner {
                cluster: cluster.to_owned(),
                uid: "u".to_owned(),
                service: ServiceKey::new(namespace, name),
            };
            for name in [
                balancer(&owner, None, 0),
                target_group(&owner, "B", 80, "TCP"),
                security_group(&owner),
            ] {
                let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
                assert!(name.chars().all(fits) && name.len() <= LIMIT, "{name}");
                assert!(!name.starts_with('-') && !name.ends_with('-'), "{name}");
            }
        }
    }

    #[test]
    fn a_cluster_is_called_what_a_tag_keeps_and_a_filter_finds() {
        for fine in ["prod", "Prod_EU-West.1", "a b", "-", "zürich"] {
            assert_eq!(cluster(fine), Ok(()), "{fine}");
        }
        let long = "x".repeat(101);
        for ill in [
            "", " ", " prod", "prod\n", "prod*", "pr?d", "a\\b", "a#b", &long,
        ] {
            assert!(cluster(ill).is_err(), "{ill}");
        }
    }
}
