//! Checking another node's address: what leaves, what counts as an answer, and what the owner makes of it.

use super::*;

const VIP: &str = "192.0.2.1";
const VIP6: &str = "fd77::1";

/// A machine that checks both addresses.
fn checking() -> Bench {
    let mut bench = Bench::new();
    bench.want(&[
        (VIP, ETH0, Some(ask(5, Wonder::Check))),
        (VIP6, ETH0, Some(ask(6, Wonder::Check))),
    ]);
    bench
}

fn answers(bench: &mut Bench, vip: &str) -> Vec<(u64, Vec<Mac>)> {
    let of_vip = |(at, report)| match report {
        Report::Answered { place, by, .. } if place.address.to_string() == vip => {
            Some((at, by.into_iter().collect()))
        }
        _ => None,
    };
    bench.reports().into_iter().filter_map(of_vip).collect()
}

fn reply(by: Mac) -> Vec<u8> {
    arp::reply(by, v4(VIP), OURS, v4("0.0.0.0"))
}

#[test]
fn it_asks_twice_100_ms_apart_without_a_trace_and_is_over_after_300() {
    let mut bench = checking();
    bench.pass_ms(299);
    let outputs = bench.outputs.clone();
    let sent = bench.sent_for();
    let probe = |at, vip: &str| (at, Kind::Probe, vip.to_owned());
    assert_eq!(
        sent,
        [
            probe(0, VIP),
            probe(0, VIP6),
            probe(100, VIP),
            probe(100, VIP6)
        ]
    );
    bench.outputs = outputs;
    // The forms with which nobody's neighbour table changes.
    assert_eq!(
        bench.frames()[..2],
        [arp::probe(OURS, v4(VIP)), ndp::probe(OURS, v6(VIP6))]
    );
    bench.pass_ms(1);
    let nobody = |vip, question| Report::Answered {
        place: place(vip, ETH0),
        question,
        by: [].into(),
    };
    assert_eq!(
        bench.reports(),
        [(300, nobody(VIP, 5)), (300, nobody(VIP6, 6))]
    );
}

#[test]
fn no_group_is_joined_and_a_link_that_is_gone_is_no_failure() {
    let mut bench = checking();
    bench.pass_ms(1000);
    let is_group = |out: &Output| matches!(out, Output::Join { .. } | Output::Leave { .. });
    assert!(!bench.outputs.iter().any(|(_, out)| is_group(out)));
    bench.outputs.clear();
    // Only another duty needs the group.
    bench.want(&[(VIP6, ETH0, Some(ask(7, Wonder::Takeover)))]);
    assert!(bench.outputs.iter().any(|(_, out)| is_group(out)));
    bench.outputs.clear();
    bench.want(&[(VIP6, ETH0, Some(ask(8, Wonder::Check)))]);
    assert!(bench.outputs.iter().any(|(_, out)| is_group(out)));
    bench.set_links(&[]);
    bench.pass_ms(1000);
    assert_eq!(bench.reports(), []);
}

#[test]
fn the_first_answer_ends_the_probes_and_a_second_host_has_100_ms_to_answer_too() {
    for (late, by) in [(99, vec![PEER, HOST]), (101, vec![PEER])] {
        let mut bench = checking();
        bench.hear(reply(PEER));
        bench.hear(ndp::unsolicited(PEER, v6(VIP6)));
        bench.pass_ms(late);
        bench.hear(reply(HOST));
        bench.pass_ms(1000);
        let outputs = bench.outputs.clone();
        assert_eq!(bench.times(Kind::Probe), [0, 0], "one for each address");
        bench.outputs = outputs.clone();
        assert_eq!(answers(&mut bench, VIP), [(100, by)]);
        bench.outputs = outputs;
        assert_eq!(answers(&mut bench, VIP6), [(100, vec![PEER])]);
    }
}

#[test]
fn an_answer_to_the_second_probe_counts() {
    let mut bench = checking();
    bench.pass_ms(250);
    bench.hear(reply(PEER));
    bench.pass_ms(1000);
    assert_eq!(answers(&mut bench, VIP), [(300, vec![PEER])]);
}

#[test]
fn what_comes_unasked_is_no_answer() {
    for (what, bytes) in [
        ("an announcement", arp::announcement_request(PEER, v4(VIP))),
        ("the other form", arp::announcement_reply(PEER, v4(VIP))),
        (
            "a question from it",
            arp::request(PEER, v4(VIP), v4("192.0.2.9")),
        ),
        ("another host's probe", arp::probe(HOST, v4(VIP))),
        ("its probe for IPv6", ndp::probe(HOST, v6(VIP6))),
    ] {
        let mut bench = checking();
        bench.hear(bytes);
        bench.pass_ms(1000);
        let outputs = bench.outputs.clone();
        assert_eq!(answers(&mut bench, VIP), [(300, vec![])], "{what}");
        bench.outputs = outputs;
        assert_eq!(answers(&mut bench, VIP6), [(300, vec![])], "{what}");
    }
}

#[test]
fn a_host_with_many_faces_is_named_in_part() {
    let mut bench = checking();
    for n in 0..200 {
        bench.hear(reply(Mac([2, 0, 0, 0, 7, n])));
    }
    bench.pass_ms(1000);
    let answers = answers(&mut bench, VIP);
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].1.len(), 8);
}

#[test]
fn a_check_that_a_pause_interrupts_starts_over() {
    let mut bench = checking();
    bench.hear(reply(PEER));
    bench.outputs.clear();
    bench.now = bench.now + Duration::from_secs(3);
    bench.feed(Input::Woke);
    bench.pass_ms(1000);
    assert_eq!(answers(&mut bench, VIP), [(3300, vec![])]);
}

/// What the checker sends reaches the owner's machine, and what that answers the checker's.
#[test]
fn an_owner_answers_a_check_and_takes_it_for_no_conflict() {
    let mut owner = Bench::new();
    owner.set_links(&[link(ETH0, PEER, true)]);
    owner.own(VIP);
    owner.own(VIP6);
    owner.pass_ms(10_000);
    owner.outputs.clear();
    let mut checker = checking();
    for bytes in checker.frames() {
        owner.hear(bytes);
    }
    let outputs = owner.outputs.clone();
    assert_eq!(owner.reports(), []);
    owner.outputs = outputs;
    for bytes in owner.frames() {
        checker.hear(bytes);
    }
    checker.pass_ms(1000);
    let outputs = checker.outputs.clone();
    assert_eq!(answers(&mut checker, VIP), [(100, vec![PEER])]);
    checker.outputs = outputs;
    assert_eq!(answers(&mut checker, VIP6), [(100, vec![PEER])]);
    owner.pass_ms(1000);
    assert_eq!(owner.machine.tally().conflicts, 0);
}
