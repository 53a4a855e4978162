//! Links that go, come, change, or do not count.

use super::*;
use crate::recording::Recording;

#[test]
fn caches_follow_a_gain_a_link_up_and_a_new_mac() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    let follows = |what: &str, mac: Mac| {
        for address in [v4(), v6()] {
            let took = wait_for(what, SOON, || host.neighbour(address) == Some(mac));
            println!("{what}: {address} after {took:?}");
        }
    };
    host.poison(v4());
    host.poison(v6());
    layer2.own(node.index, &[v4(), v6()]);
    follows("gain", node.mac);

    // Once the burst is over only a new one can repair the caches within seconds.
    thread::sleep(Duration::from_millis(4500));
    node.station.sh("ip link set eth0 down");
    layer2.expect("failing", |report| {
        matches!(report, Report::Failing { .. }).then_some(())
    });
    host.poison(v4());
    host.poison(v6());
    node.station.sh("ip link set eth0 up");
    follows("link up", node.mac);
    layer2.expect("recovered", |report| {
        matches!(report, Report::Recovered { .. }).then_some(())
    });

    thread::sleep(Duration::from_millis(4500));
    let mac = Mac([2, 0, 0, 0, 0, 0xcc]);
    node.station.sh(&format!("ip link set eth0 address {mac}"));
    follows("new MAC", mac);
    host.station.sh("ip neigh flush dev eth0");
    assert_eq!(host.resolve(v4()), Some(mac));
    assert_eq!(host.resolve(v6()), Some(mac));
}

#[test]
fn the_switch_learns_who_listens() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let node = segment.plug();
    segment
        .switch
        .sh("ip link set port1 type bridge_slave fastleave on");
    let layer2 = Node::start(&node);
    let member = || {
        node.station
            .sh("ip maddr show dev eth0")
            .contains("33:33:ff:12:34:56")
    };
    let port = || listens(&segment, 1, "ff02::1:ff12:3456");
    // Two addresses share the group; it is left with the last one.
    let twin: IpAddr = "fd77::ff:12:3456".parse().unwrap();
    layer2.own(node.index, &[v6(), twin]);
    wait_for("the NIC receives the group", SOON, member);
    wait_for("the switch saw the MLD report", SOON, port);
    layer2.own(node.index, &[twin]);
    thread::sleep(Duration::from_millis(200));
    assert!(member() && port());
    layer2.own(node.index, &[]);
    wait_for("the NIC does not receive it", SOON, || !member());
    wait_for("the switch forgot it", SOON, || !port());

    layer2.own(node.index, &[v6()]);
    wait_for("the switch saw it again", SOON, port);
    drop(layer2);
    wait_for("an agent that ends leaves", SOON, || !port());
}

/// A switch forgets who does not answer its queries, and then delivers no solicitation any more.
#[test]
fn a_querier_of_either_version_is_answered() {
    if !can_make_namespaces() {
        return;
    }
    let segments = [1, 2].map(|version| {
        let segment = Segment::new();
        let (node, host) = (segment.plug(), segment.plug());
        let layer2 = Node::start(&node);
        segment.switch.sh(&format!(
            "ip link set br0 type bridge mcast_mld_version {version} mcast_query_response_interval 50 \
             mcast_query_interval 100 mcast_startup_query_interval 50 mcast_membership_interval 300 mcast_querier 1"
        ));
        layer2.own(node.index, &[v6()]);
        (version, segment, node, host, layer2)
    });
    // Three times as long as the switch remembers.
    thread::sleep(Duration::from_secs(9));
    for (version, segment, node, host, _) in &segments {
        assert!(listens(segment, 1, "ff02::1:ff12:3456"), "MLDv{version}");
        assert!(!listens(segment, 2, "ff02::1:ff12:3456"));
        assert_eq!(host.resolve(v6()), Some(node.mac), "MLDv{version}");
    }
}

/// The address that the node has itself is in the same group as one of Herald's.
#[test]
fn a_group_of_the_nodes_own_address_is_not_left() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    segment.switch.sh(
        "ip link set port1 type bridge_slave fastleave on; ip link set br0 type bridge mcast_querier 1",
    );
    let layer2 = Node::start(&node);
    let twin: IpAddr = "fd77::ff:0:1".parse().unwrap();
    let port = || listens(&segment, 1, "ff02::1:ff00:1");
    layer2.own(node.index, &[twin, v6()]);
    wait_for("the switch knows the group", SOON, port);
    layer2.own(node.index, &[v6()]);
    thread::sleep(Duration::from_millis(1500));
    assert!(port(), "the kernel still listens");
    assert_eq!(host.resolve("fd77::1".parse().unwrap()), Some(node.mac));

    let others = || listens(&segment, 1, "ff02::1:ff12:3456");
    layer2.own(node.index, &[twin, v6()]);
    wait_for("the switch knows the other group", SOON, others);
    drop(layer2);
    wait_for("an agent that ends leaves the other", SOON, || !others());
    assert!(port(), "the kernel listens when the agent has ended");
}

