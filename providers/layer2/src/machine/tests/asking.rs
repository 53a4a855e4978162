//! Asking the wire: how often, how long, and what counts as an answer.

use super::*;

const VIP: &str = "192.0.2.1";
const VIP6: &str = "fd77::1";

fn answered(address: &str, question: u64, by: &[Mac]) -> Report {
    Report::Answered {
        place: place(address, ETH0),
        question,
        by: by.iter().copied().collect(),
    }
}

#[test]
fn a_takeover_asks_twice_20_ms_apart_and_is_over_after_40() {
    let mut bench = Bench::new();
    for vip in [VIP, VIP6] {
        bench.want(&[(vip, ETH0, Some(ask(5, Wonder::Takeover)))]);
    }
    bench.pass_ms(39);
    let sent = bench.sent_for();
    let probe = |at, vip: &str| (at, Kind::Probe, vip.to_owned());
    assert_eq!(
        sent,
        [
            probe(0, VIP),
            probe(0, VIP6),
            probe(20, VIP),
            probe(20, VIP6)
        ]
    );
    assert_eq!(bench.reports(), []);
    bench.pass_ms(1);
    assert_eq!(
        bench.reports(),
        [(40, answered(VIP, 5, &[])), (40, answered(VIP6, 5, &[]))]
    );
    bench.pass_ms(60_000);
    assert_eq!(bench.outputs, [], "once and for all");
}

#[test]
fn a_first_claim_asks_three_times_and_is_over_within_90_ms() {
    let mut bench = Bench::new();
    bench.want(&[(VIP, ETH0, Some(ask(5, Wonder::FirstClaim)))]);
    bench.pass_ms(200);
    let probes = bench.times(Kind::Probe);
    assert_eq!(probes.len(), 3);
    assert!(
        probes
            .windows(2)
            .all(|pair| (19..=30).contains(&(pair[1] - pair[0]))),
        "{probes:?}"
    );
    let reports = bench.reports();
    assert_eq!(reports.len(), 1);
    let (at, report) = &reports[0];
    assert_eq!(*report, answered(VIP, 5, &[]));
    assert!(
        (29..=31).contains(&(at - probes[2])),
        "30 ms after the last probe: {at}"
    );
}

#[test]
fn the_probes_leave_nobodys_cache_changed() {
    let mut bench = Bench::new();
    bench.want(&[
        (VIP, ETH0, Some(ask(5, Wonder::Takeover))),
        (VIP6, ETH0, Some(ask(6, Wonder::Takeover))),
    ]);
    assert_eq!(
        bench.frames(),
        [arp::probe(OURS, v4(VIP)), ndp::probe(OURS, v6(VIP6))]
    );
}

#[test]
fn any_claim_by_another_host_answers_at_once_and_ends_the_question() {
    let to_us = |mut bytes: Vec<u8>| {
        bytes[..6].copy_from_slice(&OURS.0);
        bytes
    };
    let table = [
        (
            "a host's reply",
            VIP,
            arp::reply(HOST, v4(VIP), OURS, v4("0.0.0.0")),
            HOST,
        ),
        (
            "a peer's reply",
            VIP,
            arp::reply(PEER, v4(VIP), OURS, v4("0.0.0.0")),
            PEER,
        ),
        (
            "an announcement",
            VIP,
            arp::announcement_request(HOST, v4(VIP)),
            HOST,
        ),
        (
            "the other form",
            VIP,
            arp::announcement_reply(PEER, v4(VIP)),
            PEER,
        ),
        (
            "a question from it",
            VIP,
            arp::request(HOST, v4(VIP), v4("192.0.2.9")),
            HOST,
        ),
        (
            "a host's simultaneous probe",
            VIP,
            arp::probe(HOST, v4(VIP)),
            HOST,
        ),
        (
            "an advertisement",
            VIP6,
            ndp::unsolicited(HOST, v6(VIP6)),
            HOST,
        ),
        (
            "a peer's advertisement",
            VIP6,
            ndp::unsolicited(PEER, v6(VIP6)),
            PEER,
        ),
        (
            "a solicited one",
            VIP6,
            to_us(ndp::solicited(HOST, v6(VIP6), OURS, v6("fd77::9"))),
            HOST,
        ),
        (
            "a host's duplicate address detection",
            VIP6,
            ndp::probe(HOST, v6(VIP6)),
            HOST,
        ),
    ];
    for wonder in [Wonder::Takeover, Wonder::FirstClaim] {
        for (what, vip, bytes, by) in &table {
            let mut bench = Bench::new();
            bench.want(&[(vip, ETH0, Some(ask(5, wonder)))]);
            bench.pass_ms(7);
            bench.outputs.clear();
            bench.hear(bytes.clone());
            assert_eq!(bench.reports(), [(7, answered(vip, 5, &[*by]))], "{what}");
            bench.hear(bytes.clone());
            bench.pass_ms(1000);
            assert_eq!(bench.outputs, [], "{what}");
        }
    }
}

