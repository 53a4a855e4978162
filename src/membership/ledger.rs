//! The claims of this agent on one interface, and how they reach the peers: as a log of changes, or as a whole.
//!
//! ```text
//!   generation   ... G-3  G-2  G-1   G        each change of a claim is one entry and one generation
//!   log              [────────────────]       the last 1,024; each is said in 4 beats, again when asked for
//!   snapshot      the set as it was at S, cut into parts; for who misses more than the log holds
//! ```
//!
//! A peer that has everything up to R asks for what came after R; if the log begins later, it gets a snapshot and then
//! the log from there. A change of more claims than the log holds begins with a snapshot unasked.

use std::{
    collections::{BTreeSet, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use herald_spi::Time;

use super::{
    Claims,
    digest::Digest,
    message::{Changes, Part},
    wire::claim_length,
};

/// How many changes are remembered.
const LOG: usize = 1_024;
/// In how many beats a change is said: all four are lost once in 625 at 20 % loss, and then it is asked for.
const REPEATS: u8 = 4;
/// A part that was sent so lately is not sent again: the request crossed it.
const CROSSED: Duration = Duration::from_millis(40);

/// The claims on one interface.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    claims: Arc<Claims>,
    digest: Digest,
    generation: u64,
    log: VecDeque<Entry>,
    /// The generation that a beat too long for one burst continues with.
    rest: Option<u64>,
    snapshot: Option<Snapshot>,
}

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    epoch: Option<u64>,
    /// In how many beats it is still to be said. Never less than that of the entry before.
    left: u8,
}

#[derive(Debug)]
struct Snapshot {
    generation: u64,
    claims: Arc<Claims>,
    /// The first address of each part.
    starts: Vec<IpAddr>,
    sent: Vec<Option<Time>>,
    queued: BTreeSet<u32>,
}

impl Ledger {
    /// How many changes there were.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// The fingerprint of the claims.
    pub(super) fn digest(&self) -> Digest {
        self.digest
    }

    /// Replaces the claims; says whether anything changed. `room` is what a datagram has for claims.
    pub(super) fn set(&mut self, now: Time, wanted: Claims, room: usize) -> bool {
        let changes = difference(&self.claims, &wanted);
        if changes.is_empty() {
            return false;
        }
        for (address, epoch) in &changes {
            if let Some(before) = self.claims.get(address) {
                self.digest.remove(*address, *before);
            }
            if let Some(epoch) = epoch {
                self.digest.add(*address, *epoch);
            }
        }
        self.claims = Arc::new(wanted);
        if changes.len() > LOG {
            self.generation += 1;
            self.log.clear();
            self.push_all(now, room);
            return true;
        }
        for (address, epoch) in changes {
            self.generation += 1;
            self.log.push_back(Entry {
                address,
                epoch,
                left: REPEATS,
            });
        }
        self.log.drain(..self.log.len().saturating_sub(LOG));
        true
    }

    /// The changes to say in one beat, cut into at most `most` datagrams; one empty one if there are none.
    pub(super) fn beat(&mut self, room: usize, most: usize) -> Vec<Changes> {
        let start = self.log_start();
        let said = self.log.partition_point(|entry| entry.left == 0);
        let rest = self
            .rest
            .take()
            .map_or(0, |rest| rest.saturating_sub(start));
        let from = start + length(said).max(rest).min(length(self.log.len()));
        let skipped = usize::try_from(from - start).unwrap_or(usize::MAX);
        let entries = self.log.iter_mut().skip(skipped);
        let mut all = Vec::new();
        let (mut changes, mut left) = (
            Changes {
                first: from,
                entries: Vec::new(),
            },
            room,
        );
        for (generation, entry) in (from..).zip(entries) {
            let needed = claim_length(entry.address);
            if needed > left && !changes.entries.is_empty() {
                let next = Changes {
                    first: generation,
                    entries: Vec::new(),
                };
                all.push(std::mem::replace(&mut changes, next));
                left = room;
                if all.len() == most {
                    self.rest = Some(generation);
                    return all;
                }
            }
            left = left.saturating_sub(needed);
            changes.entries.push((entry.address, entry.epoch));
            entry.left = entry.left.saturating_sub(1);
        }
        all.push(changes);
        all
    }

    /// Whether the last beat was too long for one burst.
    pub(super) fn has_rest(&self) -> bool {
        self.rest.is_some()
    }

