//! Links that go, come back, change, or were never there.

use super::*;

const VIP: &str = "192.0.2.1";

fn up(bench: &mut Bench, mac: Mac) {
    bench.set_links(&[link(ETH0, mac, true), link(ETH1, OURS_TOO, true)]);
}

fn down(bench: &mut Bench) {
    bench.set_links(&[link(ETH0, OURS, false), link(ETH1, OURS_TOO, true)]);
}

fn gone(bench: &mut Bench) {
    bench.set_links(&[link(ETH1, OURS_TOO, true)]);
}

fn failing(reports: &[(u64, Report)]) -> Vec<(u64, bool)> {
    let failing = |report: &Report| match report {
        Report::Failing { place, why } => {
            assert!(*place == self::place(VIP, ETH0) && !why.is_empty());
            true
        }
        Report::Recovered { .. } => false,
        other => panic!("{other:?}"),
    };
    reports
        .iter()
        .map(|(at, report)| (*at, failing(report)))
        .collect()
}

#[test]
fn a_link_that_is_down_is_silent_and_announces_when_it_is_up() {
    let mut bench = Bench::new();
    bench.own(VIP);
    bench.pass_ms(500);
    bench.outputs.clear();
    down(&mut bench);
    bench.hear(arp::request(HOST, v4("192.0.2.9"), v4(VIP)));
    bench.hear(arp::announcement_request(HOST, v4(VIP)));
    bench.pass_ms(9500);
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.machine.next_deadline(), None);
    up(&mut bench, OURS);
    bench.pass_ms(5000);
    let outputs = bench.outputs.clone();
    assert_eq!(
        bench.times(Kind::Announcement),
        [10_000, 11_000, 12_000, 14_000]
    );
    bench.outputs = outputs;
    assert_eq!(failing(&bench.reports()), [(500, true), (10_000, false)]);
}

#[test]
fn a_new_mac_is_announced_and_used() {
    let mut bench = Bench::new();
    bench.own(VIP);
    bench.pass_ms(10_000);
    bench.outputs.clear();
    let new = Mac([2, 0, 0, 0, 0, 0xcc]);
    up(&mut bench, new);
    assert!(
        bench
            .frames()
            .contains(&arp::announcement_request(new, v4(VIP)))
    );
    bench.hear(arp::request(HOST, v4("192.0.2.9"), v4(VIP)));
    assert_eq!(
        bench.frames(),
        [arp::reply(new, v4(VIP), HOST, v4("192.0.2.9"))]
    );
    bench.pass_ms(5000);
    assert_eq!(bench.times(Kind::Announcement), [11_000, 12_000, 14_000]);
}

#[test]
fn other_changes_of_a_link_are_reported_but_not_announced() {
    let mut bench = Bench::new();
    bench.own(VIP);
    bench.pass_ms(10_000);
    bench.outputs.clear();
    let mut eth0 = link(ETH0, OURS, true);
    eth0.addresses.push("192.0.2.3/24".parse().unwrap());
    bench.set_links(&[eth0.clone(), link(ETH1, OURS_TOO, true)]);
    let expected: Links = [(ETH0, eth0), (ETH1, link(ETH1, OURS_TOO, true))].into();
    assert_eq!(
        bench.outputs,
        [(10_000, Output::Report(Report::Links(expected)))]
    );
    bench.outputs.clear();
    bench.feed(Input::Links(bench.links.clone()));
    assert_eq!(bench.outputs, [], "nothing new");
}

