//! What a peer claims, as far as it was heard: the other end of [`super::ledger`].
//!
//! ```text
//!   target    the state that the newest header names: generation, fingerprint
//!   applied   the generation up to which every change is in `claims`
//!   pending   changes that came before the ones in front of them
//!   assembly  the parts of a snapshot that have come so far
//! ```
//!
//! `applied == target` and equal fingerprints: in step. Behind: wait a moment, for changes are said several times, then
//! ask; as long as something comes, wait on. Another fingerprint at the same generation: start over with a snapshot.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use herald_spi::Time;

use super::{
    Claims,
    dice::Dice,
    digest::{self, Digest},
    message::{Changes, Part},
};

/// How many changes out of order are kept; beyond that a snapshot is quicker.
const PENDING: usize = 4_096;
/// How many parts a snapshot may have: 4 million claims.
const PARTS: u32 = 65_536;

/// Ask when nothing has come for so long: at least and at most.
const QUIET: (Duration, Duration) = (Duration::from_millis(40), Duration::from_millis(80));
/// Ask again when a request was not answered for so long: at least and at most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(120), Duration::from_millis(240));

/// The claims of a peer on one of its interfaces.
#[derive(Debug)]
pub(super) struct Mirror {
    claims: Arc<Claims>,
    digest: Digest,
    /// Absent after an inconsistency: then only a snapshot helps.
    applied: Option<u64>,
    target: State,
    pending: BTreeMap<u64, (IpAddr, Option<u64>)>,
    assembly: Option<Assembly>,
    ask_at: Option<Time>,
    synced: bool,
}

/// What a header says about its sender's claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) generation: u64,
    pub(super) digest: Digest,
}

#[derive(Debug)]
struct Assembly {
    generation: u64,
    parts: u32,
    got: BTreeMap<u32, Vec<(IpAddr, u64)>>,
}

/// What is missing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// Everything up to here is known; only a snapshot helps if absent.
    pub(super) since: Option<u64>,
    /// Of the snapshot of this generation some parts are known.
    pub(super) generation: Option<u64>,
    /// And these are not.
    pub(super) missing: Vec<u32>,
}

/// What became of the mirror.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The claims changed, or became complete.
    pub(super) changed: bool,
    /// A whole set was taken over.
    pub(super) full: bool,
}

impl Default for Mirror {
    /// Every ledger begins empty.
    fn default() -> Self {
        Self {
            claims: Arc::default(),
            digest: Digest::default(),
            applied: Some(0),
            target: State::default(),
            pending: BTreeMap::new(),
            assembly: None,
            ask_at: None,
            synced: false,
        }
    }
}

impl Mirror {
    /// What is known of the claims.
    pub(super) fn claims(&self) -> &Arc<Claims> {
        &self.claims
    }

    /// Whether they have been complete once.
    pub(super) fn synced(&self) -> bool {
        self.synced
    }

    /// When to ask for what is missing.
    pub(super) fn ask_at(&self) -> Option<Time> {
        self.ask_at
    }

    /// The newest header names this state.
    pub(super) fn aim(&mut self, target: State) {
        if target.generation < self.target.generation {
            self.start_over();
        }
        self.target = target;
    }

    /// Takes changes, in whatever order they come.
    pub(super) fn changes(&mut self, changes: &Changes) -> bool {
        let mut useful = false;
        for (generation, change) in (changes.first..=u64::MAX).zip(&changes.entries) {
            let news = self.applied.is_none_or(|applied| generation > applied);
            if news && self.pending.len() < PENDING {
                useful |= self.pending.insert(generation, *change).is_none();
            }
        }
        useful
    }

    /// Takes a part of a snapshot.
    pub(super) fn part(&mut self, part: &Part) -> bool {
        let Part {
            generation,
            part,
            parts,
            ref entries,
        } = *part;
        let needed = self.applied.is_none_or(|applied| generation > applied);
        if !needed || part >= parts || parts > PARTS {
            return false;
        }
        let same = |old: &Assembly| old.generation == generation && old.parts == parts;
        let assembly = match &mut self.assembly {
            Some(old) if old.generation > generation => return false,
            Some(old) if same(old) => old,
            other => other.insert(Assembly {
                generation,
                parts,
                got: BTreeMap::new(),
            }),
        };
        assembly.got.insert(part, entries.clone()).is_none()
    }

    /// Puts together what came. `useful` says whether anything did.
    pub(super) fn settle(&mut self, now: Time, dice: &mut Dice, useful: bool) -> Progress {
        let mut progress = Progress {
            full: self.take_snapshot(),
            changed: false,
        };
        progress.changed |= progress.full | self.apply_pending();
        let followed = self.applied;
        self.assembly
            .take_if(|assembly| Some(assembly.generation) <= followed);
        if self.applied == Some(self.target.generation) && self.digest != self.target.digest {
            self.start_over();
        }
        if self.digest == self.target.digest {
            // However it came about: the sets are equal. So an agent without claims needs no sync at all.
            self.applied = Some(self.target.generation);
            self.pending.clear();
            self.assembly = None;
            progress.changed |= !self.synced;
            self.synced = true;
        }
        if self
            .applied
            .is_some_and(|applied| applied >= self.target.generation)
        {
            self.ask_at = None;
        } else if useful || self.ask_at.is_none() {
            self.ask_at = Some(now + dice.between(QUIET.0, QUIET.1));
        }
        progress
    }

    /// What to ask for, if it is time to. `most` bounds the number of parts.
    pub(super) fn ask(&mut self, now: Time, dice: &mut Dice, most: usize) -> Option<Gap> {
        self.ask_at.filter(|at| *at <= now)?;
        self.ask_at = Some(now + dice.between(AGAIN.0, AGAIN.1));
        let missing = self.assembly.iter().flat_map(|assembly| {
            (0..assembly.parts).filter(|part| !assembly.got.contains_key(part))
        });
        Some(Gap {
            since: self.applied,
            missing: missing.take(most).collect(),
            generation: self.assembly.as_ref().map(|assembly| assembly.generation),
        })
    }

    /// Forgets how far the peer's log was followed; the claims stay until a snapshot replaces them.
    fn start_over(&mut self) {
        self.applied = None;
        self.assembly = None;
        self.pending.clear();
    }

    fn take_snapshot(&mut self) -> bool {
        let whole =
            |assembly: &mut Assembly| u32::try_from(assembly.got.len()) == Ok(assembly.parts);
        let Some(assembly) = self.assembly.take_if(whole) else {
            return false;
        };
        let claims: Claims = assembly.got.into_values().flatten().collect();
        self.digest = Digest::of(&claims);
        self.claims = Arc::new(claims);
        self.applied = Some(assembly.generation);
        self.pending
            .retain(|generation, _| *generation > assembly.generation);
        true
    }

    fn apply_pending(&mut self) -> bool {
        let Some(mut applied) = self.applied else {
            return false;
        };
        let mut changed = false;
        while let Some(entry) = self.pending.first_entry() {
            if *entry.key() > applied.saturating_add(1) {
                break;
            }
            let (generation, (address, epoch)) = entry.remove_entry();
            if generation > applied {
                applied = generation;
                let claims = Arc::make_mut(&mut self.claims);
                changed |= digest::change(claims, &mut self.digest, address, epoch);
            }
        }
        self.applied = Some(applied);
        changed
    }
}

#[cfg(test)]
mod tests;
