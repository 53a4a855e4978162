//! What is told, when, and how often.

use herald_spi::Mac;
use proptest::prelude::*;

use super::*;

/// What frames say, read by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    Listens(Ipv6Addr),
    Left(Ipv6Addr),
    Joined(Ipv6Addr),
    /// In version 1.
    Report(Ipv6Addr),
    Done(Ipv6Addr),
}

use Said::{Done, Joined, Left, Listens, Report};

fn at(millis: u64) -> Time {
    Time::from_start(Duration::from_millis(millis))
}

fn group(n: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, n)
}

fn read(frames: &[Vec<u8>]) -> Vec<Said> {
    let address = |octets: &[u8]| Ipv6Addr::from(<[u8; 16]>::try_from(octets).unwrap());
    let mut said = Vec::new();
    for frame in frames {
        match frame[62] {
            131 => said.push(Report(address(&frame[70..86]))),
            132 => said.push(Done(address(&frame[70..86]))),
            143 => {
                for record in frame[70..].chunks(20) {
                    let group = address(&record[4..20]);
                    said.push(match record[0] {
                        2 => Listens(group),
                        3 => Left(group),
                        4 => Joined(group),
                        other => panic!("record type {other}"),
                    });
                }
            }
            other => panic!("message type {other}"),
        }
    }
    said
}

fn station() -> Station {
    Station {
        mac: Mac([2, 0, 0, 0, 0, 1]),
        address: "fe80::1".parse().unwrap(),
    }
}

/// All that is said until `until`, with the time in milliseconds.
fn listen(listener: &mut Listener, until: Time) -> Vec<(u128, Said)> {
    let mut said = Vec::new();
    while let Some(now) = listener.next_deadline().filter(|now| *now <= until) {
        let frames = listener.frames(now, station());
        assert!(frames.len() <= BURST);
        let millis = now.since_start().as_millis();
        said.extend(read(&frames).into_iter().map(|it| (millis, it)));
    }
    said
}

fn only(said: &[(u128, Said)]) -> Vec<Said> {
    said.iter().map(|(_, it)| *it).collect()
}

fn general(version: Version) -> Query {
    Query {
        group: None,
        within: Duration::from_secs(10),
        version,
        robustness: 0,
    }
}

#[test]
fn a_change_is_told_at_once_and_once_more_within_a_second() {
    let mut listener = Listener::new(1);
    assert!(listener.join(at(100), group(1)) && !listener.join(at(100), group(1)));
    let said = listen(&mut listener, at(5_000));
    assert_eq!(only(&said), [Joined(group(1)); 2]);
    assert_eq!(said[0].0, 100);
    assert!((100..=1_100).contains(&said[1].0));

    assert!(listener.leave(at(6_000), group(1)));
    assert!(!listener.leave(at(6_000), group(1)));
    let said = listen(&mut listener, at(9_000));
    assert_eq!(only(&said), [Left(group(1)); 2]);
    assert_eq!((said[0].0, listener.next_deadline()), (6_000, None));
}

#[test]
fn a_group_that_the_host_listens_to_itself_is_left_without_a_word() {
    let mut listener = Listener::new(1);
    listener.keep([group(1)].into());
    listener.join(at(0), group(1));
    assert!(listener.leave(at(0), group(1)));
    assert_eq!(listen(&mut listener, at(5_000)), []);
}

#[test]
fn a_farewell_leaves_what_only_herald_listens_to() {
    let mut listener = Listener::new(1);
    for n in 1..=3 {
        listener.join(at(0), group(n));
    }
    listener.keep([group(2), group(4)].into());
    listener.leave(at(0), group(3));
    let left = read(&listener.farewell(at(0), station()));
    assert_eq!(left, [1, 3].map(|n| Left(group(n))));
}

#[test]
fn a_querier_that_loses_much_is_told_more_often() {
    let mut listener = Listener::new(1);
    let query = Query {
        robustness: 5,
        ..general(Version::Two)
    };
    listener.hear(at(0), &query);
    listen(&mut listener, at(20_000));
    listener.join(at(20_000), group(1));
    assert_eq!(
        only(&listen(&mut listener, at(60_000))),
        [Joined(group(1)); 5]
    );
}

