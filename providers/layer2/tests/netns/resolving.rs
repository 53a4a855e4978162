//! Addresses as other hosts see them: resolved, probed, contested.

use std::{
    io::Write,
    process::{Command, Stdio},
};

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

#[test]
fn tcpdump_reads_what_is_announced() {
    if !can_make_namespaces() || !installed("tcpdump") {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    let index = host.index;
    let frames = thread::scope(|scope| {
        let recorder = scope.spawn(|| {
            host.station
                .run(move || record(index, Duration::from_millis(1800)))
        });
        thread::sleep(Duration::from_millis(200));
        layer2.own(node.index, &[v4(), v6()]);
        recorder.join().unwrap()
    });
    let text = tcpdump(
        &frames,
        "arp or (icmp6 and ether src 02:00:00:00:00:01 and ip6[40] == 136)",
    );
    let count = |words: &[&str]| {
        let packets = text.replace("\n\t", " ");
        packets
            .lines()
            .filter(|packet| words.iter().all(|word| packet.contains(word)))
            .count()
    };
    let all = "> ff:ff:ff:ff:ff:ff, ethertype ARP";
    assert_eq!(
        count(&[all, "Announcement 192.168.77.200"])
            + count(&[all, "Request who-has 192.168.77.200 tell 192.168.77.200"]),
        2,
        "at 0 and 1 s: {text}"
    );
    assert_eq!(
        count(&[all, "Reply 192.168.77.200 is-at 02:00:00:00:00:01"]),
        2,
        "{text}"
    );
    let advertised = [
        "33:33:00:00:00:01",
        "hlim 255",
        "tgt is fd77::12:3456",
        "[override]",
        "destination link-address option (2), length 8 (1): 02:00:00:00:00:01",
    ];
    assert_eq!(count(&advertised), 2, "{text}");
    assert!(!text.contains("bad icmp6 cksum"), "{text}");
}

/// All frames that pass the link for so long.
fn record(index: IfIndex, duration: Duration) -> Vec<Vec<u8>> {
    let tap = Tap::open(index).unwrap();
    let until = Instant::now() + duration;
    let mut frames = Vec::new();
    while let Some(left) = until.checked_duration_since(Instant::now()) {
        frames.extend(tap.next(left).unwrap());
    }
    frames
}

/// What tcpdump says about the frames that match. It reads a recording, because it cannot give up privileges in a
/// user namespace; as nobody, in a namespace below, it need not.
fn tcpdump(frames: &[Vec<u8>], expression: &str) -> String {
    // A pcap file: magic, version 2.4, zone, accuracy, longest frame, Ethernet; then each with time and lengths.
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 0xffff, 1u32] {
        file.extend(word.to_le_bytes());
    }
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap();
        for word in [0, 0, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    let mut child = Command::new("unshare")
        .args([
            "--user", "--", "tcpdump", "-n", "-e", "-vv", "-r", "-", expression,
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("unshare starts");
    child.stdin.take().unwrap().write_all(&file).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
