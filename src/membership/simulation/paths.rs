//! The second path: what its words bring about, and what they must not.

use super::*;
use crate::membership::message::{Body, Message};

/// Three agents that hear each other on both paths.
fn three(seed: u64) -> World {
    let mut world = World::new(seed, 3);
    world.introduce();
    let reached = |w: &World| w.agents.iter().all(|a| a.view.reached.len() == 2);
    world.run_until(ms(5_000), "all reach each other", reached);
    world.run_until(ms(5_000), "all agree", World::agrees);
    world
}

fn name(at: usize) -> NodeName {
    NodeName::new(format!("node-{at}"))
}

fn set_carrier(world: &mut World, at: usize, up: bool) {
    world.agents[at].links.get_mut(&ETH0).unwrap().up = up;
    world.relink(at);
}

fn gone(world: &World, at: usize) -> bool {
    (0..world.agents.len()).all(|by| by == at || !world.sees(by, at))
}

#[test]
fn a_lost_carrier_is_known_at_once_by_the_second_path_and_else_after_the_dead_time() {
    for seed in seeds(30) {
        let mut world = three(seed);
        let moment = world.dice.between(ms(0), ms(200));
        world.run_for(moment);
        set_carrier(&mut world, 1, false);
        let took = world.run_until(ms(10), "told", |w| gone(w, 1));
        assert!(took <= ms(10), "seed {seed}: {took:?}");
        world.run_for(ms(5));
        for at in [0, 2] {
            let segment = &world.agents[at].view.segments[&ETH0];
            assert!(segment.dark.contains(&name(1)), "seed {seed}");
            assert!(segment.lost.contains_key(&name(1)), "seed {seed}");
            assert!(world.agents[at].view.reached.contains(&name(1)));
        }
        world.run_for(ms(5_000));
        assert!(gone(&world, 1), "seed {seed}: what it says afar is no life");
        set_carrier(&mut world, 1, true);
        world.run_until(ms(500), "heard again", World::agrees);
        world.run_for(ms(50));
        assert!(world.agents[0].view.segments[&ETH0].dark.is_empty());
        assert_eq!(
            world.deaths().len(),
            2,
            "seed {seed}: only what the mute one heard"
        );

        world.routed_loss = 1_000;
        world.run_for(ms(1_000));
        set_carrier(&mut world, 1, false);
        let took = world.run_until(ms(420), "silent", |w| gone(w, 1));
        assert!(took >= ms(290), "seed {seed}: {took:?}");
    }
}

#[test]
fn with_a_fifth_lost_on_the_second_path_a_lost_carrier_is_known_as_quickly() {
    let mut late = 0;
    for seed in seeds(100) {
        let mut world = three(seed);
        world.routed_loss = 200;
        world.delay = (ms(1), ms(30));
        world.run_for(ms(300));
        set_carrier(&mut world, 1, false);
        let took = world.run_until(ms(440), "gone", |w| gone(w, 1));
        late += u32::from(took > ms(80));
        // A heartbeat that was under way when the carrier went does not wake it.
        world.run_for(ms(100));
        assert!(gone(&world, 1), "seed {seed}");
    }
    assert!(
        late <= 4,
        "{late} of 100, where 2 of 125 are expected for each hearer"
    );
}

#[test]
fn whoever_is_silent_on_its_segment_is_lost_however_much_it_says_elsewhere() {
    for seed in seeds(20) {
        let mut world = three(seed);
        // Its heartbeats are blocked, and it does not know.
        world.groups.insert(1, 9);
        let took = world.run_until(ms(420), "lost", |w| gone(w, 1));
        assert!(took >= ms(290), "seed {seed}: {took:?}");
        world.run_for(ms(20_000));
        assert!(gone(&world, 1), "seed {seed}");
        let view = &world.agents[0].view;
        assert!(view.reached.contains(&name(1)), "seed {seed}");
        assert!(view.segments[&ETH0].dark.is_empty(), "seed {seed}");
        // Once it is dead, that shows as well.
        world.kill(1);
        let silent = |w: &World| w.agents[0].view.reached.len() == 1;
        world.run_until(ms(4_500), "reached no more", silent);
    }
}

#[test]
fn a_second_path_that_is_cut_costs_nobody_anything() {
    for seed in seeds(20) {
        let mut world = three(seed);
        world.routed_loss = 1_000;
        world.run_for(ms(20_000));
        assert!(world.agrees(), "seed {seed}");
        assert_eq!(world.deaths().len(), 0, "seed {seed}");
        assert!(
            world
                .agents
                .iter()
                .all(|agent| agent.view.reached.is_empty())
        );
    }
}

