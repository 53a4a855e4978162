//! Claims reach everyone, whole, soon and in whatever weather.

use super::*;

#[test]
fn claims_converge_to_equal_views() {
    for (count, seeds_count) in [(3, 10), (30, 1)] {
        for (seed, loss) in seeds(seeds_count)
            .into_iter()
            .flat_map(|s| [(s, 0), (s, 100), (s, 200)])
        {
            let mut world = World::new(seed, count);
            world.loss = loss;
            for at in 0..count {
                let from = u32::try_from(at).unwrap() * 100;
                world.claim(at, addresses(from, 100, 1));
            }
            world.run_until(ms(3_000), "all agree", World::agrees);
            // A storm of small changes, some of which cross.
            for round in 0..50_u32 {
                let at = usize::try_from(world.dice.next() % count as u64).unwrap();
                let from = u32::try_from(at).unwrap() * 100;
                let many = u32::try_from(world.dice.next() % 100).unwrap();
                world.claim(at, addresses(from, many, u64::from(round)));
                world.run_for(ms(13));
            }
            world.run_until(ms(2_000), "all agree again", World::agrees);
        }
    }
}

#[test]
fn ten_thousand_claims_arrive_in_time() {
    for (loss, within) in [(0, 500), (200, 2_500)] {
        for seed in seeds(3) {
            let mut world = World::new(seed, 3);
            world.loss = loss;
            world.claim(0, addresses(0, 10_000, 1));
            let took = world.run_until(ms(within), "all have them", World::agrees);
            println!("loss {loss} per mille: 10,000 claims in {took:?}");
            // One more is one small message, not a new set.
            let (sent, full) = (world.agents[0].sent, full_syncs(&world));
            let mut claims = addresses(0, 10_000, 1);
            claims.extend(addresses(20_000, 1, 1));
            world.claim(0, claims);
            let took = world.run_until(ms(800), "the change", World::agrees);
            println!("loss {loss} per mille: one more in {took:?}");
            assert!(loss > 0 || took < ms(10), "seed {seed}: {took:?}");
            assert!(world.agents[0].sent - sent < 40, "seed {seed}");
            assert_eq!(full_syncs(&world), full, "seed {seed}");
        }
    }
}

#[test]
fn a_takeover_of_thousands_arrives_in_time() {
    for seed in seeds(3) {
        let mut world = World::new(seed, 4);
        world.loss = 50;
        for at in 0..4 {
            world.claim(at, addresses(u32::try_from(at).unwrap() * 3_000, 3_000, 1));
        }
        world.run_until(ms(5_000), "all agree", World::agrees);
        world.kill(0);
        world.run_until(ms(1_200), "it is gone", |w| (1..4).all(|at| !w.sees(at, 0)));
        for at in 1..4 {
            let mut claims = world.agents[at].claims.clone();
            claims.extend(addresses(
                (u32::try_from(at).unwrap() - 1) * 1_000,
                1_000,
                2,
            ));
            world.claim(at, claims);
        }
        let took = world.run_until(ms(1_500), "all agree again", World::agrees);
        println!("3,000 addresses taken over by three: {took:?}");
    }
}

#[test]
fn a_newcomer_gets_all_claims_of_all() {
    for seed in seeds(5) {
        let mut world = World::new(seed, 10);
        world.loss = 100;
        for at in 0..9 {
            world.claim(at, addresses(u32::try_from(at).unwrap() * 1_000, 1_000, 3));
        }
        world.kill(9);
        world.run_for(ms(5_000));
        world.start(9);
        let took = world.run_until(ms(2_000), "the newcomer has all", World::agrees);
        println!("9 x 1,000 claims to a newcomer at 10 % loss: {took:?}");
    }
}

#[test]
fn until_the_claims_are_complete_the_view_says_so() {
    let mut world = World::new(1, 1);
    world.claim(0, addresses(0, 5_000, 1));
    world.run_for(ms(1_000));
    world.add("late", &[(ETH0, 0)]);
    world.start(1);
    world.run_until(ms(300), "it is heard", |w| w.sees(1, 0));
    let peer = |w: &World| w.agents[1].view.segments[&ETH0].peers[&w.agents[0].name].clone();
    assert!(!peer(&world).synced);
    world.run_until(ms(1_000), "complete", |w| peer(w).synced);
    assert_eq!(peer(&world).claims.len(), 5_000);
    // An agent without claims is complete from its first word.
    assert!(
        world.agents[0].view.segments[&ETH0]
            .peers
            .values()
            .all(|peer| peer.synced)
    );
}

#[test]
fn claims_are_said_at_once_and_changes_in_a_row_go_together() {
    let mut world = World::new(1, 2);
    world.run_for(ms(2_000));
    let sent = world.agents[0].sent;
    for count in 1..=100 {
        world.claim(0, addresses(0, count, 1));
    }
    world.run_until(ms(15), "all 100", World::agrees);
    assert!(
        world.agents[0].sent - sent <= 4,
        "{}",
        world.agents[0].sent - sent
    );
}

fn full_syncs(world: &World) -> u64 {
    let cores = world.agents.iter().filter_map(|agent| agent.core.as_ref());
    cores.map(|core| core.counters().full_syncs.get()).sum()
}

/// The simulation refuses datagrams of more than 1,200 bytes.
#[test]
fn datagrams_stay_short_whatever_a_node_is_called_and_has() {
    for seed in seeds(3) {
        let mut world = World::new(seed, 0);
        world.loss = 200;
        for letter in ["a", "b", "c"] {
            let at = world.add(&letter.repeat(253), &[(ETH0, 0)]);
            let agent = &mut world.agents[at];
            for n in 3..60 {
                let unplugged = Link {
                    up: false,
                    ..link(at, IfIndex(n))
                };
                agent.plugged.insert(unplugged.index, n);
                agent.links.insert(unplugged.index, unplugged);
            }
            let eth0 = agent.links.get_mut(&ETH0).unwrap();
            eth0.name = "x".repeat(15);
            let nets = (0..40).map(|n| format!("fd00:{n}::1:2:3:4/64"));
            eth0.addresses
                .extend(nets.map(|net| net.parse::<ipnet::IpNet>().unwrap()));
            world.start_as(at, Incarnation(u64::MAX - 5));
            world.claim(at, addresses(0, 3_000, u64::MAX));
        }
        world.run_until(ms(20_000), "all agree", World::agrees);
        // Silence makes the others ask for many names at once.
        world.loss = 1_000;
        world.run_for(ms(800));
        world.loss = 0;
        world.run_until(ms(1_000), "all agree again", World::agrees);
        let peers = &world.agents[0].view.segments[&ETH0].peers;
        assert!(
            peers
                .values()
                .all(|peer| peer.subnets.len() == 16 && peer.macs.len() == 16)
        );
    }
}
