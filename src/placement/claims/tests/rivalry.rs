//! Another Herald node announces what this one owns, and heartbeats do not settle it.

use super::*;
use crate::placement::epoch::weight_on_the_wire;

/// Hardware addresses with a better and with a worse hash than node a's.
fn better_and_worse() -> (Mac, Mac) {
    let weight = |mac| weight_on_the_wire(PLACE.address, mac);
    let find = |better: bool| {
        let mut macs = (0..=u8::MAX).map(|n| Mac([2, 0, 0, 0, 1, n]));
        macs.find(|mac| (weight(*mac) > weight(super::mac("a"))) == better)
            .unwrap()
    };
    (find(true), find(false))
}

/// Node a owns the address and hears b; of two more nodes it knows the hardware addresses.
fn owning() -> World {
    let mut world = World::owning();
    let (better, worse) = better_and_worse();
    world.scene.peer_macs.extend([better, worse]);
    world.wait(5_000);
    world
}

/// Sees an announcement.
fn see(world: &mut World, by: Mac) -> State {
    let input = Input::Rivalled { place: PLACE, by };
    world.claims.handle(at(world.now), input);
    world.step()
}

/// Sees one, and waits until heartbeats would have come.
fn see_and_wait(world: &mut World, by: Mac) -> State {
    assert_eq!(see(world, by).reason(), "Announcing");
    assert_eq!(world.wait(499).reason(), "Announcing");
    world.wait(1)
}

#[test]
fn a_better_one_that_is_not_heard_is_yielded_to_and_asked_after() {
    let (better, _) = better_and_worse();
    let mut world = owning();
    see_and_wait(&mut world, better);
    let dropped = Event::Dropped {
        place: PLACE,
        why: Loss::PeerUnheard { mac: better },
    };
    assert_eq!(world.out.events, [dropped]);
    assert_eq!(world.claim(), None);
    for _ in 0..20 {
        world.answer(&[better]);
        assert_eq!(world.step(), State::PeerUnheard { mac: better });
        // It asks again, and takes over when nobody answers any more.
        let retry = world.claims.next_deadline().unwrap();
        world.wait(u64::try_from(retry.since(at(world.now)).as_millis()).unwrap());
        assert_eq!(world.state(), State::PeerUnheard { mac: better });
    }
    world.answer(&[]);
    assert_eq!(world.step().reason(), "Announcing");
}

#[test]
fn a_worse_one_is_outlasted() {
    let (_, worse) = better_and_worse();
    let mut world = owning();
    let calm = world.round();
    assert_eq!(see_and_wait(&mut world, worse).reason(), "Announcing");
    assert_eq!(world.round(), calm + 1, "hosts may have been misled");
    world.run(60_000);
    assert_eq!(world.round(), calm + 1);
}

/// It hears this node and stands: so its claim is the better one, by what this node cannot hear.
#[test]
fn a_worse_one_that_never_lets_go_is_yielded_to() {
    let (_, worse) = better_and_worse();
    let mut world = owning();
    for _ in 0..3 {
        assert_eq!(see_and_wait(&mut world, worse).reason(), "Announcing");
        world.wait(500);
    }
    see(&mut world, worse);
    world.answer(&[worse]);
    assert_eq!(world.step(), State::PeerUnheard { mac: worse });
}

#[test]
fn both_come_to_the_same_conclusion() {
    let (better, worse) = better_and_worse();
    for other in [better, worse] {
        let mut here = owning();
        let mut there = owning();
        there.segment().mac = other;
        there.scene.own_macs = [other].into();
        there.scene.peer_macs.insert(mac("a"));
        see_and_wait(&mut here, other);
        see_and_wait(&mut there, mac("a"));
        let owners = [&here, &there].map(|world| world.claim().is_some());
        assert_ne!(owners[0], owners[1]);
    }
}

#[test]
fn no_other_host_is_yielded_to_whatever_its_hardware_address() {
    let mut world = owning();
    for n in 0..=u8::MAX {
        let stranger = Mac([2, 0xbb, 0, 0, 0, n]);
        assert_eq!(see(&mut world, stranger).reason(), "Announcing");
    }
}

#[test]
fn heartbeats_settle_it_where_the_rival_is_heard() {
    let (better, _) = better_and_worse();
    let mut world = owning();
    world.segment().heard_macs.insert(better);
    world.peers_claim(&[("b", 1)]);
    for _ in 0..100 {
        assert_eq!(see(&mut world, better).reason(), "Announcing");
        world.wait(100);
    }
}

/// As when a partition heals: an announcement comes before the first heartbeat.
#[test]
fn who_is_heard_soon_after_is_no_rival() {
    let (better, _) = better_and_worse();
    let mut world = owning();
    see(&mut world, better);
    world.wait(300);
    world.segment().heard_macs.insert(better);
    assert_eq!(world.wait(200).reason(), "Announcing");
    world.run(10_000);
    assert_eq!(world.state().reason(), "Announcing");
}

/// After a heal the owner announces; when it dies later, what it said then is no claim.
#[test]
fn who_announced_before_the_last_gain_is_no_rival() {
    let mut world = owning();
    world.peers_claim(&[("b", 99)]);
    see(&mut world, mac("b"));
    assert_eq!(world.claim(), None, "b has the better claim");
    world.wait(4_000);
    world.peers_claim(&[]);
    world.hear(&["c"]);
    world.step();
    world.answer(&[]);
    assert_eq!(world.step().reason(), "Announcing");
    world.run(10_000);
    assert_eq!(world.state().reason(), "Announcing");
    assert!(world.claim().is_some());
}

#[test]
fn a_forged_rival_costs_little_and_less_each_time() {
    let (better, _) = better_and_worse();
    let mut world = owning();
    let mut yields = 0;
    for _ in 0..600 {
        if see(&mut world, better).reason() != "Announcing" {
            yields += 1;
            world.answer(&[]);
            assert_eq!(world.step().reason(), "Announcing");
        }
        world.wait(100);
    }
    // After half a second, then 1, 2, 4, 8 and from there on 16 s apart.
    assert!((4..=7).contains(&yields), "{yields} in a minute");
}
