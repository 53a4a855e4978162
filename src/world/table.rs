//! A table of records that knows which of them a change touched.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque, btree_map},
    ops::RangeBounds,
    sync::Arc,
};

/// A record that has a key.
pub trait Keyed {
    /// What identifies the record.
    type Key: Ord + Clone;

    /// The record's key.
    fn key(&self) -> Self::Key;

    /// The number of the write that made this state; a lower one is older.
    fn version(&self) -> u64;
}

/// What a watch says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<T> {
    /// These records and no others exist.
    Reset(Vec<T>),
    /// A new list begins: what is not told until it is complete does not exist. The same as a reset, without two whole
    /// lists in memory.
    Relisting,
    /// A record of the list.
    Listed(T),
    /// The list is complete.
    Complete,
    /// The record was made or changed.
    Apply(T),
    /// The record is gone, or no longer matches what is watched.
    Delete(T),
}

/// Records by key, and whether they have been listed at least once.
#[derive(Clone, Debug)]
pub struct Table<T: Keyed> {
    records: BTreeMap<T::Key, Arc<T>>,
    buried: Buried<T::Key>,
    /// The keys of a list that is under way.
    listed: Option<BTreeSet<T::Key>>,
    /// How many lists were complete.
    lists: u64,
}

/// Which records went last, and by which write: the answer to an earlier write, which may come later than the word of
/// the deletion, does not bring them back.
#[derive(Clone, Debug)]
struct Buried<K> {
    versions: BTreeMap<K, u64>,
    order: VecDeque<K>,
}

/// How many deletions are remembered: more than can happen while an answer is on its way.
const REMEMBERED: usize = 4096;

impl<T: Keyed> Default for Table<T> {
    fn default() -> Self {
        Self {
            records: BTreeMap::new(),
            buried: Buried::default(),
            listed: None,
            lists: 0,
        }
    }
}

impl<K> Default for Buried<K> {
    fn default() -> Self {
        Self {
            versions: BTreeMap::new(),
            order: VecDeque::new(),
        }
    }
}

impl<K: Ord + Clone> Buried<K> {
    fn bury(&mut self, key: K, version: u64) {
        if self.versions.insert(key.clone(), version).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > REMEMBERED {
            let oldest = self.order.pop_front();
            oldest.and_then(|key| self.versions.remove(&key));
        }
    }

    /// Whether the record of this version is among the dead.
    fn holds(&self, key: &K, version: u64) -> bool {
        self.versions
            .get(key)
            .is_some_and(|deleted| version < *deleted)
    }
}

impl<T: Keyed + PartialEq> Table<T> {
    /// Takes a change in and returns the keys whose records differ now.
    pub fn take(&mut self, change: Change<T>) -> BTreeSet<T::Key> {
        match change {
            Change::Reset(records) => {
                self.take(Change::Relisting);
                let mut dirty = BTreeSet::new();
                for record in records {
                    dirty.append(&mut self.take(Change::Listed(record)));
                }
                dirty.append(&mut self.take(Change::Complete));
                dirty
            }
            Change::Relisting => {
                self.listed = Some(BTreeSet::new());
                BTreeSet::new()
            }
            Change::Listed(record) => {
                if let Some(listed) = &mut self.listed {
                    listed.insert(record.key());
                }
                self.take(Change::Apply(record))
            }
            Change::Complete => self.complete(),
            Change::Apply(record) => {
                let key = record.key();
                if self.buried.holds(&key, record.version()) {
                    return BTreeSet::new();
                }
                self.buried.versions.remove(&key);
                self.enter(record).into_iter().collect()
            }
            Change::Delete(record) => {
                let key = record.key();
                let known = self.records.get(&key).map_or(0, |known| known.version());
                if known > record.version() {
                    // It has been made again since.
                    return BTreeSet::new();
                }
                // A deletion is a write, and the record tells its version.
                self.buried.bury(key.clone(), record.version());
                self.records.remove(&key).map(|_| key).into_iter().collect()
            }
        }
    }

    /// Takes in the answer to an own call that was made after so many lists. It may be older than what a watch has said
    /// since; and a record that a later list did not tell of may be gone, which no watch will ever tell.
    pub fn answer(&mut self, record: T, lists: u64) -> Option<T::Key> {
        let key = record.key();
        let outlived = lists < self.lists && !self.records.contains_key(&key);
        if outlived || self.buried.holds(&key, record.version()) {
            return None;
        }
        self.enter(record)
    }

