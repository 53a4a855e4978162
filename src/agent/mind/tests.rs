//! What an agent makes of what it remembers.

use std::time::Duration;

use herald_spi::{Duty, Link};

use super::*;
use crate::{
    agent::{check::Outcome, memory::sample},
    membership::{self, Incarnation, Segment},
    world::samples,
};

const ETH0: IfIndex = IfIndex(2);

fn at(ms: u64) -> Time {
    Time::from_start(Duration::from_millis(ms))
}

/// Node a, which has listened on eth0 since the start and hears nobody.
fn alone(recalled: Memory) -> Mind {
    let me = NodeName::from("a");
    let mut view = View::empty(me.clone(), Incarnation(1_800_000_000_000_000));
    let segment = Segment {
        listening_since: Time::ZERO,
        up: true,
        same_segment: BTreeSet::new(),
        lost: BTreeMap::new(),
        peers: BTreeMap::new(),
    };
    view.segments.insert(ETH0, segment);
    let mut mind = Mind::new(me, Arc::new(view), recalled);
    let link = Link {
        index: ETH0,
        name: "eth0".into(),
        mac: Mac([2, 0, 0, 0, 0, 1]),
        up: true,
        addresses: vec!["192.168.77.1/24".parse().unwrap()],
    };
    mind.report(at(0), Report::Links([(ETH0, link)].into()));
    mind
}

/// Concludes until all questions are put, and answers them.
fn answer(mind: &mut Mind, by: &[Mac]) -> OwnClaims {
    let (desired, claims) = mind.conclude(at(10), 0.0).unwrap();
    assert!(desired.duties.is_empty() && claims.is_empty(), "it listens");
    let (desired, claims) = mind.conclude(at(1_100), 1.1).unwrap();
    assert_eq!(claims, OwnClaims::new(), "nothing unasked");
    for (place, duty) in desired.duties {
        let Duty::Ask(question) = duty else {
            panic!("{duty:?}");
        };
        mind.report(
            at(1_150),
            Report::Answered {
                place,
                question: question.id,
                by: by.iter().copied().collect(),
            },
        );
    }
    mind.conclude(at(1_160), 1.2).unwrap().1
}

#[test]
fn without_memory_and_without_the_api_server_nothing_is_known() {
    assert!(alone(Memory::default()).conclude(at(5_000), 5.0).is_none());
}

#[test]
fn what_is_remembered_is_announced_after_asking_the_wire() {
    let mut mind = alone(sample());
    let claims = answer(&mut mind, &[]);
    let held: Vec<_> = claims
        .iter()
        .map(|(place, epoch)| (place.address, *epoch))
        .collect();
    // Alone it stays below what it remembers, so that a partition that goes on with it yields nothing.
    let [v4, v6] = ["192.168.77.200", "fd77::200"].map(|a| a.parse::<IpAddr>().unwrap());
    assert_eq!(held, [(v4, 5), (v6, 1)]);
    assert!(!mind.ready(), "new to the cluster until that tells");
    let remembered = mind.remember();
    let last = remembered.claims.get(&(v4, "eth0".into()));
    assert_eq!(
        last,
        Some(&Last {
            epoch: 6,
            held: true
        })
    );
    assert_eq!(remembered.addresses, sample().addresses);
}

#[test]
fn what_is_remembered_and_now_another_hosts_is_left_alone() {
    let mut mind = alone(sample());
    assert_eq!(
        answer(&mut mind, &[Mac([2, 9, 9, 9, 9, 9])]),
        OwnClaims::new()
    );
}

#[test]
fn the_api_servers_view_replaces_what_is_remembered() {
    let mut mind = alone(sample());
    assert_eq!(answer(&mut mind, &[]).len(), 2);
    mind.watch(Watch::Services(Change::Reset(Vec::new())));
    mind.watch(Watch::Pools(Change::Reset(Vec::new())));
    mind.watch(Watch::Locks(Change::Reset(Vec::new())));
    mind.watch(Watch::Slices(Change::Reset(Vec::new())));
    let (_, claims) = mind.conclude(at(1_200), 1.2).unwrap();
    assert_eq!(claims.len(), 2, "half a view is none");
    mind.watch(Watch::Nodes(Change::Reset(vec![samples::node(
        "a", "10.9.0.1",
    )])));
    let (_, claims) = mind.conclude(at(1_300), 1.3).unwrap();
    assert!(claims.is_empty());
    assert!(mind.is_told() && mind.remember().addresses.is_empty());
}

