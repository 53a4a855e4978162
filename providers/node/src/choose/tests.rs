//! Each rule as a row: nodes and a Service in, a line that a user could read in the status out.

use Family::{V4, V6};

use super::*;
use crate::{Endpoints, Host, NodeFacts};

mod ports;

/// A ready node without an agent.
fn node(name: &str, external: &[&str], internal: &[&str]) -> NodeFacts {
    let parse = |all: &[&str]| all.iter().map(|a| a.parse().unwrap()).collect();
    NodeFacts {
        name: name.into(),
        external_ips: parse(external),
        internal_ips: parse(internal),
        excluded: false,
        out_of_service: false,
        deleting: false,
        being_scaled_down: false,
        ready: true,
        host: None,
    }
}

/// What an agent reports under nftables.
fn host(addresses: &[&str], listening: &[&str]) -> Host {
    Host {
        kube_proxy_mode: Some("nftables".into()),
        addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
        listening: ports(listening),
    }
}

fn reports(node: NodeFacts, host: Host) -> NodeFacts {
    NodeFacts {
        host: Some(host),
        ..node
    }
}

fn with_mode(node: NodeFacts, mode: Option<&str>) -> NodeFacts {
    let host = Host {
        kube_proxy_mode: mode.map(Into::into),
        ..node.host.clone().unwrap_or_default()
    };
    reports(node, host)
}

fn ports(all: &[&str]) -> BTreeSet<Port> {
    all.iter().map(|port| port.parse().unwrap()).collect()
}

fn names(all: &[&str]) -> BTreeSet<NodeName> {
    all.iter().copied().map(NodeName::from).collect()
}

/// A Service with node ports that wants IPv4 and serves HTTP.
fn ask() -> Ask {
    Ask {
        families: vec![V4],
        ports: ports(&["TCP/80"]),
        node_ports: true,
        endpoints: None,
    }
}

fn local(ready: &[&str], terminating: &[&str]) -> Ask {
    Ask {
        endpoints: Some(Endpoints {
            ready: names(ready),
            terminating: names(terminating),
        }),
        ..ask()
    }
}

fn own() -> ServiceKey {
    ServiceKey::new("default", "web")
}

fn chosen(nodes: Vec<NodeFacts>, taken: &Taken, ask: &Ask) -> Result<Answer, Refusal> {
    let mut steady = Steady::default();
    steady.update(0, nodes);
    choose(&steady, taken, &own(), ask)
}

/// `10.0.0.1 on a`, with `*` behind addresses that are served by node port only; or the refusal's word.
fn line(nodes: Vec<NodeFacts>, ask: &Ask) -> String {
    match chosen(nodes, &Taken::default(), ask) {
        Err(refusal) => refusal.reason().to_owned(),
        Ok(answer) => {
            let star = |mode| if mode == Mode::Direct { "" } else { "*" };
            let addresses = answer.published.iter();
            let addresses: Vec<_> = addresses
                .map(|p| format!("{}{}", p.address, star(p.mode)))
                .collect();
            let nodes: Vec<_> = answer.nodes.iter().map(NodeName::as_str).collect();
            format!("{} on {}", addresses.join(" "), nodes.join(" "))
        }
    }
}

#[test]
fn only_eligible_nodes_lend_addresses() {
    type Mark = fn(&mut NodeFacts);
    let marks: [Mark; 5] = [
        |n| n.excluded = true,
        |n| n.out_of_service = true,
        |n| n.deleting = true,
        |n| n.being_scaled_down = true,
        |n| n.ready = false,
    ];
    for mark in marks {
        let mut marked = node("b", &["203.0.113.2"], &["10.0.0.2"]);
        mark(&mut marked);
        let nodes = vec![node("a", &[], &["10.0.0.1"]), marked.clone()];
        // Not even its having an ExternalIP counts.
        assert_eq!(line(nodes, &ask()), "10.0.0.1 on a");
        // Where no node is ready, readiness does not count.
        let alone = if marked.ready {
            "NoNode"
        } else {
            "203.0.113.2* on b"
        };
        assert_eq!(line(vec![marked], &ask()), alone);
    }
    assert_eq!(line(Vec::new(), &ask()), "NoNode");
}

