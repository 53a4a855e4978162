//! Who is alive: quick deaths, and no false ones.

use super::*;

#[test]
fn a_killed_agent_vanishes_within_the_dead_time_and_a_heartbeat() {
    for (count, loss, config) in [
        (3, 0, Config::NORMAL),
        (3, 200, Config::NORMAL),
        (30, 0, Config::NORMAL),
        (30, 200, Config::NORMAL),
        (3, 0, Config::FAST),
        (3, 200, Config::CALM),
    ] {
        let Config {
            heartbeat,
            dead_after,
        } = config;
        for seed in seeds(if count == 3 { 20 } else { 2 }) {
            let mut world = World::with(seed, count, config);
            world.loss = loss;
            world.run_until(ms(5_000), "all agree", World::agrees);
            let moment = world.dice.between(ms(0), ms(400));
            world.run_for(moment);
            world.kill(1);
            let gone = |w: &World| (0..count).all(|at| at == 1 || !w.sees(at, 1));
            let took = world.run_until(dead_after + ms(10), "the dead is gone", gone);
            // Nor too soon: its last heartbeat still counted. With loss, that one may have been lost.
            let soonest = dead_after - heartbeat;
            assert!(loss > 0 || took >= soonest, "seed {seed}: {took:?}");
            assert_eq!(
                world.deaths().len(),
                count - 1,
                "seed {seed}: only one died"
            );
        }
    }
}

/// For 30 agents only half a minute, since a debug build takes 10 s for that; `HERALD_SIM_SECONDS=300` makes it five.
#[test]
fn five_minutes_of_heavy_loss_kill_nobody() {
    let long = std::env::var("HERALD_SIM_SECONDS").map(|seconds| seconds.parse().unwrap());
    for (count, seconds, count_seeds, config) in [
        (3, 300, 5, Config::NORMAL),
        (3, 75, 2, Config::FAST),
        (30, long.unwrap_or(30), 1, Config::NORMAL),
    ] {
        for seed in seeds(count_seeds) {
            let mut world = World::with(seed, count, config);
            world.loss = 200;
            world.run_for(ms(seconds * 1_000));
            assert_eq!(world.deaths(), Vec::<&Notice>::new(), "seed {seed}");
            assert!(world.agrees(), "seed {seed}");
        }
    }
}

#[test]
fn a_starved_process_kills_nobody_and_is_not_killed() {
    for (seed, clock_first) in seeds(5).into_iter().flat_map(|s| [(s, false), (s, true)]) {
        let mut world = World::new(seed, 5);
        world.clock_first = clock_first;
        world.run_until(ms(5_000), "all agree", World::agrees);
        // To be killed with loss would be no wonder for one that is silent for half the time.
        for (loss, longest) in [(0, 290), (100, 130)] {
            world.loss = loss;
            for _ in 0..100 {
                let stall = world.dice.between(ms(1), ms(longest));
                let between = world.dice.between(ms(50), ms(300));
                world.sleep(0, stall);
                world.run_for(stall + between);
            }
        }
        assert_eq!(world.deaths(), Vec::<&Notice>::new(), "seed {seed}");
        assert!(
            world.agents.iter().all(|agent| agent.view.pauses == 0),
            "seed {seed}"
        );
    }
}

#[test]
fn own_sleep_is_not_the_silence_of_peers() {
    // The peer falls silent for most of the dead time, and just then this process sleeps for nearly as long.
    let mut world = World::new(1, 2);
    world.clock_first = true;
    world.run_until(ms(5_000), "all agree", World::agrees);
    world.loss = 1_000;
    world.run_for(ms(290));
    world.loss = 0;
    world.sleep(0, ms(290));
    world.run_for(ms(1_000));
    let buried = |notice: &Notice| matches!(notice, Notice::Died { .. });
    let own = &world.agents[0].notices;
    assert!(!own.iter().any(|(_, notice)| buried(notice)), "{own:?}");
}

#[test]
fn a_dead_peer_is_noticed_by_a_starved_process_too() {
    for seed in seeds(5) {
        let mut world = World::new(seed, 3);
        world.run_until(ms(5_000), "all agree", World::agrees);
        world.kill(1);
        let dead = world.now;
        // It runs for 20 ms of every 100.
        while world.sees(0, 1) {
            world.sleep(0, ms(80));
            world.run_for(ms(100));
            assert!(world.now.since(dead) < ms(900), "seed {seed}");
        }
    }
}

