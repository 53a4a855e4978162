//! Foreign hosts that claim an owned address.

use super::*;

const VIP: &str = "192.0.2.1";
const VIP6: &str = "fd77::1";
const ROGUE: Mac = Mac([2, 0xba, 0xd0, 0, 0, 1]);

fn owner() -> Bench {
    let mut bench = Bench::new();
    bench.own(VIP);
    bench.own(VIP6);
    bench.pass_ms(5000);
    bench.outputs.clear();
    bench
}

fn conflict(address: &str, by: Mac) -> Report {
    Report::Conflict {
        place: place(address, ETH0),
        by,
    }
}

#[test]
fn every_kind_of_claim_is_reported_and_answered_back() {
    let mut solicited = ndp::solicited(ROGUE, v6(VIP6), OURS, v6("fd77::9"));
    solicited[..6].copy_from_slice(&OURS.0);
    for (what, vip, bytes) in [
        (
            "an announcement",
            VIP,
            arp::announcement_request(ROGUE, v4(VIP)),
        ),
        (
            "the other form",
            VIP,
            arp::announcement_reply(ROGUE, v4(VIP)),
        ),
        (
            "a reply",
            VIP,
            arp::reply(ROGUE, v4(VIP), OURS, v4("192.0.2.9")),
        ),
        (
            "a question from it",
            VIP,
            arp::request(ROGUE, v4(VIP), v4("192.0.2.9")),
        ),
        ("an advertisement", VIP6, ndp::unsolicited(ROGUE, v6(VIP6))),
        ("a solicited one", VIP6, solicited),
        (
            "duplicate address detection",
            VIP6,
            ndp::probe(ROGUE, v6(VIP6)),
        ),
    ] {
        let mut bench = owner();
        bench.hear(bytes);
        let frames: Vec<_> = bench
            .outputs
            .iter()
            .filter_map(|(_, out)| match out {
                Output::Send { bytes, .. } => Some(bytes.clone()),
                _ => None,
            })
            .collect();
        let defence = if vip == VIP {
            arp::announcement_request(OURS, v4(VIP))
        } else {
            ndp::unsolicited(OURS, v6(VIP6))
        };
        assert!(frames.contains(&defence), "{what}");
        assert_eq!(bench.reports(), [(5000, conflict(vip, ROGUE))], "{what}");
        bench.hear(arp::request(HOST, v4("192.0.2.9"), v4(VIP)));
        assert_eq!(
            bench.times(Kind::Reply).len(),
            1,
            "{what}: it goes on answering"
        );
    }
}

#[test]
fn herald_nodes_are_never_foreign() {
    for bytes in [
        arp::announcement_request(OURS_TOO, v4(VIP)),
        arp::announcement_request(OURS, v4(VIP)),
        ndp::unsolicited(OURS, v6(VIP6)),
    ] {
        let mut bench = owner();
        bench.hear(bytes);
        assert_eq!(bench.outputs, []);
        assert_eq!(bench.machine.tally().conflicts, 0);
    }
    // Another node's claim is for the agent to judge: told once a second, and never defended against.
    for (vip, bytes) in [
        (VIP, arp::announcement_request(PEER, v4(VIP))),
        (VIP, arp::announcement_reply(PEER, v4(VIP))),
        (VIP6, ndp::unsolicited(PEER, v6(VIP6))),
    ] {
        let mut bench = owner();
        for _ in 0..20 {
            bench.hear(bytes.clone());
            bench.pass_ms(100);
        }
        let place = place(vip, ETH0);
        let rivalled = Report::Rivalled { place, by: PEER };
        let told = [(5000, rivalled.clone()), (6000, rivalled)];
        assert_eq!(bench.reports(), told);
        let tally = bench.machine.tally();
        assert_eq!((tally.conflicts, tally.defences), (0, 0));
    }
    // A link's MAC is ours even if the agent has not told everybody yet.
    let mut bench = owner();
    bench.desired.herald_macs.clear();
    bench.want(&[]);
    bench.hear(arp::announcement_request(OURS_TOO, v4(VIP)));
    assert_eq!(bench.outputs, []);
    // And a peer that has left the set is foreign.
    bench.hear(arp::announcement_request(PEER, v4(VIP)));
    assert_eq!(bench.reports(), [(5000, conflict(VIP, PEER))]);
}

