//! Faults: whatever fails, one owner, and what returns takes nothing back.

use crate::{
    FAILOVER, THIRTY, THREE,
    agent::LAN,
    cluster::{Cluster, Options, address},
    expect_only_moved, owned, seeds,
};

#[test]
fn any_single_fault_leaves_one_owner_and_what_returns_takes_nothing_back() {
    type Fault = (
        &'static str,
        fn(&mut Cluster, usize),
        fn(&mut Cluster, usize),
    );
    let faults: [Fault; 4] = [
        ("crash", Cluster::crash, Cluster::start),
        ("pause", Cluster::pause, Cluster::wake),
        (
            "link",
            |c, n| c.set_link(n, false),
            |c, n| c.set_link(n, true),
        ),
        (
            "cut",
            |c, n| c.partition(|m| u8::from(m == n)),
            |c, _| c.partition(|_| 0),
        ),
    ];
    for (seed, options) in seeds(2)
        .into_iter()
        .flat_map(|seed| [(seed, THREE), (seed, THIRTY)])
    {
        let mut cluster = Cluster::settled(seed, options);
        for (what, strike, mend) in faults {
            let victim = cluster.dice.index(options.nodes);
            let lost = owned(&cluster, victim);
            cluster.told.clear();
            cluster.watch.longest_gap = 0;
            strike(&mut cluster, victim);
            cluster.run(1_700);
            let gap = cluster.watch.longest_gap;
            assert!(
                gap <= FAILOVER,
                "{gap} ms without an owner after the {what} of {victim}"
            );
            if what == "cut" {
                cluster.told.retain(|told| told.node != victim);
            } else {
                cluster.expect_owned();
            }
            expect_only_moved(&cluster, &lost);
            cluster.run(2_000);
            cluster.told.clear();
            mend(&mut cluster, victim);
            cluster.run(3_000);
            cluster.expect_owned();
            assert_eq!(
                cluster.gains(),
                [],
                "seed {seed}: after the {what} of {victim} was mended"
            );
        }
    }
}

#[test]
fn survivors_of_a_crash_share_evenly() {
    for seed in seeds(2) {
        let mut cluster = Cluster::settled(seed, Options { loss: 0, ..THIRTY });
        for _ in 0..4 {
            let alive: Vec<_> = (0..THIRTY.nodes)
                .filter(|node| cluster.agents[*node].alive)
                .collect();
            let victim = alive[cluster.dice.index(alive.len())];
            cluster.crash(victim);
            cluster.run(2_500);
            cluster.expect_owned();
            cluster.expect_even();
        }
    }
}

/// Only the switch dies: every node is alone with its carrier up, asks, hears nobody, and claims all.
#[test]
fn after_a_switch_reboots_everything_is_where_it_was() {
    for seed in seeds(3) {
        let options = Options {
            addresses: 300,
            ..THREE
        };
        let mut cluster = Cluster::settled(seed, options);
        let before = cluster.owners();
        for _ in 0..2 {
            cluster.partition(|node| u8::try_from(node).unwrap());
            cluster.run(8_000);
            cluster.partition(|_| 0);
            cluster.run(1_000);
            assert_eq!(cluster.owners(), before, "seed {seed}");
        }
    }
}

#[test]
fn partitions_have_one_owner_a_side_and_heal_within_a_second() {
    for seed in seeds(1) {
        let mut cluster = Cluster::settled(seed, THIRTY);
        for _ in 0..2 {
            let sides = 2 + cluster.dice.below(2);
            let side: Vec<_> = (0..THIRTY.nodes)
                .map(|_| u8::try_from(cluster.dice.below(sides)).unwrap())
                .collect();
            cluster.partition(|node| side[node]);
            let length = 700 + cluster.dice.below(4_000);
            cluster.run(length);
            cluster.partition(|_| 0);
            cluster.run(1_000);
            cluster.expect_owned();
            cluster.run(1_000);
        }
    }
}

/// A node that is heard and hears nothing believes itself alone. It must not pull everything to itself.
#[test]
fn a_deaf_node_takes_nothing_from_the_others() {
    for seed in seeds(1) {
        let mut cluster = Cluster::settled(seed, THIRTY);
        let before = cluster.owners();
        cluster.watch.strict = false;
        cluster.agents[7].deaf = true;
        cluster.run(5_000);
        for (address, owner) in before {
            let place = herald_spi::Place {
                address,
                interface: LAN,
            };
            assert!(
                cluster.agents[owner].out.claims.contains_key(&place),
                "{address} left {owner}"
            );
        }
        cluster.agents[7].deaf = false;
        cluster.run(1_000);
        cluster.expect_owned();
    }
}

