//! Objects seen through a schema: their fields, what differs, how two merge, what a removal leaves.
//!
//! Absent, null and empty are told apart as structured-merge-diff tells them apart.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::fieldset::{FieldSet, Step};
use super::ordering::merge_lists;
use crate::schema::{ListKind, Node};

/// What changed from one object to another.
#[derive(Debug, Default)]
pub(crate) struct Comparison {
    pub(crate) removed: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) added: FieldSet,
}

/// An item that has no identity in its list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadItem(pub(crate) String);

/// What a value is to the schema.
enum Shape<'a> {
    Leaf,
    Map(&'a Map<String, Value>),
    List(&'a [Value], ListKind<'a>),
}

fn shape<'a>(node: Node<'a>, value: &'a Value) -> Shape<'a> {
    match value {
        Value::Object(map) if !node.is_atomic_map() => Shape::Map(map),
        Value::Array(items) => match node.list_kind() {
            ListKind::Atomic => Shape::Leaf,
            kind => Shape::List(items, kind),
        },
        _ => Shape::Leaf,
    }
}

/// The identity of an item of a list.
pub(crate) fn step_of(node: Node<'_>, kind: &ListKind<'_>, item: &Value) -> Result<Step, BadItem> {
    match kind {
        ListKind::Map(keys) => {
            let Value::Object(map) = item else {
                return Err(BadItem(
                    "associative list with keys may not have non-map elements".to_owned(),
                ));
            };
            let mut found = Map::new();
            for key in keys {
                let default = node
                    .items()
                    .property(key)
                    .and_then(|node| node.default_value());
                if let Some(value) = map.get(*key).or(default) {
                    found.insert((*key).to_owned(), value.clone());
                }
            }
            if found.is_empty() {
                return Err(BadItem(format!(
                    "associative list with keys has an element that omits all key fields {keys:?} \
                     (and doesn't have default values for any key fields)"
                )));
            }
            Ok(Step::Key(Value::Object(found).to_string()))
        }
        _ if item.is_object() => Err(BadItem(
            "associative list without keys has an element that's a map type".to_owned(),
        )),
        _ => Ok(Step::Value(item.to_string())),
    }
}

/// Every field of an object, as an applier owns them.
pub(crate) fn fields_of(node: Node<'_>, value: &Value) -> FieldSet {
    let mut set = FieldSet::default();
    collect(node, value, &mut Vec::new(), &mut set);
    set
}

fn collect(node: Node<'_>, value: &Value, path: &mut Vec<Step>, set: &mut FieldSet) {
    match shape(node, value) {
        Shape::Leaf => set.insert(path),
        Shape::Map(map) => {
            for (key, member) in map {
                path.push(Step::Field(key.clone()));
                collect(node.member(key), member, path, set);
                let empty = member.as_object().is_some_and(Map::is_empty);
                if member.is_null() || empty || node.property(key).is_none() {
                    set.insert(path);
                }
                path.pop();
            }
        }
        Shape::List(items, kind) => {
            for item in items {
                let Ok(step) = step_of(node, &kind, item) else {
                    continue;
                };
                path.push(step);
                collect(node.items(), item, path, set);
                set.insert(path);
                path.pop();
            }
        }
    }
}

/// What differs between two objects.
pub(crate) fn compare(node: Node<'_>, old: &Value, new: &Value) -> Comparison {
    let mut comparison = Comparison::default();
    walk(node, Some(old), Some(new), &mut Vec::new(), &mut comparison);
    comparison
}

fn walk(
    node: Node<'_>,
    old: Option<&Value>,
    new: Option<&Value>,
    path: &mut Vec<Step>,
    out: &mut Comparison,
) {
    let shapes = (
        old.map(|value| shape(node, value)),
        new.map(|value| shape(node, value)),
    );
    match shapes {
        (Some(Shape::Map(a)), Some(Shape::Map(b))) if !(a.is_empty() && b.is_empty()) => {
            walk_maps(node, Some(a), Some(b), path, out);
        }
        (Some(Shape::Map(a)), None) if !a.is_empty() => walk_maps(node, Some(a), None, path, out),
        (None, Some(Shape::Map(b))) if !b.is_empty() => walk_maps(node, None, Some(b), path, out),
        (Some(Shape::List(a, kind)), Some(Shape::List(b, _)))
            if !(a.is_empty() && b.is_empty()) =>
        {
            walk_lists(node, &kind, a, b, path, out);
        }
        (Some(Shape::List(a, kind)), None) if !a.is_empty() => {
            walk_lists(node, &kind, a, &[], path, out);
        }
        (None, Some(Shape::List(b, kind))) if !b.is_empty() => {
            walk_lists(node, &kind, &[], b, path, out);
        }
        // Leaves, empties, and values whose shape changed.
        _ => {
            if let (Some(old), Some(new)) = (old, new)
                && old != new
            {
                out.modified.insert(path);
            }
        }
    }
    match (old, new) {
        (None, Some(_)) => out.added.insert(path),
        (Some(_), None) => out.removed.insert(path),
        _ => {}
    }
}

