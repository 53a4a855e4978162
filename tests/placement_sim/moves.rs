//! Moves that somebody wants, and views that lag behind.

use std::sync::Arc;

use herald::placement::{NodeFacts, Nodes, Policy, Rule};
use herald_spi::NodeName;

use crate::{
    THIRTY, THREE,
    agent::View,
    cluster::{Cluster, Options, address},
    owned, seeds,
};

#[test]
fn planned_moves_leave_no_moment_without_an_owner() {
    for (seed, options) in seeds(1)
        .into_iter()
        .flat_map(|seed| [(seed, THREE), (seed, THIRTY)])
    {
        let mut cluster = Cluster::settled(seed, Options { loss: 0, ..options });
        cluster.watch.gapless = true;
        // A rollout, node by node.
        for node in 0..options.nodes.min(6) {
            cluster.agents[node].leave(cluster.now);
            cluster.run(300);
            assert!(cluster.agents[node].out.done, "node {node} could hand over");
            cluster.crash(node);
            cluster.run(200);
            cluster.start(node);
            cluster.run(2_000);
        }
        // Excluded by label and back.
        let node = cluster.dice.index(options.nodes);
        let name = cluster.name(node);
        for excluded in [true, false] {
            cluster.apply(|api| api.nodes.get_mut(&name).unwrap().excluded = excluded);
            cluster.run(1_000);
            assert!(!excluded || owned(&cluster, node).is_empty());
            cluster.expect_owned();
        }
        assert!(cluster.watch.longest_overlap <= 200);
    }
}

/// Whatever is planned: the next owner is heard to claim before the old one stops.
#[test]
fn whatever_ends_a_candidacy_leaves_no_moment_without_an_owner() {
    type Change = (
        &'static str,
        fn(&mut View, &NodeName),
        fn(&mut View, &NodeName),
    );
    let changes: [Change; 6] = [
        (
            "exclusion label",
            |api, name| api.nodes.get_mut(name).unwrap().excluded = true,
            |api, name| api.nodes.get_mut(name).unwrap().excluded = false,
        ),
        (
            "deletion",
            |api, name| api.nodes.get_mut(name).unwrap().deleting = true,
            |api, name| api.nodes.get_mut(name).unwrap().deleting = false,
        ),
        (
            "object gone",
            |api, name| api.nodes.retain(|node, _| node != name),
            |api, name| api.nodes.extend([(name.clone(), NodeFacts::default())]),
        ),
        (
            "out of service",
            |api, name| api.nodes.get_mut(name).unwrap().out_of_service = true,
            |api, name| api.nodes.get_mut(name).unwrap().out_of_service = false,
        ),
        (
            "network unavailable",
            |api, name| api.nodes.get_mut(name).unwrap().network_unavailable = true,
            |api, name| api.nodes.get_mut(name).unwrap().network_unavailable = false,
        ),
        ("selector", leave_out, |api, _| select(api, Nodes::Every)),
    ];
    for (seed, options) in seeds(1)
        .into_iter()
        .flat_map(|seed| [(seed, THREE), (seed, THIRTY)])
    {
        let mut cluster = Cluster::settled(seed, Options { loss: 0, ..options });
        cluster.watch.gapless = true;
        for (what, change, back) in changes {
            // One that owns something: who came back takes nothing back.
            let node = *cluster.owners().values().next().unwrap();
            let name = cluster.name(node);
            cluster.apply(|api| change(api, &name));
            cluster.run(1_000);
            assert!(owned(&cluster, node).is_empty(), "seed {seed}: {what}");
            cluster.expect_owned();
            cluster.apply(|api| back(api, &name));
            cluster.run(500);
        }
        assert!(cluster.watch.longest_overlap <= 200);
    }
}

fn leave_out(api: &mut View, name: &NodeName) {
    let others = api.nodes.keys().filter(|node| *node != name).cloned();
    select(api, Nodes::Only(Arc::new(others.collect())));
}

fn select(api: &mut View, nodes: Nodes) {
    let rules: Arc<[Rule]> = Arc::new([Rule {
        nodes,
        ..Rule::default()
    }]);
    for facts in api.addresses.values_mut() {
        facts.rules = Arc::clone(&rules);
    }
}

/// Who is not ready or has an ill kube-proxy keeps what it owns, and gets nothing more while others can.
#[test]
fn who_is_not_ready_keeps_what_it_owns_and_is_chosen_last() {
    for seed in seeds(2) {
        let mut cluster = Cluster::settled(seed, Options { loss: 0, ..THREE });
        let name = cluster.name(1);
        let before = cluster.owners();
        cluster.apply(|api| api.nodes.get_mut(&name).unwrap().unready = true);
        cluster.run(2_000);
        assert_eq!(cluster.owners(), before, "seed {seed}");
        let kept = owned(&cluster, 1);
        cluster.crash(0);
        cluster.run(2_000);
        cluster.expect_owned();
        assert_eq!(owned(&cluster, 1), kept, "seed {seed}");
        // It is better than nobody.
        cluster.crash(2);
        cluster.run(2_000);
        cluster.expect_owned();
    }
}

