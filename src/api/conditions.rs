//! Conditions whose transition time moves only when their status does.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

use super::Reason;

/// What a condition shall say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The condition's status.
    pub holds: bool,
    /// The one word.
    pub reason: Reason,
    /// A sentence for people.
    pub message: String,
}

impl Verdict {
    /// A verdict of True.
    pub fn yes(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            holds: true,
            reason,
            message: shorten(message.into()),
        }
    }

    /// A verdict of False.
    pub fn no(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            holds: false,
            reason,
            message: shorten(message.into()),
        }
    }
}

/// The condition `type_` as it shall be after `verdict`, given the conditions there are. Keeps the transition
/// time unless the status changes, so that an unchanged verdict yields an identical condition.
#[must_use]
pub fn merge_condition(
    existing: &[Condition],
    type_: &str,
    verdict: &Verdict,
    generation: Option<i64>,
    now: Timestamp,
) -> Condition {
    let since = existing
        .iter()
        .find(|c| c.type_ == type_ && c.status == status(verdict))
        .map_or(now, |c| c.last_transition_time.0);
    Condition {
        observed_generation: generation,
        ..condition(type_, verdict, since)
    }
}

/// A condition that has had its status since then.
#[must_use]
pub fn condition(type_: &str, verdict: &Verdict, since: Timestamp) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: status(verdict).to_owned(),
        reason: verdict.reason.to_string(),
        message: verdict.message.clone(),
        last_transition_time: Time(since),
        observed_generation: None,
    }
}

fn status(verdict: &Verdict) -> &'static str {
    if verdict.holds { "True" } else { "False" }
}

/// The API server refuses messages of more than 32,768 characters.
fn shorten(mut message: String) -> String {
    const MOST: usize = 4096;
    if let Some((end, _)) = message.char_indices().nth(MOST) {
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn transition_time_moves_only_with_the_status() {
        let no = Verdict::no(Reason::of("NoPool"), "there is none");
        let first = merge_condition(&[], "X", &no, None, at(1));
        let again = merge_condition(std::slice::from_ref(&first), "X", &no, None, at(2));
        assert_eq!(again, first);
        let other_reason = Verdict::no(Reason::of("PoolExhausted"), "full");
        let third = merge_condition(
            std::slice::from_ref(&first),
            "X",
            &other_reason,
            None,
            at(3),
        );
        assert_eq!(third.last_transition_time, first.last_transition_time);
        assert_eq!(third.reason, "PoolExhausted");
        let yes = Verdict::yes(Reason::ALLOCATED, "got it");
        let fourth = merge_condition(&[third], "X", &yes, None, at(4));
        assert_eq!(fourth.last_transition_time, Time(at(4)));
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let cut = shorten("ü".repeat(5000));
        assert_eq!(cut.chars().count(), 4097);
    }
}