#[test]
fn a_paused_process_buries_nobody_and_learns_that_it_slept() {
    for seed in seeds(10) {
        let mut world = World::new(seed, 4);
        world.claim(0, addresses(0, 10, 1));
        world.run_until(ms(5_000), "all agree", World::agrees);
        let listening = world.agents[0].view.segments[&ETH0].listening_since;
        world.sleep(0, ms(3_000));
        world.run_for(ms(2_500));
        assert!(
            (1..4).all(|at| !world.sees(at, 0)),
            "seed {seed}: to the others it is dead"
        );
        assert_eq!(world.deaths().len(), 3, "seed {seed}");
        world.run_for(ms(600));
        let view = Arc::clone(&world.agents[0].view);
        assert_eq!(view.pauses, 1, "seed {seed}");
        assert!(
            view.segments[&ETH0].listening_since > listening,
            "seed {seed}"
        );
        assert!(
            (1..4).all(|at| world.sees(0, at)),
            "seed {seed}: they are still there for it"
        );
        world.run_until(ms(1_000), "all agree", World::agrees);
        assert_eq!(
            world.deaths().len(),
            3,
            "seed {seed}: nobody died of its pause"
        );
    }
}

#[test]
fn an_agent_that_died_during_a_pause_is_buried_a_dead_time_after_it() {
    let mut world = World::new(1, 3);
    world.run_until(ms(5_000), "all agree", World::agrees);
    world.sleep(0, ms(2_000));
    world.kill(1);
    world.run_for(ms(2_100));
    assert!(world.sees(0, 1) && world.sees(0, 2));
    world.run_until(ms(400), "buried", |w| !w.sees(0, 1));
    assert!(world.sees(0, 2));
}

#[test]
fn the_interfaces_of_a_node_speak_together() {
    for seed in seeds(5) {
        let mut world = World::with(seed, 0, Config::default());
        let at = world.add("a", &[(IfIndex(2), 1), (IfIndex(3), 2), (IfIndex(4), 3)]);
        world.start(at);
        world.run_for(ms(2_000));
        let mut beats = Vec::new();
        for _ in 0..1_000 {
            let before = world.agents[at].sent;
            world.run_for(ms(1));
            beats.push(world.agents[at].sent - before);
        }
        beats.retain(|beat| *beat > 0);
        assert!(
            beats.iter().all(|beat| *beat == 3),
            "seed {seed}: {beats:?}"
        );
        assert!(
            (10..=12).contains(&beats.len()),
            "seed {seed}: {}",
            beats.len()
        );
    }
}

#[test]
fn an_interface_without_carrier_is_silent_and_its_peers_age_out() {
    let mut world = World::new(1, 2);
    world.run_until(ms(5_000), "all agree", World::agrees);
    let listening = world.agents[0].view.segments[&ETH0].listening_since;
    world.agents[0].links.get_mut(&ETH0).unwrap().up = false;
    world.relink(0);
    let sent = world.agents[0].sent;
    world.run_for(ms(450));
    assert_eq!(world.agents[0].sent, sent);
    assert!(!world.sees(0, 1) && !world.sees(1, 0));
    assert!(!world.agents[0].view.segments[&ETH0].up);
    world.agents[0].links.get_mut(&ETH0).unwrap().up = true;
    world.relink(0);
    world.run_until(ms(300), "both are back", World::agrees);
    assert!(world.agents[0].view.segments[&ETH0].listening_since > listening);
}

#[test]
fn who_says_goodbye_is_gone_at_once_and_stays_so() {
    for seed in seeds(10) {
        let mut world = World::new(seed, 3);
        world.loss = 100;
        world.run_until(ms(5_000), "all agree", World::agrees);
        world.feed(1, Input::Leave);
        let leaving = |w: &World, at: usize| {
            w.agents[at].view.segments[&ETH0].peers[&w.agents[1].name].leaving
        };
        world.run_until(ms(400), "all know that it leaves", |w| {
            leaving(w, 0) && leaving(w, 2)
        });
        world.feed(1, Input::Goodbye);
        world.loss = 0;
        world.run_for(ms(3));
        world.kill(1);
        world.run_for(ms(10));
        // All three goodbyes are lost once in a thousand at 10 % loss.
        let still = [0, 2].into_iter().filter(|at| world.sees(*at, 1)).count();
        assert_eq!((still, world.deaths().len()), (0, 0), "seed {seed}");
    }
}

#[test]
fn idle_cost_does_not_grow_with_addresses() {
    let cost = |count| {
        let mut world = World::new(1, 3);
        world.claim(0, addresses(0, count, 1));
        world.run_for(ms(10_000));
        let (sent, bytes, views) = (
            world.agents[0].sent,
            world.agents[0].sent_bytes,
            world.agents[1].views,
        );
        world.run_for(ms(60_000));
        let agents = &world.agents;
        assert_eq!(agents[1].views, views, "a heartbeat is no news");
        (agents[0].sent - sent, (agents[0].sent_bytes - bytes) / 60)
    };
    let (few, few_bytes) = cost(1);
    let (many, many_bytes) = cost(10_000);
    // 600 to 667 beats a minute, give or take the jitter; about 110 bytes each.
    for sent in [few, many] {
        assert!((599..=669).contains(&sent), "{sent}");
    }
    assert!(
        many_bytes <= few_bytes + 40 && many_bytes < 1_600,
        "{few_bytes} {many_bytes}"
    );
}

