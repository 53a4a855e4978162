//! Storms and false claims at the rate of the wire, and links that vanish: nothing crashes, and soon all is well.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

/// So many frames make each storm.
const STORM: u32 = 60_000;

/// Sends frames as fast as they go. Says how long that took.
fn storm(host: &Host, frame: impl Fn(u32) -> Vec<u8> + Send + 'static) -> Duration {
    let index = host.index;
    host.station.run(move || {
        let tap = Tap::open(index).unwrap();
        let frames: Vec<_> = (0..STORM).map(frame).collect();
        let began = Instant::now();
        // A full queue is part of a storm.
        let sent = frames
            .iter()
            .filter(|frame| tap.send(frame).is_ok())
            .count();
        assert!(sent > 1_000, "{sent}");
        began.elapsed()
    })
}

fn random(number: u32) -> Mac {
    let [a, b, c, d] = number.wrapping_mul(2_654_435_761).to_be_bytes();
    Mac([2, 0xbb, a, b, c, d])
}

fn vips() -> (Ipv4Addr, Ipv6Addr) {
    ([192, 168, 77, 200].into(), "fd77::12:3456".parse().unwrap())
}

/// The node still answers a host that asks anew.
fn assert_resolved(host: &Host, node: &Host) {
    host.station.sh("ip neigh flush dev eth0");
    assert_eq!(host.resolve(v4()), Some(node.mac));
    assert_eq!(host.resolve(v6()), Some(node.mac));
}

#[test]
fn storms_of_questions_are_answered_within_bounds() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let (node, host, asker) = (segment.plug(), segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    layer2.own(node.index, &[v4(), v6()]);
    assert_resolved(&host, &node);
    let mac = asker.mac;
    // For others, for our addresses by one host, and by hosts that nobody knows.
    storm(&asker, move |number| {
        let [_, _, high, low] = number.to_be_bytes();
        frame::arp::request(mac, [192, 168, 77, 3].into(), [10, 9, high, low].into())
    });
    assert_resolved(&host, &node);
    let replies = layer2.counter("replies");
    let took = storm(&asker, move |number| match number % 2 {
        0 => frame::arp::request(mac, [192, 168, 77, 3].into(), vips().0),
        _ => frame::ndp::request(mac, "fd77::3".parse().unwrap(), vips().1),
    });
    assert_resolved(&host, &node);
    let answered = layer2.counter("replies") - replies;
    // 256 at once, 256 a second; and the host's own questions, each of which the kernel may ask three times.
    let bound = 256.0 + 256.0 * (took.as_secs_f64() + 5.0) + 20.0;
    assert!((answered as f64) < bound, "{answered} answers in {took:?}");
    assert!(layer2.counter("limited") > 0);
    storm(&asker, |number| match number % 2 {
        0 => frame::arp::request(random(number), [192, 168, 77, 3].into(), vips().0),
        _ => frame::ndp::request(random(number), "fd77::3".parse().unwrap(), vips().1),
    });
    assert_resolved(&host, &node);
    let told: Vec<_> = layer2
        .reports
        .try_iter()
        .filter(|it| !matches!(it, Report::Links(_)))
        .collect();
    assert!(told.is_empty(), "questions are no conflicts: {told:?}");
}

#[test]
fn false_claims_at_the_rate_of_the_wire_are_told_and_answered_back_within_bounds() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let (node, host, rogue) = (segment.plug(), segment.plug(), segment.plug());
    let layer2 = Node::start(&node);
    layer2.own(node.index, &[v4(), v6()]);
    assert_resolved(&host, &node);
    let began = Instant::now();
    let mac = rogue.mac;
    storm(&rogue, move |number| match number % 3 {
        0 => frame::arp::announcement_request(mac, vips().0),
        1 => frame::arp::announcement_reply(mac, vips().0),
        _ => frame::ndp::unsolicited(mac, vips().1),
    });
    assert_resolved(&host, &node);
    storm(&rogue, |number| match number % 3 {
        0 => frame::arp::announcement_request(random(number), vips().0),
        1 => frame::ndp::probe(random(number), vips().1),
        _ => frame::ndp::unsolicited(random(number), vips().1),
    });
    assert_resolved(&host, &node);
    let seconds = began.elapsed().as_secs();
    let conflicts: Vec<_> = layer2
        .reports
        .try_iter()
        .filter_map(|report| match report {
            Report::Conflict { place, by } => Some((place, by)),
            Report::Links(_) => None,
            other => panic!("no reason for {other:?}"),
        })
        .collect();
    for address in [v4(), v6()] {
        let of: Vec<_> = conflicts
            .iter()
            .filter(|(place, _)| place.address == address)
            .collect();
        assert!(of.iter().any(|(_, by)| *by == mac), "{address}: {of:?}");
        // Eight claimants are told apart, each of which is told once a second.
        let bound = 8 * (usize::try_from(seconds).unwrap() + 2);
        assert!(of.len() <= bound, "{} reports in {seconds} s", of.len());
    }
    // Of each address, once in ten seconds.
    let defences = layer2.counter("defences");
    let bound = 2 * (seconds / 10 + 1);
    assert!(
        (2..=bound).contains(&defences),
        "{defences} defences in {seconds} s"
    );
    assert!(layer2.counter("conflicts") > 100);
}

#[test]
fn a_link_that_vanishes_in_the_middle_of_a_question_is_asked_on_when_it_returns() {
    if !can_make_namespaces() {
        return;
    }
    let segment = Segment::new();
    let mut node = segment.plug();
    let layer2 = Node::start(&node);
    for id in 1..=5 {
        let question = Duty::Ask(Question {
            id,
            wonder: Wonder::Takeover,
        });
        // It vanishes before the question, in its middle, and after it.
        thread::scope(|scope| {
            scope.spawn(|| segment.switch.sh("ip link delete port1"));
            thread::sleep(Duration::from_millis(10 * (id - 1)));
            layer2.want(node.index, &[v4(), v6()], question, &[]);
        });
        layer2.expect_links("no link", Links::is_empty);
        let gone = node.index;
        segment.wire(&node.station, 1);
        node.index = index_of(&node.station, "eth0");
        assert_ne!(node.index, gone);
        layer2.want(node.index, &[v4(), v6()], question, &[]);
        let mut open: BTreeSet<IpAddr> = [v4(), v6()].into();
        while !open.is_empty() {
            layer2.expect("an answer on the new link", |report| match report {
                Report::Answered {
                    place,
                    question,
                    by,
                } if place.interface == node.index => {
                    assert_eq!((*question, by.len()), (id, 0));
                    Some(open.remove(&place.address))
                }
                _ => None,
            });
        }
    }
    let host = segment.plug();
    layer2.own(node.index, &[v4(), v6()]);
    assert_resolved(&host, &node);
}
