//! Whole clusters in virtual time against DESIGN promise 3: one owner, whatever single fault happens.
//!
//! The machine under test is the real one; membership, wire, kube-proxy and API server are simulated with delay and
//! loss. Every run has a seed, printed on failure; `HERALD_SIM_SEED=N` replays that one in every test, and
//! `HERALD_SIM_RUNS=N` makes N runs of each instead of a few, best with `--release`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what surprises a simulation shall fail its test"
)]

#[path = "placement_sim/agent.rs"]
mod agent;
#[path = "placement_sim/cluster.rs"]
mod cluster;
#[path = "placement_sim/dice.rs"]
mod dice;
#[path = "placement_sim/expect.rs"]
mod expect;
#[path = "placement_sim/faults.rs"]
mod faults;
#[path = "placement_sim/moves.rs"]
mod moves;
#[path = "placement_sim/rebalance.rs"]
mod rebalance;
#[path = "placement_sim/scale.rs"]
mod scale;
#[path = "placement_sim/watch.rs"]
mod watch;

use std::{collections::BTreeSet, net::IpAddr};

use cluster::{Cluster, Options};

const THREE: Options = Options {
    nodes: 3,
    addresses: 30,
    loss: 3,
    skew: 300,
    tick: 5,
};
const THIRTY: Options = Options {
    nodes: 30,
    addresses: 60,
    loss: 3,
    skew: 300,
    tick: 10,
};

/// The promise: from the fault to the next owner. The machine adds a question of 60 ms to the detection.
const FAILOVER: u64 = 1_000;

fn seeds(usual: u64) -> Vec<u64> {
    let number = |name| Some(std::env::var(name).ok()?.parse().expect("a number"));
    match number("HERALD_SIM_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("HERALD_SIM_RUNS").unwrap_or(usual)).collect(),
    }
}

/// What `node` owns.
fn owned(cluster: &Cluster, node: usize) -> BTreeSet<IpAddr> {
    cluster
        .owners()
        .into_iter()
        .filter(|(_, owner)| *owner == node)
        .map(|(address, _)| address)
        .collect()
}

/// Only `lost` moved since the log was cleared.
fn expect_only_moved(cluster: &Cluster, lost: &BTreeSet<IpAddr>) {
    for (at, node, address) in cluster.gains() {
        assert!(
            lost.contains(&address),
            "node {node} gained {address} at {at} ms for no reason"
        );
    }
}
