//! The objects of one kind and everything that happened to them, so that each watch may lag as far as it likes.

use std::collections::BTreeMap;

use herald::world::{Change, Keyed};

/// What watches of one kind can see: the objects at any position of the log.
pub struct Journal<T: Keyed> {
    /// Before the first entry.
    base: BTreeMap<T::Key, T>,
    now: BTreeMap<T::Key, T>,
    log: Vec<Change<T>>,
}

impl<T: Keyed> Default for Journal<T> {
    fn default() -> Self {
        Self {
            base: BTreeMap::new(),
            now: BTreeMap::new(),
            log: Vec::new(),
        }
    }
}

impl<T: Keyed + Clone + PartialEq> Journal<T> {
    /// The object is now like this.
    pub fn set(&mut self, object: T) {
        if self.now.get(&object.key()) != Some(&object) {
            self.now.insert(object.key(), object.clone());
            self.log.push(Change::Apply(object));
        }
    }

    /// There is no such object any more. Its last event shows it with the version of its deletion.
    pub fn remove(&mut self, key: &T::Key, stamp: impl FnOnce(&mut T)) -> Option<T> {
        let object = self.now.remove(key)?;
        let mut last = object.clone();
        stamp(&mut last);
        self.log.push(Change::Delete(last));
        Some(object)
    }

    pub fn get(&self, key: &T::Key) -> Option<&T> {
        self.now.get(key)
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.now.values()
    }

    /// The position behind the last event.
    pub fn head(&self) -> usize {
        self.log.len()
    }

    pub fn event(&self, at: usize) -> Change<T> {
        self.log[at].clone()
    }

    /// All objects as they were at a position.
    pub fn list(&self, at: usize) -> Vec<T> {
        if at == self.head() {
            return self.now.values().cloned().collect();
        }
        let mut objects = self.base.clone();
        for change in &self.log[..at] {
            match change {
                Change::Apply(object) => drop(objects.insert(object.key(), object.clone())),
                Change::Delete(object) => drop(objects.remove(&object.key())),
                _ => unreachable!("the log holds single changes"),
            }
        }
        objects.into_values().collect()
    }

    /// Forgets how it came about; every watch must be at the head.
    pub fn compact(&mut self) {
        self.base = self.now.clone();
        self.log.clear();
    }
}
