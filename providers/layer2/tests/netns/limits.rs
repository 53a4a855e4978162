//! Many addresses, many frames, ill frames.

use super::*;

#[test]
fn hostile_frames_change_nothing() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    layer2.own(node.index, &[v4(), v6()]);
    assert_eq!(host.resolve(v4()), Some(node.mac));
    let index = host.index;
    let sent = host.station.run(move || {
        let tap = Tap::open(index).unwrap();
        let corpus = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus")).unwrap();
        let frames: Vec<Vec<u8>> = corpus
            .map(|entry| fs::read(entry.unwrap().path()).unwrap())
            .collect();
        // As they are, and with a header that makes them pass for broadcast ARP and for multicast IPv6.
        let headers: [&[u8]; 2] = [
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 8, 6],
            &[
                0x33, 0x33, 0xff, 0x12, 0x34, 0x56, 2, 0, 0, 0, 0, 2, 0x86, 0xdd,
            ],
        ];
        let dressed = headers.iter().flat_map(|header| {
            frames
                .iter()
                .map(|frame| [*header, frame.get(14..).unwrap_or_default()].concat())
        });
        let all: Vec<Vec<u8>> = frames.iter().cloned().chain(dressed).collect();
        (0..20)
            .flat_map(|_| &all)
            .filter(|frame| tap.send(frame).is_ok())
            .count()
    });
    assert!(sent > 1000, "{sent}");
    host.station.sh("ip neigh flush dev eth0");
    assert_eq!(host.resolve(v4()), Some(node.mac));
    assert_eq!(host.resolve(v6()), Some(node.mac));
    assert!(layer2.counter("malformed") > 0, "some got past the filters");
}

#[test]
fn thousands_of_addresses_are_served() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    host.station.sh("ip route add 10.77.0.0/16 dev eth0");
    let layer2 = Node::start(&node);
    let fours = (0..3000u32).map(|n| IpAddr::V4((0x0a4d_0000 + n).into()));
    let sixes = (0..3000u128).map(|n| IpAddr::V6(((0xfd77 << 112) + 0x10_0000 + n).into()));
    let addresses: Vec<IpAddr> = fours.chain(sixes).collect();
    layer2.own(node.index, &addresses);
    let groups = || {
        node.station
            .sh("ip maddr show dev eth0")
            .matches("33:33:ff:")
            .count()
    };
    wait_for("all groups are joined", SOON, || groups() >= 3000);
    for at in [0, 1234, 2999, 3000, 4567, 5999] {
        assert_eq!(
            host.resolve(addresses[at]),
            Some(node.mac),
            "{}",
            addresses[at]
        );
    }
    layer2.own(node.index, &[]);
    wait_for("all groups are left", SOON, || groups() < 10);
}

#[test]
fn at_most_a_thousand_gratuitous_frames_a_second_leave_the_link() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    let index = host.index;
    let counted = thread::scope(|scope| {
        let counter = scope.spawn(|| {
            host.station.run(move || {
                let tap = Tap::open(index).unwrap();
                let start = Instant::now();
                let mut times = Vec::new();
                while start.elapsed() < Duration::from_secs(3) {
                    let frame = tap.next(Duration::from_millis(100)).unwrap();
                    let announces = |frame: &Vec<u8>| {
                        frame[6..14] == [2, 0, 0, 0, 0, 1, 8, 6] && frame[28..32] == frame[38..42]
                    };
                    if frame.as_ref().is_some_and(announces) {
                        times.push(start.elapsed());
                    }
                }
                times
            })
        });
        thread::sleep(Duration::from_millis(100));
        let addresses: Vec<IpAddr> = (0..2000u32)
            .map(|n| IpAddr::V4((0x0a4d_0000 + n).into()))
            .collect();
        layer2.own(node.index, &addresses);
        counter.join().unwrap()
    });
    for (at, start) in counted.iter().enumerate() {
        let within = counted[at..]
            .iter()
            .take_while(|it| **it < *start + Duration::from_millis(990))
            .count();
        assert!(within <= 1000, "{within} within a second");
    }
    assert!(
        counted.len() > 1800,
        "only {} in three seconds",
        counted.len()
    );
}

#[test]
fn the_kernel_keeps_away_what_is_of_no_concern() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    layer2.own(node.index, &[v4(), v6()]);
    assert_eq!(host.resolve(v4()), Some(node.mac));
    assert_eq!(host.resolve(v6()), Some(node.mac));
    thread::sleep(Duration::from_millis(300));
    let before = layer2.counter("frames");
    let (index, mac, to) = (host.index, host.mac, node.mac);
    host.station.run(move || {
        let tap = Tap::open(index).unwrap();
        let mut for_another =
            frame::arp::request(mac, [192, 168, 77, 2].into(), [192, 168, 77, 200].into());
        // Only a NIC in promiscuous mode would take it.
        for_another[..6].copy_from_slice(&[2, 0, 0, 0, 0, 0x77]);
        for n in 0..1000u16 {
            let [high, low] = n.to_be_bytes();
            let other = [192, 168, 78 + high, low].into();
            tap.send(&frame::arp::request(mac, [192, 168, 77, 2].into(), other))
                .unwrap();
            tap.send(&frame::ndp::probe(
                mac,
                std::net::Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 1, n),
            ))
            .unwrap();
            tap.send(&[&to.0[..], &mac.0, &[8, 0], &[0x45; 100]].concat())
                .unwrap();
            tap.send(&for_another).unwrap();
        }
    });
    thread::sleep(Duration::from_millis(300));
    let seen = layer2.counter("frames") - before;
    assert!(seen < 20, "{seen} of 4000 frames reached the thread");
    assert!(
        node.station
            .sh("ip -d link show eth0")
            .contains("promiscuity 0")
    );
}
