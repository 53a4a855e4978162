//! From not owning to owning: questions, waits, epochs, handovers.

use super::*;

#[test]
fn nothing_is_asked_or_claimed_before_it_has_listened() {
    let mut world = World::new();
    world.segment().listening_since = at(START - 400);
    assert_eq!(world.step(), State::Waiting(Wait::Settling));
    assert_eq!(world.out.duties, BTreeMap::new());
    assert_eq!(world.claims.next_deadline(), Some(at(START + 600)));
    assert_eq!(world.run(600), [(600, "AskingTheWire")]);
}

#[test]
fn the_first_claim_waits_for_the_wire_and_for_kube_proxy_in_either_order() {
    for proxy_first in [true, false] {
        let mut world = World::new();
        world.place().fresh = true;
        assert_eq!(world.step(), State::Waiting(Wait::AskingTheWire));
        assert_eq!(world.question().unwrap().wonder, Wonder::FirstClaim);
        if proxy_first {
            world.place().proxied = true;
            assert_eq!(world.wait(10), State::Waiting(Wait::AskingTheWire));
            world.answer(&[]);
        } else {
            world.answer(&[]);
            assert_eq!(world.wait(10), State::Waiting(Wait::KubeProxy));
            world.place().proxied = true;
        }
        assert_eq!(
            world.wait(10),
            State::Announcing {
                since: at(START + 20)
            }
        );
        assert_eq!(world.claim(), Some(2));
        assert!(matches!(
            world.out.duties[&PLACE],
            Duty::Own {
                gain: Gain::First,
                ..
            }
        ));
        let gained = Event::Gained {
            place: PLACE,
            epoch: 2,
            origin: Origin::First,
            contested: None,
        };
        assert_eq!(world.out.events, [gained]);
    }
}

#[test]
fn silence_that_has_grown_old_is_checked_again_before_the_first_claim() {
    let mut world = World::new();
    world.place().fresh = true;
    world.step();
    let first = world.question();
    world.answer(&[]);
    assert_eq!(world.wait(4_999), State::Waiting(Wait::KubeProxy));
    assert_eq!(world.question(), first);
    world.wait(1);
    assert_ne!(world.question(), first);
    world.place().proxied = true;
    assert_eq!(world.wait(10).reason(), "AskingTheWire");
}

#[test]
fn a_stranger_on_a_new_address_is_a_conflict_and_asked_about_every_five_seconds() {
    let mut world = World::new();
    world.place().fresh = true;
    world.place().proxied = true;
    world.step();
    for _ in 0..3 {
        world.answer(&[STRANGER]);
        assert_eq!(world.step(), State::InUse { mac: STRANGER });
        let asked = world.question();
        assert_eq!(world.wait(4_999), State::InUse { mac: STRANGER });
        assert_eq!(world.question(), asked);
        assert_eq!(
            world.wait(1),
            State::InUse { mac: STRANGER },
            "also while it asks again"
        );
        assert_ne!(world.question(), asked);
    }
    world.answer(&[]);
    assert_eq!(world.step().reason(), "Announcing");
}

#[test]
fn a_takeover_asks_first_and_raises_the_epoch() {
    let mut world = World::new();
    world.peers_claim(&[("b", 6)]);
    assert_eq!(world.step(), State::Standby { owner: name("b") });
    assert_eq!(world.question(), None);
    world.peers_claim(&[]);
    world.hear(&["c"]);
    assert_eq!(world.wait(1_000), State::Waiting(Wait::AskingTheWire));
    assert_eq!(world.question().unwrap().wonder, Wonder::Takeover);
    world.answer(&[mac("a")]);
    assert_eq!(
        world.wait(50).reason(),
        "Announcing",
        "this node's own links are nobody"
    );
    assert_eq!(world.claim(), Some(8));
    let from = Origin::Takeover {
        from: Some(name("b")),
        missed_for: Duration::from_millis(50),
    };
    let gained = Event::Gained {
        place: PLACE,
        epoch: 8,
        origin: from,
        contested: None,
    };
    assert_eq!(world.out.events, [gained]);
}

#[test]
fn a_takeover_never_waits_for_kube_proxy() {
    let mut world = World::new();
    world.place().fresh = true;
    world.peers_claim(&[("b", 2)]);
    world.step();
    world.peers_claim(&[]);
    world.step();
    world.answer(&[]);
    assert_eq!(world.step().reason(), "Announcing");
}

