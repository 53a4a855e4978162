//! One pool as the answer tells it. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    Condition, LabelSelector, LabelSelectorRequirement,
};
use kube::ResourceExt as _;
use serde::Serialize;

use crate::{
    api::{AddressPool, AddressPoolSpec, FamilyStatus},
    cluster,
    ipam::Family,
    world::Keyed,
};

/// One pool.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Line {
    /// Ready and not Degraded.
    pub(super) well: bool,
    pub(super) name: String,
    pub(super) ready: bool,
    /// Why it is Ready, or why not.
    pub(super) reason: String,
    pub(super) message: String,
    /// What is amiss with addresses in use, if something is.
    pub(super) degraded: Option<Degraded>,
    pub(super) families: Vec<Numbers>,
    pub(super) priority: i32,
    pub(super) automatic: bool,
    pub(super) addresses: Vec<String>,
    pub(super) exclude: Vec<String>,
    #[serde(flatten)]
    pub(super) limits: Limits,
    pub(super) retention: Option<String>,
    pub(super) node_ports: String,
    pub(super) fallback: String,
    pub(super) sharing: String,
    #[serde(skip)]
    version: u64,
}

/// What is amiss with addresses in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Degraded {
    pub(super) reason: String,
    pub(super) message: String,
}

/// Who may use it; what is left out restricts nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Limits {
    pub(super) namespaces: Option<Vec<String>>,
    pub(super) namespace_selector: Option<LabelSelector>,
    pub(super) service_selector: Option<LabelSelector>,
    pub(super) quota_per_namespace: Option<u32>,
}

/// How many addresses of one family there are, as decimal strings: those of IPv6 do not fit a number. Nothing, if the
/// controller has not counted them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Numbers {
    pub(super) family: &'static str,
    pub(super) capacity: Option<String>,
    pub(super) used: Option<String>,
    pub(super) reserved: Option<String>,
    pub(super) quarantined: Option<String>,
    pub(super) free: Option<String>,
}

impl Line {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "a watch's projection may leave objects out"
    )]
    pub(super) fn of(pool: &AddressPool) -> Option<Self> {
        let spec = &pool.spec;
        let (ready, reason, message) = readiness(pool);
        let degraded = condition(pool, "Degraded")
            .filter(|condition| condition.status == "True")
            .map(|condition| Degraded {
                reason: condition.reason.clone(),
                message: condition.message.clone(),
            });
        let version = pool.resource_version();
        Some(Self {
            well: ready && degraded.is_none(),
            name: pool.name_any(),
            ready,
            reason,
            message,
            degraded,
            families: families(pool),
            priority: spec.priority,
            automatic: spec.automatic,
            addresses: spec.addresses.clone(),
            exclude: spec.exclude.clone(),
            limits: limits(spec),
            retention: spec.retention.clone(),
            node_ports: format!("{:?}", spec.node_ports),
            fallback: format!("{:?}", spec.fallback),
            sharing: format!("{:?}", spec.sharing),
            version: version.and_then(|v| v.parse().ok()).unwrap_or(0),
        })
    }
}

impl Keyed for Line {
    type Key = String;

    fn key(&self) -> String {
        self.name.clone()
    }

    fn version(&self) -> u64 {
        self.version
    }
}

fn limits(spec: &AddressPoolSpec) -> Limits {
    Limits {
        namespaces: spec.namespaces.clone(),
        namespace_selector: spec.namespace_selector.clone(),
        service_selector: spec.service_selector.clone(),
        quota_per_namespace: spec.quota_per_namespace,
    }
}

/// Whether it is Ready, and the controller's words for it. A verdict on an earlier state of the pool does not count.
fn readiness(pool: &AddressPool) -> (bool, String, String) {
    let pending = |message: &str| (false, "Pending".to_owned(), message.to_owned());
    let Some(ready) = condition(pool, "Ready") else {
        return pending("no controller has looked at it yet; is one running?");
    };
    if ready.observed_generation < pool.metadata.generation {
        return pending("no controller has looked at the last edit yet; is one running?");
    }
    (
        ready.status == "True",
        ready.reason.clone(),
        ready.message.clone(),
    )
}

fn condition<'a>(pool: &'a AddressPool, type_: &str) -> Option<&'a Condition> {
    let conditions = pool.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().find(|c| c.type_ == type_)
}

