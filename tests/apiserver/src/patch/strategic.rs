//! Strategic merge patch: lists merge by the key that the type declares; `$` directives.
//!
//! Follows `k8s.io/apimachinery/pkg/util/strategicpatch`. Honoured: `$patch: replace | merge | delete`
//! in objects and lists, `$deleteFromPrimitiveList/F`, `$setElementOrder/F`, `$retainKeys`.

use serde_json::{Map, Value};

use crate::schema::Node;
use crate::status_error::StatusError;

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

/// The object after the patch.
pub(crate) fn apply(root: Node<'_>, object: &Value, patch: &Value) -> Result<Value, StatusError> {
    let (Value::Object(object), Value::Object(patch)) = (object, patch) else {
        return Err(StatusError::bad_request(
            "error decoding patch: a strategic merge patch is an object",
        ));
    };
    merge_map(root, object, patch).map(Value::Object)
}

type Object = Map<String, Value>;

fn merge_map(node: Node<'_>, original: &Object, patch: &Object) -> Result<Object, StatusError> {
    match patch
        .get(PATCH)
        .map(|directive| directive.as_str().unwrap_or_default())
    {
        None | Some("merge") => {}
        Some("replace") => {
            let mut replaced = patch.clone();
            replaced.remove(PATCH);
            return Ok(replaced);
        }
        Some("delete") => return Ok(Object::new()),
        Some(other) => return Err(unknown(other)),
    }
    let mut out = original.clone();
    if let Some(Value::Array(retain)) = patch.get(RETAIN) {
        out.retain(|key, _| retain.iter().any(|kept| kept == key));
    }
    for (key, value) in patch {
        if key == PATCH || key == RETAIN || key.starts_with(ORDER) {
            continue;
        }
        if let Some(field) = key.strip_prefix(DELETE_FROM) {
            delete_primitives(&mut out, field, value);
            continue;
        }
        if key.starts_with('$') {
            return Err(unknown(key));
        }
        let merged = merge_member(node.member(key), out.get(key), value)?;
        match merged {
            Some(merged) => out.insert(key.clone(), merged),
            None => out.remove(key),
        };
    }
    for (key, order) in patch {
        if let (Some(field), Value::Array(order)) = (key.strip_prefix(ORDER), order) {
            let merge_key = merge_key(node.member(field));
            if let Some(Value::Array(items)) = out.get_mut(field) {
                let before = original
                    .get(field)
                    .and_then(Value::as_array)
                    .map(Vec::as_slice);
                *items = in_order(items, order, merge_key, before.unwrap_or_default());
            }
        }
    }
    Ok(out)
}

fn merge_member(
    node: Node<'_>,
    original: Option<&Value>,
    patch: &Value,
) -> Result<Option<Value>, StatusError> {
    match (original, patch) {
        (_, Value::Null) => Ok(None),
        (Some(Value::Object(original)), Value::Object(patch)) => {
            if patch
                .get(PATCH)
                .is_some_and(|directive| directive == "delete")
            {
                return Ok(None);
            }
            merge_map(node, original, patch).map(|map| Some(Value::Object(map)))
        }
        (_, Value::Object(patch)) => {
            merge_map(node, &Object::new(), patch).map(|map| Some(Value::Object(map)))
        }
        (original, Value::Array(patch)) => {
            let original = original
                .and_then(Value::as_array)
                .map(Vec::as_slice)
                .unwrap_or_default();
            merge_list(node, original, patch).map(|items| Some(Value::Array(items)))
        }
        (_, scalar) => Ok(Some(scalar.clone())),
    }
}

fn merges(node: Node<'_>) -> bool {
    node.own("x-kubernetes-patch-strategy")
        .and_then(Value::as_str)
        .is_some_and(|strategy| strategy.split(',').any(|word| word == "merge"))
}

fn merge_key<'a>(node: Node<'a>) -> Option<&'a str> {
    node.own("x-kubernetes-patch-merge-key")
        .and_then(Value::as_str)
}

fn merge_list(
    node: Node<'_>,
    original: &[Value],
    patch: &[Value],
) -> Result<Vec<Value>, StatusError> {
    let directive = |item: &Value| item.get(PATCH).and_then(Value::as_str).map(str::to_owned);
    let replaces = patch
        .iter()
        .any(|item| directive(item).as_deref() == Some("replace"));
    if replaces || !merges(node) {
        let plain = |item: &&Value| directive(item).is_none();
        return Ok(patch.iter().filter(plain).cloned().collect());
    }
    let mut out = original.to_vec();
    let Some(key) = merge_key(node) else {
        out.extend(
            patch
                .iter()
                .filter(|item| !original.contains(item))
                .cloned(),
        );
        return Ok(in_order(&out, patch, None, original));
    };
    for item in patch {
        let Value::Object(map) = item else {
            return Err(StatusError::bad_request(format!(
                "an item of a list merged by {key} is no object"
            )));
        };
        let Some(id) = map.get(key) else {
            return Err(StatusError::internal_plain(format!(
                "map: {item} does not contain declared merge key: {key}"
            )));
        };
        let at = out.iter().position(|own| own.get(key) == Some(id));
        match (directive(item).as_deref(), at) {
            (Some("delete"), _) => out.retain(|own| own.get(key) != Some(id)),
            (None | Some("merge"), Some(at)) => {
                if let Some(slot) = out.get_mut(at)
                    && let Value::Object(own) = &*slot
                {
                    *slot = Value::Object(merge_map(node.items(), own, map)?);
                }
            }
            (None | Some("merge"), None) => {
                out.push(Value::Object(merge_map(node.items(), &Object::new(), map)?));
            }
            (Some(other), _) => return Err(unknown(other)),
        }
    }
    let plain: Vec<Value> = patch
        .iter()
        .filter(|item| directive(item).is_none())
        .cloned()
        .collect();
    Ok(in_order(&out, &plain, Some(key), original))
}