#[test]
fn external_addresses_come_before_internal_ones_and_never_mix() {
    let seen = |name, external: &str, internal| {
        reports(node(name, &[external], &[internal]), host(&[external], &[]))
    };
    let inner = |name, internal| node(name, &[], &[internal]);
    for (nodes, expected) in [
        (
            vec![inner("b", "10.0.0.10"), inner("a", "10.0.0.9")],
            "10.0.0.9 10.0.0.10 on a b",
        ),
        (
            vec![seen("a", "203.0.113.1", "10.0.0.1"), inner("b", "10.0.0.2")],
            "203.0.113.1 on a",
        ),
        (
            vec![
                seen("a", "203.0.113.2", "10.0.0.1"),
                seen("b", "203.0.113.1", "10.0.0.2"),
            ],
            "203.0.113.1 203.0.113.2 on a b",
        ),
        // A floating address that both list is published once.
        (
            vec![
                seen("a", "203.0.113.1", "10.0.0.1"),
                node("b", &["203.0.113.1"], &["10.0.0.2"]),
            ],
            "203.0.113.1 on a b",
        ),
        (
            vec![node("a", &[], &["10.0.0.1", "10.0.0.1", "10.1.0.1"])],
            "10.0.0.1 10.1.0.1 on a",
        ),
        (vec![node("a", &[], &[])], "NoNode"),
    ] {
        assert_eq!(line(nodes, &ask()), expected);
    }
}

#[test]
fn families_filter_and_order() {
    let dual = || {
        vec![
            node("b", &[], &["10.0.0.2", "fd77::2"]),
            node("a", &[], &["10.0.0.1", "fd77::1"]),
        ]
    };
    let mixed = || vec![node("a", &["2001:db8::1"], &["10.0.0.1", "fd77::1"])];
    for (families, nodes, expected) in [
        (vec![V4], dual(), "10.0.0.1 10.0.0.2 on a b"),
        (vec![V6], dual(), "fd77::1 fd77::2 on a b"),
        (
            vec![V4, V6],
            dual(),
            "10.0.0.1 10.0.0.2 fd77::1 fd77::2 on a b",
        ),
        (
            vec![V6, V4],
            dual(),
            "fd77::1 fd77::2 10.0.0.1 10.0.0.2 on a b",
        ),
        (vec![V6, V6], dual(), "fd77::1 fd77::2 on a b"),
        (vec![], dual(), "NoNode"),
        // An ExternalIP of a family that nobody wants does not hide the InternalIPs.
        (vec![V4], mixed(), "10.0.0.1 on a"),
        (vec![V6], mixed(), "2001:db8::1* on a"),
        (vec![V4, V6], mixed(), "2001:db8::1* on a"),
        (vec![V6], vec![node("a", &[], &["10.0.0.1"])], "NoNode"),
        (
            vec![V4, V6],
            vec![node("a", &[], &["10.0.0.1"]), node("b", &[], &["fd77::2"])],
            "10.0.0.1 fd77::2 on a b",
        ),
    ] {
        let ask = Ask { families, ..ask() };
        assert_eq!(line(nodes, &ask), expected, "{ask:?}");
    }
}

#[test]
fn local_traffic_goes_where_an_endpoint_serves() {
    let nodes = || {
        let mut excluded = node("x", &[], &["10.0.0.9"]);
        excluded.excluded = true;
        vec![
            node("a", &["203.0.113.1"], &["10.0.0.1"]),
            node("b", &[], &["10.0.0.2"]),
            node("c", &[], &["10.0.0.3"]),
            excluded,
        ]
    };
    for (ready, terminating, expected) in [
        (&["b", "c"][..], &[][..], "10.0.0.2 10.0.0.3 on b c"),
        (&["b"], &["c"], "10.0.0.2 on b"),
        (&[], &["c"], "10.0.0.3 on c"),
        // Ready anywhere, be it on a node that lends nothing: the terminating ones do not count.
        (&["x"], &["c"], "NoEndpoint"),
        (&["a", "b"], &[], "203.0.113.1* on a"),
        (&[], &[], "NoEndpoint"),
    ] {
        assert_eq!(
            line(nodes(), &local(ready, terminating)),
            expected,
            "{ready:?} {terminating:?}"
        );
    }
    assert_eq!(line(Vec::new(), &local(&["a"], &[])), "NoNode");
}

