//! One address on one link: the state of asking about it, or of owning it.

use std::{cmp::Reverse, collections::BTreeSet, time::Duration};

use herald_spi::{Duty, Gain, Mac, Question, Time, Wonder};

use super::conflict::Conflict;
use crate::rng::Rng;

/// When the announcements of a burst are due after the first one; then the refresh begins.
const REPEATS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// The pause between refreshes.
const REFRESH: (Duration, Duration) = (Duration::from_secs(45), Duration::from_millis(74_500));
/// Refreshes wait for each other for up to so many milliseconds: with many addresses each awakening of the processor is
/// dearer than a frame.
const TOGETHER: u64 = 500;
/// PROBE_NUM of RFC 5227: probes in the background after a first claim.
const BACKGROUND_PROBES: u8 = 3;
/// PROBE_MIN and PROBE_MAX of RFC 5227.
const BACKGROUND_PACE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(2));
/// So many hosts that answer one question are told apart.
const ANSWERERS: usize = 8;

/// Something to be done once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Due {
    /// Not planned.
    #[default]
    Never,
    /// Planned.
    At(Time),
    /// Its time has come; it waits for its turn to be sent.
    Queued,
}

/// In what order announcements leave when not all can at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// The first one after a gain, a link-up, a new MAC or a new round.
    Gain,
    /// Against a foreign host.
    Defence,
    /// A further one of a burst.
    Repeat,
    /// Now and then.
    Refresh,
}

/// The order of the announcement queue: the most urgent, then the newest gain.
pub(super) type Rank = (Urgency, Reverse<Time>);

/// One address.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) duty: Duty,
    pub(super) stage: Stage,
    /// Reported as failing.
    pub(super) failing: bool,
    /// The entry in the port's timers.
    pub(super) wake: Option<Time>,
}

/// What is done for it.
#[derive(Debug)]
pub(super) enum Stage {
    Ask(Asking),
    Own(Box<Owning>),
}

/// A question on its way.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) question: Question,
    /// Probes sent.
    pub(super) asked: u8,
    /// The next probe, or after the last one the end.
    pub(super) next: Due,
    /// The question is over.
    pub(super) answered: bool,
    /// Who answered so far.
    pub(super) by: BTreeSet<Mac>,
}

/// An owned address.
#[derive(Debug)]
pub(super) struct Owning {
    /// When it was gained, or when a link-up or the like made the burst start over.
    pub(super) since: Time,
    /// Announcements of this burst so far, and those that were skipped because an earlier one left so late.
    told: usize,
    /// When the first of them left.
    first: Time,
    /// The next one.
    pub(super) tell: Due,
    /// Background probes still to be sent.
    probes: u8,
    /// The next one.
    pub(super) probe: Due,
    /// Made at the first sighting.
    pub(super) conflict: Option<Box<Conflict>>,
}

/// The next moment at which refreshes leave.
fn together(at: Time) -> Time {
    let millis = u64::try_from(at.since_start().as_millis()).unwrap_or(u64::MAX);
    Time::from_start(Duration::from_millis(
        (millis / TOGETHER + 1).saturating_mul(TOGETHER),
    ))
}

impl Held {
    /// Nothing is planned yet.
    pub(super) fn new(now: Time, duty: Duty) -> Self {
        let stage = match duty {
            Duty::Ask(question) => Stage::Ask(Asking::new(question)),
            Duty::Own { gain, .. } => Stage::Own(Box::new(Owning::new(now, gain))),
        };
        Self {
            duty,
            stage,
            failing: false,
            wake: None,
        }
    }

    /// The earliest planned time.
    pub(super) fn next(&self) -> Option<Time> {
        let planned = |due: Due| {
            if let Due::At(at) = due {
                Some(at)
            } else {
                None
            }
        };
        match &self.stage {
            Stage::Ask(asking) => planned(asking.next),
            Stage::Own(owning) => {
                let defend = owning
                    .conflict
                    .as_ref()
                    .map_or(Due::Never, |conflict| conflict.defend);
                [owning.tell, owning.probe, defend]
                    .into_iter()
                    .filter_map(planned)
                    .min()
            }
        }
    }

    pub(super) fn is_owned(&self) -> bool {
        matches!(self.stage, Stage::Own(_))
    }

    pub(super) fn is_check(&self) -> bool {
        is_check(self.duty)
    }
}

/// Whether another node's address is only checked. That shall leave no trace: no group is joined, since all that is
/// heard is the answer, and no failure is told.
pub(super) fn is_check(duty: Duty) -> bool {
    matches!(duty, Duty::Ask(question) if question.wonder == Wonder::Check)
}

