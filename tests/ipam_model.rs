//! The allocator against a naive one that keeps plain sets and looks at every address.
//!
//! A random history of users (Services made, edited, deleted, made again; pools edited) and of a controller that dies
//! between any two of its steps is played to both. They must give the same answers for the same reasons, and what
//! users were promised must hold after every step. A failing history is shrunk, printed, and kept by proptest.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy exempts only the test functions themselves, not what they call"
)]

#[path = "ipam_model/naive.rs"]
mod naive;
#[path = "ipam_model/play.rs"]
mod play;
#[path = "ipam_model/promises.rs"]
mod promises;
#[path = "ipam_model/records.rs"]
mod records;
#[path = "ipam_model/script.rs"]
mod script;
#[path = "ipam_model/sharing.rs"]
mod sharing;
#[path = "ipam_model/waits.rs"]
mod waits;

use std::collections::BTreeSet;

use proptest::{
    prelude::*,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

use play::Play;
use script::{Step, pools, step};

fn steps() -> impl Strategy<Value = Vec<Step>> {
    (pools(), prop::collection::vec(step(), 1..60)).prop_map(|(pools, mut steps)| {
        steps.insert(0, pools);
        steps
    })
}

/// Twice the usual number of histories; `PROPTEST_CASES` asks for more.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases.saturating_mul(2),
        ..usual
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_allocator_does_what_the_naive_one_does(steps in steps()) {
        let mut play = Play::new();
        for step in steps {
            play.step(step);
        }
    }
}

/// The histories reach every kind of answer: else the comparison above would say little.
#[test]
fn the_histories_reach_every_kind_of_answer() {
    let seen = std::cell::RefCell::new(BTreeSet::new());
    let config = ProptestConfig {
        cases: 250,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let always_the_same = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, always_the_same);
    let outcome = runner.run(&steps(), |steps| {
        let mut play = Play::new();
        for step in steps {
            play.step(step);
        }
        seen.borrow_mut().extend(play.seen);
        Ok(())
    });
    outcome.unwrap();
    let expected = [
        "AddressInUse",
        "AddressNotInPool",
        "AddressReserved",
        "FamilyUnavailable",
        "InvalidRequest",
        "NoPool",
        "PoolExhausted",
        "PoolNotAllowed",
        "PoolNotFound",
        "PortInUse",
        "QuotaExceeded",
        "SharingKeyMismatch",
        "adopted beside others",
        "fault Empty",
        "fault InvalidSelector",
        "fault Overlap",
        "flag NotAllowed",
        "flag OutsidePool",
        "flag OverQuota",
        "flag PoolGone",
        "flag PoolNotReady",
        "granted, both from one pool",
        "granted, both from two pools",
        "granted, family added",
        "granted, kept for it",
        "granted, moved",
        "granted, other family lacking",
        "granted, shared",
        "held outside every pool",
        "kept as published, though not the lowest",
        "kept outside its pool",
        "pool changed under a holding",
        "refused with an address in hand",
        "replayed",
        "settled after a restart",
        "woken by Address",
        "woken by AnyPool",
        "woken by Free",
        "woken by Key",
        "woken by Pool",
        "woken by Quota",
    ];
    let missing: Vec<_> = expected
        .iter()
        .filter(|kind| !seen.borrow().contains(**kind))
        .collect();
    assert!(missing.is_empty(), "never seen: {missing:?}");
}
