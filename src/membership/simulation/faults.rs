//! Restarts, partitions, doubles, recordings, keys.

use super::*;

const OTHER_KEY: &str = "Hx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8=";

fn peer(world: &World, at: usize, other: usize) -> Option<&Peer> {
    world.agents[at].view.segments[&ETH0]
        .peers
        .get(&world.agents[other].name)
}

#[test]
fn a_restart_replaces_the_former_life_at_once() {
    for seed in seeds(10) {
        let mut world = World::new(seed, 3);
        world.loss = 100;
        world.claim(1, addresses(0, 2_000, 1));
        world.run_until(ms(5_000), "all agree", World::agrees);
        world.kill(1);
        world.run_for(ms(100));
        world.claim(1, addresses(0, 5, 2));
        world.start(1);
        let new = |w: &World| peer(w, 0, 1).is_some_and(|p| p.incarnation == Incarnation(1_001));
        world.run_until(ms(400), "the new life is heard", new);
        assert!(
            peer(&world, 0, 1).unwrap().claims.len() <= 5,
            "seed {seed}: the old claims are void"
        );
        world.run_until(ms(2_000), "all agree again", World::agrees);
        assert_eq!(world.deaths().len(), 0, "seed {seed}");
    }
}

#[test]
fn a_restart_with_the_clock_set_back_is_renumbered() {
    let mut world = World::new(1, 3);
    world.run_until(ms(5_000), "all agree", World::agrees);
    world.kill(1);
    world.run_for(ms(100));
    world.start_as(1, Incarnation(7));
    world.run_for(ms(1_500));
    assert!(world.agrees());
    assert_eq!(world.agents[1].view.incarnation, Incarnation(1_001));
    assert_eq!(peer(&world, 0, 1).unwrap().incarnation, Incarnation(1_001));
    let renumbered = Notice::Renumbered {
        incarnation: Incarnation(1_001),
    };
    assert!(
        world.agents[1]
            .notices
            .iter()
            .any(|(_, notice)| *notice == renumbered)
    );
}

#[test]
fn of_two_processes_with_one_name_the_newer_wins_and_both_are_named() {
    let mut world = World::new(1, 2);
    let double = world.add("node-1", &[(ETH0, 0)]);
    world.start_as(double, Incarnation(5_000));
    world.run_for(ms(5_000));
    assert_eq!(peer(&world, 0, 1).unwrap().incarnation, Incarnation(5_000));
    let (older, newer) = (Mac([2, 0, 0, 0, 2, 1]), Mac([2, 0, 0, 0, 2, 2]));
    let expected = Notice::TwoLives {
        node: NodeName::from("node-1"),
        newer,
        older,
    };
    let named = world.agents[0]
        .notices
        .iter()
        .filter(|(_, notice)| *notice == expected);
    assert_eq!(named.count(), 1, "{:?}", world.agents[0].notices);
    // Each of the two hears the other, and says so once.
    for (at, incarnation, mac) in [(1, 5_000, newer), (double, 1_000, older)] {
        let namesake = world.agents[at].view.namesake.clone().unwrap();
        assert_eq!(
            (namesake.incarnation, namesake.mac),
            (Incarnation(incarnation), mac)
        );
        assert!(!namesake.on_this_host);
        let said = |notice: &Notice| matches!(notice, Notice::Namesake(_));
        assert_eq!(
            world.agents[at]
                .notices
                .iter()
                .filter(|(_, n)| said(n))
                .count(),
            1
        );
    }
    world.kill(double);
    world.run_for(ms(1_000));
    assert_eq!(world.agents[1].view.namesake, None);
}

#[test]
fn a_partition_splits_and_heals() {
    for seed in seeds(10) {
        let mut world = World::new(seed, 6);
        world.loss = 50;
        for at in 0..6 {
            world.claim(at, addresses(u32::try_from(at).unwrap() * 100, 100, 1));
        }
        world.run_until(ms(5_000), "all agree", World::agrees);
        world.groups = (0..6).map(|at| (at, u32::from(at >= 3))).collect();
        world.run_for(ms(1_200));
        for (at, other) in (0..6).flat_map(|at| (0..6).map(move |other| (at, other))) {
            assert_eq!(
                world.sees(at, other),
                at != other && (at < 3) == (other < 3),
                "seed {seed}"
            );
        }
        // Both sides go on, and claim the same.
        for at in [0, 5] {
            world.claim(at, addresses(5_000, 100, 9));
        }
        world.run_for(ms(5_000));
        world.groups.clear();
        let took = world.run_until(ms(1_000), "all agree again", World::agrees);
        println!("healed within {took:?}");
    }
}