/// What node b's agent says of itself, and of one address.
fn peer(claimed: IpAddr) -> membership::Peer {
    let mac = Mac([2, 0, 0, 0, 0, 2]);
    membership::Peer {
        incarnation: Incarnation(7),
        since: Time::ZERO,
        interface: "eth0".into(),
        mac,
        macs: Arc::new([mac].into()),
        subnets: Arc::new(["192.168.77.2/24".parse().unwrap()]),
        leaving: false,
        settled: true,
        impaired: false,
        synced: true,
        quiet: false,
        claims: Arc::new([(claimed, 9)].into()),
    }
}

/// Whether a peer is heard from now on.
fn hear(mind: &mut Mind, now: Time, peer: Option<membership::Peer>) {
    let mut view = View::clone(&mind.view);
    let segment = view.segments.get_mut(&ETH0).unwrap();
    segment.peers = peer.map(|peer| ("b".into(), peer)).into_iter().collect();
    view.known_macs = Arc::new([Mac([2, 0, 0, 0, 0, 2])].into());
    mind.view(now, Arc::new(view));
}

/// Goes on until the check is put; the question's number.
fn check_is_put(mind: &mut Mind, place: Place) -> (Time, u64) {
    for _ in 0..9 {
        let now = mind.next_check().expect("a check is planned");
        if let Some(desired) = mind.check(now)
            && let Some(Duty::Ask(question)) = desired.duties.get(&place)
        {
            assert!(desired.herald_macs.contains(&Mac([2, 0, 0, 0, 0, 2])));
            return (now, question.id);
        }
    }
    panic!("no question about {place:?}");
}

#[test]
fn a_peers_address_is_checked_until_it_is_to_be_taken_over() {
    let mut mind = alone(sample());
    let place = Place {
        address: "192.168.77.200".parse().unwrap(),
        interface: ETH0,
    };
    let mac = Mac([2, 0, 0, 0, 0, 2]);
    hear(&mut mind, at(5), Some(peer(place.address)));
    mind.conclude(at(10), 0.0).unwrap();
    let (now, question) = check_is_put(&mut mind, place);
    let answered = |question, by: &[Mac]| Report::Answered {
        place,
        question,
        by: by.iter().copied().collect(),
    };
    let finding = mind.checked(now, &answered(question, &[mac])).unwrap();
    assert_eq!(finding.outcome, Outcome::Reached);
    assert_eq!((mind.checks.checked(), finding.changed), (1, false));
    // While the next question is out node b dies: placement's question takes its place.
    let (now, question) = check_is_put(&mut mind, place);
    hear(&mut mind, now, None);
    let (desired, _) = mind.conclude(now + Duration::from_millis(1), 0.0).unwrap();
    let Some(Duty::Ask(takeover)) = desired.duties.get(&place) else {
        panic!("{desired:?}");
    };
    assert_ne!(takeover.id, question);
    assert!(mind.checked(now, &answered(question, &[])).is_none());
    let next = mind.next_check().unwrap();
    let after = mind.check(next);
    assert!(after.is_none_or(|it| it.duties.get(&place) == desired.duties.get(&place)));
    assert_eq!(mind.checks.checked(), 0);
}

#[test]
fn who_leaves_checks_nothing() {
    let mut mind = alone(sample());
    let address = "192.168.77.200".parse().unwrap();
    hear(&mut mind, at(5), Some(peer(address)));
    for (now, checked) in [(10, 1), (2_000, 0)] {
        mind.conclude(at(now), 0.0).unwrap();
        mind.check(at(now + 1_000));
        assert_eq!(mind.checks.checked(), checked);
        mind.leave(at(now + 1_000));
    }
}