    /// Answers a peer that has all changes up to `since`, or parts of the snapshot of `generation`. Says whether
    /// a beat shall carry the answer.
    pub(super) fn answer(
        &mut self,
        now: Time,
        since: Option<u64>,
        generation: Option<u64>,
        missing: &[u32],
        room: usize,
    ) -> bool {
        let in_log = |from: u64| from <= self.generation && from + 1 >= self.log_start();
        if let Some(since) = since.filter(|since| in_log(*since)) {
            let known = usize::try_from(since + 1 - self.log_start()).unwrap_or(usize::MAX);
            for entry in self.log.iter_mut().skip(known) {
                entry.left = entry.left.max(1);
            }
            return true;
        }
        let log_start = self.log_start();
        match &mut self.snapshot {
            Some(snapshot) if Some(snapshot.generation) == generation => {
                snapshot.queue(now, missing.iter().copied());
            }
            // A peer that has nothing takes the last snapshot too, if the log leads on from there.
            Some(snapshot) if generation.is_none() && snapshot.generation + 1 >= log_start => {
                snapshot.queue_all(now);
            }
            _ => self.push_all(now, room),
        }
        false
    }

    /// Takes up to `most` parts that are to be sent now.
    pub(super) fn parts(&mut self, now: Time, most: usize) -> Vec<Part> {
        let Some(snapshot) = &mut self.snapshot else {
            return Vec::new();
        };
        (0..most).map_while(|_| snapshot.next(now)).collect()
    }

    /// Whether parts wait to be sent.
    pub(super) fn has_parts(&self) -> bool {
        self.snapshot
            .as_ref()
            .is_some_and(|snapshot| !snapshot.queued.is_empty())
    }

    /// What a datagram has room for has changed, so that the parts would be cut elsewhere.
    pub(super) fn recut(&mut self, now: Time, room: usize) {
        if self
            .snapshot
            .take()
            .is_some_and(|snapshot| !snapshot.queued.is_empty())
        {
            // Under a new generation, or peers would mix the parts of both.
            self.generation += 1;
            self.log.clear();
            self.push_all(now, room);
        }
    }

    /// The generation that the first entry of the log led to.
    fn log_start(&self) -> u64 {
        self.generation + 1 - length(self.log.len())
    }

    fn push_all(&mut self, now: Time, room: usize) {
        let mut snapshot = Snapshot::cut(self.generation, Arc::clone(&self.claims), room);
        snapshot.queue_all(now);
        self.snapshot = Some(snapshot);
    }
}

impl Snapshot {
    fn cut(generation: u64, claims: Arc<Claims>, room: usize) -> Self {
        let (mut starts, mut left) = (Vec::new(), 0);
        for address in claims.keys() {
            let needed = claim_length(*address);
            if needed > left || starts.is_empty() {
                starts.push(*address);
                left = room;
            }
            left = left.saturating_sub(needed);
        }
        if starts.is_empty() {
            // One empty part: even nothing must be said.
            starts.push(IpAddr::from([0, 0, 0, 0]));
        }
        let sent = vec![None; starts.len()];
        Self {
            generation,
            claims,
            starts,
            sent,
            queued: BTreeSet::new(),
        }
    }

    fn queue_all(&mut self, now: Time) {
        let all = 0..u32::try_from(self.starts.len()).unwrap_or(u32::MAX);
        self.queue(now, all);
    }

    fn queue(&mut self, now: Time, parts: impl Iterator<Item = u32>) {
        for part in parts {
            let sent = usize::try_from(part).ok().and_then(|at| self.sent.get(at));
            // A part that does not exist is not queued.
            if sent.is_some_and(|sent| sent.is_none_or(|sent| now.since(sent) >= CROSSED)) {
                self.queued.insert(part);
            }
        }
    }

    fn next(&mut self, now: Time) -> Option<Part> {
        let part = self.queued.pop_first()?;
        let at = usize::try_from(part).ok()?;
        *self.sent.get_mut(at)? = Some(now);
        let from = *self.starts.get(at)?;
        let to = self.starts.get(at + 1);
        let claims = self
            .claims
            .range(from..)
            .take_while(|(address, _)| to.is_none_or(|to| *address < to));
        Some(Part {
            generation: self.generation,
            part,
            parts: u32::try_from(self.starts.len()).unwrap_or(u32::MAX),
            entries: claims.map(|(address, epoch)| (*address, *epoch)).collect(),
        })
    }
}

/// What changes between two sets, in the order of addresses.
fn difference(before: &Claims, after: &Claims) -> Vec<(IpAddr, Option<u64>)> {
    let ended = before.keys().filter(|address| !after.contains_key(address));
    let begun = after
        .iter()
        .filter(|(address, epoch)| before.get(address) != Some(epoch));
    let mut changes: Vec<_> = ended
        .map(|address| (*address, None))
        .chain(begun.map(|(address, epoch)| (*address, Some(*epoch))))
        .collect();
    changes.sort_unstable_by_key(|(address, _)| *address);
    changes
}

fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