/// What tcpdump reads in the reports of the node, apart from those of its kernel.
#[test]
fn reports_are_as_the_rfc_has_them() {
    if !can_make_namespaces() || !installed("tcpdump") {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    let recording = Recording::start(&host);
    layer2.own(node.index, &[v6()]);
    thread::sleep(Duration::from_millis(2000));
    layer2.own(node.index, &[]);
    thread::sleep(Duration::from_millis(500));
    let told = recording.told("ether src 02:00:00:00:00:01 and ip6 proto 0");
    let ours: Vec<_> = told
        .iter()
        .filter(|it| it.text.contains("ff02::1:ff12:3456"))
        .collect();
    let joined = "[gaddr ff02::1:ff12:3456 to_ex { }]";
    let left = "[gaddr ff02::1:ff12:3456 to_in { }]";
    let common = [
        "> 33:33:00:00:00:16, ethertype IPv6",
        "hlim 1, next-header Options (0)",
        "fe80::ff:fe00:1 > ff02::16: HBH (rtalert: 0x0000) (padn)",
        "[icmp6 sum ok] ICMP6, multicast listener report v2, 1 group record(s)",
    ];
    assert_eq!(ours.len(), 3, "{told:?}");
    for (report, record) in ours.iter().zip([joined, joined, left]) {
        assert!(report.says(&common) && report.says(&[record]), "{report:?}");
    }
}

fn listens(segment: &Segment, port: u8, group: &str) -> bool {
    let known = segment.switch.sh("bridge mdb show dev br0");
    known.contains(&format!("port{port} grp {group} "))
}

#[test]
fn a_link_that_vanishes_and_returns_is_served_again() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    layer2.own(node.index, &[v4(), v6()]);
    assert_eq!(host.resolve(v6()), Some(node.mac));
    segment.switch.sh("ip link delete port1");
    layer2.expect_links("no link", Links::is_empty);
    let before = thread_time(&node.station);
    thread::sleep(Duration::from_secs(1));
    let spent = thread_time(&node.station) - before;
    assert!(
        spent < Duration::from_millis(500),
        "it spins: {spent:?} of CPU in a second"
    );

    segment.wire(&node.station, 1);
    let index = index_of(&node.station, "eth0");
    layer2.expect_links("the new link", |links| {
        links.get(&index).is_some_and(|link| link.up)
    });
    layer2.own(index, &[v4(), v6()]);
    host.station.sh("ip neigh flush dev eth0");
    assert_eq!(host.resolve(v4()), Some(node.mac));
    assert_eq!(host.resolve(v6()), Some(node.mac));
}

/// CPU time of the Layer 2 thread in a station's namespace.
fn thread_time(station: &Station) -> Duration {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let ticks = tasks.filter_map(|task| {
        let inside = fs::read_link(task.path().join("ns/net")).ok()? == station.namespace();
        let stat = fs::read_to_string(task.path().join("stat")).ok()?;
        let (head, tail) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().ok()? + fields[12].parse::<u64>().ok()?;
        (inside && head.ends_with("(layer2")).then_some(ticks)
    });
    Duration::from_millis(ticks.max().expect("the thread lives") * 10)
}

#[test]
fn links_are_reported_as_they_change_and_slaves_do_not_count() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let node = segment.plug();
    let layer2 = Node::start(&node);
    let links = layer2.expect_links("at the start", |_| true);
    let eth0 = &links[&node.index];
    assert_eq!(
        (eth0.name.as_str(), eth0.mac, eth0.up),
        ("eth0", node.mac, true)
    );
    assert!(eth0.reaches(v4()) && eth0.reaches(v6()));
    assert_eq!(links.len(), 1, "neither lo nor tunnels: {links:?}");

    node.station.sh("ip addr add 10.9.0.1/16 dev eth0");
    layer2.expect_links("a new address", |links| {
        links[&node.index].reaches([10, 9, 0, 7].into())
    });
    node.station.sh("ip addr del 10.9.0.1/16 dev eth0");
    layer2.expect_links("without it", |links| {
        !links[&node.index].reaches([10, 9, 0, 7].into())
    });

    // A quick flap is seen as one, though it may be over before it is told.
    node.station
        .sh("ip link set eth0 down; ip link set eth0 up");
    layer2.expect_links("down", |links| !links[&node.index].up);
    layer2.expect_links("up", |links| links[&node.index].up);

    node.station
        .sh("ip link add br1 type bridge && ip link set eth0 master br1 && ip link set br1 up");
    let bridge = index_of(&node.station, "br1");
    layer2.expect_links("the bridge instead", |links| {
        links.contains_key(&bridge) && !links.contains_key(&node.index)
    });
    node.station
        .sh("ip link set eth0 nomaster && ip link delete br1");
    layer2.expect_links("as before", |links| {
        links.contains_key(&node.index) && !links.contains_key(&bridge)
    });

    if node.station.try_sh("ip link add red type vrf table 7").0 {
        node.station
            .sh("ip link set red up && ip link set eth0 master red");
        node.station.sh("ip addr add 10.9.0.1/16 dev eth0");
        layer2.expect_links("a VRF takes nothing away", |links| {
            links.len() == 1 && links[&node.index].reaches([10, 9, 0, 7].into())
        });
    }

    node.station.sh("ip addr add fd99::1/64 dev eth0");
    let tentative = || {
        node.station
            .sh("ip -6 addr show dev eth0 to fd99::/64")
            .contains("tentative")
    };
    assert!(tentative());
    layer2.expect_links("an address that was tentative", |links| {
        links[&node.index].reaches("fd99::7".parse().unwrap())
    });
    assert!(!tentative());
}