#[test]
fn what_is_no_claim_is_no_answer() {
    for (what, vip, bytes) in [
        ("a peer's probe", VIP, arp::probe(PEER, v4(VIP))),
        (
            "our own on the other link",
            VIP,
            arp::announcement_request(OURS_TOO, v4(VIP)),
        ),
        ("our own probe, reflected", VIP, arp::probe(OURS, v4(VIP))),
        (
            "an ordinary question",
            VIP,
            arp::request(HOST, v4("192.0.2.9"), v4(VIP)),
        ),
        (
            "a claim for another address",
            VIP,
            arp::announcement_request(HOST, v4("192.0.2.2")),
        ),
        ("a peer's solicitation", VIP6, ndp::probe(PEER, v6(VIP6))),
        ("our own solicitation", VIP6, ndp::probe(OURS, v6(VIP6))),
    ] {
        let mut bench = Bench::new();
        bench.want(&[(vip, ETH0, Some(ask(5, Wonder::Takeover)))]);
        bench.hear(bytes);
        bench.pass_ms(100);
        assert_eq!(bench.reports(), [(40, answered(vip, 5, &[]))], "{what}");
    }
}

#[test]
fn a_new_id_starts_over_and_the_old_question_is_forgotten() {
    let mut bench = Bench::new();
    bench.want(&[(VIP, ETH0, Some(ask(5, Wonder::Takeover)))]);
    bench.pass_ms(30);
    bench.want(&[(VIP, ETH0, Some(ask(6, Wonder::Takeover)))]);
    bench.pass_ms(100);
    assert_eq!(bench.reports(), [(70, answered(VIP, 6, &[]))]);
    // The same question again says nothing new.
    bench.want(&[("192.0.2.7", ETH1, Some(OWN))]);
    bench.outputs.clear();
    bench.pass_ms(100);
    assert_eq!(bench.reports(), []);
}

#[test]
fn a_question_waits_for_a_link_that_is_down_and_starts_over_when_it_comes_up() {
    let mut bench = Bench::new();
    bench.want(&[(VIP, ETH0, Some(ask(5, Wonder::Takeover)))]);
    bench.pass_ms(30);
    bench.set_links(&[link(ETH0, OURS, false), link(ETH1, OURS_TOO, true)]);
    bench.pass_ms(10_000);
    assert_eq!(bench.reports(), [], "nobody can know");
    bench.set_links(&[link(ETH0, OURS, true), link(ETH1, OURS_TOO, true)]);
    bench.pass_ms(1000);
    assert_eq!(bench.times(Kind::Probe), [10_030, 10_050]);
    let mut bench = Bench::new();
    bench.set_links(&[link(ETH0, OURS, false)]);
    bench.want(&[(VIP, ETH0, Some(ask(5, Wonder::Takeover)))]);
    bench.pass_ms(1000);
    assert_eq!((bench.sent(), bench.reports()), (vec![], vec![]));
}

