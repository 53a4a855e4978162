//! A table of records that knows which of them a change touched.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map},
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
    /// The record was made or changed.
    Apply(T),
    /// The record is gone, or no longer matches what is watched.
    Delete(T),
}

/// Records by key, and whether they have been listed at least once.
#[derive(Clone, Debug)]
pub struct Table<T: Keyed> {
    records: BTreeMap<T::Key, Arc<T>>,
    synced: bool,
}

impl<T: Keyed> Default for Table<T> {
    fn default() -> Self {
        Self {
            records: BTreeMap::new(),
            synced: false,
        }
    }
}

impl<T: Keyed + PartialEq> Table<T> {
    /// Takes a change in and returns the keys whose records differ now.
    pub fn take(&mut self, change: Change<T>) -> BTreeSet<T::Key> {
        match change {
            Change::Apply(record) => self.apply(record).into_iter().collect(),
            Change::Delete(record) => {
                let key = record.key();
                self.records.remove(&key).map(|_| key).into_iter().collect()
            }
            Change::Reset(records) => self.reset(records),
        }
    }

    /// Takes in the answer to an own write, which may be older than what a watch has said since.
    pub fn apply(&mut self, record: T) -> Option<T::Key> {
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

    fn reset(&mut self, records: Vec<T>) -> BTreeSet<T::Key> {
        self.synced = true;
        let fresh: BTreeMap<_, _> = records
            .into_iter()
            .map(|r| (r.key(), Arc::new(r)))
            .collect();
        let gone = self
            .records
            .keys()
            .filter(|key| !fresh.contains_key(key))
            .cloned();
        let changed = fresh
            .iter()
            .filter(|(key, record)| self.records.get(key).is_none_or(|known| known != *record))
            .map(|(key, _)| key.clone());
        let dirty = gone.chain(changed).collect();
        self.records = fresh;
        dirty
    }

    /// Forgets a record that was found to be gone.
    pub fn remove(&mut self, key: &T::Key) -> Option<Arc<T>> {
        self.records.remove(key)
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
        self.synced
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
        table.apply(Record("a", 5, 1));
        assert_eq!(table.apply(Record("a", 4, 0)), None);
        assert_eq!(table.get(&"a").map(|r| r.1), Some(5));
    }
}
