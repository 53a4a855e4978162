//! Which ports may be captured, and what refusals say.

use super::*;

#[test]
fn ports_of_the_nodes_themselves_are_never_captured() {
    let inner = || node("a", &[], &["10.0.0.1"]);
    for (ports_asked, expected) in [
        (&["TCP/22"][..], "PortDenied"),
        (&["TCP/80", "TCP/6443"], "PortDenied"),
        (&["UDP/9471"], "PortDenied"),
        (&["UDP/22"], "10.0.0.1 on a"),
    ] {
        let ask = Ask {
            ports: ports(ports_asked),
            ..ask()
        };
        assert_eq!(line(vec![inner()], &ask), expected, "{ports_asked:?}");
        // Under IPVS and behind NAT kube-proxy makes no rule for the address: nothing is captured.
        assert_eq!(
            line(vec![with_mode(inner(), Some("ipvs"))], &ask),
            "10.0.0.1* on a"
        );
        assert_eq!(
            line(vec![node("a", &["203.0.113.1"], &[])], &ask),
            "203.0.113.1* on a"
        );
    }
}

#[test]
fn ports_of_other_services_stay_theirs() {
    let taken: Taken = [("TCP/80", "other"), ("TCP/443", "web")]
        .map(|(port, name)| (port.parse().unwrap(), ServiceKey::new("default", name)))
        .into_iter()
        .collect();
    let of = |ports_asked: &[&str], nodes| {
        let ask = Ask {
            ports: ports(ports_asked),
            ..ask()
        };
        chosen(nodes, &taken, &ask)
    };
    let inner = || node("a", &[], &["10.0.0.1"]);
    assert_eq!(
        of(&["TCP/443", "TCP/80"], vec![inner()]),
        Err(Refusal::PortInUse {
            port: "TCP/80".parse().unwrap(),
            by: Occupant::Service(ServiceKey::new("default", "other")),
        })
    );
    assert!(
        of(&["TCP/443"], vec![inner()]).is_ok(),
        "one's own port is free"
    );
    assert!(
        of(&["UDP/80"], vec![inner()]).is_ok(),
        "another protocol is another port"
    );
    assert!(of(&["TCP/80"], vec![with_mode(inner(), Some("ipvs"))]).is_ok());
}

#[test]
fn ports_that_a_process_listens_on_stay_the_processs() {
    let listening = |name, external: &[&str], internal: &[&str]| {
        reports(
            node(name, external, internal),
            host(&[], &["TCP/80", "UDP/53"]),
        )
    };
    let free = node("a", &[], &["10.0.0.1"]);
    let busy = listening("b", &[], &["10.0.0.2"]);
    assert_eq!(
        chosen(vec![free.clone(), busy.clone()], &Taken::default(), &ask()),
        Err(Refusal::PortInUse {
            port: "TCP/80".parse().unwrap(),
            by: Occupant::Process { node: "b".into() },
        })
    );
    let dns = Ask {
        ports: ports(&["TCP/53"]),
        ..ask()
    };
    assert_eq!(
        line(vec![free.clone(), busy.clone()], &dns),
        "10.0.0.1 10.0.0.2 on a b"
    );
    // Only nodes whose addresses are captured count.
    let mut excluded = busy.clone();
    excluded.excluded = true;
    assert_eq!(line(vec![free.clone(), excluded], &ask()), "10.0.0.1 on a");
    let seen = reports(
        node("c", &["203.0.113.3"], &[]),
        host(&["203.0.113.3"], &[]),
    );
    let behind_nat = listening("b", &["203.0.113.2"], &[]);
    assert_eq!(
        line(vec![seen, behind_nat], &ask()),
        "203.0.113.2* 203.0.113.3 on b c"
    );
    let elsewhere = Ask {
        endpoints: local(&["a"], &[]).endpoints,
        ..ask()
    };
    assert_eq!(line(vec![free, busy], &elsewhere), "10.0.0.1 on a");
}

#[test]
fn refusals_say_what_to_do() {
    let marked = |name, mark: fn(&mut NodeFacts)| {
        let mut node = node(name, &[], &["10.0.0.1"]);
        mark(&mut node);
        node
    };
    let excluded = |name| marked(name, |n| n.excluded = true);
    let of = |nodes, ask: &Ask| {
        chosen(nodes, &Taken::default(), ask)
            .unwrap_err()
            .to_string()
    };
    let port = |text: &str| Ask {
        ports: ports(&[text]),
        ..ask()
    };
    let no_node_ports = Ask {
        node_ports: false,
        ..ask()
    };
    let v6 = Ask {
        families: vec![V6],
        ..ask()
    };
    let inner = || node("a", &[], &["10.0.0.1"]);
    for (said, parts) in [
        (of(vec![], &ask()), &["no node"][..]),
        (
            of(vec![excluded("a")], &ask()),
            &["a is labelled", "remove the label"],
        ),
        (
            of(["a", "b", "c", "d", "e"].map(excluded).into(), &ask()),
            &["c is", "and 2 more"],
        ),
        (of(vec![inner()], &v6), &["IPv6", "status.addresses"]),
        (
            of(vec![inner()], &local(&[], &[])),
            &["no node has a ready endpoint", "Cluster"],
        ),
        (
            of(vec![inner()], &local(&["z"], &[])),
            &["not eligible (z)"],
        ),
        (
            of(vec![inner()], &port("TCP/22")),
            &["TCP/22", "ssh", "another port"],
        ),
        (
            of(vec![reports(inner(), host(&[], &["TCP/80"]))], &ask()),
            &["TCP/80", "node a", "stop"],
        ),
        (
            of(vec![with_mode(inner(), Some("ipvs"))], &no_node_ports),
            &["IPVS", "allocateLoadBalancerNodePorts: true"],
        ),
    ] {
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        assert!(!said.ends_with('.'), "{said}");
    }
}
