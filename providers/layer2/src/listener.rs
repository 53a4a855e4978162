//! The host's part of Multicast Listener Discovery on one link (RFC 3810 section 6, and 8 for queriers of RFC 2710): a
//! pure state machine. Switches with snooping deliver solicitations only to ports behind which somebody has said that he
//! listens.
//!
//! Why not the kernel, which does this for sockets that join a group: it looks each group that it is in up in a list, for
//! each multicast frame that comes in. With thousands of addresses everything on the link waits for that.
//!
//! Invariants: a change is told as often as the querier demands, spread over a second, and the last word about a group
//! is true. However many queries come in, all groups are told at most once in [`EASE`]; and never more than [`BURST`]
//! frames at a time.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::Ipv6Addr,
    time::Duration,
};

use herald_spi::Time;

use crate::{
    frame::mld::{self, Query, Record, Standing, Station, Version},
    rng::Rng,
};

/// RFC 3810 section 9.1, unless the querier says something else.
const ROBUSTNESS: u8 = 2;
/// RFC 3810 section 9.11: a change is told again within so long.
const UNSOLICITED: Duration = Duration::from_secs(1);
/// RFC 3810 section 9.12 at its defaults: so long a querier of version 1 is taken to be there.
const OLDER_QUERIER: Duration = Duration::from_secs(2 * 125 + 10);
/// Between two answers of which each may name all groups.
const EASE: Duration = Duration::from_secs(1);
/// So many frames leave at once, and the next ones so much later.
const BURST: usize = 64;
const PAUSE: Duration = Duration::from_millis(10);

/// The groups of a link, and what is still to be told about them.
#[derive(Debug)]
pub(crate) struct Listener {
    groups: BTreeSet<Ipv6Addr>,
    /// What the host listens to without Herald: nobody may say that it left these.
    kept: BTreeSet<Ipv6Addr>,
    /// Changes, and how many more times each is to be told.
    changes: BTreeMap<Ipv6Addr, u8>,
    changes_at: Option<Time>,
    asked: Asked,
    answer_at: Option<Time>,
    /// No answer before this.
    at_ease: Time,
    queue: VecDeque<Record>,
    queue_at: Time,
    older_until: Option<Time>,
    robustness: u8,
    rng: Rng,
}

/// What queries asked for since the last answer.
#[derive(Debug)]
enum Asked {
    All,
    Some(BTreeSet<Ipv6Addr>),
}

