//! What the API's words come to.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

fn pool_of(spec: Value) -> PoolRecord {
    let object: AddressPool = serde_json::from_value(json!({
        "apiVersion": "herald.dev/v1alpha1", "kind": "AddressPool", "metadata": { "name": "lan" }, "spec": spec,
    }))
    .unwrap();
    pool(&object).unwrap()
}

fn labelled(key: &str, value: &str) -> BTreeMap<String, String> {
    [(key.to_owned(), value.to_owned())].into()
}

#[test]
fn a_pool_without_advertisements_is_announced_everywhere() {
    let pool = pool_of(json!({ "addresses": ["10.0.0.0/24"] }));
    assert!(pool.pool.is_ok());
    assert_eq!(pool.rules, [Layer2Rule::default()]);
    let none = pool_of(json!({ "addresses": ["10.0.0.0/24"], "advertise": [] }));
    assert_eq!(none.rules, []);
}

#[test]
fn every_field_of_a_layer2_advertisement_is_obeyed() {
    let pool = pool_of(json!({
        "addresses": ["10.0.0.0/24"],
        "advertise": [{ "layer2": {
            "interfaces": ["eth0"],
            "nodeSelector": { "matchLabels": { "rack": "1" } },
            "serviceSelector": { "matchLabels": { "tier": "gold" } },
            "preferredNodes": [
                { "weight": 50, "nodeSelector": { "matchLabels": { "disk": "fast" } } },
                { "weight": 1, "nodeSelector": {} },
            ],
        }}],
    }));
    assert!(pool.pool.is_ok(), "{:?}", pool.pool);
    let [rule] = &pool.rules[..] else {
        panic!("{:?}", pool.rules)
    };
    assert_eq!(rule.interfaces, Some(["eth0".to_owned()].into()));
    assert!(rule.nodes.as_ref().unwrap().matches(&labelled("rack", "1")));
    let services = rule.services.as_ref().unwrap();
    assert!(services.matches(&labelled("tier", "gold")));
    assert!(!services.matches(&labelled("tier", "lead")));
    let [(50, fast), (1, all)] = &rule.preferred[..] else {
        panic!("{:?}", rule.preferred)
    };
    assert!(fast.matches(&labelled("disk", "fast")) && !fast.matches(&BTreeMap::new()));
    assert!(all.matches(&BTreeMap::new()));
}

#[test]
fn an_empty_selector_is_not_an_absent_one() {
    let pool = pool_of(json!({
        "addresses": ["10.0.0.0/24"],
        "advertise": [{ "layer2": { "serviceSelector": {} } }, { "layer2": {} }],
    }));
    let services: Vec<_> = pool.rules.iter().map(|r| r.services.is_some()).collect();
    assert_eq!(services, [true, false]);
}

#[test]
fn what_is_not_obeyed_yet_is_refused() {
    let pool = pool_of(json!({ "addresses": ["10.0.0.0/24"], "advertise": [{}] }));
    assert_eq!(pool.pool.unwrap_err().reason, "NotSupported");
}

#[test]
fn durations_are_read_as_kubernetes_writes_them() {
    for (text, seconds) in [
        ("90s", 90),
        ("10m", 600),
        ("1h30m", 5_400),
        ("24h", 86_400),
        ("1500ms", 2),
        ("0s", 0),
        ("99999999999999999999h", 3_155_760_000),
        ("soon", 0),
    ] {
        assert_eq!(duration(text), seconds, "{text}");
    }
}