#[test]
fn a_link_that_is_not_there_fails_once_and_is_served_when_it_appears() {
    let mut bench = Bench::without_links();
    bench.own(VIP);
    bench.pass_ms(100);
    assert_eq!(bench.outputs, [], "nothing is known yet");
    gone(&mut bench);
    bench.own("192.0.2.2");
    bench.want(&[("192.0.2.2", ETH0, None)]);
    gone(&mut bench);
    // Another duty at the same place is no news either.
    bench.want(&[(VIP, ETH0, Some(ask(1, Wonder::Takeover)))]);
    bench.want(&[(VIP, ETH0, Some(FIRST))]);
    bench.want(&[(
        VIP,
        ETH0,
        Some(Duty::Own {
            gain: Gain::First,
            round: 1,
        }),
    )]);
    let reports: Vec<_> = bench
        .reports()
        .into_iter()
        .filter(|(_, report)| !matches!(report, Report::Failing { place, .. } if place.address.to_string() == "192.0.2.2"))
        .collect();
    assert_eq!(failing(&reports), [(100, true)]);
    bench.pass_ms(900);
    up(&mut bench, OURS);
    bench.pass_ms(5000);
    let outputs = bench.outputs.clone();
    assert_eq!(bench.times(Kind::Announcement), [1000, 2000, 3000, 5000]);
    bench.outputs = outputs;
    assert_eq!(failing(&bench.reports()), [(1000, false)]);
}

#[test]
fn a_link_that_returns_starts_from_nothing() {
    let mut bench = Bench::new();
    bench.want(&[(VIP, ETH0, Some(FIRST))]);
    bench.hear(arp::announcement_request(HOST, v4(VIP)));
    bench.pass_ms(20_000);
    bench.outputs.clear();
    gone(&mut bench);
    let empty = Output::Filter {
        interface: ETH0,
        addresses: vec![],
    };
    assert!(bench.outputs.iter().any(|(_, output)| *output == empty));
    bench.pass_ms(1000);
    up(&mut bench, OURS);
    let filter = Output::Filter {
        interface: ETH0,
        addresses: vec![VIP.parse().unwrap()],
    };
    assert!(bench.outputs.iter().any(|(_, output)| *output == filter));
    bench.hear(arp::announcement_request(HOST, v4(VIP)));
    let defended = bench.machine.tally().defences;
    assert_eq!(defended, 2, "the ten seconds start anew as well");
    bench.outputs.clear();
    bench.pass_ms(10_000);
    assert_eq!(
        bench.times(Kind::Probe).len(),
        3,
        "and the background probes"
    );
}

#[test]
fn a_question_on_a_link_that_is_not_there_fails_too() {
    let mut bench = Bench::new();
    gone(&mut bench);
    bench.want(&[(VIP, ETH0, Some(ask(1, Wonder::Takeover)))]);
    bench.pass_ms(1000);
    up(&mut bench, OURS);
    bench.pass_ms(100);
    let reports = bench.reports();
    assert_eq!(failing(&reports[..2]), [(0, true), (1000, false)]);
    assert!(matches!(reports[2], (1040, Report::Answered { .. })));
}

#[test]
fn a_link_in_trouble_is_treated_as_down() {
    let mut bench = Bench::new();
    bench.own(VIP);
    bench.outputs.clear();
    bench.feed(Input::Trouble {
        interface: ETH0,
        why: Some("no socket".into()),
    });
    bench.feed(Input::Trouble {
        interface: ETH0,
        why: Some("no socket at all".into()),
    });
    bench.pass_ms(5000);
    assert_eq!(bench.sent(), []);
    bench.feed(Input::Trouble {
        interface: ETH0,
        why: None,
    });
    assert_eq!(failing(&bench.reports()), [(0, true), (5000, false)]);
    bench.pass_ms(1000);
    assert_eq!(
        bench.times(Kind::Announcement),
        [6000],
        "after the one at 5000"
    );
}

#[test]
fn a_lost_link_does_not_disturb_the_other() {
    let mut bench = Bench::new();
    bench.want(&[(VIP, ETH0, Some(OWN)), (VIP, ETH1, Some(OWN))]);
    bench.pass_ms(10_000);
    bench.outputs.clear();
    gone(&mut bench);
    bench.feed(Input::Frame {
        interface: ETH1,
        bytes: arp::request(HOST, v4("192.0.2.9"), v4(VIP)),
    });
    assert_eq!(
        bench.frames(),
        [arp::reply(OURS_TOO, v4(VIP), HOST, v4("192.0.2.9"))]
    );
}