impl Asking {
    fn new(question: Question) -> Self {
        Self {
            question,
            asked: 0,
            next: Due::Never,
            answered: false,
            by: BTreeSet::new(),
        }
    }

    /// Takes note of a probe. The first claim asks three times, 20 to 30 ms apart, and listens for 30 ms; a
    /// takeover asks twice, 20 ms apart, and listens for 20 ms. A check asks twice, 100 ms apart, and listens for
    /// 200 ms.
    pub(super) fn probed(&mut self, now: Time, rng: &mut Rng) {
        self.asked = self.asked.saturating_add(1);
        let pause = match self.question.wonder {
            Wonder::FirstClaim if self.is_over() => Duration::from_millis(30),
            Wonder::FirstClaim => rng.between(Duration::from_millis(20), Duration::from_millis(30)),
            Wonder::Takeover => Duration::from_millis(20),
            Wonder::Check if self.is_over() => Duration::from_millis(200),
            Wonder::Check => Duration::from_millis(100),
        };
        self.next = Due::At(now + pause);
    }

    /// Whether no further probe is to be sent: all are, or the one that was is answered.
    pub(super) fn is_over(&self) -> bool {
        let probes = match self.question.wonder {
            Wonder::FirstClaim => 3,
            Wonder::Takeover | Wonder::Check => 2,
        };
        self.asked >= probes || !self.by.is_empty()
    }

    /// Takes note of who answered, and says whether that ends the question. A check goes on, for a second host may
    /// answer too.
    pub(super) fn heard(&mut self, by: Mac) -> bool {
        if self.by.len() < ANSWERERS {
            self.by.insert(by);
        }
        self.question.wonder != Wonder::Check
    }

    /// The question is over.
    pub(super) fn close(&mut self) {
        self.answered = true;
        self.next = Due::Never;
    }

    /// Forgets the progress, unless there is an answer already.
    pub(super) fn restart(&mut self) {
        self.asked = 0;
        self.next = Due::Never;
        if !self.answered {
            self.by.clear();
        }
    }
}

impl Owning {
    fn new(now: Time, gain: Gain) -> Self {
        let probes = match gain {
            Gain::First => BACKGROUND_PROBES,
            Gain::Takeover => 0,
        };
        Self {
            since: now,
            told: 0,
            first: now,
            tell: Due::Never,
            probes,
            probe: Due::Never,
            conflict: None,
        }
    }

    /// The burst starts over now.
    pub(super) fn restart(&mut self, now: Time) {
        self.since = now;
        self.told = 0;
    }

    /// The link is down: nothing is planned. What is known about conflicts stays.
    pub(super) fn suspend(&mut self) {
        self.tell = Due::Never;
        self.probe = Due::Never;
        if let Some(conflict) = &mut self.conflict {
            conflict.defend = Due::Never;
        }
    }

    /// Plans the next background probe, if one is left.
    pub(super) fn plan_probe(&mut self, now: Time, rng: &mut Rng) {
        let (least, most) = BACKGROUND_PACE;
        self.probe = if self.probes == 0 {
            Due::Never
        } else {
            Due::At(now + rng.between(least, most))
        };
    }

    /// Takes note of a background probe and plans the next one.
    pub(super) fn probed(&mut self, now: Time, rng: &mut Rng) {
        self.probes = self.probes.saturating_sub(1);
        self.plan_probe(now, rng);
    }

    /// Takes note of an announcement and plans the next one.
    pub(super) fn told(&mut self, now: Time, rng: &mut Rng) {
        if self.told == 0 {
            self.first = now;
        }
        let ahead = |(_, at): &(usize, Time)| *at > now;
        let repeats = REPEATS.iter().map(|&after| self.first + after).enumerate();
        match repeats.skip(self.told).find(ahead) {
            Some((repeat, at)) => {
                self.told = repeat + 1;
                self.tell = Due::At(at);
            }
            None => {
                self.told = REPEATS.len() + 1;
                self.tell = Due::At(together(now + rng.between(REFRESH.0, REFRESH.1)));
            }
        }
    }

    /// How the next announcement ranks.
    pub(super) fn rank(&self) -> Rank {
        let urgency = match self.told {
            0 => Urgency::Gain,
            told if told <= REPEATS.len() => Urgency::Repeat,
            _ => Urgency::Refresh,
        };
        (urgency, Reverse(self.since))
    }

    /// How a defence ranks.
    pub(super) fn defence_rank(&self) -> Rank {
        (Urgency::Defence, Reverse(self.since))
    }
}
