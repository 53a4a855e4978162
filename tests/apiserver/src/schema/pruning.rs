//! Dropping what a schema does not name: pruning of custom resources, decoding of built-in ones.

use serde_json::{Map, Value};

use super::Node;

/// How strictly unknown members are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Structural pruning: whatever is not specified goes.
    Structural,
    /// Typed decoding: members of structs that have no such field go, free-form values stay.
    Typed,
}

/// Removes unknown members; gives their paths, sorted.
pub(crate) fn prune(node: Node<'_>, value: &mut Value, mode: Mode) -> Vec<String> {
    let mut unknown = Vec::new();
    walk(node, value, mode, "", &mut unknown);
    unknown.sort();
    unknown
}

fn walk(node: Node<'_>, value: &mut Value, mode: Mode, path: &str, unknown: &mut Vec<String>) {
    match value {
        Value::Object(map) => walk_map(node, map, mode, path, unknown),
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                walk(node.items(), item, mode, &format!("{path}[{at}]"), unknown);
            }
        }
        _ => {}
    }
}

fn walk_map(
    node: Node<'_>,
    map: &mut Map<String, Value>,
    mode: Mode,
    path: &str,
    unknown: &mut Vec<String>,
) {
    let keeps = !node.is_known()
        || node.preserves_unknown()
        || node.additional().is_some()
        || (mode == Mode::Typed && !node.is_struct());
    let below = |key: &str| {
        if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        }
    };
    map.retain(|key, _| {
        let known = keeps || node.property(key).is_some();
        if !known {
            unknown.push(below(key));
        }
        known
    });
    for (key, member) in map.iter_mut() {
        // ObjectMeta is typed even where everything else is structural.
        let inner = node.member(key);
        let metadata = key == "metadata" && (path.is_empty() || node.is_embedded());
        let mode = if metadata { Mode::Typed } else { mode };
        walk(inner, member, mode, &below(key), unknown);
    }
}

/// Drops what typed encoding leaves out: null members, and empty lists and maps of built-in types.
pub(crate) fn drop_empty(node: Node<'_>, value: &mut Value) {
    if node.is_free() {
        return;
    }
    match value {
        Value::Object(map) => {
            for (key, member) in map.iter_mut() {
                drop_empty(node.member(key), member);
            }
            if node.is_struct() {
                let required = required(node);
                map.retain(|key, member| match member {
                    Value::Null => required.contains(&key.as_str()),
                    Value::Array(items) => {
                        let shown = required.contains(&key.as_str()) || node.member(key).is_free();
                        !items.is_empty() || shown
                    }
                    Value::Object(inner) => {
                        // An empty struct is a value; an empty map is none.
                        let is_map = node.member(key).additional().is_some();
                        !(inner.is_empty() && is_map)
                    }
                    _ => true,
                });
            } else {
                map.retain(|_, member| !member.is_null());
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| drop_empty(node.items(), item)),
        _ => {}
    }
}

/// Makes empty lists that are always shown null, as a round trip through protobuf does.
pub(crate) fn null_lists(node: Node<'_>, value: &mut Value) {
    if node.is_free() {
        return;
    }
    match value {
        Value::Object(map) => {
            let required = required(node);
            for (key, member) in map.iter_mut() {
                let empty = member.as_array().is_some_and(Vec::is_empty);
                if empty && required.contains(&key.as_str()) && !node.member(key).is_free() {
                    *member = Value::Null;
                }
                null_lists(node.member(key), member);
            }
        }
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| null_lists(node.items(), item)),
        _ => {}
    }
}

fn required<'a>(node: Node<'a>) -> Vec<&'a str> {
    let list = node
        .schema()
        .and_then(|schema| schema.get("required"))
        .and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::Builtins;
    use serde_json::json;

    #[test]
    fn unknown_members_go() {
        let builtins = Builtins::load().unwrap();
        let schema = json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "a": {"type": "string"},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "map": {"type": "object", "additionalProperties": {"type": "object"}},
                "list": {"type": "array", "items": {"type": "object", "properties": {"x": {}}}},
            }},
        }});
        let mut object = json!({
            "apiVersion": "v", "kind": "K", "metadata": {"name": "n", "nonsense": 1}, "extra": 1,
            "spec": {"a": "b", "c": 1, "free": {"x": 1}, "map": {"k": {"gone": 1}}, "list": [{"x": 1, "y": 2}]},
        });
        let unknown = prune(Node::of(&schema, &builtins), &mut object, Mode::Structural);
        assert_eq!(
            unknown,
            [
                "extra",
                "metadata.nonsense",
                "spec.c",
                "spec.list[0].y",
                "spec.map.k.gone"
            ]
        );
        assert_eq!(
            object["spec"],
            json!({"a": "b", "free": {"x": 1}, "map": {"k": {}}, "list": [{"x": 1}]})
        );
    }
}
