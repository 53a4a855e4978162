//! The ledger of one agent and the mirror of another, with a wire between them that loses and reorders.

use proptest::prelude::*;

use super::*;
use crate::membership::ledger::Ledger;

const ROOM: usize = 1_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn claims(range: std::ops::Range<u32>, epoch: u64) -> Claims {
    range
        .map(|n| (IpAddr::from(n.to_be_bytes()), epoch))
        .collect()
}

struct Pair {
    now: Time,
    ledger: Ledger,
    mirror: Mirror,
    dice: Dice,
}

impl Pair {
    fn new() -> Self {
        let (ledger, mirror) = (Ledger::default(), Mirror::default());
        Self {
            now: Time::from_start(ms(1)),
            ledger,
            mirror,
            dice: Dice::new(1),
        }
    }

    fn claim(&mut self, wanted: Claims) {
        self.ledger.set(self.now, wanted, ROOM);
    }

    fn aim(&mut self) {
        let (generation, digest) = (self.ledger.generation(), self.ledger.digest());
        self.mirror.aim(State { generation, digest });
    }

    /// A beat of which only the datagrams that `arrives` picks are heard, the last first if `swapped`.
    fn beat(&mut self, swapped: bool, arrives: impl Fn(usize) -> bool) -> usize {
        let beat = self.ledger.beat(ROOM, 1_000);
        let count = beat.len();
        let mut heard: Vec<Changes> = beat
            .into_iter()
            .enumerate()
            .filter(|(at, _)| arrives(*at))
            .map(|(_, c)| c)
            .collect();
        if swapped {
            heard.reverse();
        }
        for changes in heard {
            self.aim();
            let useful = self.mirror.changes(&changes);
            self.mirror.settle(self.now, &mut self.dice, useful);
        }
        count
    }

    /// The peer asks if it is time to, and is answered; every part whose number `arrives` picks is heard.
    fn sync(&mut self, arrives: impl Fn(u32) -> bool) -> Option<Gap> {
        self.now = self.now + ms(300);
        let gap = self.mirror.ask(self.now, &mut self.dice, 100)?;
        self.ledger
            .answer(self.now, gap.since, gap.generation, &gap.missing, ROOM);
        self.send_parts(arrives);
        Some(gap)
    }

    fn send_parts(&mut self, arrives: impl Fn(u32) -> bool) {
        for part in self.ledger.parts(self.now, usize::MAX) {
            if arrives(part.part) {
                let useful = self.mirror.part(&part);
                self.mirror.settle(self.now, &mut self.dice, useful);
            }
        }
    }

    fn in_step(&self) -> bool {
        self.mirror.digest == self.ledger.digest()
            && Digest::of(&self.mirror.claims) == self.mirror.digest
            && self.mirror.ask_at.is_none()
    }
}

#[test]
fn a_few_changes_arrive_with_the_beat_and_are_said_four_times() {
    let mut pair = Pair::new();
    pair.claim(claims(0..10, 1));
    let said = |beat: Vec<Changes>| {
        beat.iter()
            .map(|changes| changes.entries.len())
            .sum::<usize>()
    };
    assert_eq!(
        (0..6)
            .map(|_| said(pair.ledger.beat(ROOM, 1_000)))
            .collect::<Vec<_>>(),
        [10, 10, 10, 10, 0, 0]
    );
    pair.claim(claims(5..11, 1));
    pair.beat(false, |_| true);
    assert!(
        !pair.in_step() && pair.mirror.ask_at().is_some(),
        "the first ten were missed"
    );
    assert_eq!(
        pair.sync(|_| true).unwrap(),
        Gap {
            since: Some(0),
            generation: None,
            missing: vec![]
        }
    );
    pair.beat(false, |_| true);
    assert!(pair.in_step());
    assert_eq!(*pair.mirror.claims, claims(5..11, 1));
}

#[test]
fn changes_out_of_order_wait_for_the_ones_before() {
    let mut pair = Pair::new();
    pair.aim();
    pair.mirror.settle(pair.now, &mut pair.dice, false);
    pair.claim(claims(0..500, 1));
    assert!(pair.beat(true, |at| at != 0) > 3);
    assert!(pair.mirror.claims.is_empty(), "not before the first");
    pair.beat(false, |at| at == 0);
    assert!(pair.in_step());
}

