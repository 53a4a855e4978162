//! Expectations: each is compared with what is seen now, and says in a line what differs.

use anyhow::Context as _;
use serde_json::Value;

use super::{
    cluster::Cluster,
    object::{EVENT, LOCK, POOL, SERVICE, Target},
    script::{Expect, ExpectEvent, ExpectPool, Words},
};
use crate::support::condition;

/// What differs; empty when the expectation is met.
pub type Gaps = Vec<String>;

/// Collects what differs.
#[derive(Default)]
struct Comparison(Gaps);

impl Comparison {
    fn same(&mut self, what: &str, wanted: &str, seen: &str) {
        if wanted != seen {
            self.0
                .push(format!("{what} is {seen:?} and not {wanted:?}"));
        }
    }

    fn says(&mut self, what: &str, words: Option<&Words>, seen: &str) {
        let lacking = words.into_iter().flat_map(Words::all);
        for word in lacking.filter(|word| !seen.contains(word.as_str())) {
            self.0.push(format!("{what} lacks {word:?}: {seen:?}"));
        }
    }

    fn lacks(&mut self, what: &str, words: Option<&Words>, seen: &str) {
        let present = words.into_iter().flat_map(Words::all);
        for word in present.filter(|word| seen.contains(word.as_str())) {
            self.0.push(format!("{what} says {word:?}: {seen:?}"));
        }
    }

    fn part(&mut self, place: &str, wanted: &Value, seen: &Value) {
        match (wanted, seen) {
            (Value::Object(wanted), Value::Object(_) | Value::Null) => {
                for (key, wanted) in wanted {
                    let seen = seen.get(key).unwrap_or(&Value::Null);
                    self.part(&format!("{place}.{key}"), wanted, seen);
                }
            }
            (Value::Array(wanted), Value::Array(seen)) if wanted.len() == seen.len() => {
                for (index, (wanted, seen)) in wanted.iter().zip(seen).enumerate() {
                    self.part(&format!("{place}[{index}]"), wanted, seen);
                }
            }
            (Value::String(any), Value::Null) if any == "<any>" => {
                self.0.push(format!("{place} is not there"));
            }
            (Value::String(any), _) if any == "<any>" => {}
            (wanted, seen) if wanted != seen => {
                self.0.push(format!("{place} is {seen} and not {wanted}"));
            }
            _ => {}
        }
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// The addresses in a Service's status, in its order.
pub fn addresses(service: &Value) -> Vec<&str> {
    ingress(service, "ip")
}

fn ingress<'a>(service: &'a Value, key: &str) -> Vec<&'a str> {
    let entries = service["status"]["loadBalancer"]["ingress"].as_array();
    entries
        .into_iter()
        .flatten()
        .filter_map(|entry| entry[key].as_str())
        .collect()
}

async fn live(cluster: &Cluster, name: &str) -> anyhow::Result<Value> {
    let target = Target::new(&SERVICE, name)?;
    let found = cluster.get(&target).await?;
    found.with_context(|| format!("there is no {}", target.text()))
}