/// Heartbeats are lost between two halves that share the wire: who answers there keeps what it has.
#[test]
fn a_firewall_between_agents_moves_nothing() {
    for seed in seeds(2) {
        let mut cluster = Cluster::settled(seed, THREE);
        let before = cluster.owners();
        cluster.ears = vec![0, 1, 1];
        cluster.run(8_000);
        assert_eq!(cluster.owners(), before, "seed {seed}");
        for address in owned(&cluster, 1) {
            let (_, stand) = &cluster.stands(address)[0];
            assert!(
                stand.contains("PeerUnheard") || stand.contains("Rank"),
                "{address}: {stand}"
            );
        }
        cluster.ears = vec![0; 3];
        cluster.run(2_000);
        assert_eq!(cluster.owners(), before, "seed {seed}");
        assert_eq!(cluster.gains(), []);
    }
}

/// Nobody hears anybody from the start, and all claim everything at once: the wire alone must settle it.
#[test]
fn agents_that_never_heard_each_other_come_to_one_owner_each() {
    for (seed, options) in seeds(3)
        .into_iter()
        .flat_map(|seed| [(seed, THREE), (seed, THIRTY)])
    {
        let mut cluster = Cluster::new(seed, Options { skew: 1, ..options });
        cluster.ears = (0..options.nodes)
            .map(|node| u8::try_from(node).unwrap())
            .collect();
        cluster.run(1_100);
        let contested = |cluster: &Cluster| {
            let owners = (0..options.addresses).map(|n| cluster.owners_of(address(n)));
            owners.filter(|owners| *owners != 1).count()
        };
        assert!(contested(&cluster) > 0, "seed {seed}: all claimed at once");
        cluster.run(1_000);
        assert_eq!(contested(&cluster), 0, "seed {seed}");
        cluster.told.clear();
        let before = cluster.owners();
        cluster.run(20_000);
        assert_eq!(cluster.owners(), before, "seed {seed}");
        assert_eq!(cluster.gains(), [], "seed {seed}: nothing flaps");
        for (_, stand) in cluster.stands(address(0)) {
            assert!(
                stand.contains("PeerUnheard") || stand.contains("Announcing"),
                "{stand}"
            );
        }
        // The owner of some dies, and the others take over from it.
        cluster.crash(0);
        cluster.run(4_000);
        assert_eq!(contested(&cluster), 0, "seed {seed}");
        // When the firewall is put right nothing more than who owns what is to be settled, and that is.
        cluster.ears = vec![0; options.nodes];
        cluster.run(2_000);
        cluster.expect_owned();
    }
}

/// A host on the LAN answers for an address: that stops no failover.
#[test]
fn a_stranger_cannot_stop_a_failover() {
    for seed in seeds(2) {
        let mut cluster = Cluster::settled(seed, THREE);
        cluster.strangers.extend((0..THREE.addresses).map(address));
        cluster.crash(0);
        cluster.run(1_100);
        cluster.expect_owned();
    }
}

/// Faults upon faults. No promise about time, but it always comes to rest with one owner each.
#[test]
fn chaos_comes_to_rest() {
    for (seed, options) in seeds(2)
        .into_iter()
        .flat_map(|seed| [(seed, THREE), (seed, THIRTY)])
    {
        let mut cluster = Cluster::settled(
            seed,
            Options {
                loss: 10,
                tick: 2 * options.tick,
                ..options
            },
        );
        cluster.watch.strict = false;
        for _ in 0..40 {
            let node = cluster.dice.index(options.nodes);
            let (alive, paused) = (cluster.agents[node].alive, cluster.agents[node].paused);
            match cluster.dice.below(10) {
                0 | 1 if alive => cluster.crash(node),
                2 if alive && !paused => cluster.pause(node),
                3 if alive => {
                    let up = cluster.agents[node].link_up();
                    cluster.set_link(node, !up);
                }
                4 => cluster.partition(|other| u8::from(other % 3 == node % 3)),
                5 | 6 => cluster.partition(|_| 0),
                7 if alive && !paused => cluster.agents[node].leave(cluster.now),
                8 => cluster.agents[node].stale ^= true,
                _ if paused => cluster.wake(node),
                _ if !alive => cluster.start(node),
                _ => {
                    let name = cluster.name(node);
                    cluster.apply(|api| api.nodes.get_mut(&name).unwrap().excluded ^= true);
                }
            }
            let pause = cluster.dice.below(900);
            cluster.run(pause);
        }
        cluster.partition(|_| 0);
        for node in 0..options.nodes {
            cluster.agents[node].stale = false;
            if cluster.agents[node].paused {
                cluster.wake(node);
            }
            if !cluster.agents[node].alive || cluster.agents[node].out.leaving {
                cluster.start(node);
            }
            cluster.set_link(node, true);
        }
        cluster.apply(|api| {
            api.nodes
                .values_mut()
                .for_each(|node| node.excluded = false)
        });
        cluster.run(6_000);
        cluster.expect_owned();
        cluster.told.clear();
        cluster.run(5_000);
        assert_eq!(cluster.gains(), [], "seed {seed}: at rest");
    }
}