#[test]
fn a_silent_peer_is_quiet_before_it_is_dead() {
    let mut world = World::new(1, 3);
    world.run_until(ms(5_000), "all agree", World::agrees);
    world.run_for(ms(200));
    world.kill(1);
    let quiet = |w: &World| {
        let peers = &w.agents[0].view.segments[&ETH0].peers;
        peers
            .values()
            .filter(|peer| peer.quiet)
            .map(|peer| peer.mac)
            .collect::<Vec<_>>()
    };
    let took = world.run_until(ms(260), "it is quiet", |w| !quiet(w).is_empty());
    assert!(took >= ms(150), "{took:?}");
    assert_eq!(quiet(&world), [world.agents[1].links[&ETH0].mac]);
    let took = world.run_until(ms(160), "it is dead", |w| !w.sees(0, 1));
    assert!(took >= ms(145), "{took:?}");
    // One that speaks again is not.
    world.sleep(2, ms(270));
    world.run_for(ms(260));
    assert_eq!(quiet(&world), [world.agents[2].links[&ETH0].mac]);
    world.run_for(ms(30));
    assert!(quiet(&world).is_empty() && world.sees(0, 2));
}

/// Each at its own pace, with loss: the slower of two settings counts for both.
#[test]
fn agents_of_different_settings_bear_each_other() {
    for seed in seeds(5) {
        let mut world = World::new(seed, 0);
        for (at, config) in [Config::FAST, Config::NORMAL, Config::CALM, Config::FAST]
            .into_iter()
            .enumerate()
        {
            world.config = config;
            world.add(&format!("node-{at}"), &[(ETH0, 0)]);
            world.start(at);
        }
        world.run_until(ms(5_000), "all agree", World::agrees);
        world.loss = 200;
        world.run_for(ms(60_000));
        assert_eq!(world.deaths(), Vec::<&Notice>::new(), "seed {seed}");
        world.loss = 0;
        world.run_for(ms(1_000));
        world.kill(3);
        // For the other fast one it is dead at once, for the calm one not before its own time.
        let took = world.run_until(ms(110), "fast and fast", |w| !w.sees(0, 3));
        assert!(took >= ms(75), "seed {seed}: {took:?}");
        let took = took + world.run_until(ms(310), "fast and normal", |w| !w.sees(1, 3));
        assert!(took >= ms(375), "seed {seed}: {took:?}");
        let took = took + world.run_until(ms(410), "fast and calm", |w| !w.sees(2, 3));
        assert!(took >= ms(775), "seed {seed}: {took:?}");
    }
}

#[test]
fn a_lost_carrier_is_told_on_another_segment_at_once() {
    let eth1 = IfIndex(3);
    for (seed, vanishes) in seeds(5).into_iter().flat_map(|s| [(s, false), (s, true)]) {
        let mut world = World::new(seed, 0);
        world.delay = (ms(1), ms(2));
        for at in 0..3 {
            world.add(&format!("node-{at}"), &[(ETH0, 0), (eth1, 1)]);
            world.start(at);
        }
        world.run_until(ms(5_000), "all agree", World::agrees);
        let link = world.agents[1].links[&ETH0].clone();
        if vanishes {
            world.agents[1].links.remove(&ETH0);
        } else {
            world.agents[1].links.get_mut(&ETH0).unwrap().up = false;
        }
        world.relink(1);
        let took = world.run_until(ms(15), "the others know", |w| {
            !w.sees(0, 1) && !w.sees(2, 1)
        });
        println!("known after {took:?}");
        let on =
            |w: &World, at: usize, interface| w.agents[at].view.segments[&interface].peers.len();
        assert_eq!(
            (on(&world, 0, ETH0), on(&world, 0, eth1)),
            (1, 2),
            "seed {seed}"
        );
        assert_eq!(world.deaths(), Vec::<&Notice>::new(), "seed {seed}");
        world.run_for(ms(1_000));
        assert!(!world.sees(0, 1), "seed {seed}: it stays so");
        world.agents[1].links.insert(ETH0, link);
        world.relink(1);
        world.run_until(ms(300), "it is back", World::agrees);
        world.run_for(ms(1_000));
        assert!(world.agrees(), "seed {seed}: and stays so");
    }
}
