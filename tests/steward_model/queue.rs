//! Which Services a controller looks at next, as its own queue does it: the oldest first, none twice at once, failed
//! ones after a pause.

use std::collections::{BTreeMap, BTreeSet};

use herald_spi::ServiceKey;

/// See the module.
#[derive(Default)]
pub struct Queue {
    ready: BTreeSet<(i64, ServiceKey)>,
    busy: BTreeSet<ServiceKey>,
    again: BTreeMap<ServiceKey, i64>,
    delayed: BTreeSet<(i64, ServiceKey)>,
}

impl Queue {
    pub fn push(&mut self, created: i64, key: ServiceKey) {
        if self.busy.contains(&key) {
            self.again.insert(key, created);
        } else {
            self.ready.insert((created, key));
        }
    }

    pub fn pop(&mut self) -> Option<ServiceKey> {
        while let Some((created, key)) = self.ready.pop_first() {
            // One that was deleted and made again may be here by two ages.
            if self.busy.insert(key.clone()) {
                return Some(key);
            }
            self.again.insert(key, created);
        }
        None
    }

    pub fn done(&mut self, key: &ServiceKey) {
        self.busy.remove(key);
        if let Some(created) = self.again.remove(key) {
            self.push(created, key.clone());
        }
    }

    pub fn failed(&mut self, created: i64, key: &ServiceKey) {
        self.done(key);
        self.delayed.insert((created, key.clone()));
    }

    /// The pauses are over.
    pub fn retry(&mut self) {
        for (created, key) in std::mem::take(&mut self.delayed) {
            self.push(created, key);
        }
    }

    /// As when another controller leads.
    pub fn clear(&mut self) {
        let busy = std::mem::take(&mut self.busy);
        *self = Self {
            busy,
            ..Self::default()
        };
    }

    pub fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.delayed.is_empty()
    }
}
