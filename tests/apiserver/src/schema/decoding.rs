//! Typed decoding of built-in objects: the first value of a wrong JSON type, in Go's words.

use serde_json::Value;

use super::Node;

/// The first value that Go could not decode, if any.
pub(crate) fn first_wrong_type(root: Node<'_>, value: &Value) -> Option<String> {
    walk(root, value, "")
}

fn walk(node: Node<'_>, value: &Value, path: &str) -> Option<String> {
    if value.is_null() || !node.is_known() {
        return None;
    }
    if node.is_int_or_string() {
        return None;
    }
    let go_type = match (node.type_name(), value) {
        (Some("string"), value) if !value.is_string() => "string",
        (Some("integer"), Value::Number(number)) if number.is_i64() || number.is_u64() => {
            return None;
        }
        (Some("integer"), _) => match node.own("format").and_then(Value::as_str) {
            Some("int64") => "int64",
            _ => "int32",
        },
        (Some("boolean"), value) if !value.is_boolean() => "bool",
        (Some("object"), Value::Object(_)) | (Some("array"), Value::Array(_)) => "",
        (Some("object"), _) => "object",
        (Some("array"), _) => "list",
        _ => "",
    };
    if !go_type.is_empty() {
        let kind = match value {
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            _ => "object",
        };
        return Some(format!(
            "json: cannot unmarshal {kind} into Go struct field {} of type {go_type}",
            path.trim_start_matches('.')
        ));
    }
    match value {
        Value::Object(map) => map
            .iter()
            .find_map(|(key, member)| walk(node.member(key), member, &format!("{path}.{key}"))),
        Value::Array(items) => items.iter().find_map(|item| walk(node.items(), item, path)),
        _ => None,
    }
}

/// The first value that server-side apply could not type, in the words of structured-merge-diff.
pub(crate) fn first_untyped(root: Node<'_>, value: &Value) -> Option<String> {
    untyped(root, value, "")
}

fn untyped(node: Node<'_>, value: &Value, path: &str) -> Option<String> {
    if value.is_null() || node.is_int_or_string() {
        return None;
    }
    let expected = match (node.type_name(), value) {
        (Some("string"), value) if !value.is_string() => "string",
        (Some("integer" | "number"), value) if !value.is_number() => "numeric (int or float)",
        (Some("boolean"), value) if !value.is_boolean() => "boolean",
        (Some("object"), value) if !value.is_object() => "map",
        (Some("array"), value) if !value.is_array() => "list",
        _ => "",
    };
    if !expected.is_empty() {
        return Some(format!(
            "{path}: expected {expected}, got &value.valueUnstructured{{Value:{value}}}"
        ));
    }
    match value {
        Value::Object(map) => map
            .iter()
            .find_map(|(key, member)| untyped(node.member(key), member, &format!("{path}.{key}"))),
        Value::Array(items) => items
            .iter()
            .find_map(|item| untyped(node.items(), item, path)),
        _ => None,
    }
}
