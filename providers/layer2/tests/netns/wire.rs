//! Every frame that leaves, as tcpdump reads it: its fields, how many there are, and when. Times have wide margins.

use std::net::{Ipv4Addr, Ipv6Addr};

use pnet_packet::icmpv6::{self, MutableIcmpv6Packet};

use super::*;
use crate::recording::{Recording, Told};

/// What the node sends of its own accord about addresses; its kernel sends other things too.
const FROM_NODE: &str =
    "ether src 02:00:00:00:00:01 and (arp or (icmp6 and (ip6[40] == 135 or ip6[40] == 136)))";
/// The beginnings of frames.
const BROADCAST: &str = "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff, ethertype ARP (0x0806), length 42:";
const ALL_NODES: &str =
    "02:00:00:00:00:01 > 33:33:00:00:00:01, ethertype IPv6 (0x86dd), length 86:";
const GROUP: &str = "02:00:00:00:00:01 > 33:33:ff:12:34:56, ethertype IPv6 (0x86dd), length 78:";
const ETHERNET: &str = "Ethernet (len 6), IPv4 (len 4)";
const NDP: &str = "(hlim 255, next-header ICMPv6 (58)";
const LINK_LAYER: &str = "destination link-address option (2), length 8 (1): 02:00:00:00:00:01";
/// A burst of announcements is over after so long.
const BURST: Duration = Duration::from_millis(4_500);

/// What a frame is, by tcpdump's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Is the address free?
    ArpProbe,
    NdpProbe,
    /// The address is here: ARP's two forms, and an advertisement to all nodes.
    ArpRequest,
    ArpReply,
    Advertisement,
}

/// What the node has sent about the two addresses. Every frame has to be one of those that are allowed without being
/// asked for, with all its fields right.
fn sent(recording: Recording) -> Vec<(Kind, Told)> {
    let about = |it: &Told| it.text.contains("192.168.77.200") || it.text.contains("fd77::12:3456");
    let told = recording.told(FROM_NODE);
    let known = told.into_iter().filter(about).map(|it| (kind(&it), it));
    known.collect()
}

fn kind(frame: &Told) -> Kind {
    // Of the target's addresses tcpdump tells in octets only: from the end of the sender's address on.
    let forms: [(Kind, &[&[&str]]); 5] = [
        (
            Kind::ArpProbe,
            &[&[
                BROADCAST,
                ETHERNET,
                "Request who-has 192.168.77.200 tell 0.0.0.0, length 28",
                "0000 0000 0000 0000 c0a8 4dc8",
            ]],
        ),
        (
            Kind::NdpProbe,
            &[&[
                GROUP,
                NDP,
                "payload length: 24) :: > ff02::1:ff12:3456: [icmp6 sum ok] ICMP6, neighbor solicitation, length 24, \
                 who has fd77::12:3456",
            ]],
        ),
        (
            Kind::ArpRequest,
            &[
                &[
                    BROADCAST,
                    ETHERNET,
                    "Request who-has 192.168.77.200 tell 192.168.77.200, length 28",
                    "4dc8 0000 0000 0000 c0a8 4dc8",
                ],
                &[
                    BROADCAST,
                    ETHERNET,
                    "Announcement 192.168.77.200, length 28",
                    "4dc8 0000 0000 0000 c0a8 4dc8",
                ],
            ],
        ),
        (
            Kind::ArpReply,
            &[&[
                BROADCAST,
                ETHERNET,
                "Reply 192.168.77.200 is-at 02:00:00:00:00:01, length 28",
                "4dc8 0200 0000 0001 c0a8 4dc8",
            ]],
        ),
        (
            Kind::Advertisement,
            &[&[
                ALL_NODES,
                NDP,
                "payload length: 32) fd77::12:3456 > ff02::1: [icmp6 sum ok] ICMP6, neighbor advertisement, length 32, \
                 tgt is fd77::12:3456, Flags [override]",
                LINK_LAYER,
            ]],
        ),
    ];
    let found = forms
        .iter()
        .find(|(_, any)| any.iter().any(|words| frame.says(words)));
    found
        .unwrap_or_else(|| panic!("unexpected: {}", frame.text))
        .0
}

