//! Answering: who gets what, and who gets nothing.

use super::*;
use pnet_packet::icmpv6::{self, MutableIcmpv6Packet};

const VIP: &str = "192.0.2.1";
const VIP6: &str = "fd77::1";

/// With both addresses owned and the burst over.
fn owner() -> Bench {
    let mut bench = Bench::new();
    bench.own(VIP);
    bench.own(VIP6);
    bench.pass_ms(5000);
    bench.outputs.clear();
    bench
}

/// A solicitation from a host, as Linux sends it.
fn solicitation(target: &str, destination: Ipv6Addr, to: Mac, option: bool) -> Vec<u8> {
    // A probe has the same shape; source, destination and option are put in.
    let mut bytes = ndp::probe(HOST, v6(target));
    bytes[..6].copy_from_slice(&to.0);
    bytes[22..38].copy_from_slice(&v6("fd77::9").octets());
    bytes[38..54].copy_from_slice(&destination.octets());
    if option {
        bytes[19] = 32;
        bytes.extend([1, 1]);
        bytes.extend(HOST.0);
    }
    let mut icmp = MutableIcmpv6Packet::new(&mut bytes[54..]).unwrap();
    let checksum = icmpv6::checksum(&icmp.to_immutable(), &v6("fd77::9"), &destination);
    icmp.set_checksum(checksum);
    bytes
}

fn multicast(target: &str, option: bool) -> Vec<u8> {
    let group = ndp::solicited_node(v6(target));
    solicitation(target, group, ndp::multicast_mac(group), option)
}

#[test]
fn requests_and_probes_for_an_owned_address_get_a_unicast_reply() {
    let mut bench = owner();
    bench.hear(arp::request(HOST, v4("192.0.2.9"), v4(VIP)));
    assert_eq!(
        bench.frames(),
        [arp::reply(OURS, v4(VIP), HOST, v4("192.0.2.9"))]
    );
    bench.hear(arp::probe(HOST, v4(VIP)));
    assert_eq!(
        bench.frames(),
        [arp::reply(OURS, v4(VIP), HOST, v4("0.0.0.0"))]
    );
    // Unicast, to keep a cache entry alive.
    let mut unicast = arp::request(HOST, v4("192.0.2.9"), v4(VIP));
    unicast[..6].copy_from_slice(&OURS.0);
    bench.hear(unicast);
    assert_eq!(
        bench.frames(),
        [arp::reply(OURS, v4(VIP), HOST, v4("192.0.2.9"))]
    );
}

#[test]
fn each_link_answers_with_its_own_mac_and_only_for_its_own_places() {
    let mut bench = owner();
    bench.want(&[("192.0.2.2", ETH1, Some(OWN))]);
    bench.outputs.clear();
    let request = |address| arp::request(HOST, v4("192.0.2.9"), v4(address));
    bench.feed(Input::Frame {
        interface: ETH1,
        bytes: request("192.0.2.2"),
    });
    assert_eq!(
        bench.frames(),
        [arp::reply(OURS_TOO, v4("192.0.2.2"), HOST, v4("192.0.2.9"))]
    );
    bench.feed(Input::Frame {
        interface: ETH1,
        bytes: request(VIP),
    });
    bench.feed(Input::Frame {
        interface: ETH0,
        bytes: request("192.0.2.2"),
    });
    bench.feed(Input::Frame {
        interface: IfIndex(77),
        bytes: request(VIP),
    });
    assert_eq!(bench.frames(), [] as [Vec<u8>; 0]);
}

#[test]
fn solicitations_are_answered_multicast_or_unicast_with_or_without_the_option() {
    let answer = ndp::solicited(OURS, v6(VIP6), HOST, v6("fd77::9"));
    for (what, bytes) in [
        ("address resolution", multicast(VIP6, true)),
        ("without the option", multicast(VIP6, false)),
        (
            "unreachability detection",
            solicitation(VIP6, v6(VIP6), OURS, true),
        ),
        (
            "the same without the option",
            solicitation(VIP6, v6(VIP6), OURS, false),
        ),
    ] {
        let mut bench = owner();
        bench.hear(bytes);
        assert_eq!(bench.frames(), std::slice::from_ref(&answer), "{what}");
    }
}

#[test]
fn duplicate_address_detection_is_answered_to_all_nodes() {
    for (who, asker) in [("a peer", PEER), ("a foreign host", HOST)] {
        let mut bench = owner();
        bench.hear(ndp::probe(asker, v6(VIP6)));
        // To a foreign host that is the defence as well; no second one follows.
        bench.pass_ms(15_000);
        assert_eq!(bench.frames(), [ndp::unsolicited(OURS, v6(VIP6))], "{who}");
    }
}

