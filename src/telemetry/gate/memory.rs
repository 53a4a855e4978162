//! What the API server said of whom, for a while. Pure.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use ring::digest::{Digest, SHA256, digest};

use super::Verdict;

/// Who was let in is asked for again after so long: so long a revoked right lives on.
const WELCOME_FOR: Duration = Duration::from_secs(60);
/// Who was not may have been given the right meanwhile.
const REFUSED_FOR: Duration = Duration::from_secs(10);
/// So long after the last yes somebody is let in while the API server cannot be asked.
const TRUSTED_FOR: Duration = Duration::from_secs(3600);
/// More are not remembered.
const MOST: usize = 256;

/// Whether the owner of a token may read a path. The token itself is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Question {
    token: [u8; 32],
    path: String,
}

#[derive(Debug, Default)]
pub(super) struct Memory(HashMap<Question, (Verdict, Instant)>);

impl Question {
    pub(super) fn new(token: &str, path: &str) -> Self {
        let hash: Digest = digest(&SHA256, token.as_bytes());
        let mut token = [0; 32];
        for (byte, hashed) in token.iter_mut().zip(hash.as_ref()) {
            *byte = *hashed;
        }
        Self {
            token,
            path: path.to_owned(),
        }
    }
}

impl Memory {
    /// What was said so lately that it counts.
    pub(super) fn recent(&self, question: &Question, now: Instant) -> Option<Verdict> {
        let (verdict, said) = self.0.get(question)?;
        let lasts = match verdict {
            Verdict::Welcome => WELCOME_FOR,
            Verdict::Unknown | Verdict::Forbidden(_) => REFUSED_FOR,
        };
        (now.saturating_duration_since(*said) < lasts).then(|| verdict.clone())
    }

    /// Whether the last word about it was a yes, not too long ago.
    pub(super) fn was_welcome(&self, question: &Question, now: Instant) -> bool {
        self.0.get(question).is_some_and(|(verdict, said)| {
            *verdict == Verdict::Welcome && now.saturating_duration_since(*said) < TRUSTED_FOR
        })
    }

    pub(super) fn keep(&mut self, question: Question, verdict: Verdict, now: Instant) {
        if self.0.len() >= MOST && !self.0.contains_key(&question) {
            self.make_room(now);
        }
        if self.0.len() < MOST || self.0.contains_key(&question) {
            self.0.insert(question, (verdict, now));
        }
    }

    /// Strangers go first: a flood of them must not push out whom the API server knows.
    fn make_room(&mut self, now: Instant) {
        self.0.retain(|_, (verdict, said)| {
            *verdict == Verdict::Welcome && now.saturating_duration_since(*said) < TRUSTED_FOR
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(token: &str) -> Question {
        Question::new(token, "/metrics")
    }

    #[test]
    fn a_yes_counts_for_a_minute_and_a_no_for_ten_seconds() {
        let start = Instant::now();
        let mut memory = Memory::default();
        memory.keep(question("a"), Verdict::Welcome, start);
        memory.keep(question("b"), Verdict::Unknown, start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(
            memory.recent(&question("a"), at(59)),
            Some(Verdict::Welcome)
        );
        assert_eq!(memory.recent(&question("a"), at(60)), None);
        assert_eq!(memory.recent(&question("b"), at(9)), Some(Verdict::Unknown));
        assert_eq!(memory.recent(&question("b"), at(10)), None);
        assert_eq!(memory.recent(&Question::new("a", "/"), at(0)), None);
    }

    #[test]
    fn without_the_api_server_only_a_yes_lasts_and_not_for_ever() {
        let start = Instant::now();
        let mut memory = Memory::default();
        memory.keep(question("a"), Verdict::Welcome, start);
        memory.keep(question("b"), Verdict::Forbidden("b".into()), start);
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(memory.was_welcome(&question("a"), at(3599)));
        assert!(!memory.was_welcome(&question("a"), at(3600)));
        assert!(!memory.was_welcome(&question("b"), at(0)));
        memory.keep(question("a"), Verdict::Forbidden("a".into()), at(60));
        assert!(!memory.was_welcome(&question("a"), at(61)), "the last word");
    }

    #[test]
    fn a_flood_of_strangers_pushes_nobody_out() {
        let start = Instant::now();
        let mut memory = Memory::default();
        memory.keep(question("prometheus"), Verdict::Welcome, start);
        for stranger in 0..10_000 {
            memory.keep(question(&stranger.to_string()), Verdict::Unknown, start);
        }
        assert!(memory.0.len() <= MOST);
        assert!(memory.was_welcome(&question("prometheus"), start));
    }
}