/// The counted families, or those that the spec names, without numbers.
fn families(pool: &AddressPool) -> Vec<Numbers> {
    let status = pool.status.as_ref();
    let of_status = |family: Family| match family {
        Family::V4 => status.and_then(|s| s.ipv4.as_ref()),
        Family::V6 => status.and_then(|s| s.ipv6.as_ref()),
    };
    let record = cluster::pool(pool);
    let ranges = record.iter().filter_map(|record| record.pool.as_ref().ok());
    let named: Vec<_> = ranges
        .flat_map(|pool| &pool.ranges)
        .map(|range| range.family())
        .collect();
    [Family::V4, Family::V6]
        .into_iter()
        .filter(|family| of_status(*family).is_some() || named.contains(family))
        .map(|family| numbers(family, of_status(family)))
        .collect()
}

fn numbers(family: Family, counted: Option<&FamilyStatus>) -> Numbers {
    let number = |of: fn(&FamilyStatus) -> &String| counted.map(|counted| of(counted).clone());
    Numbers {
        family: match family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        },
        capacity: number(|c| &c.capacity),
        used: number(|c| &c.used),
        reserved: number(|c| &c.reserved),
        quarantined: number(|c| &c.quarantined),
        free: number(|c| &c.available),
    }
}

/// A selector in kubectl's notation: `team=a,tier in (web,db),!old`; `all` for one that selects everything.
pub(super) fn selector(selector: &LabelSelector) -> String {
    let labels = selector.match_labels.iter().flatten();
    let labels = labels.map(|(key, value)| format!("{key}={value}"));
    let expressions = selector.match_expressions.iter().flatten().map(expression);
    let parts: Vec<_> = labels.chain(expressions).collect();
    match parts.as_slice() {
        [] => "all".to_owned(),
        parts => parts.join(","),
    }
}

fn expression(requirement: &LabelSelectorRequirement) -> String {
    let key = &requirement.key;
    let values = || requirement.values.clone().unwrap_or_default().join(",");
    match requirement.operator.as_str() {
        "Exists" => key.clone(),
        "DoesNotExist" => format!("!{key}"),
        "In" => format!("{key} in ({})", values()),
        "NotIn" => format!("{key} notin ({})", values()),
        other => format!("{key} {other} ({})", values()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(pool: serde_json::Value) -> Line {
        Line::of(&serde_json::from_value(pool).unwrap()).unwrap()
    }

    fn pool(observed: u32, degraded: &str) -> serde_json::Value {
        let condition = |type_: &str, status: &str, observed: u32| {
            json!({
                "type": type_, "status": status, "reason": "Word", "message": "a sentence",
                "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": observed,
            })
        };
        json!({
            "apiVersion": "herald.dev/v1alpha1", "kind": "AddressPool",
            "metadata": { "name": "lan", "generation": 2 },
            "spec": { "addresses": ["10.0.0.0/30", "fd77::/120"] },
            "status": {
                "conditions": [condition("Ready", "True", observed), condition("Degraded", degraded, 2)],
                "ipv4": { "capacity": "4", "used": "1", "reserved": "0", "available": "3" },
            },
        })
    }

    #[test]
    fn all_is_well_only_when_the_last_edit_is_ready_and_nothing_is_degraded() {
        for (observed, degraded, well, reason) in [
            (2, "False", true, "Word"),
            (1, "False", false, "Pending"),
            (2, "True", false, "Word"),
        ] {
            let line = line(pool(observed, degraded));
            assert_eq!((line.well, line.reason.as_str()), (well, reason));
        }
    }

    #[test]
    fn families_without_numbers_are_shown_too() {
        let line = line(pool(2, "False"));
        let free: Vec<_> = line
            .families
            .iter()
            .map(|n| (n.family, n.free.as_deref()))
            .collect();
        assert_eq!(free, [("IPv4", Some("3")), ("IPv6", None)]);
    }

    #[test]
    fn selectors_are_shown_as_kubectl_writes_them() {
        for (text, shown) in [
            (json!({}), "all"),
            (json!({ "matchLabels": { "team": "a" } }), "team=a"),
            (
                json!({ "matchExpressions": [
                    { "key": "tier", "operator": "In", "values": ["web", "db"] },
                    { "key": "old", "operator": "DoesNotExist" },
                ] }),
                "tier in (web,db),!old",
            ),
        ] {
            assert_eq!(selector(&serde_json::from_value(text).unwrap()), shown);
        }
    }
}
