use super::*;
use crate::placement::{Nodes, Policy, Preference};

pub(in super::super) fn node(name: &str) -> NodeName {
    NodeName::from(name)
}

/// Two addresses by one rule, of which this node held one.
pub(in super::super) fn sample() -> Memory {
    let some = Nodes::Only(Arc::new([node("a"), node("b")].into()));
    let rules: Arc<[Rule]> = Arc::new([Rule {
        interfaces: Some(["eth0".to_owned()].into()),
        nodes: some.clone(),
        services: None,
        preferred: vec![Preference {
            weight: 50,
            nodes: some,
        }],
    }]);
    let facts = |name: &str, policy| AddressFacts {
        rules: Arc::clone(&rules),
        ignore_exclude_label: false,
        services: vec![ServiceFacts {
            key: herald_spi::ServiceKey::new("default", name),
            created: 7,
            policy,
        }],
        fresh: false,
        proxied: true,
    };
    let local = Policy::Local {
        ready: [node("a")].into(),
        terminating: BTreeSet::new(),
    };
    let (v4, v6) = (
        "192.168.77.200".parse().unwrap(),
        "fd77::200".parse().unwrap(),
    );
    Memory {
        incarnation: 1_790_000_000_000_000,
        nodes: Arc::new([(node("a"), NodeFacts::default())].into()),
        addresses: Arc::new(
            [
                (v4, facts("web", Policy::Cluster)),
                (v6, facts("web", local)),
            ]
            .into(),
        ),
        claims: [(
            (v4, "eth0".into()),
            Last {
                epoch: 6,
                held: true,
            },
        )]
        .into(),
        macs: [Mac([2, 0, 0, 0, 0, 1])].into(),
        node_addresses: Arc::new([(node("b"), "10.9.0.2".parse().unwrap())].into()),
    }
}

#[test]
fn what_is_written_is_read() {
    let memory = sample();
    let text = memory.to_text(&node("a")).unwrap();
    let read = Memory::from_text(&text, &node("a")).unwrap();
    assert_eq!(read, memory);
    let rules: Vec<_> = read.addresses.values().map(|facts| &facts.rules).collect();
    assert!(
        Arc::ptr_eq(rules[0], rules[1]),
        "candidates are found once for both"
    );
    let empty = Memory::default();
    let text = empty.to_text(&node("a")).unwrap();
    assert_eq!(Memory::from_text(&text, &node("a")).unwrap(), empty);
}

#[test]
fn a_file_is_torn_old_new_or_of_another_node() {
    let text = String::from_utf8(sample().to_text(&node("a")).unwrap()).unwrap();
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        text.replace(from, to)
    };
    for (text, of, reason) in [
        (String::new(), "a", "StateFileIll"),
        ("\0\0\0\0".to_owned(), "a", "StateFileIll"),
        (text[..text.len() - 1].to_owned(), "a", "StateFileIll"),
        (text[..text.len() / 2].to_owned(), "a", "StateFileIll"),
        (with("\"macs\":[", "\"macs\":[7,"), "a", "StateFileIll"),
        (
            with("\"version\":1", "\"version\":0"),
            "a",
            "StateFileVersion",
        ),
        (
            r#"{"version":2,"node":"a","else":true}"#.to_owned(),
            "a",
            "StateFileVersion",
        ),
        (text.clone(), "b", "StateFileOfAnotherNode"),
    ] {
        let refused = Memory::from_text(text.as_bytes(), &node(of)).unwrap_err();
        assert_eq!(refused.reason(), reason, "{text}");
    }
}

#[test]
fn an_address_without_its_rules_is_passed_over() {
    let text = String::from_utf8(sample().to_text(&node("a")).unwrap()).unwrap();
    let text = text.replacen("{\"rules\":0", "{\"rules\":9", 1);
    let read = Memory::from_text(text.as_bytes(), &node("a")).unwrap();
    assert_eq!(read.addresses.len(), 1);
}

#[test]
fn interfaces_are_found_again_by_name() {
    let memory = sample();
    let place = Place {
        address: "192.168.77.200".parse().unwrap(),
        interface: IfIndex(9),
    };
    let found = memory.epochs(|name| (name == "eth0").then_some(IfIndex(9)));
    assert_eq!(found, BTreeMap::from([(place, 6)]));
    assert!(memory.epochs(|_| None).is_empty());
}