#[test]
fn recordings_wake_nobody_and_change_nothing() {
    let mut world = World::new(3, 3);
    world.recording = Some(Vec::new());
    world.claim(1, addresses(0, 10, 1));
    world.run_for(ms(2_000));
    world.claim(1, addresses(0, 3, 2));
    world.run_for(ms(2_000));
    let mut recording = world.recording.take().unwrap();
    world.kill(1);
    world.run_for(ms(1_000));
    assert!(!world.sees(0, 1));
    let views = world.agents[0].views;
    for (n, bytes) in recording.drain(..).enumerate() {
        world.deliver_at(world.now + ms(n as u64), 0, ETH0, bytes);
    }
    world.run_for(ms(1_000));
    assert_eq!(world.agents[0].views, views);
    assert_eq!(world.deaths().len(), 2);
    let counters = world.agents[0].core.as_ref().unwrap().counters();
    assert!(counters.stale.get() + counters.duplicates.get() > 0);
}

#[test]
fn keys_are_replaced_one_agent_after_the_other_without_a_gap() {
    let mut world = World::new(1, 4);
    world.run_until(ms(5_000), "all agree", World::agrees);
    let (both, swapped) = (format!("{KEY}\n{OTHER_KEY}"), format!("{OTHER_KEY}\n{KEY}"));
    for text in [both.as_str(), swapped.as_str(), OTHER_KEY] {
        for at in 0..4 {
            world.feed(at, Input::Keys(keys(text)));
            world.run_for(ms(1_500));
        }
    }
    assert_eq!(world.deaths(), Vec::<&Notice>::new());
    assert!(world.agrees());
}

#[test]
fn a_foreign_key_is_refused_and_said_once_a_minute() {
    let mut world = World::new(1, 2);
    world.feed(1, Input::Keys(keys(OTHER_KEY)));
    world.run_for(ms(130_000));
    assert!(!world.sees(0, 1) && !world.sees(1, 0));
    let refused = world.agents[0]
        .notices
        .iter()
        .filter_map(|(_, notice)| match notice {
            Notice::Refused { count, .. } => Some(*count),
            _ => None,
        });
    let refused: Vec<u64> = refused.collect();
    assert_eq!(
        refused.len(),
        3,
        "at once, after one minute and after two: {refused:?}"
    );
    assert!(refused[0] == 1 && refused[1] > 590, "{refused:?}");
}

#[test]
fn own_interfaces_on_one_segment_are_found() {
    let (eth1, eth2) = (IfIndex(3), IfIndex(4));
    let mut world = World::new(1, 0);
    world.add("one", &[(ETH0, 0), (eth1, 0), (eth2, 7)]);
    world.add("two", &[(ETH0, 0)]);
    world.add("three", &[(ETH0, 7)]);
    (0..3).for_each(|at| world.start(at));
    world.run_for(ms(1_000));
    let same = |w: &World, of: IfIndex| w.agents[0].view.segments[&of].same_segment.clone();
    assert_eq!(same(&world, ETH0), BTreeSet::from([eth1]));
    assert_eq!(same(&world, eth1), BTreeSet::from([ETH0]));
    assert_eq!(same(&world, eth2), BTreeSet::new());
    // The others see one agent, not two.
    assert_eq!(world.agents[1].view.segments[&ETH0].peers.len(), 1);
    assert!(world.agents[0].view.namesake.is_none());
    let known = &world.agents[2].view.known_macs;
    assert_eq!(known.len(), 4, "three of the first and its own: {known:?}");
    world.agents[0].plugged.insert(eth1, 9);
    world.run_for(ms(1_200));
    assert_eq!(same(&world, ETH0), BTreeSet::new());
}
