//! What this node asks the wire about one place, and what came of it.

use std::{collections::BTreeSet, time::Duration};

use herald_spi::{Mac, Question, Time, Wonder};

use super::context::Context;

/// At most one question at a time, and what the last one found.
#[derive(Debug, Default)]
pub(super) struct Inquiry {
    asked: Option<Asked>,
    last: Option<Finding>,
}

#[derive(Debug)]
struct Asked {
    question: Question,
    at: Time,
    answer: Option<Answer>,
}

#[derive(Debug)]
struct Answer {
    at: Time,
    by: BTreeSet<Mac>,
}

/// Who answers for an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    Nobody,
    /// A Herald node that is heard. Its claim will be, too.
    Peer,
    /// A Herald node that is not heard.
    UnheardPeer {
        mac: Mac,
    },
    /// Any other host.
    Stranger {
        mac: Mac,
    },
}

/// How far an inquiry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The question is out; `last` is what an earlier one found.
    Asking { last: Option<Finding> },
    /// It is answered.
    Found(Finding),
}

impl Inquiry {
    /// The question that is or was asked, for the duty.
    pub(super) fn question(&self) -> Option<Question> {
        self.asked.as_ref().map(|asked| asked.question)
    }

    /// Nothing is to be asked now.
    pub(super) fn close(&mut self) {
        *self = Self::default();
    }

    /// Takes the answer to the present question; others are late.
    pub(super) fn answered(&mut self, now: Time, question: u64, by: BTreeSet<Mac>) {
        if let Some(asked) = self
            .asked
            .as_mut()
            .filter(|asked| asked.question.id == question)
            && asked.answer.is_none()
        {
            asked.answer = Some(Answer { at: now, by });
        }
    }

    /// Asks `wonder`, again if `patience` with what was found is over, and says what is known and until when.
    pub(super) fn pursue(
        &mut self,
        cx: &mut Context<'_>,
        wonder: Wonder,
        patience: impl Fn(&Finding) -> Duration,
    ) -> (Progress, Time) {
        let unanswered = cx.config.answer_timeout;
        if let Some(asked) = self
            .asked
            .as_ref()
            .filter(|asked| asked.question.wonder == wonder)
        {
            let (progress, until) = match &asked.answer {
                None => (Progress::Asking { last: self.last }, asked.at + unanswered),
                Some(answer) => {
                    let finding = cx.identify(&answer.by);
                    self.last = Some(finding);
                    (Progress::Found(finding), answer.at + patience(&finding))
                }
            };
            if cx.now < until {
                return (progress, until);
            }
        }
        *cx.questions += 1;
        let question = Question {
            id: *cx.questions,
            wonder,
        };
        self.asked = Some(Asked {
            question,
            at: cx.now,
            answer: None,
        });
        (Progress::Asking { last: self.last }, cx.now + unanswered)
    }
}
