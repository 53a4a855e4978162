//! Evenness and size.

use std::collections::BTreeMap;

use herald::placement::{
    CandidateSet,
    owner::{self, Seat},
};
use herald_spi::NodeName;

use crate::{
    THIRTY, THREE,
    cluster::{Cluster, Options, address},
    expect_only_moved, owned, seeds,
};

#[test]
fn a_cold_start_is_even() {
    for (seed, options) in seeds(3)
        .into_iter()
        .flat_map(|seed| [(seed, THREE), (seed, THIRTY)])
    {
        Cluster::settled(seed, Options { loss: 0, ..options }).expect_even();
    }
}

#[test]
fn two_hundred_nodes() {
    for seed in seeds(1) {
        let options = Options {
            nodes: 200,
            addresses: 150,
            loss: 0,
            skew: 40,
            tick: 40,
        };
        let mut cluster = Cluster::settled(seed, options);
        cluster.expect_even();
        let victim = cluster.dice.index(options.nodes);
        let lost = owned(&cluster, victim);
        cluster.crash(victim);
        cluster.run(1_700);
        cluster.expect_owned();
        cluster.expect_even();
        expect_only_moved(&cluster, &lost);
    }
}

/// What a cold start of the largest cluster computes, in one go.
#[test]
fn ten_thousand_addresses_among_three_hundred_nodes() {
    let nodes = (0..300).map(|n| (NodeName::new(format!("node-{n}")), 0));
    let candidates = CandidateSet(nodes.collect());
    let seats: Vec<_> = (0..10_000)
        .map(|n| Seat {
            address: address(n),
            candidates: &candidates,
            holder: None,
        })
        .collect();
    let start = std::time::Instant::now();
    let plan = owner::plan(&seats);
    println!("planned in {:?}", start.elapsed());
    let mut loads: BTreeMap<_, u32> = BTreeMap::new();
    plan.into_values()
        .for_each(|node| *loads.entry(node).or_default() += 1);
    assert_eq!(loads.len(), 300);
    assert!(
        loads.values().all(|load| (33..=34).contains(load)),
        "{loads:?}"
    );
}