#[test]
fn who_missed_some_is_told_from_the_log() {
    let mut pair = Pair::new();
    pair.claim(claims(0..10, 1));
    pair.beat(false, |_| true);
    for _ in 0..5 {
        pair.beat(false, |_| true);
    }
    pair.claim(claims(0..20, 1));
    for _ in 0..4 {
        pair.beat(false, |_| false);
    }
    pair.beat(false, |_| true);
    assert_eq!(pair.sync(|_| true).unwrap().since, Some(10));
    assert!(!pair.ledger.has_parts(), "no snapshot is needed");
    pair.beat(false, |_| true);
    assert!(pair.in_step());
}

#[test]
fn lost_parts_are_asked_for_again_and_only_they() {
    let mut pair = Pair::new();
    pair.claim(claims(0..10_000, 1));
    pair.beat(false, |_| true);
    pair.send_parts(|part| part % 3 != 0);
    let mut rounds = 0;
    while !pair.in_step() {
        let gap = pair.sync(|part| part % 2 == rounds % 2).unwrap();
        assert!(gap.missing.iter().all(|part| part % 3 == 0), "{gap:?}");
        rounds += 1;
        assert!(rounds < 5);
    }
    assert_eq!(*pair.mirror.claims, claims(0..10_000, 1));
}

#[test]
fn claims_may_change_while_a_snapshot_travels() {
    let mut pair = Pair::new();
    pair.claim(claims(0..10_000, 1));
    pair.beat(false, |_| true);
    pair.send_parts(|part| part % 2 == 0);
    pair.claim(claims(1..10_001, 1));
    pair.beat(false, |_| true);
    pair.sync(|_| true).unwrap();
    assert!(pair.in_step());
    assert_eq!(*pair.mirror.claims, claims(1..10_001, 1));
}

#[test]
fn a_ledger_that_began_anew_is_mirrored_anew() {
    let mut pair = Pair::new();
    pair.claim(claims(0..100, 1));
    pair.beat(false, |_| true);
    assert!(pair.in_step());
    // Sockets were reopened within the dead time: fewer changes, or as many.
    for fresh in [claims(50..60, 2), claims(0..10, 3)] {
        pair.ledger = Ledger::default();
        pair.claim(fresh.clone());
        for _ in 0..4 {
            pair.beat(false, |_| false);
        }
        pair.beat(false, |_| true);
        assert!(!pair.in_step());
        assert_eq!(pair.sync(|_| true).unwrap().since, None);
        assert!(pair.in_step());
        assert_eq!(*pair.mirror.claims, fresh);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_lost_the_mirror_gets_there(
        steps in prop::collection::vec((0..500_u32, 0..1_500_u32, 1..4_u64, any::<u64>(), any::<bool>()), 1..12)
    ) {
        let mut pair = Pair::new();
        let mut wanted = Claims::new();
        for (from, many, epoch, lost, swapped) in steps {
            if epoch == 3 {
                wanted.retain(|address, _| *address < IpAddr::from(from.to_be_bytes()));
            }
            wanted.extend(claims(from..from + many, epoch));
            pair.claim(wanted.clone());
            pair.beat(swapped, |at| lost >> (at % 64) & 1 == 0);
            pair.send_parts(|part| lost >> (part % 61) & 1 == 0);
            if lost % 3 == 0 {
                pair.sync(|part| lost >> (part % 59) & 1 == 0);
            }
        }
        for _ in 0..10 {
            pair.beat(false, |_| true);
            pair.sync(|_| true);
        }
        prop_assert!(pair.in_step());
        prop_assert_eq!(&*pair.mirror.claims, &wanted);
    }
}

#[test]
fn a_long_beat_goes_out_in_bursts_that_follow_on() {
    let mut pair = Pair::new();
    pair.claim(claims(0..1_000, 1));
    let mut bursts = vec![pair.ledger.beat(ROOM, 4)];
    while pair.ledger.has_rest() {
        bursts.push(pair.ledger.beat(ROOM, 4));
    }
    assert!(bursts.iter().all(|burst| burst.len() <= 4) && bursts.len() > 2);
    let mut next = 1;
    for changes in bursts.into_iter().flatten() {
        assert_eq!(changes.first, next);
        next += changes.entries.len() as u64;
    }
    assert_eq!(next, 1_001);
    assert_eq!(pair.ledger.beat(ROOM, 4)[0].first, 1, "then all over");
}
