//! Whole histories with controllers, and an API server, that are broken on purpose: the model must notice each.

use std::collections::BTreeSet;

use crate::{play::Play, promises, quiet, sabotage::Sabotage, seeds};

#[test]
fn broken_controllers_are_noticed() {
    for (sabotage, promises) in [
        (
            Sabotage::NoLocks,
            &[promises::LOCKED, promises::PORTS_LOCKED][..],
        ),
        (
            Sabotage::NoUnlocks,
            &[quiet::NO_LEAK, quiet::NO_LEFTOVERS, quiet::NO_OP],
        ),
        (Sabotage::Evicting, &[promises::STICKS]),
        (Sabotage::Silent, &[promises::WHY]),
    ] {
        let noticed: BTreeSet<_> = (1..=10)
            .filter_map(|seed| broken_by(seed, sabotage))
            .collect();
        let expected = noticed.iter().any(|promise| promises.contains(promise));
        assert!(expected, "{sabotage:?} breaks {noticed:?}");
    }
    for sabotage in [Sabotage::DeafToLocks, Sabotage::Forgetful] {
        let noticed = (1..=60).find_map(|seed| broken_by(seed, sabotage));
        assert!(noticed.is_some(), "{sabotage:?}");
    }
}

#[test]
fn an_api_server_without_preconditions_is_noticed() {
    let mut noticed = (1..=60).filter_map(|seed| {
        let mut one = Play::new(seed, Sabotage::None, false);
        one.server.careless = true;
        seeds::play(&mut one, seeds::STEPS).err()
    });
    assert!(noticed.any(|broken| broken.promise.starts_with("1: ")));
}

fn broken_by(seed: u64, sabotage: Sabotage) -> Option<&'static str> {
    let mut one = Play::new(seed, sabotage, false);
    seeds::play(&mut one, seeds::STEPS)
        .err()
        .map(|broken| broken.promise)
}
