//! From owning to not owning any more: better claims, lost candidacy, links, pauses, the end.

use super::*;

#[test]
fn a_better_claim_ends_ownership_in_the_same_step() {
    let rivals = ["b", "c"].map(name);
    let address = PLACE.address;
    for rival in rivals {
        let better = crate::placement::rendezvous::score(address, &rival)
            > crate::placement::rendezvous::score(address, &name("a"));
        for (epoch, yields) in [(1, false), (2, better), (3, true)] {
            let mut world = World::owning();
            world.peers_claim(&[(rival.as_str(), epoch)]);
            world.wait(100);
            assert_eq!(world.claim().is_none(), yields, "{rival} {epoch}");
            if yields {
                assert_eq!(
                    world.state(),
                    State::Standby {
                        owner: rival.clone()
                    }
                );
                assert_eq!(world.out.duties, BTreeMap::new());
                assert_eq!(
                    world.out.events,
                    [Event::Yielded {
                        place: PLACE,
                        to: rival.clone()
                    }]
                );
            }
        }
    }
}

#[test]
fn a_worse_claim_makes_it_announce_again_once_a_second_and_once_after() {
    let mut world = World::owning();
    let calm = world.round();
    world.wait(60_000);
    assert_eq!(world.round(), calm);
    world.peers_claim(&[("b", 1)]);
    world.wait(100);
    assert_eq!(world.round(), calm + 1, "at once");
    world.wait(500);
    assert_eq!(world.round(), calm + 1);
    world.wait(500);
    assert_eq!(world.round(), calm + 2, "and each second");
    world.peers_claim(&[]);
    world.wait(300);
    assert_eq!(world.round(), calm + 2);
    world.run(10_000);
    assert_eq!(world.round(), calm + 3, "once after, and no more");
    assert_eq!(world.claims.next_deadline(), None);
}

#[test]
fn who_is_no_candidate_any_more_answers_until_another_claims() {
    for why in [
        Unfit::ExcludedByLabel,
        Unfit::NodeNotSelected,
        Unfit::NoEndpoint,
        Unfit::NetworkUnavailable,
    ] {
        let mut world = World::owning();
        world.unfit(why, "b c");
        assert_eq!(
            world.wait(10),
            State::HandingOver {
                since: at(START),
                why
            }
        );
        world.run(60_000);
        assert_eq!(world.claim(), Some(2));
        world.peers_claim(&[("b", 4)]);
        assert_eq!(world.step(), State::Standby { owner: name("b") });
    }
}

#[test]
fn with_no_other_candidate_the_reason_decides() {
    for (why, stays) in [
        (Unfit::NoInterface, Some(0)),
        (Unfit::NoEndpoint, Some(0)),
        (Unfit::ExcludedByLabel, Some(3_000)),
        (Unfit::NodeNotSelected, Some(3_000)),
        (Unfit::OutOfService, Some(3_000)),
        (Unfit::NetworkUnavailable, None),
        (Unfit::NodeUnknown, None),
        (Unfit::NodeDeleting, None),
    ] {
        let mut world = World::owning();
        world.unfit(why, "");
        if let Some(stays) = stays.filter(|stays| *stays > 0) {
            assert_eq!(world.step().reason(), "HandingOver");
            world.wait(stays - 1);
            assert_eq!(world.claim(), Some(2), "{why:?}");
            world.now += 1;
        }
        world.step();
        if stays.is_some() {
            assert_eq!(world.state(), State::NotCandidate(why));
            let dropped = Event::Dropped {
                place: PLACE,
                why: Loss::NotCandidate(why),
            };
            assert_eq!(world.out.events, [dropped]);
        } else {
            world.run(3_600_000);
            assert_eq!(world.claim(), Some(2), "{why:?}");
        }
    }
}

#[test]
fn a_flicker_shorter_than_the_grace_costs_nothing() {
    let mut world = World::owning();
    for _ in 0..5 {
        world.unfit(Unfit::NodeNotSelected, "");
        world.step();
        world.wait(2_900);
        world.place().unfit = None;
        world.place().candidates = candidates("a");
        assert_eq!(world.wait(10), State::Announcing { since: at(START) });
    }
}

