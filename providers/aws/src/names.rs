//! Names of what is made: readable, within the limits of AWS, and the same whenever they are made again.
//!
//! The hash is over the cluster, the Service's UID and what cannot be changed about the object, so two objects have the
//! same name only if one may stand for the other.

use ring::digest::{SHA256, digest};

use crate::owner::Owner;

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
}