#[test]
fn a_herald_node_that_is_not_heard_keeps_what_it_answers_for() {
    let mut world = World::new();
    world.hear(&["c"]);
    world.step();
    for _ in 0..3 {
        world.answer(&[mac("b"), STRANGER]);
        assert_eq!(world.wait(40), State::PeerUnheard { mac: mac("b") });
        assert_eq!(world.claim(), None);
        let asked = world.question();
        assert_eq!(world.wait(959).reason(), "PeerUnheard");
        assert_eq!(world.question(), asked);
        world.wait(41);
        assert_ne!(world.question(), asked);
    }
    world.answer(&[]);
    assert_eq!(world.step().reason(), "Announcing");
}

#[test]
fn a_peer_that_is_heard_and_answers_is_asked_again_soon() {
    let mut world = World::new();
    world.step();
    world.answer(&[mac("b")]);
    assert_eq!(world.step(), State::Waiting(Wait::AskingTheWire));
    let asked = world.question();
    world.wait(250);
    assert_ne!(world.question(), asked);
}

#[test]
fn a_stranger_does_not_stop_a_takeover_unless_no_peer_is_heard() {
    let mut world = World::new();
    world.step();
    world.answer(&[STRANGER]);
    assert_eq!(world.step().reason(), "Announcing");
    assert!(matches!(
        world.out.events[..],
        [Event::Gained {
            contested: Some(STRANGER),
            ..
        }]
    ));

    let mut alone = World::new();
    alone.step();
    alone.hear(&[]);
    alone.answer(&[STRANGER]);
    assert_eq!(alone.step(), State::Conflict { mac: STRANGER });
    alone.wait(1_000);
    alone.answer(&[]);
    assert_eq!(alone.step().reason(), "Announcing");
}

#[test]
fn a_question_that_is_never_answered_is_asked_again() {
    let mut world = World::new();
    world.step();
    let lost = world.question().unwrap();
    assert_eq!(world.wait(999).reason(), "AskingTheWire");
    assert_eq!(world.question(), Some(lost));
    assert_eq!(world.wait(1).reason(), "AskingTheWire");
    assert_ne!(world.question(), Some(lost));
    // The late answer to the lost question is nothing.
    let late = Input::Answered {
        place: PLACE,
        question: lost.id,
        by: BTreeSet::new(),
    };
    world.claims.handle(at(world.now), late);
    assert_eq!(world.step().reason(), "AskingTheWire");
}

#[test]
fn without_a_majority_a_claim_stays_below_what_it_replaces() {
    // b owned it with epoch 6. What is heard when it is gone, and what a then claims.
    for (heard, claim) in [(vec!["c"], 8), (vec![], 5)] {
        let mut world = World::new();
        world.peers_claim(&[("b", 6)]);
        world.step();
        world.peers_claim(&[]);
        world.hear(&heard);
        world.step();
        world.answer(&[]);
        world.step();
        assert_eq!(world.claim(), Some(claim), "{heard:?}");
        // b is back from the other side of a partition, with its old claim.
        world.hear(&["b", "c"]);
        world.peers_claim(&[("b", 6)]);
        assert_eq!(world.step().reason() == "Announcing", claim == 8);
    }
}

/// Of five, b is lost while two others are silent, too: it may be this node's own cable.
#[test]
fn who_is_quiet_does_not_count_for_a_majority() {
    for (quiet, claim) in [(0, 8), (1, 8), (2, 5)] {
        let mut world = World::new();
        world.scene.nodes.extend(["d", "e"].map(name));
        world.peers_claim(&[("b", 6)]);
        world.hear(&["b", "c", "d", "e"]);
        world.step();
        world.peers_claim(&[]);
        world.hear(&["c", "d", "e"]);
        world.segment().quiet = quiet;
        world.step();
        world.answer(&[]);
        world.step();
        assert_eq!(world.claim(), Some(claim), "{quiet} quiet");
    }
}

#[test]
fn it_says_when_it_has_settled_also_without_addresses() {
    let mut world = World::new();
    world.scene.places.clear();
    world.segment().listening_since = at(START);
    world.step();
    assert!(!world.out.settled);
    world.run(999);
    assert!(!world.out.settled);
    world.run(1);
    assert!(world.out.settled);
}

#[test]
fn a_node_that_was_deleted_is_not_missed() {
    let mut world = World::new();
    world.peers_claim(&[("b", 6)]);
    world.hear(&["b", "c", "d", "e"]);
    world.scene.nodes.extend(["d", "e"].map(name));
    world.step();
    world.peers_claim(&[]);
    world.hear(&["c"]);
    world.scene.nodes = ["a", "c"].map(name).into();
    world.step();
    world.answer(&[]);
    world.step();
    assert_eq!(world.claim(), Some(8));
}