impl Listener {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            groups: BTreeSet::new(),
            kept: BTreeSet::new(),
            changes: BTreeMap::new(),
            changes_at: None,
            asked: Asked::default(),
            answer_at: None,
            at_ease: Time::ZERO,
            queue: VecDeque::new(),
            queue_at: Time::ZERO,
            older_until: None,
            robustness: ROBUSTNESS,
            rng: Rng::new(seed),
        }
    }

    /// The groups that are listened to.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Ipv6Addr> + '_ {
        self.groups.iter().copied()
    }

    /// Whether it is new.
    pub(crate) fn join(&mut self, now: Time, group: Ipv6Addr) -> bool {
        let new = self.groups.insert(group);
        if new {
            self.changed(now, group);
        }
        new
    }

    /// Whether it was listened to.
    pub(crate) fn leave(&mut self, now: Time, group: Ipv6Addr) -> bool {
        let listened = self.groups.remove(&group);
        if listened {
            self.changed(now, group);
        }
        listened
    }

    /// The groups that the host listens to itself, for its own addresses.
    pub(crate) fn keep(&mut self, groups: BTreeSet<Ipv6Addr>) {
        self.kept = groups;
    }

    /// Whoever remembered what was told may have forgotten it, or knows it of another station.
    pub(crate) fn tell_again(&mut self, now: Time) {
        let all: Vec<Ipv6Addr> = self.groups().collect();
        for group in all {
            self.changed(now, group);
        }
    }

    pub(crate) fn hear(&mut self, now: Time, query: &Query) {
        if query.version == Version::One {
            self.older_until = Some(now + OLDER_QUERIER);
        }
        if query.robustness > 0 {
            self.robustness = query.robustness;
        }
        match (query.group, &mut self.asked) {
            (None, asked) => *asked = Asked::All,
            (Some(group), _) if !self.groups.contains(&group) => return,
            (Some(_), Asked::All) => {}
            (Some(group), Asked::Some(groups)) => drop(groups.insert(group)),
        }
        let at = (now + self.rng.between(Duration::ZERO, query.within)).max(self.at_ease);
        self.answer_at = Some(self.answer_at.map_or(at, |planned| planned.min(at)));
    }

    /// When [`Self::frames`] has something to do.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let queued = (!self.queue.is_empty()).then_some(self.queue_at);
        [self.changes_at, self.answer_at, queued]
            .into_iter()
            .flatten()
            .min()
    }

    /// What is to be sent now.
    pub(crate) fn frames(&mut self, now: Time, from: Station) -> Vec<Vec<u8>> {
        if self.answer_at.is_some_and(|at| at <= now) {
            self.answer(now);
        }
        if self.changes_at.is_some_and(|at| at <= now) {
            self.tell_changes(now);
        }
        if self.queue.is_empty() || now < self.queue_at {
            return Vec::new();
        }
        self.queue_at = now + PAUSE;
        let most = BURST * self.records_in_a_frame(now);
        let records: Vec<Record> = self.queue.drain(..most.min(self.queue.len())).collect();
        self.write(now, from, &records)
    }

    /// Leaves all groups, without a second word: for a link that is given up.
    pub(crate) fn farewell(&mut self, now: Time, from: Station) -> Vec<Vec<u8>> {
        let told = std::mem::take(&mut self.changes);
        let left = std::mem::take(&mut self.groups);
        let mut gone = left;
        gone.extend(told.into_keys());
        (self.changes_at, self.answer_at) = (None, None);
        self.queue.clear();
        let gone = gone.difference(&self.kept);
        let records: Vec<Record> = gone.map(|&group| (Standing::Left, group)).collect();
        self.write(now, from, &records)
    }

    fn changed(&mut self, now: Time, group: Ipv6Addr) {
        self.changes.insert(group, self.robustness);
        self.changes_at = Some(now);
    }

    fn answer(&mut self, now: Time) {
        self.answer_at = None;
        self.at_ease = now + EASE;
        let listens = |&group: &Ipv6Addr| (Standing::Listens, group);
        match std::mem::take(&mut self.asked) {
            Asked::All => self.queue.extend(self.groups.iter().map(listens)),
            Asked::Some(groups) => {
                let known = groups.intersection(&self.groups);
                self.queue.extend(known.map(listens));
            }
        }
    }

    fn tell_changes(&mut self, now: Time) {
        for (&group, times) in &mut self.changes {
            if self.groups.contains(&group) {
                self.queue.push_back((Standing::Joined, group));
            } else if !self.kept.contains(&group) {
                self.queue.push_back((Standing::Left, group));
            }
            *times = times.saturating_sub(1);
        }
        self.changes.retain(|_, times| *times > 0);
        let again = now + self.rng.between(Duration::ZERO, UNSOLICITED);
        self.changes_at = (!self.changes.is_empty()).then_some(again);
    }

    fn write(&self, now: Time, from: Station, records: &[Record]) -> Vec<Vec<u8>> {
        let frame = |records: &[Record]| match (self.version(now), records) {
            (Version::One, &[record]) => mld::report_of_version_1(from, record),
            _ => mld::report(from, records),
        };
        records
            .chunks(self.records_in_a_frame(now))
            .map(frame)
            .collect()
    }

    fn records_in_a_frame(&self, now: Time) -> usize {
        match self.version(now) {
            Version::One => 1,
            Version::Two => mld::RECORDS,
        }
    }

    fn version(&self, now: Time) -> Version {
        if self.older_until.is_some_and(|until| now < until) {
            Version::One
        } else {
            Version::Two
        }
    }
}

impl Default for Asked {
    fn default() -> Self {
        Self::Some(BTreeSet::new())
    }
}

#[cfg(test)]
mod tests;
