//! Taking an address from a live owner that is well: only where a rebalance leads, and only in calm.

use super::*;
use crate::placement::rebalance::{Move, Outlook, Pace};

fn next(from: &str, to: &str, pace: Pace) -> Move {
    Move {
        address: PLACE.address,
        from: name(from),
        to: name(to),
        pace,
    }
}

/// Peer `b` owns the address with epoch 4, and a rebalance leads it to `a` since [`START`].
fn led(pace: Pace) -> World {
    let mut world = World::new();
    world.peers_claim(&[("b", 4)]);
    world.place().chosen = None;
    let mut outlook = Outlook {
        asked: pace == Pace::Asked,
        ..Outlook::default()
    };
    world.segment().outlook = Some(outlook.clone());
    world.step();
    world.wait(40_000);
    outlook.next = Some(next("b", "a", pace));
    world.segment().outlook = Some(outlook);
    assert_eq!(world.step().reason(), "Standby");
    world
}

fn gained_after(world: &mut World) -> Option<u64> {
    let from = world.now;
    while let Some(deadline) = world.claims.next_deadline() {
        world.now = u64::try_from(deadline.since_start().as_millis()).unwrap();
        if world.step().reason() == "Announcing" {
            return Some(world.now - from);
        }
    }
    None
}

#[test]
fn a_move_that_leads_here_is_made_above_the_claim_of_the_live_owner_and_says_so() {
    for (pace, pause) in [(Pace::Asked, 1_000), (Pace::Slow, 30_000)] {
        let mut world = led(pace);
        assert_eq!(gained_after(&mut world), Some(pause), "{pace:?}");
        assert_eq!(world.claim(), Some(6));
        let gained = Event::Gained {
            place: PLACE,
            epoch: 6,
            origin: Origin::Rebalance { from: name("b") },
            contested: None,
        };
        assert_eq!(world.out.events, [gained]);
    }
}

#[test]
fn what_leads_elsewhere_or_from_somebody_else_moves_nothing() {
    for (from, to) in [("b", "c"), ("c", "a")] {
        let mut world = led(Pace::Asked);
        world.segment().outlook.as_mut().unwrap().next = Some(next(from, to, Pace::Asked));
        world.step();
        assert_eq!(gained_after(&mut world), None, "{from} {to}");
    }
}

#[test]
fn a_peer_that_comes_or_goes_puts_a_move_off() {
    let mut world = led(Pace::Asked);
    world.hear(&["b"]);
    world.step();
    assert_eq!(gained_after(&mut world), Some(5_000));
    let mut world = led(Pace::Slow);
    world.wait(29_000);
    world.hear(&["b"]);
    world.step();
    assert_eq!(gained_after(&mut world), Some(30_000));
}

#[test]
fn an_address_without_an_owner_puts_a_move_off_but_not_for_ever() {
    let mut world = led(Pace::Asked);
    let vacant = [IpAddr::from([192, 168, 77, 201])].into();
    world.segment().outlook.as_mut().unwrap().vacant = vacant;
    world.step();
    assert_eq!(gained_after(&mut world), Some(30_000));
}

#[test]
fn who_may_not_announce_it_or_hears_only_few_takes_nothing() {
    let hindrances: [fn(&mut World); 5] = [
        |world| world.unfit(Unfit::Leaving, "b c"),
        |world| world.claims.handle(at(world.now), Input::Leave),
        |world| world.segment().quiet = 2,
        |world| world.place().fresh = true,
        |world| world.segment().up = false,
    ];
    for (number, hinder) in hindrances.into_iter().enumerate() {
        let mut world = led(Pace::Asked);
        hinder(&mut world);
        world.step();
        assert_eq!(gained_after(&mut world), None, "hindrance {number}");
    }
}

#[test]
fn rest_is_told_after_a_while_without_anything_to_do_and_only_where_it_was_asked_for() {
    for (asked, told) in [(true, true), (false, false)] {
        let mut world = World::owning();
        world.segment().outlook = Some(Outlook {
            asked,
            ..Outlook::default()
        });
        world.step();
        assert!(!world.out.rebalanced);
        world.run(4_999);
        assert!(!world.out.rebalanced);
        world.wait(1);
        assert_eq!(world.out.rebalanced, told);
        world.segment().outlook.as_mut().unwrap().contested = true;
        world.step();
        assert!(!world.out.rebalanced);
    }
}