/// When frames of a kind were sent.
fn times(sent: &[(Kind, Told)], kind: Kind) -> Vec<Duration> {
    let same = sent.iter().filter(|(it, _)| *it == kind);
    same.map(|(_, told)| told.at).collect()
}

fn ready() -> bool {
    can_make_namespaces() && installed("tcpdump")
}

#[test]
fn a_first_claim_asks_three_times_and_a_takeover_twice() {
    if !ready() {
        return;
    }
    for (wonder, probes) in [(Wonder::FirstClaim, 3), (Wonder::Takeover, 2)] {
        let segment = Segment::new();
        let (node, host) = (segment.plug(), segment.plug());
        let layer2 = Node::start(&node);
        let recording = Recording::start(&host);
        let question = Duty::Ask(Question { id: 7, wonder });
        layer2.want(node.index, &[v4(), v6()], question, &[]);
        for _ in 0..2 {
            let by = layer2.expect("an answer", |report| match report {
                Report::Answered { by, .. } => Some(by.clone()),
                _ => None,
            });
            assert!(by.is_empty(), "nobody has it: {by:?}");
        }
        // What else would come.
        thread::sleep(Duration::from_millis(300));
        let sent = sent(recording);
        for kind in [Kind::ArpProbe, Kind::NdpProbe] {
            let times = times(&sent, kind);
            assert_eq!(times.len(), probes, "{wonder:?}: {sent:?}");
            for pair in times.windows(2) {
                let pause = pair[1] - pair[0];
                assert!(pause >= Duration::from_millis(10), "{wonder:?}: {pause:?}");
            }
        }
        assert_eq!(sent.len(), 2 * probes, "questions claim nothing: {sent:?}");
    }
}