#[test]
fn what_is_no_question_to_us_is_not_answered() {
    let mut off_link = multicast(VIP6, true);
    off_link[21] = 64;
    let mut for_another = arp::request(HOST, v4("192.0.2.9"), v4(VIP));
    for_another[..6].copy_from_slice(&PEER.0);
    let mut reflected = arp::request(OURS, v4("192.0.2.3"), v4(VIP));
    reflected[..6].copy_from_slice(&Mac::BROADCAST.0);
    for (what, bytes) in [
        (
            "another address",
            arp::request(HOST, v4("192.0.2.9"), v4("192.0.2.2")),
        ),
        ("a reply", arp::reply(HOST, v4("192.0.2.9"), OURS, v4(VIP))),
        (
            "a peer's announcement",
            arp::announcement_request(PEER, v4(VIP)),
        ),
        ("through a router", off_link),
        ("for another host, seen in promiscuous mode", for_another),
        ("our own, reflected", reflected),
        ("another address", multicast("fd77::2", true)),
        ("nonsense", vec![0xff; 60]),
    ] {
        let mut bench = owner();
        bench.hear(bytes);
        assert_eq!(bench.frames(), [] as [Vec<u8>; 0], "{what}");
    }
}

#[test]
fn an_address_that_is_only_asked_about_is_not_answered_for() {
    let mut bench = Bench::new();
    bench.want(&[(VIP, ETH0, Some(ask(1, Wonder::Takeover)))]);
    bench.outputs.clear();
    bench.hear(arp::request(HOST, v4("192.0.2.9"), v4(VIP)));
    assert_eq!(bench.frames(), [] as [Vec<u8>; 0]);
}

#[test]
fn a_storm_from_one_host_costs_no_other_host_an_answer() {
    let mut bench = owner();
    let storm = Mac([2, 6, 6, 6, 6, 6]);
    for second in 0..3 {
        for n in 0..20_000 {
            bench.hear(arp::request(storm, v4("192.0.2.66"), v4(VIP)));
            if n % 1000 == 0 {
                bench.hear(arp::request(HOST, v4("192.0.2.9"), v4(VIP)));
            }
        }
        let frames = bench.frames();
        let to = |mac: Mac| frames.iter().filter(|frame| frame[..6] == mac.0).count();
        assert_eq!(to(HOST), 20, "second {second}");
        assert!(to(storm) <= 512, "second {second}: {}", to(storm));
        bench.pass_ms(1000);
        bench.outputs.clear();
    }
    assert!(bench.machine.tally().limited > 58_000);
}

#[test]
fn a_storm_of_duplicate_address_detection_from_forged_senders_is_not_doubled() {
    let mut bench = owner();
    for n in 0..20_000u32 {
        let [_, b, c, d] = n.to_be_bytes();
        bench.hear(ndp::probe(Mac([2, 7, 7, b, c, d]), v6(VIP6)));
    }
    let objections = bench.times(Kind::Announcement).len();
    assert!((1..=50).contains(&objections), "{objections}");
    // Peers that ask before a takeover, and all who resolve the address, get their answers none the less.
    bench.outputs.clear();
    bench.hear(ndp::probe(PEER, v6(VIP6)));
    bench.hear(arp::request(HOST, v4("192.0.2.9"), v4(VIP)));
    assert_eq!(bench.frames().len(), 2);
}

#[test]
fn a_router_that_resolves_every_address_at_once_gets_every_answer() {
    let mut bench = Bench::new();
    let vips: Vec<String> = (0..3000)
        .map(|n| Ipv4Addr::from_bits(0x0a00_0000 + n).to_string())
        .collect();
    let changes: Vec<_> = vips
        .iter()
        .map(|vip| (vip.as_str(), ETH0, Some(OWN)))
        .collect();
    bench.want(&changes);
    bench.outputs.clear();
    for _ in 0..3 {
        for vip in &vips {
            bench.hear(arp::request(HOST, v4("10.0.255.254"), v4(vip)));
        }
        bench.pass_ms(1000);
    }
    let replies = bench.times(Kind::Reply);
    assert_eq!(replies.len(), 9000);
}

#[test]
fn a_thread_that_was_paused_keeps_quiet_for_a_moment() {
    let mut bench = owner();
    bench.pass_ms(30_000);
    bench.outputs.clear();
    // Refreshes became due meanwhile.
    bench.now = bench.now + Duration::from_secs(60);
    bench.feed(Input::Woke);
    bench.hear(arp::request(HOST, v4("192.0.2.9"), v4(VIP)));
    bench.pass_ms(249);
    assert_eq!(bench.sent(), []);
    bench.pass_ms(1);
    assert_eq!(bench.times(Kind::Announcement).len(), 2, "then it goes on");
    bench.hear(arp::request(HOST, v4("192.0.2.9"), v4(VIP)));
    assert_eq!(bench.times(Kind::Reply).len(), 1);
}