    fn enter(&mut self, record: T) -> Option<T::Key> {
        let key = record.key();
        match self.records.entry(key.clone()) {
            btree_map::Entry::Vacant(vacant) => {
                vacant.insert(Arc::new(record));
                Some(key)
            }
            btree_map::Entry::Occupied(mut known) => {
                if record.version() < known.get().version() || **known.get() == record {
                    return None;
                }
                known.insert(Arc::new(record));
                Some(key)
            }
        }
    }

    fn complete(&mut self) -> BTreeSet<T::Key> {
        self.lists += 1;
        let listed = self.listed.take().unwrap_or_default();
        let gone: BTreeSet<_> = self
            .records
            .keys()
            .filter(|key| !listed.contains(key))
            .cloned()
            .collect();
        for key in &gone {
            self.records.remove(key);
        }
        gone
    }

    /// Forgets a record that was found to be gone. What the watch still tells of it is past.
    pub fn remove(&mut self, key: &T::Key) -> Option<Arc<T>> {
        let removed = self.records.remove(key)?;
        self.buried
            .bury(key.clone(), removed.version().saturating_add(1));
        Some(removed)
    }

    /// The record of a key.
    #[must_use]
    pub fn get(&self, key: &T::Key) -> Option<&Arc<T>> {
        self.records.get(key)
    }

    /// All records in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&T::Key, &Arc<T>)> {
        self.records.iter()
    }

    /// The records of a range of keys, in their order.
    pub fn range(
        &self,
        keys: impl RangeBounds<T::Key>,
    ) -> impl Iterator<Item = (&T::Key, &Arc<T>)> {
        self.records.range(keys)
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether a full list has been seen.
    #[must_use]
    pub fn synced(&self) -> bool {
        self.lists > 0
    }

    /// How many full lists have been seen.
    #[must_use]
    pub fn lists(&self) -> u64 {
        self.lists
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Record(&'static str, u64, u8);

    impl Keyed for Record {
        type Key = &'static str;
        fn key(&self) -> &'static str {
            self.0
        }
        fn version(&self) -> u64 {
            self.1
        }
    }

    #[test]
    fn only_real_changes_make_a_key_dirty() {
        let mut table = Table::default();
        assert!(!table.synced());
        assert_eq!(table.take(Change::Apply(Record("a", 1, 0))), ["a"].into());
        assert_eq!(table.take(Change::Apply(Record("a", 1, 0))), [].into());
        let list = vec![Record("a", 1, 0), Record("b", 2, 0)];
        assert_eq!(table.take(Change::Reset(list)), ["b"].into());
        assert!(table.synced());
        let list = vec![Record("b", 3, 1)];
        assert_eq!(table.take(Change::Reset(list)), ["a", "b"].into());
        assert_eq!(table.take(Change::Delete(Record("a", 4, 0))), [].into());
        assert_eq!(table.take(Change::Delete(Record("b", 4, 0))), ["b"].into());
    }

    #[test]
    fn an_older_state_does_not_replace_a_newer_one() {
        let mut table = Table::default();
        table.answer(Record("a", 5, 1), 0);
        assert_eq!(table.answer(Record("a", 4, 0), 0), None);
        assert_eq!(table.get(&"a").map(|r| r.1), Some(5));
    }

    #[test]
    fn an_answer_that_comes_after_the_deletion_does_not_raise_the_dead() {
        let mut table = Table::default();
        table.take(Change::Apply(Record("a", 5, 0)));
        table.take(Change::Delete(Record("a", 9, 0)));
        assert_eq!(table.answer(Record("a", 7, 1), 0), None);
        assert!(table.is_empty());
        assert_eq!(table.answer(Record("a", 10, 2), 0), Some("a"), "made again");
        table.take(Change::Reset(Vec::new()));
        assert_eq!(table.answer(Record("a", 11, 3), 0), None);
        assert_eq!(table.answer(Record("b", 11, 3), 0), None, "never heard of");
        assert_eq!(table.answer(Record("a", 11, 3), 1), Some("a"));
    }

    #[test]
    fn a_watch_that_is_behind_changes_nothing_that_was_made_again_or_deleted_since() {
        let mut table = Table::default();
        table.answer(Record("a", 5, 0), 0);
        assert!(table.take(Change::Delete(Record("a", 4, 9))).is_empty());
        assert!(table.get(&"a").is_some());
        table.remove(&"a");
        assert!(table.take(Change::Apply(Record("a", 5, 0))).is_empty());
        assert_eq!(table.take(Change::Apply(Record("a", 7, 0))), ["a"].into());
    }
}
