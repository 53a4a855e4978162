//! Rebalances: asked for and slow, in peace and while nodes fail.

use std::collections::BTreeMap;

use herald::placement::{Event, Origin, Pace};

use crate::{
    THIRTY, THREE,
    cluster::{Cluster, Options},
    expect_only_moved, owned, seeds,
};

/// Longer than a segment must have been calm.
const CALM: u64 = 6_000;

fn ask(cluster: &mut Cluster, pace: Pace) {
    cluster.apply(|api| {
        let all = api.addresses.keys();
        api.rebalance = all.map(|address| (*address, pace)).collect();
    });
}

/// One node fails and comes back: it owns nothing, and the others keep everything.
fn uneven(seed: u64, options: Options) -> Cluster {
    let mut cluster = Cluster::settled(seed, options);
    let victim = cluster.dice.index(options.nodes);
    cluster.crash(victim);
    cluster.run(2_500);
    cluster.start(victim);
    cluster.run(CALM);
    assert!(owned(&cluster, victim).is_empty(), "seed {seed}: sticky");
    cluster.told.clear();
    cluster
}

#[test]
fn a_node_that_returned_gets_its_share_when_asked_and_one_address_a_second() {
    for (seed, options) in seeds(1)
        .into_iter()
        .flat_map(|seed| [(seed, THREE), (seed, THIRTY)])
    {
        let mut cluster = uneven(seed, Options { loss: 0, ..options });
        cluster.watch.gapless = true;
        cluster.watch.longest_overlap = 0;
        let share = options.addresses / options.nodes;
        ask(&mut cluster, Pace::Asked);
        cluster.run(CALM + 1_100 * share as u64);
        cluster.expect_owned();
        cluster.expect_even();
        assert!(cluster.watch.longest_overlap <= 200, "seed {seed}");
        let gains = cluster.gains();
        assert_eq!(gains.len(), share, "seed {seed}: no move too many");
        let times: Vec<_> = gains.iter().map(|(at, ..)| *at).collect();
        assert!(
            times.windows(2).all(|pair| pair[0] + 1_000 <= pair[1]),
            "seed {seed}: {times:?}"
        );
        let as_asked = |told: &crate::cluster::Told| match &told.event {
            Event::Gained { origin, .. } => matches!(origin, Origin::Rebalance { .. }),
            _ => true,
        };
        assert!(cluster.told.iter().all(as_asked), "seed {seed}");
        // It is done: who fails and returns after that has nothing again.
        cluster.run(2 * CALM);
        cluster.watch.gapless = false;
        let node = *cluster.owners().values().next().unwrap();
        let lost = owned(&cluster, node);
        cluster.told.clear();
        cluster.crash(node);
        cluster.run(2_500);
        cluster.start(node);
        cluster.run(2 * CALM);
        expect_only_moved(&cluster, &lost);
        assert!(owned(&cluster, node).is_empty(), "seed {seed}");
    }
}

#[test]
fn the_slow_one_moves_one_address_in_half_a_minute_and_waits_for_calm() {
    for seed in seeds(1) {
        let mut cluster = uneven(seed, Options { loss: 0, ..THREE });
        cluster.watch.gapless = true;
        ask(&mut cluster, Pace::Slow);
        cluster.run(29_000);
        assert_eq!(cluster.gains(), [], "seed {seed}");
        cluster.run(62_000);
        assert_eq!(cluster.gains().len(), 3, "seed {seed}");
        cluster.run(8 * 30_500);
        cluster.expect_even();
        assert_eq!(cluster.gains().len(), 10, "seed {seed}");
        assert!(cluster.watch.longest_overlap <= 200, "seed {seed}");
    }
}

/// The promise holds while addresses are on the move, whatever fails, and in the end it is done.
#[test]
fn a_single_fault_in_the_middle_of_a_rebalance_leaves_one_owner() {
    for (seed, options) in seeds(1)
        .into_iter()
        .flat_map(|seed| [(seed, THREE), (seed, THIRTY)])
    {
        let mut cluster = uneven(seed, options);
        for fault in 0..4 {
            ask(&mut cluster, Pace::Asked);
            let moment = 5_000 + cluster.dice.below(3_000);
            cluster.run(moment);
            let victim = cluster.dice.index(options.nodes);
            match fault {
                0 => cluster.crash(victim),
                1 => cluster.pause(victim),
                2 => cluster.set_link(victim, false),
                _ => cluster.partition(|node| u8::from(node == victim)),
            }
            cluster.run(4_000);
            match fault {
                0 => cluster.start(victim),
                1 => cluster.wake(victim),
                2 => cluster.set_link(victim, true),
                _ => cluster.partition(|_| 0),
            }
            cluster.run(3_000);
            cluster.expect_owned();
        }
        ask(&mut cluster, Pace::Asked);
        cluster.run(60_000);
        cluster.expect_owned();
        cluster.expect_even();
        cluster.told.clear();
        cluster.run(5_000);
        assert_eq!(cluster.gains(), [], "seed {seed}: at rest");
    }
}

/// Views that lag behind each other do not pass an address to and fro.
#[test]
fn agents_that_have_not_heard_of_the_request_only_take_nothing() {
    for seed in seeds(1) {
        let mut cluster = uneven(seed, Options { loss: 0, ..THREE });
        cluster.watch.gapless = true;
        let deprived = (0..3).find(|node| owned(&cluster, *node).is_empty());
        let deprived = deprived.unwrap();
        cluster.agents[deprived].stale = true;
        ask(&mut cluster, Pace::Asked);
        cluster.run(30_000);
        assert_eq!(cluster.gains(), [], "seed {seed}");
        cluster.agents[deprived].stale = false;
        cluster.apply(|_| ());
        cluster.run(30_000);
        cluster.expect_even();
        let mut moves: BTreeMap<_, u32> = BTreeMap::new();
        for (_, node, address) in cluster.gains() {
            assert_eq!(node, deprived, "seed {seed}");
            *moves.entry(address).or_default() += 1;
        }
        assert!(moves.values().all(|moves| *moves == 1), "seed {seed}");
    }
}
