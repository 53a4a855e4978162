//! Announcing: at once, again, now and then, and never too much.

use super::*;

#[test]
fn a_gain_is_announced_at_0_1_2_and_4_seconds_in_both_forms() {
    let mut bench = Bench::new();
    bench.own("192.0.2.1");
    bench.own("fd77::1");
    bench.pass_ms(44_000);
    let sent = bench.sent();
    let of = |kind, address: &str| -> Vec<u64> {
        let address: IpAddr = address.parse().unwrap();
        sent.iter()
            .filter(|it| (it.2, it.3) == (kind, address))
            .map(|it| it.0)
            .collect()
    };
    assert_eq!(of(Kind::Announcement, "192.0.2.1"), [0, 1000, 2000, 4000]);
    assert_eq!(
        of(Kind::AnnouncementByReply, "192.0.2.1"),
        [0, 1000, 2000, 4000]
    );
    assert_eq!(of(Kind::Announcement, "fd77::1"), [0, 1000, 2000, 4000]);
    assert_eq!(sent.len(), 12, "a takeover probes no more: {sent:?}");
    assert!(sent.iter().all(|it| it.1 == ETH0));
    assert_eq!(bench.machine.tally().gratuitous, 12);
}

#[test]
fn the_announcements_say_the_right_things() {
    let mut bench = Bench::new();
    bench.own("192.0.2.1");
    bench.own("fd77::1");
    assert_eq!(
        bench.frames(),
        [
            arp::announcement_request(OURS, v4("192.0.2.1")),
            arp::announcement_reply(OURS, v4("192.0.2.1")),
            ndp::unsolicited(OURS, v6("fd77::1")),
        ]
    );
}

#[test]
fn the_refresh_is_slow_and_jittered_for_ever() {
    let mut bench = Bench::new();
    bench.own("192.0.2.1");
    bench.pass_ms(3_600_000);
    let times = bench.times(Kind::Announcement);
    let pauses: Vec<u64> = times
        .windows(2)
        .skip(3)
        .map(|pair| pair[1] - pair[0])
        .collect();
    assert!(
        pauses.iter().all(|pause| (45_000..=75_001).contains(pause)),
        "{pauses:?}"
    );
    assert!(
        (48..=80).contains(&pauses.len()),
        "an hour: {}",
        pauses.len()
    );
    assert!(
        pauses.iter().max().unwrap() - pauses.iter().min().unwrap() > 15_000,
        "{pauses:?}"
    );
}

#[test]
fn refreshes_of_many_addresses_leave_together() {
    let mut bench = Bench::new();
    let addresses: Vec<String> = (1..=60).map(|n| format!("192.0.2.{n}")).collect();
    let duties: Vec<_> = addresses
        .iter()
        .map(|address| (address.as_str(), ETH0, Some(OWN)))
        .collect();
    bench.want(&duties);
    bench.pass_ms(60_000);
    let before = bench.times(Kind::Announcement).len();
    bench.pass_ms(600_000);
    let times = bench.times(Kind::Announcement).split_off(before);
    let moments: std::collections::BTreeSet<u64> = times.iter().copied().collect();
    assert!(times.len() > 300, "{}", times.len());
    assert!(
        moments
            .iter()
            .zip(moments.iter().skip(1))
            .all(|(a, b)| b - a >= 499),
        "{moments:?}"
    );
}

#[test]
fn a_first_claim_probes_on_at_the_pace_of_rfc_5227() {
    let mut bench = Bench::new();
    bench.want(&[
        ("192.0.2.1", ETH0, Some(FIRST)),
        ("fd77::1", ETH0, Some(FIRST)),
    ]);
    bench.pass_ms(60_000);
    let sent = bench.sent();
    for address in ["192.0.2.1", "fd77::1"] {
        let address: IpAddr = address.parse().unwrap();
        let probes: Vec<u64> = sent
            .iter()
            .filter(|it| (it.2, it.3) == (Kind::Probe, address))
            .map(|it| it.0)
            .collect();
        assert_eq!(probes.len(), 3, "{probes:?}");
        let pauses = [probes[0], probes[1] - probes[0], probes[2] - probes[1]];
        assert!(
            pauses.iter().all(|pause| (999..=2001).contains(pause)),
            "{pauses:?}"
        );
    }
}

