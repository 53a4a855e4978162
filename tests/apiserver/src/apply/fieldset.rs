//! Sets of field paths: the algebra of server-side apply, and FieldsV1, their text.
//!
//! A path is in the set when its last element is a `member` of the node of its other elements.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

/// One step of a path. The order is that of structured-merge-diff: fields, keys, values, indexes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Field(String),
    /// The keys of a list item, as JSON with sorted keys.
    Key(String),
    /// A scalar of a set, as JSON.
    Value(String),
    Index(i64),
}

impl Step {
    fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(keys) => format!("k:{keys}"),
            Self::Value(value) => format!("v:{value}"),
            Self::Index(at) => format!("i:{at}"),
        }
    }

    fn decode(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let json = || {
            serde_json::from_str::<Value>(rest)
                .ok()
                .map(|value| value.to_string())
        };
        match kind {
            "f" => Some(Self::Field(rest.to_owned())),
            "k" => json().map(Self::Key),
            "v" => json().map(Self::Value),
            "i" => rest.parse().ok().map(Self::Index),
            _ => None,
        }
    }

    /// As a conflict shows it: `.spec`, `[type="Ready"]`, `[="x"]`.
    fn shown(&self) -> String {
        match self {
            Self::Field(name) => format!(".{name}"),
            Self::Key(keys) => {
                let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
                let pairs: Vec<String> = keys
                    .iter()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect();
                format!("[{}]", pairs.join(","))
            }
            Self::Value(value) => format!("[={value}]"),
            Self::Index(at) => format!("[{at}]"),
        }
    }
}

/// A set of paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    pub(crate) members: BTreeSet<Step>,
    pub(crate) children: BTreeMap<Step, FieldSet>,
}

impl FieldSet {
    /// Adds a path. The empty path is no field.
    pub(crate) fn insert(&mut self, path: &[Step]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// A set of paths of plain fields.
    pub(crate) fn of_fields(paths: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for path in paths {
            let steps: Vec<Step> = path
                .iter()
                .map(|name| Step::Field((*name).to_owned()))
                .collect();
            set.insert(&steps);
        }
        set
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Self::is_empty)
    }

    /// The paths below a step; none if there are none.
    pub(crate) fn below(&self, step: &Step) -> Option<&Self> {
        self.children.get(step).filter(|set| !set.is_empty())
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut children = self.children.clone();
        for (step, theirs) in &other.children {
            let merged = children
                .get(step)
                .map_or_else(|| theirs.clone(), |own| own.union(theirs));
            children.insert(step.clone(), merged);
        }
        Self {
            members: self.members.union(&other.members).cloned().collect(),
            children,
        }
    }

    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let children = self.children.iter().filter_map(|(step, own)| {
            let both = own.intersection(other.children.get(step)?);
            (!both.is_empty()).then(|| (step.clone(), both))
        });
        Self {
            members: self.members.intersection(&other.members).cloned().collect(),
            children: children.collect(),
        }
    }

    /// The paths that are not in `other`; a member of `other` takes nothing below it away.
    pub(crate) fn difference(&self, other: &Self) -> Self {
        let children = self.children.iter().filter_map(|(step, own)| {
            let left = match other.children.get(step) {
                Some(theirs) => own.difference(theirs),
                None => own.clone(),
            };
            (!left.is_empty()).then(|| (step.clone(), left))
        });
        Self {
            members: self.members.difference(&other.members).cloned().collect(),
            children: children.collect(),
        }
    }

    /// The paths that are neither in `other` nor below one of its members.
    pub(crate) fn recursive_difference(&self, other: &Self) -> Self {
        let children = self.children.iter().filter_map(|(step, own)| {
            if other.members.contains(step) {
                return None;
            }
            let left = match other.children.get(step) {
                Some(theirs) => own.recursive_difference(theirs),
                None => own.clone(),
            };
            (!left.is_empty()).then(|| (step.clone(), left))
        });
        Self {
            members: self.members.difference(&other.members).cloned().collect(),
            children: children.collect(),
        }
    }

    /// All paths as conflicts show them, sorted as the steps are.
    pub(crate) fn shown(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.show_into("", &mut paths);
        paths
    }

    fn show_into(&self, prefix: &str, paths: &mut Vec<String>) {
        for member in &self.members {
            paths.push(format!("{prefix}{}", member.shown()));
        }
        for (step, set) in &self.children {
            set.show_into(&format!("{prefix}{}", step.shown()), paths);
        }
    }

    /// FieldsV1.
    pub(crate) fn to_fields_v1(&self) -> Value {
        let mut map = Map::new();
        for member in &self.members {
            map.insert(member.encode(), json!({}));
        }
        for (step, set) in self.children.iter().filter(|(_, set)| !set.is_empty()) {
            let mut below = set.to_fields_v1();
            if let (true, Some(below)) = (self.members.contains(step), below.as_object_mut()) {
                below.insert(".".to_owned(), json!({}));
            }
            map.insert(step.encode(), below);
        }
        Value::Object(map)
    }

    /// Reads FieldsV1; none if it is malformed.
    pub(crate) fn from_fields_v1(fields: &Value) -> Option<Self> {
        let mut set = Self::default();
        for (key, below) in fields.as_object()? {
            if key == "." {
                continue;
            }
            let step = Step::decode(key)?;
            let map = below.as_object()?;
            if map.is_empty() || map.contains_key(".") {
                set.members.insert(step.clone());
            }
            let below = Self::from_fields_v1(below)?;
            if !below.is_empty() {
                set.children.insert(step, below);
            }
        }
        Some(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(fields: Value) -> FieldSet {
        FieldSet::from_fields_v1(&fields).unwrap()
    }

    #[test]
    fn text_survives_a_round_trip() {
        let fields = json!({
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}, "f:finalizers": {"v:\"x\"": {}}},
            "f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}},
        });
        let set = set(fields.clone());
        assert_eq!(set.to_fields_v1(), fields);
        assert_eq!(
            set.shown(),
            [
                ".metadata.labels",
                ".metadata.finalizers[=\"x\"]",
                ".metadata.labels.app",
                ".spec.ports[port=80,protocol=\"TCP\"]",
                ".spec.ports[port=80,protocol=\"TCP\"].port",
            ]
        );
    }

    #[test]
    fn differences_differ_in_depth() {
        let all = set(json!({"f:a": {".": {}, "f:b": {}}, "f:c": {}}));
        let a = set(json!({"f:a": {}}));
        assert_eq!(
            all.difference(&a),
            set(json!({"f:a": {"f:b": {}}, "f:c": {}}))
        );
        assert_eq!(all.recursive_difference(&a), set(json!({"f:c": {}})));
        assert_eq!(all.intersection(&a), a);
        assert_eq!(a.union(&set(json!({"f:a": {"f:b": {}}, "f:c": {}}))), all);
    }
}