fn delete_primitives(out: &mut Object, field: &str, gone: &Value) {
    if let (Some(Value::Array(items)), Value::Array(gone)) = (out.get_mut(field), gone) {
        items.retain(|item| !gone.contains(item));
        if items.is_empty() {
            out.remove(field);
        }
    }
}

/// Items in the asked order; what the object has beyond it keeps its place among its neighbours.
fn in_order(items: &[Value], order: &[Value], key: Option<&str>, original: &[Value]) -> Vec<Value> {
    let id = |item: &Value| match key {
        Some(key) => item.get(key).cloned().unwrap_or(Value::Null),
        None => item.clone(),
    };
    let asked: Vec<Value> = order.iter().map(&id).collect();
    let rank = |item: &Value| asked.iter().position(|wanted| *wanted == id(item));
    let mut ordered: Vec<&Value> = items.iter().filter(|item| rank(item).is_some()).collect();
    ordered.sort_by_key(|item| rank(item));
    let server_only: Vec<&Value> = items.iter().filter(|item| rank(item).is_none()).collect();
    let place = |item: &Value| original.iter().position(|own| id(own) == id(item));
    // Merge two ordered lists: a server-only item goes before the first asked one that was after it.
    let mut out = Vec::new();
    let mut left = ordered.into_iter().peekable();
    let mut right = server_only.into_iter().peekable();
    loop {
        match (left.peek(), right.peek()) {
            (Some(a), Some(b)) => {
                let a_first = place(a).zip(place(b)).is_none_or(|(a, b)| a < b);
                out.extend(if a_first { left.next() } else { right.next() }.cloned());
            }
            (Some(_), None) => out.extend(left.next().cloned()),
            (None, Some(_)) => out.extend(right.next().cloned()),
            (None, None) => return out,
        }
    }
}

fn unknown(directive: &str) -> StatusError {
    StatusError::not_implemented(format!(
        "the strategic merge patch directive \"{directive}\""
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resource::builtin;
    use crate::schema::Builtins;
    use serde_json::json;

    fn patched(object: Value, patch: Value) -> Result<Value, StatusError> {
        let builtins = Builtins::load().unwrap();
        let services = builtin()
            .into_iter()
            .find(|one| one.plural == "services")
            .unwrap();
        apply(builtins.root(&services), &object, &patch)
    }

    #[test]
    fn lists_merge_by_their_key() {
        let object = json!({"spec": {"ports": [{"port": 80, "nodePort": 1}, {"port": 443}], "externalIPs": ["a"]}});
        let cases = [
            (
                json!({"spec": {"ports": [{"port": 80, "name": "x"}]}}),
                json!([{"port": 80, "nodePort": 1, "name": "x"}, {"port": 443}]),
            ),
            (
                json!({"spec": {"ports": [{"port": 443, "$patch": "delete"}]}}),
                json!([{"port": 80, "nodePort": 1}]),
            ),
            (
                json!({"spec": {"ports": [{"$patch": "replace"}, {"port": 1}]}}),
                json!([{"port": 1}]),
            ),
            (
                json!({"spec": {"ports": [{"port": 80, "nodePort": null}]}}),
                json!([{"port": 80}, {"port": 443}]),
            ),
            (
                json!({"spec": {"$setElementOrder/ports": [{"port": 443}, {"port": 80}]}}),
                json!([{"port": 443}, {"port": 80, "nodePort": 1}]),
            ),
        ];
        for (patch, ports) in cases {
            assert_eq!(
                patched(object.clone(), patch.clone()).unwrap()["spec"]["ports"],
                ports,
                "{patch}"
            );
        }
        let replaced = patched(object, json!({"spec": {"externalIPs": ["b"]}})).unwrap();
        assert_eq!(replaced["spec"]["externalIPs"], json!(["b"]));
    }

    #[test]
    fn finalizers_are_a_set() {
        let object = json!({"metadata": {"finalizers": ["a", "b"]}});
        let added = patched(
            object.clone(),
            json!({"metadata": {"finalizers": ["c", "a"]}}),
        )
        .unwrap();
        assert_eq!(added["metadata"]["finalizers"], json!(["c", "a", "b"]));
        let gone = patched(
            object,
            json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}),
        )
        .unwrap();
        assert_eq!(gone["metadata"]["finalizers"], json!(["b"]));
    }

    #[test]
    fn an_unknown_directive_is_refused_aloud() {
        let error = patched(json!({}), json!({"$nonsense": 1})).unwrap_err();
        assert_eq!(error.code, 501);
    }
}