#[test]
fn what_is_withdrawn_is_dropped_at_once_and_forgotten() {
    let mut world = World::owning();
    let view = world.scene.places.remove(&PLACE).unwrap();
    world.step();
    assert_eq!(world.out.duties, BTreeMap::new());
    assert_eq!(
        world.out.events,
        [Event::Dropped {
            place: PLACE,
            why: Loss::Withdrawn
        }]
    );
    assert_eq!(world.claims.epochs().count(), 0);
    world.scene.places.insert(PLACE, view);
    world.scene.segments.clear();
    world.step();
    assert_eq!(world.out.states, BTreeMap::new());
}

#[test]
fn a_link_that_goes_down_drops_and_must_settle_when_it_returns() {
    let mut world = World::owning();
    world.segment().up = false;
    assert_eq!(world.wait(10), State::NoLink);
    assert_eq!((world.claim(), world.out.duties.len()), (None, 0));
    assert_eq!(
        world.out.events,
        [Event::Dropped {
            place: PLACE,
            why: Loss::NoLink
        }]
    );
    world.wait(5_000);
    world.segment().up = true;
    assert_eq!(world.wait(10), State::Waiting(Wait::Settling));
    assert_eq!(world.wait(999), State::Waiting(Wait::Settling));
    assert_eq!(world.wait(1), State::Waiting(Wait::AskingTheWire));
}

#[test]
fn a_pause_ends_every_duty_and_the_node_takes_nothing_back() {
    let mut world = World::owning();
    world.now += 7_000;
    world.claims.handle(at(world.now), Input::Paused);
    assert_eq!(world.step(), State::Waiting(Wait::Settling));
    assert_eq!(
        world.out.events,
        [Event::Dropped {
            place: PLACE,
            why: Loss::Paused
        }]
    );
    assert_eq!(world.claim(), None);
    world.peers_claim(&[("c", 4)]);
    assert_eq!(world.wait(500), State::Standby { owner: name("c") });
    world.run(60_000);
    assert_eq!(world.state(), State::Standby { owner: name("c") });

    // Where nobody took it, it asks, and claims above what it had.
    let mut world = World::owning();
    world.claims.handle(at(world.now), Input::Paused);
    world.step();
    assert_eq!(world.wait(1_000), State::Waiting(Wait::AskingTheWire));
    world.answer(&[]);
    world.step();
    assert_eq!(world.claim(), Some(4));
}

#[test]
fn alone_it_keeps_what_it_has() {
    let mut world = World::owning();
    world.hear(&[]);
    world.unfit(Unfit::NetworkUnavailable, "");
    world.run(60_000);
    world.place().unfit = None;
    world.place().candidates = candidates("a");
    assert_eq!(world.wait(60_000), State::Announcing { since: at(START) });
}

#[test]
fn leaving_answers_until_a_peer_has_claimed() {
    let mut world = World::owning();
    world.claims.handle(at(world.now), Input::Leave);
    assert_eq!(
        world.step(),
        State::HandingOver {
            since: at(START),
            why: Unfit::Leaving
        }
    );
    assert!(world.out.leaving && !world.out.done);
    world.peers_claim(&[("b", 4)]);
    assert_eq!(world.wait(30), State::Standby { owner: name("b") });
    assert!(world.out.leaving && world.out.done);
    world.peers_claim(&[]);
    assert_eq!(world.wait(5_000), State::Waiting(Wait::Leaving));
    assert_eq!(world.question(), None, "it gains nothing any more");
}

#[test]
fn leaving_waits_half_a_second_at_most_and_not_for_nobody() {
    let mut world = World::owning();
    world.claims.handle(at(world.now), Input::Leave);
    world.step();
    assert_eq!(world.run(499), []);
    assert!(!world.out.done);
    assert_eq!(world.run(1), [(500, "Leaving")]);
    assert!(world.out.done);
    assert_eq!(
        world.out.events,
        [Event::Dropped {
            place: PLACE,
            why: Loss::Left
        }]
    );

    let mut lone = World::owning();
    lone.place().candidates = candidates("a");
    lone.claims.handle(at(lone.now), Input::Leave);
    lone.step();
    assert!(lone.out.done);
}