fn walk_maps(
    node: Node<'_>,
    old: Option<&Map<String, Value>>,
    new: Option<&Map<String, Value>>,
    path: &mut Vec<Step>,
    out: &mut Comparison,
) {
    let keys: BTreeSet<&String> = old.into_iter().chain(new).flat_map(Map::keys).collect();
    for key in keys {
        path.push(Step::Field(key.clone()));
        let (a, b) = (
            old.and_then(|map| map.get(key)),
            new.and_then(|map| map.get(key)),
        );
        walk(node.member(key), a, b, path, out);
        path.pop();
    }
}

fn walk_lists(
    node: Node<'_>,
    kind: &ListKind<'_>,
    old: &[Value],
    new: &[Value],
    path: &mut Vec<Step>,
    out: &mut Comparison,
) {
    let (old, new) = (by_step(node, kind, old), by_step(node, kind, new));
    let steps: BTreeSet<&Step> = old.keys().chain(new.keys()).collect();
    for step in steps {
        path.push(step.clone());
        walk(
            node.items(),
            old.get(step).copied(),
            new.get(step).copied(),
            path,
            out,
        );
        path.pop();
    }
}

fn by_step<'a>(
    node: Node<'_>,
    kind: &ListKind<'_>,
    items: &'a [Value],
) -> BTreeMap<Step, &'a Value> {
    items
        .iter()
        .filter_map(|item| Some((step_of(node, kind, item).ok()?, item)))
        .collect()
}

/// `config` laid over `live`: what it names wins, the rest stays.
pub(crate) fn merge(node: Node<'_>, live: &Value, config: &Value) -> Result<Value, BadItem> {
    match (shape(node, live), shape(node, config)) {
        (Shape::Map(a), Shape::Map(b)) if !(a.is_empty() && b.is_empty()) => {
            let mut out = a.clone();
            for (key, member) in b {
                let merged = match a.get(key) {
                    Some(live) => merge(node.member(key), live, member)?,
                    None => member.clone(),
                };
                out.insert(key.clone(), merged);
            }
            Ok(Value::Object(out))
        }
        (Shape::List(a, kind), Shape::List(b, _)) if !(a.is_empty() && b.is_empty()) => {
            merge_lists(node, &kind, a, b).map(Value::Array)
        }
        _ => Ok(config.clone()),
    }
}

pub(super) fn merged_item(
    node: Node<'_>,
    live: Option<&Value>,
    config: &Value,
) -> Result<Value, BadItem> {
    live.map_or_else(
        || Ok(config.clone()),
        |live| merge(node.items(), live, config),
    )
}

pub(super) fn shown(step: &Step) -> String {
    let mut set = FieldSet::default();
    set.insert(std::slice::from_ref(step));
    set.shown().concat()
}

/// Checks that the items of every list have an identity and occur once.
pub(crate) fn check_lists(node: Node<'_>, value: &Value, path: &str) -> Result<(), BadItem> {
    match shape(node, value) {
        Shape::Leaf => Ok(()),
        Shape::Map(map) => map.iter().try_for_each(|(key, member)| {
            check_lists(node.member(key), member, &format!("{path}.{key}"))
        }),
        Shape::List(items, kind) => {
            let mut seen = BTreeSet::new();
            for (at, item) in items.iter().enumerate() {
                let step = step_of(node, &kind, item)
                    .map_err(|bad| BadItem(format!("{path}: element {at}: {}", bad.0)))?;
                let name = shown(&step);
                if !seen.insert(step) {
                    return Err(BadItem(format!("{path}: duplicate entries for key {name}")));
                }
                check_lists(node.items(), item, &format!("{path}{name}"))?;
            }
            Ok(())
        }
    }
}