#[test]
fn a_new_round_starts_the_burst_over_and_nothing_else_does() {
    let mut bench = Bench::new();
    bench.own("192.0.2.1");
    bench.pass_ms(10_000);
    bench.sent();
    // The same again, another address, another gain: no frame for the first address.
    bench.own("192.0.2.1");
    bench.want(&[("192.0.2.1", ETH0, Some(FIRST))]);
    bench.want(&[("192.0.2.2", ETH1, Some(OWN))]);
    assert_eq!(bench.sent().len(), 2);
    bench.want(&[
        ("192.0.2.2", ETH1, None),
        (
            "192.0.2.1",
            ETH0,
            Some(Duty::Own {
                gain: Gain::First,
                round: 1,
            }),
        ),
    ]);
    bench.pass_ms(5_000);
    assert_eq!(
        bench.times(Kind::Announcement),
        [10_000, 11_000, 12_000, 14_000]
    );
}

#[test]
fn letting_go_is_silent_and_final() {
    let mut bench = Bench::new();
    bench.want(&[
        ("192.0.2.1", ETH0, Some(FIRST)),
        ("fd77::1", ETH0, Some(FIRST)),
    ]);
    bench.sent();
    bench.want(&[("192.0.2.1", ETH0, None), ("fd77::1", ETH0, None)]);
    bench.pass_ms(600_000);
    bench.hear(arp::request(HOST, v4("192.0.2.9"), v4("192.0.2.1")));
    assert_eq!(bench.sent(), []);
    assert_eq!(bench.machine.next_deadline(), None);
}

#[test]
fn the_same_address_on_two_links_is_two_places() {
    let mut bench = Bench::new();
    bench.want(&[
        ("192.0.2.1", ETH0, Some(OWN)),
        ("192.0.2.1", ETH1, Some(OWN)),
    ]);
    let frames = bench.frames();
    assert!(frames.contains(&arp::announcement_request(OURS, v4("192.0.2.1"))));
    assert!(frames.contains(&arp::announcement_request(OURS_TOO, v4("192.0.2.1"))));
    bench.want(&[("192.0.2.1", ETH1, None)]);
    bench.pass_ms(1000);
    assert!(bench.sent().iter().all(|it| it.1 == ETH0));
}

/// So many addresses in a row from 10.0.0.0 on.
fn crowd(from: u32, count: u32) -> Vec<String> {
    (from..from + count)
        .map(|n| Ipv4Addr::from_bits(0x0a00_0000 + n).to_string())
        .collect()
}

fn own_all(bench: &mut Bench, addresses: &[String]) {
    let changes: Vec<_> = addresses
        .iter()
        .map(|it| (it.as_str(), ETH0, Some(OWN)))
        .collect();
    bench.want(&changes);
}

#[test]
fn no_second_sees_more_than_a_thousand_gratuitous_frames() {
    let mut bench = Bench::new();
    own_all(&mut bench, &crowd(0, 5000));
    bench.pass_ms(120_000);
    let times: Vec<u64> = bench.sent().iter().map(|it| it.0).collect();
    for (at, start) in times.iter().enumerate() {
        let within = times[at..]
            .iter()
            .take_while(|it| **it < start + 1000)
            .count();
        assert!(within <= 1000, "{within} from {start} ms on");
    }
    // Each is told once, two frames each, and the rate is used up; under such a backlog repeats are skipped.
    let last_first = times[9_999];
    assert!((12_000..14_000).contains(&last_first), "{last_first} ms");
    assert!(
        times.len() >= 2 * 10_000,
        "and once more at least: {}",
        times.len()
    );
}

#[test]
fn under_a_backlog_the_newest_gain_comes_first_and_all_come() {
    let mut bench = Bench::new();
    own_all(&mut bench, &crowd(0, 5000));
    bench.pass_ms(2000);
    bench.sent();
    own_all(&mut bench, &crowd(8000, 10));
    bench.pass_ms(50);
    let firsts: Vec<IpAddr> = bench.sent().iter().take(20).map(|it| it.3).collect();
    let newest: Vec<IpAddr> = crowd(8000, 10)
        .iter()
        .flat_map(|it| [it.parse().unwrap(); 2])
        .collect();
    assert_eq!(firsts, newest, "within 50 ms, before any other");
    // First announcements go before repeats, so each is told once before the rest is told twice.
    bench.pass_ms(12_000);
    let mut told: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for (_, _, kind, address) in bench.sent() {
        *told.entry(address).or_default() += usize::from(kind == Kind::Announcement);
    }
    assert!(told.len() > 4000, "{}", told.len());
}

#[test]
fn ten_thousand_places_are_compared_cheaply() {
    let mut bench = Bench::new();
    own_all(&mut bench, &crowd(0, 10_000));
    bench.sent();
    let start = std::time::Instant::now();
    for n in 0..20 {
        let address = Ipv4Addr::from_bits(0x0b00_0000 + n).to_string();
        bench.own(&address);
    }
    // About 20 ms each in a debug build, most of it for the copies that this test makes.
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}