/// Compares a Service.
pub async fn service(cluster: &Cluster, wanted: &Expect) -> anyhow::Result<Gaps> {
    let seen = live(cluster, &wanted.service).await?;
    let mut compare = Comparison::default();
    let held = addresses(&seen);
    if let Some(addresses) = &wanted.addresses {
        compare.same("addresses", &addresses.join(" "), &held.join(" "));
    }
    if let Some(count) = wanted.count {
        compare.same(
            "the number of addresses",
            &count.to_string(),
            &held.len().to_string(),
        );
    }
    if let Some(hostnames) = &wanted.hostnames {
        let seen = ingress(&seen, "hostname");
        compare.same("hostnames", &hostnames.join(" "), &seen.join(" "));
    }
    let kind = wanted.condition.as_deref();
    let condition = condition(
        &seen["status"],
        kind.unwrap_or(herald::api::CONDITION_ALLOCATED),
    );
    if let Some(reason) = &wanted.reason {
        let seen = condition["reason"].as_str().unwrap_or("none");
        let one_of = reason.split(" or ").find(|reason| *reason == seen);
        compare.same("the reason", one_of.unwrap_or(reason), seen);
    }
    if let Some(status) = &wanted.status {
        compare.same("the status", status.text(), text(&condition, "status"));
    }
    let message = text(&condition, "message");
    compare.says("the message", wanted.message.as_ref(), message);
    compare.lacks("the message", wanted.message_lacks.as_ref(), message);
    if let Some(pools) = &wanted.allocated_from {
        let seen = &seen["metadata"]["annotations"][herald::api::ANNOTATION_ALLOCATED_FROM];
        compare.same("allocated-from", pools, seen.as_str().unwrap_or("none"));
    }
    if let Some(other) = &wanted.same_address_as {
        let other = live(cluster, other).await?;
        compare.same("addresses", &addresses(&other).join(" "), &held.join(" "));
    }
    if let Some(other) = &wanted.other_address_than {
        let other = live(cluster, other).await?;
        let common = addresses(&other).into_iter().find(|a| held.contains(a));
        if common.is_some() || held.is_empty() {
            let fault = format!(
                "addresses are {held:?}, those of the other {:?}",
                addresses(&other)
            );
            compare.0.push(fault);
        }
    }
    if let Some(part) = &wanted.has {
        compare.part("it", part, &seen);
    }
    Ok(compare.0)
}

/// Compares a part of any object; null as a whole: it is not there.
pub async fn object(cluster: &Cluster, target: &Target, part: &Value) -> anyhow::Result<Gaps> {
    let seen = cluster.get(target).await?;
    let mut compare = Comparison::default();
    match (seen, part["gone"] == true) {
        (None, true) => {}
        (Some(_), true) => compare.0.push(format!("{} is there", target.text())),
        (None, false) => compare.0.push(format!("{} is not there", target.text())),
        (Some(seen), false) => compare.part("it", part, &seen),
    }
    Ok(compare.0)
}

/// Compares a pool's status.
pub async fn pool(cluster: &Cluster, wanted: &ExpectPool) -> anyhow::Result<Gaps> {
    let target = Target::new(&POOL, &wanted.pool)?;
    let seen = cluster.get(&target).await?;
    let seen = seen.with_context(|| format!("there is no {}", target.text()))?;
    let mut compare = Comparison::default();
    for (kind, status, reason, message) in [
        ("Ready", &wanted.ready, &wanted.reason, &wanted.message),
        (
            "Degraded",
            &wanted.degraded,
            &wanted.degraded_reason,
            &wanted.degraded_message,
        ),
    ] {
        let condition = condition(&seen["status"], kind);
        if let Some(status) = status {
            compare.same(kind, status.text(), text(&condition, "status"));
        }
        if let Some(reason) = reason {
            compare.same(
                &format!("{kind}'s reason"),
                reason,
                text(&condition, "reason"),
            );
        }
        let what = format!("{kind}'s message");
        compare.says(&what, message.as_ref(), text(&condition, "message"));
    }
    for (family, counts) in [("ipv4", &wanted.ipv4), ("ipv6", &wanted.ipv6)] {
        if let Some(counts) = counts {
            compare.part(family, counts, &seen["status"][family]);
        }
    }
    Ok(compare.0)
}

