//! Reading and writing fields of plain JSON objects by path. Absent and null are the same.

use serde_json::{Map, Value, json};

/// The value at a path of object keys, unless it is absent or null.
pub(crate) fn get<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    let mut at = value;
    for key in path {
        at = at.get(*key)?;
    }
    (!at.is_null()).then_some(at)
}

/// The string at a path, or the empty string.
pub(crate) fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    get(value, path).and_then(Value::as_str).unwrap_or_default()
}

/// The list at a path, or an empty slice.
pub(crate) fn list<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    get(value, path)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// The integer at a path.
pub(crate) fn int(value: &Value, path: &[&str]) -> Option<i64> {
    get(value, path).and_then(Value::as_i64)
}

/// The boolean at a path.
pub(crate) fn boolean(value: &Value, path: &[&str]) -> Option<bool> {
    get(value, path).and_then(Value::as_bool)
}

/// Sets a path, making objects on the way. A value on the way that is no object is replaced.
pub(crate) fn set(value: &mut Value, path: &[&str], new: Value) {
    let Some((last, way)) = path.split_last() else {
        *value = new;
        return;
    };
    let mut at = value;
    for key in way {
        at = object(at)
            .entry((*key).to_owned())
            .or_insert_with(|| json!({}));
    }
    object(at).insert((*last).to_owned(), new);
}

/// Sets a path only where nothing is there yet.
pub(crate) fn set_default(value: &mut Value, path: &[&str], new: Value) {
    if get(value, path).is_none() {
        set(value, path, new);
    }
}

/// Removes a path; says what was there.
pub(crate) fn remove(value: &mut Value, path: &[&str]) -> Option<Value> {
    let (last, way) = path.split_last()?;
    let mut at = value;
    for key in way {
        at = at.get_mut(*key)?;
    }
    at.as_object_mut()?.remove(*last)
}

/// Makes `new` have at `path` what `old` has there, or nothing.
pub(crate) fn carry(new: &mut Value, old: &Value, path: &[&str]) {
    match get(old, path) {
        Some(kept) => set(new, path, kept.clone()),
        None => {
            remove(new, path);
        }
    }
}

/// `metadata.KEY` as a string, or the empty string.
pub(crate) fn meta<'a>(value: &'a Value, key: &str) -> &'a str {
    text(value, &["metadata", key])
}

/// The value as an object, replacing it when it is none.
pub(crate) fn object(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(map) => map,
        // Made an object just above.
        _ => unreachable!("an object"),
    }
}
