//! The check from another node: whether the LAN reaches the owner of an address, as this node sees it. Pure.
//!
//! ```text
//!   peers' claims ─ choose ─▶ Target per place ─ due ─▶ question ─▶ layer2, beside the duties of placement
//!                                  ▲                                  │
//!                                  └── Course: is it believed? ◀── answers
//!                                         └─▶ log, metrics, NodeAnnouncements
//! ```
//!
//! Invariants: placement's duty at a place always wins, and the question there is forgotten. Nothing is asked more
//! often than [`BATCH`] per [`TICK`]. Who owns an address is never decided by what is found here. All of this runs
//! apart from the conclusions of placement, so that no failover waits for it.

mod choose;
mod course;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use herald_spi::{Duty, Mac, NodeName, Place, Question, Time, Wonder};

use self::course::Course;
pub(super) use self::{
    choose::{Target, targets},
    course::Outcome,
};
use crate::placement::rendezvous;

/// Questions are put, and their duties taken back, at most so often: each time the filters of the sockets change.
const TICK: Duration = Duration::from_secs(1);
/// So many at once.
const BATCH: usize = 20;
/// How long after peers or claims changed the targets are chosen anew: a failover is over by then.
const REVIEW: Duration = Duration::from_millis(250);
/// The first check of an address after its owner was heard to claim it, and up to a second later.
const FIRST: Duration = Duration::from_millis(4_500);
const FIRST_SPREAD: Duration = Duration::from_secs(1);
/// Between two checks, and up to ten seconds more.
const INTERVAL: Duration = Duration::from_secs(25);
const INTERVAL_SPREAD: Duration = Duration::from_secs(10);
/// A question that brings no report in this time was never put, as when the link went down. It takes 300 ms.
const GIVE_UP: Duration = Duration::from_secs(2);
/// When to try again after that, or after placement was busy with the place.
const AGAIN: Duration = Duration::from_secs(5);
/// Numbers of questions begin here; those of placement count from one.
const FIRST_QUESTION: u64 = 1 << 63;

/// All checks of this node.
#[derive(Debug)]
pub(super) struct Checks {
    me: NodeName,
    subjects: BTreeMap<Place, Subject>,
    due: BTreeSet<(Time, Place)>,
    asked: BTreeMap<Place, Asked>,
    questions: u64,
    /// When the targets are to be chosen anew.
    review_at: Option<Time>,
    /// Not before that is anything asked or taken back.
    next_tick: Time,
    /// The questions differ from those that were handed out last.
    stale: bool,
    changed: bool,
}

#[derive(Debug)]
struct Subject {
    target: Target,
    course: Course,
    /// The entry in `due`, unless it is being asked about.
    due: Option<Time>,
}

#[derive(Debug)]
struct Asked {
    question: Question,
    until: Time,
}

/// An outcome that is believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) owner: NodeName,
    pub(super) outcome: Outcome,
    /// It was another one before, or it is the first one and a failure.
    pub(super) changed: bool,
}

impl Checks {
    pub(super) fn new(me: NodeName) -> Self {
        Self {
            me,
            subjects: BTreeMap::new(),
            due: BTreeSet::new(),
            asked: BTreeMap::new(),
            questions: FIRST_QUESTION,
            review_at: None,
            next_tick: Time::ZERO,
            stale: false,
            changed: false,
        }
    }

    /// Peers or claims may have changed: the targets are to be chosen anew, though not in this moment.
    pub(super) fn plan_review(&mut self, now: Time) {
        self.review_at.get_or_insert(now + REVIEW);
    }

    /// Whether [`Self::review`] is due.
    pub(super) fn wants_review(&self, now: Time) -> bool {
        self.review_at.is_some_and(|at| at <= now)
    }

    /// Takes over what falls to this node. A new owner is checked anew.
    pub(super) fn review(&mut self, now: Time, mut targets: BTreeMap<Place, Target>) {
        self.review_at = None;
        let before = self.subjects.len();
        self.subjects.retain(|place, subject| {
            if targets.get(place).map(|target| &target.owner) == Some(&subject.target.owner) {
                subject.target = targets
                    .remove(place)
                    .unwrap_or_else(|| subject.target.clone());
                return true;
            }
            if let Some(at) = subject.due {
                self.due.remove(&(at, *place));
            }
            self.stale |= self.asked.remove(place).is_some();
            false
        });
        self.changed |= self.subjects.len() != before || !targets.is_empty();
        for (place, target) in targets {
            let subject = Subject {
                target,
                course: Course::default(),
                due: None,
            };
            self.subjects.insert(place, subject);
            let at = now + FIRST + self.share(place, FIRST_SPREAD);
            self.plan(place, at);
        }
    }

