//! What is left in AWS of Services that are no more. Pure.
//!
//! It is told when two surveys a while apart have seen it: a Service may be known to AWS a moment before the watch tells
//! of it. Nothing is deleted unless somebody says so: `herald aws orphans --delete`.

use std::collections::{BTreeMap, BTreeSet};

use herald_aws::{Inventory, Moment, Orphan};

/// So many seconds something must have been without its Service.
const PATIENCE: u64 = 900;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Sweep {
    since: BTreeMap<String, Moment>,
    told: BTreeSet<String>,
}

impl Sweep {
    /// Takes a survey in; how many orphans there are, and those that were not told of yet.
    pub(super) fn take(
        &mut self,
        inventory: &Inventory,
        living: &BTreeSet<String>,
        at: Moment,
    ) -> (usize, Vec<Orphan>) {
        let orphans = inventory.orphans(living);
        let uids: BTreeSet<_> = orphans.iter().map(|orphan| orphan.uid.clone()).collect();
        self.since.retain(|uid, _| uids.contains(uid));
        self.told.retain(|uid| uids.contains(uid));
        let mut lasting = 0;
        let mut news = Vec::new();
        for orphan in orphans {
            let since = *self.since.entry(orphan.uid.clone()).or_insert(at);
            if at.since(since) < PATIENCE {
                continue;
            }
            lasting += 1;
            if self.told.insert(orphan.uid.clone()) {
                news.push(orphan);
            }
        }
        (lasting, news)
    }

    /// Whether anything is left of a Service that is no more.
    pub(super) fn found_any(&self) -> bool {
        !self.since.is_empty()
    }

    /// Whether another survey may tell more.
    pub(super) fn is_unsure(&self) -> bool {
        self.since.len() > self.told.len()
    }
}