#[test]
fn a_gain_is_announced_at_0_1_2_and_4_seconds() {
    if !ready() {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    let recording = Recording::start(&host);
    layer2.own(node.index, &[v4(), v6()]);
    thread::sleep(BURST + Duration::from_millis(1_500));
    let sent = sent(recording);
    for kind in [Kind::ArpRequest, Kind::ArpReply, Kind::Advertisement] {
        let times = times(&sent, kind);
        let after: Vec<_> = times
            .iter()
            .map(|at| (*at - times[0]).as_secs_f64().round())
            .collect();
        assert_eq!(after, [0.0, 1.0, 2.0, 4.0], "{kind:?}: {sent:?}");
    }
    assert_eq!(sent.len(), 12, "and nothing else: {sent:?}");
}

#[test]
fn after_a_first_claim_it_goes_on_to_ask() {
    if !ready() {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    let recording = Recording::start(&host);
    let duty = Duty::Own {
        gain: Gain::First,
        round: 0,
    };
    layer2.want(node.index, &[v4(), v6()], duty, &[]);
    // Three probes, one to two seconds apart.
    thread::sleep(Duration::from_millis(7_500));
    let sent = sent(recording);
    for kind in [Kind::ArpProbe, Kind::NdpProbe] {
        assert_eq!(times(&sent, kind).len(), 3, "{kind:?}: {sent:?}");
    }
    for kind in [Kind::ArpRequest, Kind::ArpReply, Kind::Advertisement] {
        assert_eq!(times(&sent, kind).len(), 4, "{kind:?}: {sent:?}");
    }
}

#[test]
fn answers_go_to_the_one_who_asked() {
    if !ready() {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    layer2.own(node.index, &[v4(), v6()]);
    thread::sleep(BURST);
    let at_host = "02:00:00:00:00:01 > 02:00:00:00:00:02";
    let arp = |target: &str| {
        let reply = "Reply 192.168.77.200 is-at 02:00:00:00:00:01, length 28";
        let target = format!("4dc8 0200 0000 0002 {target}");
        [at_host, ETHERNET, reply]
            .map(str::to_owned)
            .into_iter()
            .chain([target])
            .collect()
    };
    let (vip4, vip6) = (Ipv4Addr::new(192, 168, 77, 200), "fd77::12:3456");
    let solicited = || {
        let words = [
            at_host,
            NDP,
            "payload length: 32) fd77::12:3456 > fd77::2: [icmp6 sum ok] ICMP6, neighbor advertisement, length 32, \
             tgt is fd77::12:3456, Flags [solicited, override]",
            LINK_LAYER,
        ];
        words.map(str::to_owned).to_vec()
    };
    let to_all = [
        ALL_NODES,
        NDP,
        "fd77::12:3456 > ff02::1: [icmp6 sum ok] ICMP6, neighbor advertisement, length 32, tgt is fd77::12:3456, \
         Flags [override]",
        LINK_LAYER,
    ];
    let mut unicast = frame::arp::request(host.mac, [192, 168, 77, 2].into(), vip4);
    unicast[..6].copy_from_slice(&node.mac.0);
    let asked: [(&str, Vec<u8>, Vec<String>); 7] = [
        (
            "a request",
            frame::arp::request(host.mac, [192, 168, 77, 2].into(), vip4),
            arp("c0a8 4d02"),
        ),
        ("a request to the node alone", unicast, arp("c0a8 4d02")),
        (
            "a probe",
            frame::arp::probe(host.mac, vip4),
            arp("0000 0000"),
        ),
        (
            "a solicitation",
            solicitation(&host, &node, true, true),
            solicited(),
        ),
        (
            "a solicitation without option",
            solicitation(&host, &node, true, false),
            solicited(),
        ),
        (
            "a solicitation to the node alone",
            solicitation(&host, &node, false, false),
            solicited(),
        ),
        (
            "duplicate address detection",
            frame::ndp::probe(host.mac, vip6.parse().unwrap()),
            to_all.map(str::to_owned).to_vec(),
        ),
    ];
    for (what, question, words) in asked {
        let recording = Recording::start(&host);
        let index = host.index;
        host.station
            .run(move || Tap::open(index).unwrap().send(&question).unwrap());
        thread::sleep(Duration::from_millis(200));
        let answers = recording.told(FROM_NODE);
        let [answer] = &answers[..] else {
            panic!("{what}: one answer, not {answers:?}");
        };
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        assert!(answer.says(&words), "{what}: {answer:?}");
    }
}

/// A solicitation for the IPv6 address from the host's own, whose checksum is right.
fn solicitation(host: &Host, node: &Host, multicast: bool, option: bool) -> Vec<u8> {
    let (source, target) = (Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2), "fd77::12:3456");
    let target: Ipv6Addr = target.parse().unwrap();
    let mut bytes = frame::ndp::request(host.mac, source, target);
    let mut destination = frame::ndp::solicited_node(target);
    if !multicast {
        destination = target;
        bytes[..6].copy_from_slice(&node.mac.0);
        bytes[38..54].copy_from_slice(&target.octets());
    }
    if !option {
        bytes.truncate(54 + 24);
        bytes[19] = 24;
    }
    let mut icmp = MutableIcmpv6Packet::new(&mut bytes[54..]).unwrap();
    let checksum = icmpv6::checksum(&icmp.to_immutable(), &source, &destination);
    icmp.set_checksum(checksum);
    bytes
}

#[test]
fn an_address_is_defended_at_most_once_in_ten_seconds() {
    if !ready() {
        return;
    }
    let segment = Segment::new();
    let (node, host, rogue) = (segment.plug(), segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    layer2.own(node.index, &[v4(), v6()]);
    thread::sleep(BURST);
    let recording = Recording::start(&host);
    let (index, mac) = (rogue.index, rogue.mac);
    rogue.station.run(move || {
        let tap = Tap::open(index).unwrap();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(13) {
            tap.send(&frame::arp::announcement_request(
                mac,
                [192, 168, 77, 200].into(),
            ))
            .unwrap();
            tap.send(&frame::ndp::unsolicited(
                mac,
                "fd77::12:3456".parse().unwrap(),
            ))
            .unwrap();
            thread::sleep(Duration::from_millis(250));
        }
    });
    let sent = sent(recording);
    for kind in [Kind::ArpRequest, Kind::ArpReply, Kind::Advertisement] {
        let times = times(&sent, kind);
        let [first, second] = times[..] else {
            panic!("{kind:?} in 13 s: {times:?}");
        };
        let pause = second - first;
        assert!(pause > Duration::from_millis(9_900), "{kind:?}: {pause:?}");
    }
    assert_eq!(sent.len(), 6, "{sent:?}");
    assert_eq!(layer2.counter("defences"), 4);
}

#[test]
fn nothing_leaves_after_letting_go() {
    if !ready() {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    let other: IpAddr = "192.168.77.201".parse().unwrap();
    layer2.own(node.index, &[v4(), v6()]);
    assert_eq!(host.resolve(v4()), Some(node.mac));
    // The bursts are not over; a question and a claim that come now are of no concern either.
    layer2.own(node.index, &[other]);
    wait_for("the other one is answered for", SOON, || {
        host.resolve(other).is_some()
    });
    let recording = Recording::start(&host);
    host.station.sh("ip neigh flush dev eth0");
    assert_eq!(host.resolve(v4()), None);
    let (index, mac) = (host.index, host.mac);
    host.station.run(move || {
        let tap = Tap::open(index).unwrap();
        let (vip4, vip6) = ([192, 168, 77, 200].into(), "fd77::12:3456".parse().unwrap());
        for claim in [
            frame::arp::announcement_request(mac, vip4),
            frame::arp::probe(mac, vip4),
            frame::ndp::unsolicited(mac, vip6),
            frame::ndp::probe(mac, vip6),
        ] {
            tap.send(&claim).unwrap();
        }
    });
    thread::sleep(Duration::from_millis(500));
    let sent = sent(recording);
    assert!(sent.is_empty(), "{sent:?}");
}

#[test]
fn nothing_leaves_a_link_that_is_down_and_all_is_said_when_it_is_up() {
    if !ready() {
        return;
    }
    let segment = Segment::new();
    let (node, host) = (segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    layer2.own(node.index, &[v4(), v6()]);
    wait_for("both are announced", SOON, || {
        layer2.counter("gratuitous") >= 3
    });
    let at_node = Recording::start(&node);
    let at_host = Recording::start(&host);
    segment.switch.sh("ip link set port1 down");
    layer2.expect("it fails", |report| {
        matches!(report, Report::Failing { .. }).then_some(())
    });
    let before = layer2.counter("gratuitous");
    // In the middle of the burst.
    thread::sleep(Duration::from_millis(2_500));
    assert_eq!(layer2.counter("gratuitous"), before);
    assert_eq!(layer2.counter("unsent"), 0);
    let fell_silent = at_node.told(FROM_NODE).len();
    assert!(
        fell_silent <= 3,
        "what left before the carrier was lost: {fell_silent}"
    );

    segment.switch.sh("ip link set port1 up");
    layer2.expect("it recovers", |report| {
        matches!(report, Report::Recovered { .. }).then_some(())
    });
    thread::sleep(BURST);
    let sent = sent(at_host);
    for kind in [Kind::ArpRequest, Kind::ArpReply, Kind::Advertisement] {
        // The whole burst again.
        let times = times(&sent, kind);
        let last: Vec<_> = times.iter().rev().take(4).rev().collect();
        let after: Vec<_> = last
            .iter()
            .map(|at| (**at - *last[0]).as_secs_f64().round())
            .collect();
        assert_eq!(after, [0.0, 1.0, 2.0, 4.0], "{kind:?}: {sent:?}");
    }
}

#[test]
fn nothing_claims_an_address_that_a_router_has() {
    if !ready() {
        return;
    }
    let segment = Segment::new();
    let (node, router) = (segment.plug(), segment.plug());
    router.station.sh(
        "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 \
         && ip addr add 192.168.77.200/24 dev eth0 && ip addr add fd77::12:3456/64 dev eth0 nodad",
    );
    let layer2 = Node::start(&node);
    let recording = Recording::start(&router);
    let question = Duty::Ask(Question {
        id: 1,
        wonder: Wonder::FirstClaim,
    });
    layer2.want(node.index, &[v4(), v6()], question, &[]);
    for _ in 0..2 {
        let by = layer2.expect("an answer", |report| match report {
            Report::Answered { by, .. } => Some(by.clone()),
            _ => None,
        });
        assert_eq!(by, [router.mac].into());
    }
    // It goes on to want it, and asks no more.
    thread::sleep(Duration::from_millis(500));
    let sent = sent(recording);
    let probes = |it: &(Kind, Told)| matches!(it.0, Kind::ArpProbe | Kind::NdpProbe);
    assert!(sent.iter().all(probes) && sent.len() <= 6, "{sent:?}");
}