#[test]
fn an_external_address_is_direct_only_where_an_agent_sees_it() {
    let external = || node("a", &["203.0.113.1"], &["10.0.0.1"]);
    for (nodes, expected) in [
        (vec![external()], "203.0.113.1* on a"),
        (
            vec![reports(external(), host(&["10.0.0.1"], &[]))],
            "203.0.113.1* on a",
        ),
        (
            vec![reports(external(), host(&["10.0.0.1", "203.0.113.1"], &[]))],
            "203.0.113.1 on a",
        ),
        // Seen by one of two nodes, each about its own.
        (
            vec![
                reports(external(), host(&["203.0.113.1"], &[])),
                reports(
                    node("b", &["203.0.113.2"], &[]),
                    host(&["203.0.113.1"], &[]),
                ),
            ],
            "203.0.113.1 203.0.113.2* on a b",
        ),
        // The same address under both types is on an interface.
        (
            vec![node("a", &["203.0.113.1"], &["203.0.113.1"])],
            "203.0.113.1 on a",
        ),
    ] {
        assert_eq!(line(nodes, &ask()), expected);
    }
}

#[test]
fn ipvs_anywhere_forbids_direct_addresses() {
    let inner = |name, internal| node(name, &[], &[internal]);
    let outside = |mode| {
        let mut excluded = with_mode(inner("x", "10.0.0.9"), mode);
        excluded.excluded = true;
        excluded
    };
    for (nodes, expected) in [
        (
            vec![with_mode(inner("a", "10.0.0.1"), Some("iptables"))],
            "10.0.0.1 on a",
        ),
        (
            vec![with_mode(inner("a", "10.0.0.1"), None)],
            "10.0.0.1 on a",
        ),
        (
            vec![with_mode(inner("a", "10.0.0.1"), Some("ipvs"))],
            "10.0.0.1* on a",
        ),
        (
            vec![with_mode(inner("a", "10.0.0.1"), Some("IPVS\n"))],
            "10.0.0.1* on a",
        ),
        (
            vec![
                inner("a", "10.0.0.1"),
                with_mode(inner("b", "10.0.0.2"), Some("ipvs")),
            ],
            "10.0.0.1* 10.0.0.2* on a b",
        ),
        // A node that lends nothing would still bind the others' addresses, and lose them.
        (
            vec![inner("a", "10.0.0.1"), outside(Some("ipvs"))],
            "10.0.0.1* on a",
        ),
        (
            vec![inner("a", "10.0.0.1"), outside(Some("nftables"))],
            "10.0.0.1 on a",
        ),
    ] {
        assert_eq!(line(nodes, &ask()), expected);
    }
}

#[test]
fn node_ports_are_needed_where_nothing_can_be_direct() {
    let without = Ask {
        node_ports: false,
        ..ask()
    };
    let seen = reports(
        node("a", &["203.0.113.1"], &[]),
        host(&["203.0.113.1"], &[]),
    );
    let unseen = node("b", &["203.0.113.2"], &[]);
    let ipvs = with_mode(node("c", &[], &["10.0.0.3"]), Some("ipvs"));
    for (nodes, expected) in [
        (vec![seen.clone()], "203.0.113.1 on a"),
        (vec![unseen.clone()], "NodePortsNeeded"),
        (vec![ipvs], "NodePortsNeeded"),
        // What can be direct is published, without the rest.
        (vec![seen, unseen], "203.0.113.1 on a"),
    ] {
        assert_eq!(line(nodes, &without), expected);
    }
}

#[test]
fn the_answer_says_why_it_is_not_direct() {
    let why = |nodes| {
        let answer = chosen(nodes, &Taken::default(), &ask()).unwrap();
        answer.why_not_direct
    };
    let external = || node("a", &["203.0.113.1"], &["10.0.0.1"]);
    assert_eq!(why(vec![node("a", &[], &["10.0.0.1"])]), None);
    for (nodes, parts) in [
        (
            vec![external()],
            ["no Herald agent on node a", "203.0.113.1"],
        ),
        (
            vec![reports(external(), host(&[], &[]))],
            ["1:1 NAT", "203.0.113.1"],
        ),
        (
            vec![with_mode(external(), Some("ipvs"))],
            ["node a", "IPVS"],
        ),
    ] {
        let said = why(nodes).unwrap();
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
}