#[test]
fn a_question_that_was_interrupted_by_a_pause_starts_over() {
    let mut bench = Bench::new();
    bench.want(&[(VIP, ETH0, Some(ask(5, Wonder::Takeover)))]);
    bench.outputs.clear();
    bench.now = bench.now + Duration::from_secs(3);
    bench.feed(Input::Woke);
    assert_eq!(bench.reports(), [], "the answers were thrown away");
    bench.pass_ms(100);
    assert_eq!(bench.reports(), [(3040, answered(VIP, 5, &[]))]);
}

#[test]
fn an_answer_that_is_read_late_but_before_the_tick_counts() {
    let mut bench = Bench::new();
    bench.want(&[(VIP, ETH0, Some(ask(5, Wonder::Takeover)))]);
    bench.pass_ms(39);
    bench.now = bench.now + Duration::from_millis(200);
    let mut out = Vec::new();
    for bytes in [
        arp::request(HOST, v4("192.0.2.9"), v4(VIP)),
        arp::reply(PEER, v4(VIP), OURS, v4("0.0.0.0")),
    ] {
        let input = Input::Frame {
            interface: ETH0,
            bytes,
        };
        bench.machine.handle(bench.now, input, &mut out);
    }
    assert_eq!(out, [Output::Report(answered(VIP, 5, &[PEER]))]);
}

#[test]
fn asking_becomes_owning_and_owning_asking() {
    let mut bench = Bench::new();
    bench.want(&[(VIP, ETH0, Some(ask(5, Wonder::Takeover)))]);
    bench.pass_ms(50);
    bench.outputs.clear();
    bench.own(VIP);
    assert_eq!(
        bench.sent().iter().map(|it| it.2).collect::<Vec<_>>(),
        [Kind::Announcement, Kind::AnnouncementByReply]
    );
    bench.want(&[(VIP, ETH0, Some(ask(6, Wonder::Takeover)))]);
    bench.hear(arp::request(HOST, v4("192.0.2.9"), v4(VIP)));
    bench.pass_ms(100);
    assert_eq!(
        bench.sent().iter().map(|it| it.2).collect::<Vec<_>>(),
        [Kind::Probe, Kind::Probe]
    );
    assert_eq!(bench.reports(), [(90, answered(VIP, 6, &[]))]);
}

#[test]
fn a_whole_nodes_addresses_are_asked_about_within_bounds() {
    let mut bench = Bench::new();
    let vips: Vec<String> = (0..5000)
        .map(|n| Ipv4Addr::from_bits(0x0a00_0000 + n).to_string())
        .collect();
    let question = Some(ask(1, Wonder::Takeover));
    bench.want(
        &vips
            .iter()
            .map(|vip| (vip.as_str(), ETH0, question))
            .collect::<Vec<_>>(),
    );
    bench.pass_ms(3000);
    let outputs = bench.outputs.clone();
    let probes = bench.times(Kind::Probe);
    assert_eq!(probes.len(), 10_000);
    assert!(
        probes.iter().filter(|at| **at < 100).count() <= 3000,
        "not all in one go"
    );
    assert!(probes[9_999] < 1000);
    bench.outputs = outputs;
    assert_eq!(bench.reports().len(), 5000);
}

#[test]
fn probes_that_wait_for_their_turn_do_not_keep_a_dead_link_busy() {
    let mut bench = Bench::new();
    let vips: Vec<String> = (0..5000)
        .map(|n| Ipv4Addr::from_bits(0x0a00_0000 + n).to_string())
        .collect();
    let question = Some(ask(1, Wonder::Takeover));
    bench.want(
        &vips
            .iter()
            .map(|vip| (vip.as_str(), ETH0, question))
            .collect::<Vec<_>>(),
    );
    bench.set_links(&[link(ETH0, OURS, false)]);
    assert_eq!(bench.machine.next_deadline(), None);
}