#[test]
fn one_shot_links_and_a_selection_by_name() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let node = segment.plug();
    node.station.sh("ip link add veth7 type veth peer name cali7 && ip link add name other type veth peer name docker0");
    let names = |selection: Selection| -> Vec<String> {
        let links = node.station.run(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(herald_layer2::links(&selection)).unwrap()
        });
        links.into_values().map(|link| link.name).collect()
    };
    let set = |names: &[&str]| {
        names
            .iter()
            .map(ToString::to_string)
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(
        names(Selection::automatic())
            .into_iter()
            .collect::<BTreeSet<_>>(),
        set(&["eth0", "other"])
    );
    assert_eq!(
        names(Selection::only(["veth*", "cali7"]))
            .into_iter()
            .collect::<BTreeSet<_>>(),
        set(&["veth7", "cali7"])
    );
}

#[test]
fn links_are_right_again_after_the_kernel_dropped_notices() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let node = segment.plug();
    let (sink, reports) = mpsc::channel();
    let (gate, closed) = mpsc::channel::<()>();
    let layer2 = node.station.run(move || {
        Layer2::start(Options::default(), move |report| {
            drop(sink.send(report));
            // The first report blocks the thread, and with it the reading of notices, until the gate opens.
            let _ = closed.recv();
        })
        .unwrap()
    });
    let layer2 = Node { layer2, reports };
    layer2.expect_links("at the start", |_| true);
    let batch = "for n in $(seq 3000); do echo link set lo alias $n; done | ip -batch -";
    node.station.sh(batch);
    node.station
        .sh("ip addr add 10.9.0.1/16 dev eth0 && ip link set eth0 address 02:00:00:00:00:cc");
    drop(gate);
    layer2.expect_links("all of it", |links| {
        let eth0 = &links[&node.index];
        eth0.reaches([10, 9, 0, 7].into()) && eth0.mac == Mac([2, 0, 0, 0, 0, 0xcc]) && eth0.up
    });
}

#[test]
fn a_vlan_is_a_segment_of_its_own() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    let tagged = "ip link add link eth0 name eth0.7 type vlan id 7";
    if !node.station.try_sh(tagged).0 {
        eprintln!("skipped: the kernel has no VLANs");
        return;
    }
    host.station.sh(tagged);
    node.station
        .sh("ip link set eth0.7 up && ip addr add 10.9.0.1/24 dev eth0.7");
    host.station
        .sh("ip link set eth0.7 up && ip addr add 10.9.0.2/24 dev eth0.7");
    let layer2 = Node::start(&node);
    let inner = index_of(&node.station, "eth0.7");
    layer2.expect_links("the VLAN", |links| {
        links.get(&inner).is_some_and(|link| link.up)
    });
    let vip: IpAddr = "10.9.0.200".parse().unwrap();
    layer2.own(inner, &[vip]);
    host.knock(vip);
    let line = || host.station.sh("ip neigh show 10.9.0.200 dev eth0.7");
    wait_for("it is resolved on the VLAN", SOON, || {
        line().contains("02:00:00:00:00:01")
    });
    // The same address, asked for without a tag, is another one.
    host.station
        .sh("ip route add 10.9.0.200/32 dev eth0 src 192.168.77.2");
    assert_eq!(host.resolve(vip), None);
    // And the other way round.
    layer2.own(node.index, &[v4()]);
    host.station.sh("ip route add 192.168.77.200/32 dev eth0.7");
    host.knock(v4());
    thread::sleep(Duration::from_millis(1500));
    assert!(
        !host
            .station
            .sh("ip neigh show dev eth0.7")
            .contains("192.168.77.200 lladdr")
    );
}