#[test]
fn leaving_and_goodbye_arrive_where_the_segment_is_mute() {
    let mut world = three(5);
    // Nobody hears it on the segment from now on.
    world.groups.insert(1, 9);
    world.feed(1, Input::Leave);
    let leaving = |w: &World| {
        let peer = w.agents[0].view.segments[&ETH0].peers.get(&name(1));
        peer.is_some_and(|peer| peer.leaving)
    };
    world.run_until(ms(10), "leaving", leaving);
    world.feed(1, Input::Goodbye);
    world.kill(1);
    world.run_until(ms(10), "gone", |w| gone(w, 1));
    assert_eq!(world.deaths().len(), 0);
}

#[test]
fn a_word_on_a_segment_and_a_heartbeat_afar_are_nothing() {
    let mut world = three(6);
    world.recording = Some(Vec::new());
    world.groups.insert(1, 9);
    world.routed_loss = 1_000;
    world.run_for(ms(3_000));
    assert!(gone(&world, 1));
    let recording = world.recording.take().unwrap();
    world.kill(1);
    world.run_for(ms(5_000));
    let read = |bytes: &Vec<u8>| Message::decode(keys(KEY).open(bytes).unwrap()).unwrap();
    let of_it = recording
        .into_iter()
        .filter(|bytes| read(bytes).header.node == name(1));
    let (words, beats): (Vec<_>, Vec<_>) =
        of_it.partition(|bytes| matches!(read(bytes).body, Body::Word(_)));
    assert!(!words.is_empty() && !beats.is_empty());
    // What was said by one path is played on the other; of it, nothing was heard here before.
    let played = words.len() + beats.len();
    for bytes in words {
        world.hear(0, Some(ETH0), bytes);
    }
    for bytes in beats {
        world.hear(0, None, bytes);
    }
    world.run_for(ms(10));
    assert!(gone(&world, 1) && !world.agents[0].view.reached.contains(&name(1)));
    let counters = world.agents[0].core.as_ref().unwrap().counters();
    assert_eq!(counters.wrong_path.get(), played as u64);
}

#[test]
fn recorded_words_take_nobodys_life() {
    for seed in seeds(5) {
        let mut world = three(seed);
        world.recording = Some(Vec::new());
        set_carrier(&mut world, 1, false);
        world.run_for(ms(2_000));
        let recording = world.recording.take().unwrap();
        set_carrier(&mut world, 1, true);
        world.run_until(ms(2_000), "heard again", World::agrees);
        let lost = |w: &World| {
            let core = w.agents[0].core.as_ref().unwrap();
            core.counters().carriers_lost.get()
        };
        assert_eq!(lost(&world), 1);
        for bytes in recording {
            world.hear(0, None, bytes.clone());
            world.hear(0, Some(ETH0), bytes);
        }
        world.run_for(ms(1_000));
        assert!(world.agrees(), "seed {seed}");
        assert_eq!(lost(&world), 1, "seed {seed}");
        // Nor those of a life before: a new agent that never heard them believes the living.
        world.kill(0);
        world.start(0);
        world.introduce();
        world.run_until(ms(2_000), "all agree", World::agrees);
    }
}

#[test]
fn a_quiet_node_says_one_word_a_second_to_each_other() {
    let mut world = World::new(9, 30);
    world.introduce();
    world.run_for(ms(5_000));
    let sent = |w: &World| w.agents[3].sent_routed;
    let before = sent(&world);
    world.run_for(ms(20_000));
    let a_second = (sent(&world) - before) / 20;
    assert!((29..=33).contains(&a_second), "{a_second}");
}

#[test]
fn the_addresses_of_a_node_never_heard_on_a_segment_are_known_by_its_words() {
    let mut world = World::new(4, 0);
    for at in 0..2 {
        world.add(name(at).as_str(), &[(ETH0, 0)]);
        world.groups.insert(at, u32::try_from(at).unwrap());
        world.start(at);
    }
    world.introduce();
    let known = |w: &World| {
        w.agents[0]
            .view
            .known_macs
            .contains(&Mac([2, 0, 0, 0, 2, 1]))
    };
    world.run_until(ms(200), "known", known);
    assert!(!world.sees(0, 1));
}