/// The object without the paths of `gone`; maps and lists that become empty go too.
pub(crate) fn remove(node: Node<'_>, value: &Value, gone: &FieldSet) -> Option<Value> {
    match shape(node, value) {
        Shape::Leaf if value.is_array() || value.is_object() => None,
        Shape::Leaf => Some(value.clone()),
        Shape::Map(map) => {
            let mut out = Map::new();
            for (key, member) in map {
                let step = Step::Field(key.clone());
                if gone.members.contains(&step) {
                    continue;
                }
                let left = match gone.below(&step) {
                    Some(below) => remove(node.member(key), member, below).unwrap_or(Value::Null),
                    None => member.clone(),
                };
                out.insert(key.clone(), left);
            }
            (!out.is_empty()).then_some(Value::Object(out))
        }
        Shape::List(items, kind) => {
            let mut out = Vec::new();
            for item in items {
                let Ok(step) = step_of(node, &kind, item) else {
                    continue;
                };
                if gone.members.contains(&step) {
                    continue;
                }
                out.push(match gone.below(&step) {
                    Some(below) => remove(node.items(), item, below).unwrap_or(Value::Null),
                    None => item.clone(),
                });
            }
            (!out.is_empty()).then_some(Value::Array(out))
        }
    }
}

/// Adds to a set the declared fields on the way to its paths, which are owned implicitly.
pub(crate) fn with_named_fields(node: Node<'_>, set: &FieldSet) -> FieldSet {
    let mut members = set.members.clone();
    let mut children = BTreeMap::new();
    for (step, below) in &set.children {
        let inner = match step {
            Step::Field(name) => {
                if node.property(name).is_some() {
                    members.insert(step.clone());
                }
                node.member(name)
            }
            _ => node.items(),
        };
        children.insert(step.clone(), with_named_fields(inner, below));
    }
    FieldSet { members, children }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Builtins;
    use serde_json::json;

    fn schema() -> Value {
        json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "keyed": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                "items": {"type": "object", "properties": {"k": {}, "v": {}}}},
            "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "whole": {"type": "array", "items": {"type": "string"}},
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
        }}}})
    }

    #[test]
    fn fields_are_collected_by_list_type() {
        let (schema, builtins) = (schema(), Builtins::load().unwrap());
        let object = json!({"spec": {"keyed": [{"k": 1, "v": 2}], "set": ["a"], "whole": ["b"], "map": {"x": "y"}}});
        assert_eq!(
            fields_of(Node::of(&schema, &builtins), &object).to_fields_v1(),
            json!({"f:spec": {
                "f:keyed": {"k:{\"k\":1}": {".": {}, "f:k": {}, "f:v": {}}},
                "f:set": {"v:\"a\"": {}},
                "f:whole": {},
                "f:map": {"f:x": {}},
            }})
        );
    }

    #[test]
    fn lists_merge_in_order() {
        let (schema, builtins) = (schema(), Builtins::load().unwrap());
        let node = Node::of(&schema, &builtins);
        let cases = [
            (json!(["a", "b"]), json!(["c"]), json!(["a", "b", "c"])),
            (
                json!(["a", "b", "c"]),
                json!(["c", "a"]),
                json!(["b", "c", "a"]),
            ),
            (
                json!(["a", "b", "c"]),
                json!(["b", "d"]),
                json!(["a", "b", "c", "d"]),
            ),
        ];
        for (live, config, expected) in cases {
            let merged = merge(
                node,
                &json!({"spec": {"set": live}}),
                &json!({"spec": {"set": config}}),
            )
            .unwrap();
            assert_eq!(merged["spec"]["set"], expected);
        }
    }

    #[test]
    fn comparison_names_every_changed_path() {
        let (schema, builtins) = (schema(), Builtins::load().unwrap());
        let comparison = compare(
            Node::of(&schema, &builtins),
            &json!({"spec": {"keyed": [{"k": 1, "v": 2}], "set": ["a"]}}),
            &json!({"spec": {"keyed": [{"k": 1, "v": 3}, {"k": 2}], "whole": []}}),
        );
        assert_eq!(comparison.modified.shown(), [".spec.keyed[k=1].v"]);
        assert_eq!(
            comparison.added.shown(),
            [".spec.whole", ".spec.keyed[k=2]", ".spec.keyed[k=2].k"]
        );
        assert_eq!(
            comparison.removed.shown(),
            [".spec.set", ".spec.set[=\"a\"]"]
        );
    }
}
