//! What an agent makes of what it remembers.

use std::time::Duration;

use herald_spi::{Duty, Link};

use super::*;
use crate::{
    agent::{check::Outcome, memory::sample},
    membership::{self, Incarnation, Segment},
    world::{Change, NodeRecord, ServiceRecord, samples},
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
        dark: BTreeSet::new(),
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
    mind.watch(Watch::Pools(Box::new(Change::Reset(Vec::new()))));
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

#[test]
fn news_that_changes_nothing_is_none() {
    let mut mind = alone(Memory::default());
    let service = |version: &str, labels: &[(&str, &str)]| {
        let labels = labels.iter().map(|(k, v)| ((*k).into(), (*v).into()));
        let record = ServiceRecord {
            resource_version: version.into(),
            labels: labels.collect(),
            ..samples::service("web")
        };
        Watch::Services(Change::Apply(record.into()))
    };
    assert!(mind.watch(service("1", &[])));
    assert!(!mind.watch(service("2", &[])), "only its version is new");
    assert!(mind.watch(service("3", &[("tier", "gold")])));
    assert!(!mind.watch(Watch::Slices(Change::Relisting)));
    // Whether everything has been told is news too.
    for watch in [
        Watch::Services(Change::Reset(Vec::new())),
        Watch::Pools(Box::new(Change::Reset(Vec::new()))),
        Watch::Locks(Change::Reset(Vec::new())),
        Watch::Nodes(Change::Reset(Vec::new())),
    ] {
        mind.watch(watch);
    }
    assert!(mind.watch(Watch::Slices(Change::Complete)) && mind.is_told());
}

#[test]
fn a_nodes_readiness_counts_without_any_other_news() {
    let mut mind = alone(Memory::default());
    let node = |ready| NodeRecord {
        ready,
        ..samples::node("a", "10.9.0.1")
    };
    for watch in [
        Watch::Services(Change::Reset(Vec::new())),
        Watch::Pools(Box::new(Change::Reset(Vec::new()))),
        Watch::Locks(Change::Reset(Vec::new())),
        Watch::Slices(Change::Reset(Vec::new())),
        Watch::Nodes(Change::Reset(vec![node(true)])),
    ] {
        mind.watch(watch);
    }
    let unready = |mind: &mut Mind| mind.remember().nodes.values().all(|node| node.unready);
    mind.conclude(at(1_100), 0.0).unwrap();
    mind.watch(Watch::Nodes(Change::Apply(node(false))));
    mind.conclude(at(1_200), 0.0).unwrap();
    assert!(!unready(&mut mind), "it may be a flicker");
    let due = mind.next_deadline();
    assert!(due > at(1_200) && due < at(60_000), "{due:?}");
    mind.conclude(due, 0.0).unwrap();
    assert!(unready(&mut mind));
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

/// One that owns both addresses that it remembers.
fn owner() -> (Mind, Place) {
    let mut mind = alone(sample());
    let claims = answer(&mut mind, &[]);
    let (place, _) = claims.first_key_value().unwrap();
    (mind, *place)
}

#[test]
fn a_stranger_that_claims_an_address_is_asked_about_and_may_be_a_node() {
    let (mut mind, place) = owner();
    let by = Mac([2, 9, 9, 9, 9, 9]);
    assert!(!mind.asks_about_strangers(at(1_200)), "nobody is unknown");
    mind.report(at(1_200), Report::Conflict { place, by });
    assert!(mind.asks_about_strangers(at(1_200)));
    // Nobody has published it: it stays what it is, and is not asked about all the time.
    assert!(!mind.learn_macs(Published::new()));
    mind.report(at(2_000), Report::Conflict { place, by });
    mind.conclude(at(2_000), 2.0).unwrap();
    assert!(mind.rivals.contains_key(&place));
    assert!(!mind.asks_about_strangers(at(31_000)) && mind.asks_about_strangers(at(31_200)));
    assert!(mind.learn_macs([(by, NodeName::from("c"))].into()));
    let (desired, claims) = mind.conclude(at(31_300), 31.3).unwrap();
    assert!(desired.herald_macs.contains(&by), "no stranger to the wire");
    assert!(claims.contains_key(&place) && mind.rivals.is_empty());
    assert!(mind.remember().macs.contains(&by), "nor after a restart");
}

#[test]
fn a_stranger_that_answers_for_an_address_is_asked_about_too() {
    let mut mind = alone(sample());
    let by = Mac([2, 9, 9, 9, 9, 9]);
    assert_eq!(answer(&mut mind, &[by]), OwnClaims::new());
    assert!(mind.asks_about_strangers(at(1_200)));
    let mut mind = alone(sample());
    let known = Mac([2, 0, 0, 0, 0, 2]);
    hear(&mut mind, at(5), None);
    assert_eq!(answer(&mut mind, &[known]), OwnClaims::new());
    assert!(!mind.asks_about_strangers(at(1_200)), "it was heard once");
}

#[test]
fn who_is_silent_here_and_alive_elsewhere_is_named() {
    let (mut mind, _) = owner();
    let told = |mind: &Mind| -> Vec<_> {
        mind.unheard()
            .map(|(node, interface, dark)| (node.to_string(), interface, dark))
            .collect()
    };
    let mut view = View::clone(&mind.view);
    let [b, c, d] = ["b", "c", "d"].map(NodeName::from);
    let segment = view.segments.get_mut(&ETH0).unwrap();
    segment.lost = [&b, &c, &d].map(|node| (node.clone(), at(1_000))).into();
    segment.dark = [c.clone()].into();
    mind.view(at(1_200), Arc::new(view.clone()));
    assert!(told(&mind).is_empty(), "dead, for all that is known");
    view.reached = Arc::new([b, c].into());
    mind.view(at(1_300), Arc::new(view.clone()));
    let expected = [("b".to_owned(), ETH0, false), ("c".to_owned(), ETH0, true)];
    assert_eq!(told(&mind), expected);
    view.segments.get_mut(&ETH0).unwrap().up = false;
    mind.view(at(1_400), Arc::new(view));
    assert!(told(&mind).is_empty(), "it is this node that hears nothing");
}

#[test]
fn where_peers_and_the_api_server_disagree_both_sides_are_counted() {
    let mut mind = alone(Memory::default());
    let counted = |mind: &Mind| (mind.peers_not_ready(), mind.peers_silent());
    hear(
        &mut mind,
        at(900),
        Some(peer("192.168.77.200".parse().unwrap())),
    );
    assert_eq!(counted(&mind), (0, 0), "the API server has not told yet");
    let node = |name, ready| NodeRecord {
        ready,
        ..samples::node(name, "10.9.0.1")
    };
    for watch in [
        Watch::Services(Change::Reset(Vec::new())),
        Watch::Pools(Box::new(Change::Reset(Vec::new()))),
        Watch::Locks(Change::Reset(Vec::new())),
        Watch::Slices(Change::Reset(Vec::new())),
        Watch::Nodes(Change::Reset(vec![node("a", false)])),
    ] {
        mind.watch(watch);
    }
    assert_eq!(counted(&mind), (1, 0), "b is heard and has no Node");
    mind.watch(Watch::Nodes(Change::Apply(node("b", false))));
    assert_eq!(counted(&mind), (1, 0), "b is heard and not ready");
    mind.watch(Watch::Nodes(Change::Apply(node("b", true))));
    assert_eq!(counted(&mind), (0, 0));

    let mut view = View::clone(&mind.view);
    let segment = view.segments.get_mut(&ETH0).unwrap();
    segment.peers.clear();
    segment.lost = [(NodeName::from("b"), at(1_000))].into();
    mind.view(at(1_500), Arc::new(view.clone()));
    assert_eq!(counted(&mind), (0, 1), "b is ready and silent");
    let mut elsewhere = view.clone();
    elsewhere.reached = Arc::new([NodeName::from("b")].into());
    mind.view(at(1_600), Arc::new(elsewhere));
    assert_eq!(counted(&mind), (0, 0), "it is heard on the second path");
    view.segments.get_mut(&ETH0).unwrap().up = false;
    mind.view(at(1_700), Arc::new(view.clone()));
    assert_eq!(counted(&mind), (0, 0), "it is this node that hears nothing");
    view.segments.get_mut(&ETH0).unwrap().up = true;
    mind.view(at(1_800), Arc::new(view));
    mind.watch(Watch::Nodes(Change::Apply(node("b", false))));
    assert_eq!(counted(&mind), (0, 0), "silent and not ready: they agree");
}

#[test]
fn where_the_nodes_are_is_remembered_until_the_cluster_tells() {
    let mut mind = alone(sample());
    let b = NodeName::from("b");
    assert!(mind.node_addresses().contains_key(&b));
    mind.watch(Watch::Nodes(Change::Reset(vec![samples::node(
        "a", "10.9.0.1",
    )])));
    let address: IpAddr = "10.9.0.1".parse().unwrap();
    let told: Vec<_> = mind.node_addresses().iter().collect();
    assert_eq!(told, [(&NodeName::from("a"), &address)]);
}