#[test]
fn queries_are_answered_in_their_time_and_a_flood_of_them_once_a_second() {
    let mut listener = Listener::new(7);
    for n in 1..=3 {
        listener.join(at(0), group(n));
    }
    listen(&mut listener, at(5_000));
    listener.hear(at(10_000), &general(Version::Two));
    let said = listen(&mut listener, at(30_000));
    assert_eq!(only(&said), [1, 2, 3].map(|n| Listens(group(n))));
    assert!((10_000..=20_000).contains(&said[0].0), "{said:?}");

    let about = |group| Query {
        group: Some(group),
        within: Duration::from_secs(1),
        ..general(Version::Two)
    };
    listener.hear(at(40_000), &about(group(9)));
    assert_eq!(listener.next_deadline(), None, "nobody's group");
    listener.hear(at(40_000), &about(group(2)));
    assert_eq!(
        only(&listen(&mut listener, at(50_000))),
        [Listens(group(2))]
    );

    let mut answers = 0;
    for millis in 60_000..65_000 {
        let query = Query {
            within: Duration::ZERO,
            ..general(Version::Two)
        };
        listener.hear(at(millis), &query);
        answers += listen(&mut listener, at(millis)).len();
    }
    assert_eq!(answers, 3 * 5);
}

#[test]
fn a_querier_of_version_1_is_spoken_to_in_its_words_until_it_is_gone() {
    let mut listener = Listener::new(1);
    listener.join(at(0), group(1));
    listen(&mut listener, at(5_000));
    listener.hear(at(5_000), &general(Version::One));
    listener.hear(at(6_000), &general(Version::Two));
    assert_eq!(only(&listen(&mut listener, at(20_000))), [Report(group(1))]);
    listener.leave(at(20_000), group(1));
    assert_eq!(
        only(&listen(&mut listener, at(30_000))),
        [Done(group(1)); 2]
    );
    listener.join(at(265_000), group(1));
    assert_eq!(
        only(&listen(&mut listener, at(270_000))),
        [Joined(group(1)); 2]
    );
}

#[test]
fn thousands_leave_in_bursts_and_all_is_taken_back_at_the_end() {
    let groups: Vec<Ipv6Addr> = (0..5_000).map(group).collect();
    let mut listener = Listener::new(1);
    for group in &groups {
        listener.join(at(0), *group);
    }
    let said = listen(&mut listener, at(1_100));
    assert_eq!(said.len(), 10_000);
    assert!(said.iter().filter(|(millis, _)| *millis == 0).count() <= BURST * mld::RECORDS);
    listener.tell_again(at(2_000));
    let first = listener.frames(at(2_000), station());
    assert_eq!((first.len(), read(&first)[0]), (BURST, Joined(group(0))));
    let left = read(&listener.farewell(at(2_001), station()));
    assert_eq!(left, groups.iter().map(|&it| Left(it)).collect::<Vec<_>>());
    assert_eq!(listener.next_deadline(), None);
}

proptest! {
    /// Whatever happens: the last word about a group is true, and every group that was left was taken back.
    #[test]
    fn the_last_word_is_true(
        steps in prop::collection::vec((0u8..6, 0u16..4, 0u64..1_500), 1..60),
        seed in any::<u64>(),
    ) {
        let mut listener = Listener::new(seed);
        let (mut now, mut words) = (0, Vec::new());
        for (step, n, pause) in steps {
            match step {
                0 | 1 => drop(listener.join(at(now), group(n))),
                2 => drop(listener.leave(at(now), group(n))),
                3 => listener.hear(at(now), &general(Version::One)),
                4 => listener.hear(at(now), &general(Version::Two)),
                _ => listener.tell_again(at(now)),
            }
            now += pause;
            words.extend(only(&listen(&mut listener, at(now))));
        }
        words.extend(only(&listen(&mut listener, at(now + 60_000))));
        prop_assert_eq!(listener.next_deadline(), None);
        for n in 0..4 {
            let last = words.iter().rev().find_map(|word| match *word {
                Listens(it) | Joined(it) | Report(it) if it == group(n) => Some(true),
                Left(it) | Done(it) if it == group(n) => Some(false),
                _ => None,
            });
            let listens = listener.groups().any(|it| it == group(n));
            prop_assert_eq!(last.unwrap_or(false), listens);
        }
    }
}
