//! Pools, and how full they are: what a pool says of itself and what the controller has written about it. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use serde::Serialize;

use crate::world::Keyed;

/// All pools.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pools {
    /// Every pool is Ready and none is Degraded.
    pub well: bool,
    /// By name.
    pub pools: Vec<Pool>,
}

/// One pool.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pool {
    /// Ready and not Degraded.
    pub well: bool,
    /// Its name.
    pub name: String,
    /// Whether it gives out addresses.
    pub ready: bool,
    /// Why it is Ready, or why not.
    pub reason: String,
    /// Details for people.
    pub message: String,
    /// What is amiss with addresses in use, if something is.
    pub degraded: Option<Degraded>,
    /// How full it is, by family.
    pub families: Vec<Numbers>,
    /// Higher first.
    pub priority: i32,
    /// Whether it serves Services that do not name it.
    pub automatic: bool,
    /// As the spec says.
    pub addresses: Vec<String>,
    /// As the spec says.
    pub exclude: Vec<String>,
    /// Who may use it.
    #[serde(flatten)]
    pub limits: Limits,
    /// How long an address waits for a deleted Service.
    pub retention: Option<String>,
    /// As the spec says.
    pub node_ports: String,
    /// As the spec says.
    pub fallback: String,
    /// As the spec says.
    pub sharing: String,
    /// The number of the write that made this state.
    #[serde(skip)]
    pub(crate) version: u64,
}

/// What is amiss with addresses in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Degraded {
    /// One word, as in docs/reasons.md.
    pub reason: String,
    /// Details for people.
    pub message: String,
}

/// Who may use it; what is left out restricts nothing.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// By name.
    pub namespaces: Option<Vec<String>>,
    /// By the labels of namespaces.
    pub namespace_selector: Option<LabelSelector>,
    /// By the labels of Services.
    pub service_selector: Option<LabelSelector>,
    /// How many addresses the Services of one namespace may have.
    pub quota_per_namespace: Option<u32>,
}

/// How many addresses of one family there are, as decimal strings: those of IPv6 do not fit a number. Nothing, if the
/// controller has not counted them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Numbers {
    /// `IPv4` or `IPv6`.
    pub family: &'static str,
    /// All that it could give out.
    pub capacity: Option<String>,
    /// Held by Services.
    pub used: Option<String>,
    /// Kept for deleted Services.
    pub reserved: Option<String>,
    /// Used by other hosts, and given to nobody.
    pub quarantined: Option<String>,
    /// To be given out.
    pub free: Option<String>,
}

impl Pools {
    /// All pools, by name.
    #[must_use]
    pub fn new(mut pools: Vec<Pool>) -> Self {
        pools.sort_by(|a, b| a.name.cmp(&b.name));
        Self {
            well: pools.iter().all(|pool| pool.well),
            pools,
        }
    }
}

impl Numbers {
    /// Whether it has addresses, and not one to give.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.free.as_deref() == Some("0") && self.capacity.as_deref() != Some("0")
    }
}

impl Keyed for Pool {
    type Key = String;

    fn key(&self) -> String {
        self.name.clone()
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// A selector in kubectl's notation: `team=a,tier in (web,db),!old`; `all` for one that selects everything.
#[must_use]
pub fn selector(selector: &LabelSelector) -> String {
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
    use serde_json::json;

    use super::*;
    use crate::cluster;

    fn line(pool: serde_json::Value) -> Pool {
        cluster::pool_line(&serde_json::from_value(pool).unwrap()).unwrap()
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