#[test]
fn an_arp_probe_is_answered_but_is_no_conflict() {
    let mut bench = owner();
    bench.hear(arp::probe(ROGUE, v4(VIP)));
    assert_eq!(bench.machine.tally().conflicts, 0);
    assert_eq!(bench.times(Kind::Reply).len(), 1);
}

#[test]
fn defence_comes_at_most_once_in_ten_seconds_for_ever() {
    let mut bench = owner();
    let mut defences = Vec::new();
    for _ in 0..1000 {
        bench.hear(arp::announcement_request(ROGUE, v4(VIP)));
        bench.pass_ms(100);
    }
    for (at, _, kind, _) in bench.sent() {
        if kind == Kind::AnnouncementByReply {
            defences.push(at);
        }
    }
    // Besides the refresh, which goes on as ever.
    let refreshes = 3;
    assert!(
        (11..=11 + refreshes).contains(&defences.len()),
        "{defences:?}"
    );
    assert_eq!(defences[0], 5000, "the first at once");
    assert_eq!(bench.machine.tally().defences, 11, "at 5, 15, ... 105 s");
    let reports = bench.reports();
    assert_eq!(reports.len(), 100, "once a second");
}

#[test]
fn a_claim_within_the_ten_seconds_is_answered_when_they_are_over() {
    let mut bench = owner();
    bench.hear(arp::announcement_request(ROGUE, v4(VIP)));
    bench.pass_ms(3000);
    bench.hear(arp::announcement_request(ROGUE, v4(VIP)));
    bench.pass_ms(20_000);
    assert_eq!(
        bench.times(Kind::Announcement),
        [5000, 15_000],
        "else the caches stay wrong"
    );
}

#[test]
fn a_flood_of_forged_claims_is_bounded_in_memory_and_in_reports() {
    let mut bench = owner();
    for n in 0..50_000u32 {
        let [_, b, c, d] = n.to_be_bytes();
        bench.hear(arp::announcement_request(
            Mac([2, 0xba, 0xd0, b, c, d]),
            v4(VIP),
        ));
    }
    assert_eq!(bench.reports().len(), 8);
    bench.pass_ms(1000);
    bench.hear(arp::announcement_request(HOST, v4(VIP)));
    let reports: Vec<_> = bench.reports();
    assert_eq!(
        reports.last(),
        Some(&(6000, conflict(VIP, HOST))),
        "news gets through"
    );
}

#[test]
fn a_late_answer_to_the_background_probes_is_a_conflict() {
    let mut bench = Bench::new();
    bench.want(&[(VIP, ETH0, Some(FIRST))]);
    bench.pass_ms(2500);
    bench.outputs.clear();
    bench.hear(arp::reply(ROGUE, v4(VIP), OURS, v4("0.0.0.0")));
    assert_eq!(bench.reports(), [(2500, conflict(VIP, ROGUE))]);
}

#[test]
fn a_host_at_an_address_that_is_not_ours_is_no_conflict() {
    let mut bench = owner();
    bench.hear(arp::announcement_request(ROGUE, v4("192.0.2.77")));
    bench.hear(ndp::unsolicited(ROGUE, v6("fd77::77")));
    assert_eq!(bench.outputs, []);
    bench.want(&[(VIP, ETH0, None)]);
    bench.outputs.clear();
    bench.hear(arp::announcement_request(ROGUE, v4(VIP)));
    assert_eq!(bench.outputs, [], "nor is one that was let go");
}