/// The Events about a Service that an expectation counts.
pub async fn events(cluster: &Cluster, wanted: &ExpectEvent) -> anyhow::Result<Gaps> {
    let target = Target::new(&SERVICE, &wanted.service)?;
    let mut events = cluster.list(&EVENT).await?;
    events.retain(|event| {
        let about = &event["regarding"];
        about["name"] == *target.name && about["namespace"] == *target.namespace
    });
    let all: Vec<_> = events
        .iter()
        .map(|e| format!("{} {}", text(e, "reason"), text(e, "note")))
        .collect();
    events.retain(|event| {
        let same = |key: &str, wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| event[key] == **wanted)
        };
        let words = wanted.message.iter().flat_map(Words::all);
        same("reason", &wanted.reason)
            && same("type", &wanted.type_)
            && words
                .into_iter()
                .all(|word| text(event, "note").contains(word))
    });
    let right = match wanted.count {
        None => !events.is_empty(),
        Some(count) => events.len() == count,
    };
    Ok(match right {
        true => Gaps::new(),
        false => vec![format!(
            "there are {} such Events; all: {all:#?}",
            events.len()
        )],
    })
}

/// Compares all locks with those wanted: an address and its holders, in their order.
pub async fn locks(
    cluster: &Cluster,
    wanted: &std::collections::BTreeMap<String, Value>,
) -> anyhow::Result<Gaps> {
    let locks = cluster.list(&LOCK).await?;
    let mut compare = Comparison::default();
    let address = |lock: &Value| text(&lock["spec"], "address").to_owned();
    for lock in locks
        .iter()
        .filter(|lock| !wanted.contains_key(&address(lock)))
    {
        compare.0.push(format!("there is a lock {}", lock["spec"]));
    }
    for (name, wanted) in wanted {
        let Some(lock) = locks.iter().find(|lock| address(lock) == *name) else {
            compare.0.push(format!("there is no lock of {name}"));
            continue;
        };
        let (holders, rest) = match wanted {
            Value::Object(map) => (map.get("holders").cloned(), Value::Object(map.clone())),
            holders => (Some(holders.clone()), Value::Null),
        };
        if let Some(holders) = holders {
            let wanted = match holders {
                Value::Array(list) => list,
                one => vec![one],
            };
            let wanted: Vec<_> = wanted
                .iter()
                .filter_map(Value::as_str)
                .map(|n| {
                    if n.contains('/') {
                        n.to_owned()
                    } else {
                        format!("default/{n}")
                    }
                })
                .collect();
            compare.same(
                &format!("holders of {name}"),
                &wanted.join(" "),
                &holders_of(lock).join(" "),
            );
        }
        if let Value::Object(mut rest) = rest {
            rest.remove("holders");
            compare.part(name, &rest.into(), &lock["spec"]);
        }
    }
    Ok(compare.0)
}

/// The holders that a lock names, as `namespace/name`.
pub fn holders_of(lock: &Value) -> Vec<String> {
    let holders = lock["spec"]["holders"].as_array();
    holders
        .into_iter()
        .flatten()
        .map(|h| format!("{}/{}", text(h, "namespace"), text(h, "name")))
        .collect()
}

/// Compares how many Services have which reason; `rest` takes what is left.
pub async fn tally(
    cluster: &Cluster,
    wanted: &std::collections::BTreeMap<String, Value>,
) -> anyhow::Result<Gaps> {
    let services = cluster.list(&SERVICE).await?;
    let mut seen = std::collections::BTreeMap::<String, u64>::new();
    for service in &services {
        let condition = condition(&service["status"], herald::api::CONDITION_ALLOCATED);
        let reason = condition["reason"].as_str().unwrap_or("none");
        *seen.entry(reason.to_owned()).or_default() += 1;
    }
    let fixed: u64 = wanted.values().filter_map(Value::as_u64).sum();
    let rest = (services.len() as u64).saturating_sub(fixed);
    let right = wanted.iter().all(|(reason, count)| {
        let count = count.as_u64().unwrap_or(rest);
        seen.get(reason).copied().unwrap_or(0) == count
    });
    Ok(
        match right && seen.keys().all(|reason| wanted.contains_key(reason)) {
            true => Gaps::new(),
            false => vec![format!("seen are {seen:?}, wanted {wanted:?}")],
        },
    )
}