#[test]
fn epochs_survive_a_restart_when_recalled() {
    let mut before = World::owning();
    let epochs: BTreeMap<_, _> = before.claims.epochs().collect();
    assert_eq!(epochs, BTreeMap::from([(PLACE, 2)]));
    before.claims = Claims::new(name("a"), Config::default());
    before.claims.recall(epochs);
    before.step();
    before.answer(&[]);
    before.step();
    assert_eq!(before.claim(), Some(4));
}

#[test]
fn candidates_behind_the_chosen_one_wait_by_rank() {
    let mut world = World::new();
    world.place().chosen = Some(name("b"));
    let rank = crate::placement::owner::rank(
        PLACE.address,
        &candidates("a b c"),
        Some(&name("b")),
        &name("a"),
    );
    let turn = u64::from(rank.unwrap()) * 4_000;
    assert_eq!(world.step(), State::Waiting(Wait::Rank));
    assert_eq!(world.question(), None);
    let steps = world.run(turn);
    assert_eq!(steps.last(), Some(&(turn, "AskingTheWire")), "{steps:?}");
    // The chosen one wakes up after all.
    world.peers_claim(&[("b", 2)]);
    assert_eq!(world.step(), State::Standby { owner: name("b") });
    assert_eq!(world.question(), None);
}

#[test]
fn what_a_live_peer_may_not_keep_is_claimed_at_once_and_unasked() {
    for leaving in [true, false] {
        let mut world = World::new();
        world.peers_claim(&[("b", 4)]);
        world.step();
        world.place().candidates = candidates("a c");
        world.place().owner_unfit = Some(Unfit::ExcludedByLabel);
        world.place().claims[0].leaving = leaving;
        assert_eq!(world.step().reason(), "Announcing");
        assert_eq!(world.claim(), Some(6));
        let why = Some(Unfit::ExcludedByLabel);
        let origin = Origin::Handover {
            from: name("b"),
            why,
        };
        let gained = Event::Gained {
            place: PLACE,
            epoch: 6,
            origin,
            contested: None,
        };
        assert_eq!(world.out.events, [gained]);
        // b yields a moment later: the announcement is repeated once, because both answered for that moment.
        let round = world.round();
        world.peers_claim(&[]);
        world.wait(20);
        world.run(10_000);
        assert_eq!(world.round(), round + 1);
    }
}

#[test]
fn two_views_that_disagree_do_not_storm() {
    let mut world = World::new();
    world.peers_claim(&[("b", 2)]);
    world.place().candidates = candidates("a c");
    let mut gains = 0;
    for _ in 0..6_000 {
        // b takes it back within 10 ms each time: it knows nothing of its exclusion.
        if world.wait(10).reason() == "Announcing" {
            gains += 1;
            let above = world.claim().unwrap() + 2;
            world.peers_claim(&[("b", above)]);
        }
    }
    assert!((5..=10).contains(&gains), "{gains} in a minute");
}

/// Node b owns the address and has been silent for most of the dead time; node a comes next.
fn heir() -> World {
    let mut world = World::new();
    world.peers_claim(&[("b", 4)]);
    world.place().chosen = None;
    world.step();
    assert_eq!(world.question(), None);
    world.place().heir = Some(name("a"));
    assert_eq!(world.step(), State::Standby { owner: name("b") });
    world
}

fn lose_the_owner(world: &mut World) {
    world.peers_claim(&[]);
    world.hear(&["c"]);
    world.place().heir = None;
    world.place().chosen = Some(name("a"));
}

#[test]
fn the_heir_asks_the_wire_while_the_owner_is_quiet_and_claims_in_the_step_that_loses_it() {
    let mut world = heir();
    assert_eq!(world.question().unwrap().wonder, Wonder::Takeover);
    world.answer(&[]);
    assert_eq!(world.wait(40), State::Standby { owner: name("b") });
    lose_the_owner(&mut world);
    assert_eq!(world.wait(100).reason(), "Announcing");
    assert!(world.claim() > Some(4));
}

#[test]
fn an_heir_whose_question_is_not_answered_yet_waits_for_the_answer() {
    let mut world = heir();
    let question = world.question();
    lose_the_owner(&mut world);
    assert_eq!(world.wait(10), State::Waiting(Wait::AskingTheWire));
    assert_eq!(world.question(), question);
    world.answer(&[mac("b")]);
    assert_eq!(world.step(), State::PeerUnheard { mac: mac("b") });
}

#[test]
fn a_silence_of_long_ago_is_no_answer() {
    let mut world = heir();
    world.answer(&[]);
    world.step();
    world.place().heir = None;
    world.wait(10);
    assert_eq!(world.question(), None, "the owner spoke again");
    lose_the_owner(&mut world);
    assert_eq!(world.wait(10), State::Waiting(Wait::AskingTheWire));
}
