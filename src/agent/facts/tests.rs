//! What the rules of pools come to for placement.

use super::*;
use crate::world::{Change, IngressRecord, samples};

fn labels(label: &str) -> BTreeMap<String, String> {
    let pair = label.split_once('=').map(|(k, v)| (k.into(), v.into()));
    pair.into_iter().collect()
}

fn selector(label: &str) -> Selector {
    Selector::new(labels(label), [])
}

fn service(name: &str, label: &str, address: &str) -> ServiceRecord {
    ServiceRecord {
        labels: labels(label).into_iter().collect(),
        class: Some("herald.dev/layer2".into()),
        ingress: vec![IngressRecord {
            ip: address.parse().ok(),
            hostname: None,
            ip_mode: Some("VIP".into()),
            ports: Vec::new(),
        }],
        ..samples::service(name)
    }
}

fn node(name: &str, label: &str) -> NodeRecord {
    NodeRecord {
        labels: labels(label),
        ..samples::node(name, "10.9.0.1")
    }
}

fn pool(name: &str, addresses: &str, rules: Vec<Layer2Rule>) -> PoolRecord {
    PoolRecord {
        rules,
        ..samples::pool(name, &[addresses])
    }
}

/// Two nodes on one rack, one on another, and two Services of two tiers.
fn watched(pools: Vec<PoolRecord>) -> Watched {
    let mut watched = Watched::default();
    watched.pools.take(Change::Reset(pools));
    watched.nodes.take(Change::Reset(vec![
        node("a", "rack=1"),
        node("b", "rack=1"),
        node("c", "rack=2"),
    ]));
    watched.services.take(Change::Reset(vec![
        service("gold", "tier=gold", "10.0.0.1"),
        service("plain", "", "10.0.0.2"),
    ]));
    watched
}

fn rules_of(watched: &mut Watched, address: &str) -> Arc<[Rule]> {
    let facts = watched.address_facts();
    Arc::clone(&facts.get(&address.parse().unwrap()).unwrap().rules)
}

#[test]
fn a_service_selector_picks_by_the_labels_of_services() {
    let gold = Layer2Rule {
        services: Some(selector("tier=gold")),
        ..Layer2Rule::default()
    };
    let nobody = Layer2Rule {
        services: Some(selector("tier=none")),
        ..Layer2Rule::default()
    };
    let all = vec![gold, nobody, Layer2Rule::default()];
    let mut watched = watched(vec![pool("lan", "10.0.0.0/24", all)]);
    let [key_of_gold, key_of_plain] =
        ["gold", "plain"].map(|name| ServiceKey::new("default", name));
    let serves = |rules: &[Rule], key: &ServiceKey| {
        let served = rules.iter().map(|rule| rule.serves(key));
        served.collect::<Vec<_>>()
    };
    let rules = rules_of(&mut watched, "10.0.0.1");
    assert_eq!(serves(&rules, &key_of_gold), [true, false, true]);
    assert_eq!(serves(&rules, &key_of_plain), [false, false, true]);

    // A Service that gets the label is served from then on.
    let promoted = ServiceRecord {
        resource_version: "2".into(),
        ..service("plain", "tier=gold", "10.0.0.2")
    };
    watched.services.take(Change::Apply(promoted));
    let rules = rules_of(&mut watched, "10.0.0.2");
    assert_eq!(serves(&rules, &key_of_plain), [true, false, true]);
}

#[test]
fn preferences_add_up_over_the_nodes_that_match() {
    let rule = Layer2Rule {
        preferred: vec![(50, selector("rack=1")), (7, selector(""))],
        ..Layer2Rule::default()
    };
    let mut watched = watched(vec![pool("lan", "10.0.0.0/24", vec![rule])]);
    let rules = rules_of(&mut watched, "10.0.0.1");
    let sum = |node: &str| -> u32 {
        let node = NodeName::from(node);
        rules.iter().map(|rule| rule.preference(&node)).sum()
    };
    assert_eq!(["a", "b", "c"].map(sum), [57, 57, 7]);
}

#[test]
fn addresses_that_are_announced_alike_share_their_rules() {
    let racked = Layer2Rule {
        nodes: Some(selector("rack=1")),
        services: Some(selector("tier=gold")),
        ..Layer2Rule::default()
    };
    let mut watched = watched(vec![pool("lan", "10.0.0.0/24", vec![racked])]);
    let first = rules_of(&mut watched, "10.0.0.1");
    let facts = watched.address_facts();
    let all: Vec<_> = facts.values().map(|facts| &facts.rules).collect();
    assert_eq!(all.len(), 2);
    assert!(Arc::ptr_eq(all[0], all[1]));

    // Their pool goes, and no lock remembers: they are announced as before, and still found once for all.
    watched.pools.take(Change::Reset(Vec::new()));
    for _ in 0..2 {
        let facts = watched.address_facts();
        let all: Vec<_> = facts.values().map(|facts| &facts.rules).collect();
        assert_eq!(all.len(), 2);
        assert!(Arc::ptr_eq(all[0], all[1]));
        assert_eq!(*all[0], first);
    }
}

#[test]
fn what_may_move_is_of_pools_that_say_so_or_that_somebody_asked_for() {
    let automatic = |name: &str, addresses: &str| PoolRecord {
        rebalance: RebalancePolicy::Automatic,
        ..pool(name, addresses, Vec::new())
    };
    let addresses: Vec<IpAddr> = ["10.0.0.1", "10.0.0.2", "10.9.9.9"]
        .map(|text| text.parse().unwrap())
        .into();
    for (pools, asked, first, second) in [
        (vec![pool("lan", "10.0.0.0/24", Vec::new())], "", None, None),
        (
            vec![pool("lan", "10.0.0.0/24", Vec::new())],
            "lan",
            Some(Pace::Asked),
            Some(Pace::Asked),
        ),
        (
            vec![
                automatic("one", "10.0.0.1"),
                pool("two", "10.0.0.2", Vec::new()),
            ],
            "two",
            Some(Pace::Slow),
            Some(Pace::Asked),
        ),
        (
            vec![automatic("one", "10.0.0.1")],
            "one",
            Some(Pace::Asked),
            None,
        ),
    ] {
        let watched = watched(pools);
        let scope = watched.rebalance(addresses.iter(), |pool| pool.as_str() == asked);
        let paces: Vec<_> = addresses.iter().map(|a| scope.get(a).copied()).collect();
        assert_eq!(paces, [first, second, None], "{asked}");
    }
}