#[test]
fn a_local_service_follows_its_endpoints() {
    for seed in seeds(4) {
        let mut cluster = Cluster::settled(seed, Options { loss: 0, ..THREE });
        let serve = |cluster: &mut Cluster, ready: &[usize], terminating: &[usize]| {
            let set = |nodes: &[usize]| nodes.iter().map(|node| cluster.name(*node)).collect();
            let policy = Policy::Local {
                ready: set(ready),
                terminating: set(terminating),
            };
            cluster.apply(|api| {
                let facts = api.addresses.get_mut(&address(0)).unwrap();
                facts.services.first_mut().unwrap().policy = policy;
            });
            cluster.run(1_000);
            cluster.owners().get(&address(0)).copied()
        };
        cluster.watch.gapless = true;
        assert_eq!(serve(&mut cluster, &[1], &[]), Some(1));
        assert_eq!(serve(&mut cluster, &[1, 2], &[]), Some(1), "sticky");
        assert_eq!(serve(&mut cluster, &[2], &[1]), Some(2));
        assert_eq!(serve(&mut cluster, &[], &[2]), Some(2));
        assert_eq!(serve(&mut cluster, &[0], &[]), Some(0));
        assert_eq!(serve(&mut cluster, &[], &[]), None);
        cluster.watch.gapless = false;
        assert_eq!(serve(&mut cluster, &[1], &[]), Some(1));
    }
}

#[test]
fn new_addresses_are_claimed_once_and_evenly() {
    for seed in seeds(1) {
        let mut cluster = Cluster::settled(
            seed,
            Options {
                loss: 0,
                addresses: 0,
                ..THIRTY
            },
        );
        let model = Cluster::new(seed, THIRTY).api.addresses.clone();
        cluster.watch.strict = false;
        for (address, facts) in model {
            cluster.apply(|api| drop(api.addresses.insert(address, facts)));
            let pause = cluster.dice.below(60);
            cluster.run(pause);
        }
        cluster.run(2_000);
        cluster.expect_owned();
        assert!(cluster.watch.longest_overlap <= 200);
        let mut loads = vec![0_u32; THIRTY.nodes];
        cluster
            .owners()
            .into_values()
            .for_each(|owner| loads[owner] += 1);
        assert!(loads.iter().all(|load| (1..=4).contains(load)), "{loads:?}");
    }
}

/// Chosen nodes have not heard of the addresses: the next in line claims them.
#[test]
fn a_stale_view_of_the_chosen_one_costs_one_rank() {
    for seed in seeds(4) {
        let mut cluster = Cluster::settled(seed, THREE);
        cluster.watch.strict = false;
        let facts = cluster.api.addresses[&address(0)].clone();
        for node in 0..2 {
            cluster.agents[node].stale = true;
        }
        let new: Vec<_> = (900..906).map(address).collect();
        cluster.apply(|api| {
            new.iter()
                .for_each(|address| drop(api.addresses.insert(*address, facts.clone())))
        });
        cluster.run(2_000);
        let owners = cluster.owners();
        assert!(
            new.iter().any(|address| !owners.contains_key(address)),
            "none was chosen elsewhere"
        );
        cluster.run(2 * 4_000);
        let owners = cluster.owners();
        assert!(
            new.iter().all(|address| owners.get(address) == Some(&2)),
            "{owners:?}"
        );
    }
}

/// One node believes that it alone is left, all others that it alone is excluded, and none ever learns better.
#[test]
fn views_that_disagree_do_not_storm() {
    for seed in seeds(4) {
        let mut cluster = Cluster::settled(
            seed,
            Options {
                addresses: 6,
                ..THREE
            },
        );
        cluster.watch.strict = false;
        let name = cluster.name(1);
        cluster.apply(|api| {
            api.nodes
                .iter_mut()
                .for_each(|(node, facts)| facts.excluded = *node != name);
        });
        cluster.run(1_000);
        cluster.agents[1].stale = true;
        cluster.apply(|api| {
            api.nodes
                .iter_mut()
                .for_each(|(node, facts)| facts.excluded = *node == name);
        });
        cluster.told.clear();
        cluster.run(60_000);
        let moves = cluster.gains().len() / 6;
        assert!(
            (4..40).contains(&moves),
            "{moves} moves of each address in a minute"
        );
        cluster.agents[1].stale = false;
        cluster.apply(|_| ());
        cluster.run(20_000);
        cluster.expect_owned();
        assert!(owned(&cluster, 1).is_empty());
    }
}
