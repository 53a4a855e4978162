//! The objects and their history: one counter, one map and one bounded log per resource.
//!
//! ```text
//! Store ── resourceVersion (one for everything, as etcd's revision)
//!   └─ Collection per resource ── objects: (namespace, name) -> Arc<Value>
//!                              └─ log: the last events, each with the object before and after
//! ```
//! Invariants: an object's `metadata.resourceVersion` is the revision of its last change; the log
//! has every event after `floor`; undoing events newest first gives any earlier state after `floor`.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::fields;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Added,
    Modified,
    Deleted,
}

impl Change {
    /// The `type` of a watch event.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// Namespace (empty for cluster-scoped objects) and name.
pub(crate) type Key = (String, String);

/// The objects of one resource at one moment.
pub(crate) type Objects = BTreeMap<Key, Arc<Value>>;

/// One change of one object.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) revision: u64,
    pub(crate) change: Change,
    /// The object after the change; for a deletion its last state with the revision of the deletion.
    pub(crate) object: Arc<Value>,
    /// The object before the change.
    pub(crate) before: Option<Arc<Value>>,
}

/// What is asked for is older than the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trimmed;

#[derive(Debug, Default)]
struct Collection {
    objects: Objects,
    log: VecDeque<Event>,
    /// The revision of the newest event that was dropped from the log.
    floor: u64,
}

/// All objects of a server.
#[derive(Debug)]
pub(crate) struct Store {
    revision: u64,
    /// Everything up to here is forgotten, for every resource.
    compacted: u64,
    collections: BTreeMap<String, Collection>,
    log_limit: usize,
}

impl Store {
    /// An empty store whose logs keep `log_limit` events per resource.
    pub(crate) fn new(log_limit: usize) -> Self {
        Self {
            revision: 1,
            compacted: 0,
            collections: BTreeMap::new(),
            log_limit,
        }
    }

    /// The newest revision.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// One object.
    pub(crate) fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<&Arc<Value>> {
        let key = (namespace.to_owned(), name.to_owned());
        self.collections.get(resource)?.objects.get(&key)
    }

    /// All objects of a resource now, in the order of namespace and name.
    pub(crate) fn iter(&self, resource: &str) -> impl Iterator<Item = (&Key, &Arc<Value>)> {
        self.collections
            .get(resource)
            .into_iter()
            .flat_map(|kept| kept.objects.iter())
    }

    /// Stores an object that is new or changed, gives it the next revision, and logs the event.
    pub(crate) fn put(&mut self, resource: &str, key: Key, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        fields::set(
            &mut object,
            &["metadata", "resourceVersion"],
            json!(self.revision.to_string()),
        );
        let object = Arc::new(object);
        let collection = self.collections.entry(resource.to_owned()).or_default();
        let before = collection.objects.insert(key, Arc::clone(&object));
        let change = if before.is_some() {
            Change::Modified
        } else {
            Change::Added
        };
        let event = Event {
            revision: self.revision,
            change,
            object: Arc::clone(&object),
            before,
        };
        collection.push(event, self.log_limit);
        object
    }

    /// Removes an object; gives its last state under the revision of the removal.
    pub(crate) fn remove(&mut self, resource: &str, key: &Key) -> Option<Arc<Value>> {
        let collection = self.collections.get_mut(resource)?;
        let before = collection.objects.remove(key)?;
        self.revision += 1;
        let mut last = Value::clone(&before);
        fields::set(
            &mut last,
            &["metadata", "resourceVersion"],
            json!(self.revision.to_string()),
        );
        let last = Arc::new(last);
        let event = Event {
            revision: self.revision,
            change: Change::Deleted,
            object: Arc::clone(&last),
            before: Some(before),
        };
        collection.push(event, self.log_limit);
        Some(last)
    }

    /// Removes every object of a resource, with events.
    pub(crate) fn remove_all(&mut self, resource: &str) {
        let keys: Vec<Key> = self.iter(resource).map(|(key, _)| key.clone()).collect();
        for key in keys {
            self.remove(resource, &key);
        }
    }

    /// The events after `revision`, at most `limit`, oldest first.
    pub(crate) fn events_after(
        &self,
        resource: &str,
        revision: u64,
        limit: usize,
    ) -> Result<Vec<Event>, Trimmed> {
        let Some(collection) = self.collections.get(resource) else {
            return if revision < self.compacted {
                Err(Trimmed)
            } else {
                Ok(Vec::new())
            };
        };
        if revision < collection.floor.max(self.compacted) {
            return Err(Trimmed);
        }
        let start = collection
            .log
            .partition_point(|event| event.revision <= revision);
        Ok(collection
            .log
            .iter()
            .skip(start)
            .take(limit)
            .cloned()
            .collect())
    }

    /// The objects as they were at `revision`.
    pub(crate) fn snapshot(&self, resource: &str, revision: u64) -> Result<Objects, Trimmed> {
        let Some(collection) = self.collections.get(resource) else {
            return Ok(Objects::new());
        };
        if revision < collection.floor.max(self.compacted) {
            return Err(Trimmed);
        }
        let mut objects = collection.objects.clone();
        for event in collection
            .log
            .iter()
            .rev()
            .take_while(|event| event.revision > revision)
        {
            let key = key_of(&event.object);
            match &event.before {
                Some(before) => objects.insert(key, Arc::clone(before)),
                None => objects.remove(&key),
            };
        }
        Ok(objects)
    }

    /// Forgets the history of every resource, as etcd's compaction does: older watches are Gone.
    pub(crate) fn compact(&mut self) {
        self.compacted = self.revision;
        for collection in self.collections.values_mut() {
            collection.log.clear();
            collection.floor = self.revision;
        }
    }
}

impl Collection {
    fn push(&mut self, event: Event, limit: usize) {
        self.log.push_back(event);
        while self.log.len() > limit {
            if let Some(dropped) = self.log.pop_front() {
                self.floor = dropped.revision;
            }
        }
    }
}

/// The key of an object by its metadata.
pub(crate) fn key_of(object: &Value) -> Key {
    (
        fields::meta(object, "namespace").to_owned(),
        fields::meta(object, "name").to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, x: i64) -> Value {
        json!({"metadata": {"name": name}, "x": x})
    }

    #[test]
    fn history_can_be_undone_until_it_is_trimmed() {
        let mut store = Store::new(3);
        let put = |store: &mut Store, name: &str, x| {
            let object = object(name, x);
            let key = key_of(&object);
            store.put("things", key, object);
            store.revision()
        };
        let first = put(&mut store, "a", 1);
        let second = put(&mut store, "b", 1);
        let third = put(&mut store, "a", 2);
        store.remove("things", &(String::new(), "b".to_owned()));
        let x_at = |revision| -> Vec<i64> {
            let objects = store.snapshot("things", revision).unwrap();
            objects
                .values()
                .map(|object| object["x"].as_i64().unwrap())
                .collect()
        };
        assert_eq!(x_at(first), [1]);
        assert_eq!(x_at(second), [1, 1]);
        assert_eq!(x_at(third), [2, 1]);
        assert_eq!(x_at(store.revision()), [2]);
        let words: Vec<_> = store
            .events_after("things", first, 10)
            .unwrap()
            .iter()
            .map(|event| event.change.word())
            .collect();
        assert_eq!(words, ["ADDED", "MODIFIED", "DELETED"]);
        assert_eq!(store.events_after("things", 1, 10).unwrap_err(), Trimmed);
        store.compact();
        assert_eq!(store.snapshot("things", third).unwrap_err(), Trimmed);
    }
}
