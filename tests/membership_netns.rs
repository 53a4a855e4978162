//! Agents hear each other over real sockets: each on its own thread and network namespace, all on one bridge.
//!
//! Needs `ip`, and root or user namespaces; says so and skips otherwise, and fails instead under `CI=true`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy.toml exempts only the test functions themselves"
)]

use std::{
    collections::BTreeSet,
    net::{IpAddr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use herald::membership::{Keys, Peers, PeersError, View};
use herald_spi::NodeName;
use tokio_util::sync::CancellationToken;

use namespace::outside;
use node::{BRIDGE, Family, KEY, Node, OTHER_KEY, PORT, bridge, ip, node, setup};

mod namespace;
#[path = "membership_netns/node.rs"]
mod node;

#[test]
fn agents_hear_each_other_by_either_family_or_both() {
    if outside("agents_hear_each_other_by_either_family_or_both", &[BRIDGE]) {
        return;
    }
    bridge();
    for (at, family) in [Family::V4, Family::V6, Family::Both]
        .into_iter()
        .enumerate()
    {
        let nodes: Vec<Node> = (0..3).map(|n| node(at * 3 + n, &[family], KEY)).collect();
        for node in &nodes {
            node.claim(
                &[
                    "192.168.77.200".parse().unwrap(),
                    "fd77::200".parse().unwrap(),
                ],
                7,
            );
            node.peers.set_settled(true);
        }
        for node in &nodes {
            node.wait("hears two settled peers with two claims", |view| {
                let peers = &view.segments[&node.eth0()].peers;
                peers.len() == 2
                    && peers
                        .values()
                        .all(|p| p.settled && p.synced && p.claims.len() == 2)
            });
            let view = node.view();
            let peers = &view.segments[&node.eth0()].peers;
            for other in nodes.iter().filter(|other| other.name != node.name) {
                let peer = &peers[&NodeName::new(&other.name)];
                let link = &other.links[&other.eth0()];
                assert_eq!(
                    (peer.mac, &*peer.interface),
                    (link.mac, "eth0"),
                    "{family:?}"
                );
                assert!(
                    peer.subnets.iter().eq(&link.subnets().collect::<Vec<_>>()),
                    "{family:?}"
                );
                assert_eq!(peer.claims[&"fd77::200".parse::<IpAddr>().unwrap()], 7);
            }
            let counters = node.peers.counters();
            assert_eq!(counters.send_failures.get(), 0, "{family:?}");
            assert_eq!(counters.own.get(), 0, "{family:?}: nothing is looped back");
            // By both families each is heard twice, as soon as the bridge has seen the reports of the group's members.
            node.wait("hears both families", |_| {
                family != Family::Both || counters.duplicates.get() > 0
            });
            assert!(family == Family::Both || counters.duplicates.get() == 0);
        }
        let [first, mut second, third] = nodes.try_into().map_err(|_| "three").unwrap();
        // A goodbye is heard at once, a kill after the dead time.
        third.stop.cancel();
        let took = first.wait("the third is gone", |v| {
            v.segments[&first.eth0()].peers.len() == 1
        });
        assert!(took < Duration::from_millis(250), "{family:?}: {took:?}");
        second.kill();
        let took = first.wait("the second is dead", |v| {
            v.segments[&first.eth0()].peers.is_empty()
        });
        // 300 to 400 ms, and some more on a busy machine.
        assert!(took > Duration::from_millis(250), "{family:?}: {took:?}");
        assert!(took < Duration::from_millis(1_000), "{family:?}: {took:?}");
    }
}

#[test]
fn a_cut_cable_ages_peers_out_and_addresses_may_come_later() {
    if outside(
        "a_cut_cable_ages_peers_out_and_addresses_may_come_later",
        &[BRIDGE],
    ) {
        return;
    }
    bridge();
    let (one, two) = (node(0, &[Family::Both], KEY), node(1, &[Family::Both], KEY));
    let hears = |view: &View| {
        view.segments
            .values()
            .any(|segment| !segment.peers.is_empty())
    };
    one.wait("hears the other", hears);
    two.wait("hears the other", hears);
    ip("link set port1-0 nomaster");
    one.wait("is alone", |view| !hears(view));
    two.wait("is alone", |view| !hears(view));
    ip("link set port1-0 master br0");
    one.wait("hears the other again", hears);
    two.wait("hears the other again", hears);

    let listening = |node: &Node| node.view().segments.len();
    let mut bare = two.links.clone();
    bare.get_mut(&two.eth0()).unwrap().addresses.clear();
    two.peers.set_links(bare);
    two.wait("listens nowhere without an address", |view| {
        view.segments.is_empty()
    });
    one.wait("is alone", |view| !hears(view));
    two.peers.set_links(two.links.clone());
    one.wait("hears it with one", hears);
    assert_eq!(listening(&two), 1);

    two.peers.set_keys(Keys::parse(OTHER_KEY).unwrap());
    one.wait("does not hear who has another key", |view| !hears(view));
    assert!(one.peers.counters().unknown_key.get() > 0);
    one.peers
        .set_keys(Keys::parse(&format!("{KEY}\n{OTHER_KEY}")).unwrap());
    one.wait("hears who has one of its keys", hears);
}

#[test]
fn a_frozen_process_learns_that_it_slept_and_buries_nobody() {
    if outside(
        "a_frozen_process_learns_that_it_slept_and_buries_nobody",
        &[BRIDGE],
    ) {
        return;
    }
    bridge();
    let (one, two) = (node(0, &[Family::Both], KEY), node(1, &[Family::Both], KEY));
    let hears = |view: &View| {
        view.segments
            .values()
            .any(|segment| !segment.peers.is_empty())
    };
    one.wait("hears the other", hears);
    two.wait("hears the other", hears);
    let freeze = |time| two.order.as_ref().unwrap().send(time).unwrap();
    // Half a dead time is a stall, and nobody minds.
    freeze(Duration::from_millis(200));
    thread::sleep(Duration::from_secs(1));
    assert_eq!(
        one.peers.counters().deaths.get() + two.peers.counters().deaths.get(),
        0
    );
    assert_eq!(two.view().pauses, 0);
    freeze(Duration::from_secs(2));
    one.wait("takes it for dead", |view| !hears(view));
    two.wait("knows that it slept", |view| view.pauses == 1);
    one.wait("hears it again", hears);
    assert!(hears(&two.view()) && two.peers.counters().deaths.get() == 0);
}

#[test]
fn two_interfaces_on_one_segment_are_found() {
    if outside("two_interfaces_on_one_segment_are_found", &[BRIDGE]) {
        return;
    }
    bridge();
    let same = |view: &View| {
        view.segments.len() == 2
            && view.segments.iter().all(|(interface, segment)| {
                let others = view
                    .segments
                    .keys()
                    .copied()
                    .filter(|other| other != interface);
                segment.same_segment == others.collect::<BTreeSet<_>>()
            })
    };
    // By itself by IPv6.
    let six = node(0, &[Family::V6, Family::V6], KEY);
    six.wait("hears itself", same);
    assert!(
        six.view()
            .segments
            .values()
            .all(|segment| segment.peers.is_empty())
    );
    six.stop.cancel();
    // Linux drops own IPv4 datagrams that come in from the wire, so there by what both hear of a third.
    let four = node(1, &[Family::V4, Family::V4], KEY);
    let _other = node(2, &[Family::V4], KEY);
    four.wait("hears the other on both", same);
}

#[test]
fn ten_thousand_claims_cross_a_real_socket() {
    if outside("ten_thousand_claims_cross_a_real_socket", &[BRIDGE]) {
        return;
    }
    bridge();
    let (one, two) = (node(0, &[Family::Both], KEY), node(1, &[Family::Both], KEY));
    let claims: Vec<IpAddr> = (0..10_000_u32)
        .map(|n| (0x0A00_0000 + n).to_be_bytes().into())
        .collect();
    one.claim(&claims, 1);
    let all = |view: &View| {
        view.segments.get(&two.eth0()).is_some_and(|segment| {
            let mut peers = segment.peers.values();
            peers.any(|peer| peer.claims.len() == 10_000)
        })
    };
    let took = two.wait("has them all", all);
    println!("10,000 claims in {took:?}");
}

#[test]
fn a_port_in_use_is_named_with_the_way_out() {
    if outside("a_port_in_use_is_named_with_the_way_out", &[BRIDGE]) {
        return;
    }
    let squatter = UdpSocket::bind(("0.0.0.0", PORT)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let start =
        || runtime.block_on(async { Peers::start(setup("node", KEY), CancellationToken::new()) });
    let refused = start().unwrap_err();
    assert!(matches!(refused, PeersError::PortInUse { port: PORT }));
    let said = refused.to_string();
    assert!(
        said.contains("9471") && said.contains("--peer-port"),
        "{said}"
    );
    drop(squatter);
    start().unwrap();
}

#[test]
fn what_was_not_sent_to_the_group_is_not_heard() {
    if outside("what_was_not_sent_to_the_group_is_not_heard", &[BRIDGE]) {
        return;
    }
    bridge();
    let (one, two) = (node(0, &[Family::Both], KEY), node(1, &[Family::Both], KEY));
    one.wait("hears the other", |view| {
        !view.segments[&one.eth0()].peers.is_empty()
    });
    ip("addr add 192.168.77.99/24 dev br0");
    let malformed = || one.peers.counters().not_herald.get();
    let socket = UdpSocket::bind("192.168.77.99:0").unwrap();
    for _ in 0..20 {
        socket.send_to(b"unicast", ("192.168.77.1", PORT)).unwrap();
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(malformed(), 0);
    socket.set_multicast_ttl_v4(255).unwrap();
    socket
        .send_to(b"to the group", ("224.0.0.254", PORT))
        .unwrap();
    let from = Instant::now();
    while malformed() == 0 {
        assert!(
            from.elapsed() < Duration::from_secs(3),
            "the group hears it"
        );
        thread::sleep(Duration::from_millis(10));
    }
    drop(two);
}
