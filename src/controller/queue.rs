//! Which Services need a look, and when. Pure.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    time::Duration,
};

use herald_spi::{ServiceKey, Time};

/// Services by urgency: the oldest first, none twice at once, failing ones later and later.
#[derive(Debug, Default)]
pub struct Queue {
    ready: BTreeSet<(i64, ServiceKey)>,
    /// Under which age each of them waits: one may be asked for under two, when it was made again.
    turns: BTreeMap<ServiceKey, i64>,
    busy: BTreeSet<ServiceKey>,
    /// Those that became dirty while busy.
    again: BTreeMap<ServiceKey, i64>,
    delayed: BTreeSet<(Time, i64, ServiceKey)>,
    failures: BTreeMap<ServiceKey, u32>,
}

/// The first and the longest pause after failures.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl Queue {
    /// Asks for a look at a Service made at `created`.
    pub fn push(&mut self, created: i64, key: ServiceKey) {
        if self.busy.contains(&key) {
            self.again.insert(key, created);
        } else if let Entry::Vacant(turn) = self.turns.entry(key.clone()) {
            turn.insert(created);
            self.ready.insert((created, key));
        }
    }

    /// The next Service to look at; it counts as busy until [`Self::done`] or [`Self::failed`].
    pub fn pop(&mut self, now: Time) -> Option<ServiceKey> {
        while let Some((due, created, key)) = self.delayed.first().cloned() {
            if due > now {
                break;
            }
            self.delayed.pop_first();
            self.push(created, key);
        }
        let (_, key) = self.ready.pop_first()?;
        self.turns.remove(&key);
        self.busy.insert(key.clone());
        Some(key)
    }

    /// When a delayed Service becomes due.
    pub fn next_due(&self) -> Option<Time> {
        self.delayed.first().map(|(due, ..)| *due)
    }

    /// The look is over.
    pub fn done(&mut self, key: &ServiceKey) {
        self.failures.remove(key);
        self.release(key);
    }

    /// The look failed: again after a pause that doubles each time.
    pub fn failed(&mut self, now: Time, created: i64, key: &ServiceKey) {
        let failures = self.failures.entry(key.clone()).or_insert(0);
        let pause = FIRST_PAUSE
            .saturating_mul(1 << (*failures).min(10))
            .min(LONGEST_PAUSE);
        *failures = failures.saturating_add(1);
        self.release(key);
        self.delayed.insert((now + pause, created, key.clone()));
    }

    /// Forgets everything, as when another controller leads.
    pub fn clear(&mut self) {
        let busy = std::mem::take(&mut self.busy);
        *self = Self {
            busy,
            ..Self::default()
        };
    }

    fn release(&mut self, key: &ServiceKey) {
        self.busy.remove(key);
        if let Some(created) = self.again.remove(key) {
            self.push(created, key.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ServiceKey {
        ServiceKey::new("default", name)
    }

    fn at(millis: u64) -> Time {
        Time::from_start(Duration::from_millis(millis))
    }

    #[test]
    fn the_oldest_goes_first_and_none_runs_twice_at_once() {
        let mut queue = Queue::default();
        queue.push(2, key("young"));
        queue.push(1, key("old"));
        assert_eq!(queue.pop(at(0)), Some(key("old")));
        queue.push(1, key("old"));
        assert_eq!(queue.pop(at(0)), Some(key("young")));
        assert_eq!(queue.pop(at(0)), None);
        queue.done(&key("old"));
        assert_eq!(queue.pop(at(0)), Some(key("old")));
    }

    #[test]
    fn one_that_is_asked_for_under_two_ages_is_handed_out_once() {
        let mut queue = Queue::default();
        queue.push(2, key("a"));
        queue.push(i64::MIN, key("a"));
        assert_eq!(queue.pop(at(0)), Some(key("a")));
        assert_eq!(queue.pop(at(0)), None);
        queue.push(7, key("a"));
        queue.push(8, key("a"));
        assert_eq!(queue.pop(at(0)), None, "busy");
        queue.done(&key("a"));
        assert_eq!(queue.pop(at(0)), Some(key("a")));
    }

    #[test]
    fn failures_are_tried_again_later_and_later() {
        let mut queue = Queue::default();
        queue.push(1, key("a"));
        let mut now = at(0);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            let popped = queue.pop(now).unwrap();
            queue.failed(now, 1, &popped);
            let due = queue.next_due().unwrap();
            pauses.push(due.since(now));
            now = due;
        }
        assert_eq!(pauses[0], FIRST_PAUSE);
        assert_eq!(pauses[1], FIRST_PAUSE * 2);
        assert_eq!(pauses[11], LONGEST_PAUSE);
    }
}