    /// When [`Self::review`] or [`Self::tick`] has something to do next.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let due = self.due.first().map(|(at, _)| *at);
        let given_up = self.asked.values().map(|asked| asked.until).min();
        let stale = self.stale.then_some(self.next_tick);
        let next = [due, given_up, stale, self.review_at];
        let next = next.into_iter().flatten().min()?;
        Some(next.max(self.next_tick))
    }

    /// Puts the questions that are due, but none about a place at which placement has a `duty`. Whether
    /// [`Self::add_to`] has something new.
    pub(super) fn tick(&mut self, now: Time, duties: &BTreeMap<Place, Duty>) -> bool {
        if now < self.next_tick {
            return false;
        }
        self.next_tick = now + TICK;
        let given_up = |asked: &Asked| asked.until <= now;
        let given_up = self.asked.iter().filter(|(_, asked)| given_up(asked));
        let given_up: Vec<Place> = given_up.map(|(place, _)| *place).collect();
        for place in given_up {
            self.forget(now, place);
        }
        for _ in 0..BATCH {
            let Some(&(at, place)) = self.due.first().filter(|(at, _)| *at <= now) else {
                break;
            };
            self.due.remove(&(at, place));
            if duties.contains_key(&place) {
                self.plan(place, now + AGAIN);
                continue;
            }
            if let Some(subject) = self.subjects.get_mut(&place) {
                subject.due = None;
            }
            self.questions = self.questions.wrapping_add(1).max(FIRST_QUESTION);
            let question = Question {
                id: self.questions,
                wonder: Wonder::Check,
            };
            let until = now + GIVE_UP;
            self.asked.insert(place, Asked { question, until });
            self.stale = true;
        }
        std::mem::take(&mut self.stale)
    }

    /// Adds the questions to placement's duties, which win.
    pub(super) fn add_to(&mut self, now: Time, duties: &mut BTreeMap<Place, Duty>) {
        let taken = self.asked.keys().filter(|place| duties.contains_key(place));
        let taken: Vec<Place> = taken.copied().collect();
        for place in taken {
            self.forget(now, place);
        }
        let asked = self.asked.iter();
        duties.extend(asked.map(|(place, asked)| (*place, Duty::Ask(asked.question))));
        self.stale = false;
    }

    /// Whether a question of this number is one of these.
    pub(super) const fn asked(question: u64) -> bool {
        question >= FIRST_QUESTION
    }

    /// Takes the answer to a question; what is believed after it, if it is decisive.
    pub(super) fn answered(
        &mut self,
        now: Time,
        place: Place,
        question: u64,
        by: &BTreeSet<Mac>,
    ) -> Option<Finding> {
        let asked = self.asked.get(&place)?;
        if asked.question.id != question {
            return None;
        }
        self.asked.remove(&place);
        self.stale = true;
        let subject = self.subjects.get_mut(&place)?;
        let step = subject.course.take(Outcome::of(by, &subject.target.macs));
        let owner = subject.target.owner.clone();
        self.changed |= step.changed;
        let pause = step
            .pause
            .unwrap_or_else(|| INTERVAL + self.share(place, INTERVAL_SPREAD));
        self.plan(place, now + pause);
        Some(Finding {
            owner,
            outcome: step.settled?,
            changed: step.changed,
        })
    }

    /// How many addresses this node checks.
    pub(super) fn checked(&self) -> usize {
        self.subjects.len()
    }

    /// The addresses that fail: where, whose, how.
    pub(super) fn failing(&self) -> impl Iterator<Item = (Place, &NodeName, Outcome)> {
        self.subjects.iter().filter_map(|(place, subject)| {
            let outcome = subject.course.failure()?;
            Some((*place, &subject.target.owner, outcome))
        })
    }

    /// Whether [`Self::checked`] or [`Self::failing`] changed since the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// The question is not answered and says nothing.
    fn forget(&mut self, now: Time, place: Place) {
        self.stale |= self.asked.remove(&place).is_some();
        self.plan(place, now + AGAIN);
    }

    fn plan(&mut self, place: Place, at: Time) {
        if let Some(subject) = self.subjects.get_mut(&place) {
            subject.due = Some(at);
            self.due.insert((at, place));
        }
    }

    /// A part of `spread` that is always the same for this node and address, so that checks do not come all at once.
    fn share(&self, place: Place, spread: Duration) -> Duration {
        let score = rendezvous::score(place.address, &self.me);
        // A part in 65,536 is fine enough.
        let part = u32::try_from(score & 0xFFFF).unwrap_or(0);
        spread * part / 0x1_0000
    }
}

#[cfg(test)]
mod tests;
