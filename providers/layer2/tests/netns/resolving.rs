//! Addresses as other hosts see them: resolved, probed, contested.

use super::*;

#[test]
fn hosts_resolve_owned_addresses_and_no_others() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    layer2.own(node.index, &[v4(), v6()]);
    assert_eq!(host.resolve(v4()), Some(node.mac));
    assert_eq!(host.resolve(v6()), Some(node.mac));
    assert_eq!(host.resolve("192.168.77.201".parse().unwrap()), None);

    if installed("arping") {
        // Ordinary requests, and duplicate address detection (which exits 1 when somebody answers).
        host.station.sh("arping -c 2 -w 3 -I eth0 192.168.77.200");
        assert!(
            !host
                .station
                .try_sh("arping -D -c 2 -w 2 -I eth0 192.168.77.200")
                .0
        );
        assert!(
            host.station
                .try_sh("arping -D -c 2 -w 2 -I eth0 192.168.77.201")
                .0
        );
    }
    if installed("ndisc6") {
        let answer = host.station.sh("ndisc6 -1 fd77::12:3456 eth0");
        assert!(
            answer.to_lowercase().contains("02:00:00:00:00:01"),
            "{answer}"
        );
    }

    host.station.sh("ip neigh flush dev eth0");
    assert_eq!(
        (host.resolve(v4()), host.resolve(v6())),
        (Some(node.mac), Some(node.mac))
    );
    assert!(layer2.counter("replies") >= 2);

    // Letting go takes effect at once.
    layer2.own(node.index, &[v6()]);
    thread::sleep(Duration::from_millis(50));
    host.station.sh("ip neigh flush dev eth0");
    assert_eq!(host.resolve(v4()), None);
    assert_eq!(host.resolve(v6()), Some(node.mac));
}

#[test]
fn the_kernel_keeps_an_entry_by_unicast_probes() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    layer2.own(node.index, &[v4(), v6()]);
    // Let the gratuitous burst pass, which would change the entries' state as well.
    thread::sleep(Duration::from_millis(4500));
    for address in [v4(), v6()] {
        host.resolve(address);
        host.station.sh(&format!(
            "ip neigh replace {address} lladdr {} nud probe dev eth0",
            node.mac
        ));
        wait_for("the entry is confirmed", SOON, || {
            host.station
                .sh(&format!("ip neigh show {address}"))
                .contains("REACHABLE")
        });
    }
}

#[test]
fn a_host_that_configures_an_owned_address_finds_it_taken() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    layer2.own(node.index, &[v6()]);
    // An announcement alone would tell the host, before it asks.
    thread::sleep(Duration::from_millis(4500));
    host.station
        .sh(&format!("ip addr add {}/64 dev eth0", v6()));
    wait_for("duplicate address detection fails", SOON, || {
        host.station
            .sh("ip -6 addr show dev eth0")
            .contains("dadfailed")
    });
    let by = layer2.expect("a conflict", |report| match report {
        Report::Conflict { place, by } if place.address == v6() => Some(*by),
        _ => None,
    });
    assert_eq!(by, host.mac);
}

#[test]
fn questions_are_answered_by_the_wire() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    host.station
        .sh("ip addr add 192.168.77.200/24 dev eth0; ip addr add fd77::12:3456/64 dev eth0 nodad");
    let free: [IpAddr; 2] = [
        "192.168.77.250".parse().unwrap(),
        "fd77::250".parse().unwrap(),
    ];
    for (id, wonder, least, most) in [
        (1, Wonder::FirstClaim, 70, 150),
        (2, Wonder::Takeover, 40, 110),
    ] {
        let asked = Instant::now();
        layer2.want(
            node.index,
            &[v4(), v6(), free[0], free[1]],
            Duty::Ask(Question { id, wonder }),
            &[],
        );
        let mut open: BTreeSet<IpAddr> = [v4(), v6(), free[0], free[1]].into();
        while !open.is_empty() {
            layer2.expect("an answer", |report| match report {
                Report::Answered {
                    place,
                    question,
                    by,
                } if *question == id => {
                    assert!(open.remove(&place.address), "answered once");
                    let took = asked.elapsed();
                    if free.contains(&place.address) {
                        assert!(by.is_empty(), "{report:?}");
                        let bounds = Duration::from_millis(least)..Duration::from_millis(most);
                        assert!(bounds.contains(&took), "{wonder:?} took {took:?}");
                    } else {
                        assert_eq!(*by, [host.mac].into(), "{report:?}");
                    }
                    Some(())
                }
                _ => None,
            });
        }
    }
}

#[test]
fn a_foreign_claim_is_reported_and_answered_back() {
    if !can_make_namespaces() || !installed("arping") {
        return;
    }
    let segment = Segment::new();
    let (node, host, rogue) = (segment.plug(), segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    layer2.own(node.index, &[v4()]);
    assert_eq!(host.resolve(v4()), Some(node.mac));
    thread::sleep(Duration::from_millis(4500));
    rogue.station.sh("ip addr add 192.168.77.200/32 dev lo && arping -U -c 1 -I eth0 -s 192.168.77.200 192.168.77.200");
    let by = layer2.expect("a conflict", |report| match report {
        Report::Conflict { by, .. } => Some(*by),
        _ => None,
    });
    assert_eq!(by, rogue.mac);
    wait_for("the cache is right again", SOON, || {
        host.neighbour(v4()) == Some(node.mac)
    });
    assert_eq!(layer2.counter("defences"), 1);

    // A Herald node may do the same without a word.
    let conflicts = layer2.counter("conflicts");
    layer2.want(
        node.index,
        &[v4()],
        Duty::Own {
            gain: Gain::Takeover,
            round: 0,
        },
        &[rogue.mac],
    );
    thread::sleep(Duration::from_millis(50));
    rogue
        .station
        .sh("arping -U -c 1 -I eth0 -s 192.168.77.200 192.168.77.200");
    thread::sleep(Duration::from_millis(100));
    assert_eq!(layer2.counter("conflicts"), conflicts);
}
