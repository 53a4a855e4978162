//! What one check after another says of one address: when an outcome is believed, and when to ask next.

use std::{collections::BTreeSet, time::Duration};

use herald_spi::Mac;

/// So often an outcome must come in a row before it replaces another: one lost frame is no finding.
const IN_A_ROW: u8 = 3;
/// The pause between two of them: with the time that an answer takes it is over at the next turn, a second after the
/// last question.
const RETRY: Duration = Duration::from_millis(500);
/// And between two checks of an address that fails.
const FAILING: Duration = Duration::from_secs(5);

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::agent) enum Outcome {
    /// The owner answers, and nobody else.
    Reached,
    /// Nobody does.
    Unanswered,
    /// Another host does; the owner may answer too.
    WrongMac(Mac),
}

/// The outcomes so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Course {
    /// What is believed.
    settled: Option<Outcome>,
    /// What was found instead, and how often in a row.
    doubt: Option<(Outcome, u8)>,
}

/// What follows from one more outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// What is believed now, if this outcome confirms or changes it.
    pub(super) settled: Option<Outcome>,
    /// Whether that is a change.
    pub(super) changed: bool,
    /// How long to wait before the next question, if not as long as usual.
    pub(super) pause: Option<Duration>,
}

impl Outcome {
    /// What the answers say of an owner with these hardware addresses.
    pub(super) fn of(answers: &BTreeSet<Mac>, owner: &BTreeSet<Mac>) -> Self {
        match answers.iter().find(|mac| !owner.contains(mac)) {
            Some(foreign) => Self::WrongMac(*foreign),
            None if answers.is_empty() => Self::Unanswered,
            None => Self::Reached,
        }
    }

    /// All words in metrics.
    pub(in crate::agent) const WORDS: [&str; 3] = ["reached", "unanswered", "wrong_mac"];

    /// The word in metrics.
    pub(in crate::agent) const fn word(self) -> &'static str {
        match self {
            Self::Reached => "reached",
            Self::Unanswered => "unanswered",
            Self::WrongMac(_) => "wrong_mac",
        }
    }

    fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    fn fails(self) -> bool {
        self != Self::Reached
    }
}

impl Course {
    /// What is believed, if that is a failure.
    pub(super) fn failure(&self) -> Option<Outcome> {
        self.settled.filter(|outcome| outcome.fails())
    }

    /// Takes one more outcome.
    pub(super) fn take(&mut self, outcome: Outcome) -> Step {
        // Which foreign host answers may differ from check to check; the first one is named.
        if let Some(settled) = self.settled.filter(|settled| settled.is_like(outcome)) {
            self.doubt = None;
            return Step::settled(settled, false);
        }
        let times = match self.doubt {
            Some((last, times)) if last.is_like(outcome) => times.saturating_add(1),
            _ => 1,
        };
        // The first answer of an owner needs no second one.
        if times >= IN_A_ROW || (self.settled.is_none() && outcome == Outcome::Reached) {
            let changed = outcome.fails() || self.settled.is_some();
            *self = Self {
                settled: Some(outcome),
                doubt: None,
            };
            return Step::settled(outcome, changed);
        }
        self.doubt = Some((outcome, times));
        Step {
            settled: None,
            changed: false,
            pause: Some(RETRY),
        }
    }
}

impl Step {
    fn settled(outcome: Outcome, changed: bool) -> Self {
        Self {
            settled: Some(outcome),
            changed,
            pause: outcome.fails().then_some(FAILING),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const OWNER_TOO: Mac = Mac([2, 0, 0, 0, 0, 2]);
    const HOST: Mac = Mac([2, 0, 0, 0, 0, 9]);

    #[test]
    fn the_answers_say_who_is_reached() {
        let owner = [OWNER, OWNER_TOO].into();
        for (answers, outcome) in [
            (vec![], Outcome::Unanswered),
            (vec![OWNER], Outcome::Reached),
            (vec![OWNER_TOO], Outcome::Reached),
            (vec![HOST], Outcome::WrongMac(HOST)),
            (vec![OWNER, HOST], Outcome::WrongMac(HOST)),
        ] {
            let answers = answers.into_iter().collect();
            assert_eq!(Outcome::of(&answers, &owner), outcome);
        }
    }

    /// Each letter is an outcome; each answer what is believed after it, in capitals where that is a change.
    #[test]
    fn an_outcome_is_believed_after_three_in_a_row_and_told_once() {
        for (outcomes, believed) in [
            ("rrr", "rrr"),
            ("uuu", "--U"),
            ("uur", "--r"),
            ("ruurr", "r--rr"),
            ("ruuur", "r--U-"),
            ("ruuuurrrr", "r--Uu--Rr"),
            ("ruuwwwu", "r----W-"),
            ("rururu", "r-r-r-"),
            ("uuurwrww", "--U-----"),
        ] {
            let mut course = Course::default();
            let told: String = outcomes
                .chars()
                .map(|letter| {
                    let step = course.take(match letter {
                        'r' => Outcome::Reached,
                        'u' => Outcome::Unanswered,
                        _ => Outcome::WrongMac(HOST),
                    });
                    let word = step.settled.map_or("-", Outcome::word);
                    let letter = word.chars().next().unwrap();
                    if step.changed {
                        letter.to_ascii_uppercase()
                    } else {
                        letter
                    }
                })
                .collect();
            assert_eq!(told, believed, "{outcomes}");
        }
    }

    #[test]
    fn doubt_and_failure_ask_again_soon() {
        let mut course = Course::default();
        assert_eq!(course.take(Outcome::Reached).pause, None);
        assert_eq!(course.take(Outcome::Unanswered).pause, Some(RETRY));
        assert_eq!(course.take(Outcome::Reached).pause, None);
        for pause in [RETRY, RETRY, FAILING, FAILING] {
            assert_eq!(course.take(Outcome::Unanswered).pause, Some(pause));
        }
        for pause in [Some(RETRY), Some(RETRY), None] {
            assert_eq!(course.take(Outcome::Reached).pause, pause);
        }
    }

    #[test]
    fn the_first_foreign_host_is_named_until_it_is_gone() {
        let mut course = Course::default();
        for n in [9, 10, 11, 12] {
            course.take(Outcome::WrongMac(Mac([2, 0, 0, 0, 0, n])));
        }
        let named = Outcome::WrongMac(Mac([2, 0, 0, 0, 0, 11]));
        assert_eq!(course.failure(), Some(named));
    }
}
