//! Validation of custom resources against their schema, with the messages of kube-openapi.

use regex::Regex;
use serde_json::{Map, Value};

use super::{ListKind, Node};
use crate::apply::typed;
use crate::schema::Builtins;
use crate::status_error::Cause;

/// Everything that is wrong with an object.
pub(crate) fn validate(schema: &Value, value: &Value, builtins: &Builtins) -> Vec<Cause> {
    let mut causes = Vec::new();
    check(Node::of(schema, builtins), value, "", &mut causes);
    sort(&mut causes);
    causes
}

/// By field; what occurs twice comes last, as it is found last.
fn sort(causes: &mut [Cause]) {
    let twice = |cause: &Cause| cause.reason == "FieldValueDuplicate";
    causes.sort_by(|a, b| (twice(a), &a.field).cmp(&(twice(b), &b.field)));
}

/// Everything that is wrong with the status of an object, checked on its own as `/status` does.
pub(crate) fn validate_status(schema: &Value, object: &Value, builtins: &Builtins) -> Vec<Cause> {
    let mut causes = Vec::new();
    let node = Node::of(schema, builtins);
    if let (Some(node), Some(status)) = (node.property("status"), object.get("status")) {
        check(node, status, "", &mut causes);
    }
    for cause in &mut causes {
        cause.field = format!("status.{}", cause.field)
            .trim_end_matches('.')
            .to_owned();
    }
    sort(&mut causes);
    causes
}

fn check(node: Node<'_>, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(schema) = node.schema() else { return };
    if value.is_null() && node.nullable() {
        return;
    }
    if let Some(wrong) = wrong_type(node, schema, value, path) {
        causes.push(wrong);
        return;
    }
    check_enum(schema, value, path, causes);
    match value {
        Value::String(text) => check_text(schema, text, path, causes),
        Value::Number(_) => check_number(schema, value, path, causes),
        Value::Array(items) => check_list(node, schema, items, path, causes),
        Value::Object(map) => check_map(node, schema, map, path, causes),
        _ => {}
    }
    check_combined(node, schema, value, path, causes);
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

fn wrong_type(node: Node<'_>, schema: &Value, value: &Value, path: &str) -> Option<Cause> {
    if node.is_int_or_string() {
        let right = value.is_string() || value.is_i64() || value.is_u64();
        return (!right).then(|| type_cause(path, "integer,string", value));
    }
    let wanted = schema.get("type")?.as_str()?;
    let right = match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        _ => true,
    };
    (!right).then(|| type_cause(path, wanted, value))
}

fn type_cause(path: &str, wanted: &str, value: &Value) -> Cause {
    let is = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let why = format!("{path} in body must be of type {wanted}: \"{is}\"");
    Cause::type_invalid(path, &Value::from(is), why)
}

fn check_enum(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(allowed) = schema.get("enum").and_then(Value::as_array) else {
        return;
    };
    if allowed.contains(value) {
        return;
    }
    let words: Vec<String> = allowed
        .iter()
        .map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned))
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    causes.push(Cause::unsupported_unsorted(path, value, &words));
}

fn check_text(schema: &Value, text: &str, path: &str, causes: &mut Vec<Cause>) {
    let value = Value::String(text.to_owned());
    let length = text.chars().count() as u64;
    if let Some(max) = schema.get("maxLength").and_then(Value::as_u64)
        && length > max
    {
        causes.push(Cause::too_long(path, max));
    }
    if let Some(min) = schema.get("minLength").and_then(Value::as_u64)
        && length < min
    {
        let why = format!("{path} in body should be at least {min} chars long");
        causes.push(Cause::invalid(path, &value, why));
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
        && !Regex::new(pattern).is_ok_and(|regex| regex.is_match(text))
    {
        let why = format!("{path} in body should match '{pattern}'");
        causes.push(Cause::invalid(path, &value, why));
    }
    if let Some(format) = schema.get("format").and_then(Value::as_str)
        && !has_format(format, text)
    {
        let why = format!("{path} in body must be of type {format}: \"{text}\"");
        causes.push(Cause::invalid(path, &value, why));
    }
}

/// Formats that are checked; any other is accepted, as the real server accepts what it does not know.
pub(crate) const CHECKED_FORMATS: [&str; 9] = [
    "ipv4",
    "ipv6",
    "cidr",
    "date-time",
    "date",
    "int32",
    "int64",
    "float",
    "double",
];

fn has_format(format: &str, text: &str) -> bool {
    match format {
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "cidr" => text.split_once('/').is_some_and(|(address, length)| {
            let max = match address.parse::<std::net::IpAddr>() {
                Ok(std::net::IpAddr::V4(_)) => 32,
                Ok(std::net::IpAddr::V6(_)) => 128,
                Err(_) => return false,
            };
            length.parse::<u8>().is_ok_and(|length| length <= max)
        }),
        "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
        "date" => text.parse::<jiff::civil::Date>().is_ok() && text.len() == 10,
        _ => true,
    }
}

fn check_number(schema: &Value, value: &Value, path: &str, causes: &mut Vec<Cause>) {
    let Some(number) = value.as_f64() else { return };
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    let exclusive = |key: &str| schema.get(key).and_then(Value::as_bool).unwrap_or_default();
    let mut wrong = |why: String| causes.push(Cause::invalid(path, value, why));
    if let Some(min) = bound("minimum") {
        let strict = exclusive("exclusiveMinimum");
        if number < min || (strict && number <= min) {
            let word = if strict {
                "greater than"
            } else {
                "greater than or equal to"
            };
            wrong(format!("{path} in body should be {word} {min}"));
        }
    }
    if let Some(max) = bound("maximum") {
        let strict = exclusive("exclusiveMaximum");
        if number > max || (strict && number >= max) {
            let word = if strict {
                "less than"
            } else {
                "less than or equal to"
            };
            wrong(format!("{path} in body should be {word} {max}"));
        }
    }
    if let Some(step) = bound("multipleOf")
        && (number / step).fract() != 0.0
    {
        wrong(format!("{path} in body should be a multiple of {step}"));
    }
    let format = schema.get("format").and_then(Value::as_str);
    let fits = match format {
        Some("int32") => value
            .as_i64()
            .is_some_and(|number| i32::try_from(number).is_ok()),
        Some("int64") => value.is_i64(),
        _ => true,
    };
    if !fits {
        let format = format.unwrap_or_default();
        wrong(format!(
            "{path} in body must be of type {format}: \"{value}\""
        ));
    }
}

fn check_list(
    node: Node<'_>,
    schema: &Value,
    items: &[Value],
    path: &str,
    causes: &mut Vec<Cause>,
) {
    let count = items.len() as u64;
    if let Some(max) = schema.get("maxItems").and_then(Value::as_u64)
        && count > max
    {
        causes.push(Cause::too_many(path, count, max));
    }
    if let Some(min) = schema.get("minItems").and_then(Value::as_u64)
        && count < min
    {
        let why = format!("{path} in body should have at least {min} items");
        causes.push(Cause::invalid(path, &Value::from(count), why));
    }
    for (at, item) in items.iter().enumerate() {
        check(node.items(), item, &format!("{path}[{at}]"), causes);
    }
    let kind = node.list_kind();
    if kind != ListKind::Atomic {
        let mut seen = std::collections::BTreeSet::new();
        for (at, item) in items.iter().enumerate() {
            let Ok(step) = typed::step_of(node, &kind, item) else {
                continue;
            };
            if !seen.insert(step) {
                let shown = match &kind {
                    ListKind::Map(keys) => keyed(keys, item),
                    _ => item.clone(),
                };
                causes.push(Cause::duplicate(format!("{path}[{at}]"), &shown));
            }
        }
    }
}

fn keyed(keys: &[&str], item: &Value) -> Value {
    let pairs = keys
        .iter()
        .filter_map(|key| Some(((*key).to_owned(), item.get(*key)?.clone())));
    Value::Object(pairs.collect())
}

fn check_map(
    node: Node<'_>,
    schema: &Value,
    map: &Map<String, Value>,
    path: &str,
    causes: &mut Vec<Cause>,
) {
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if !map.contains_key(name) {
            causes.push(Cause::required(below(path, name), ""));
        }
    }
    let count = map.len() as u64;
    if let Some(max) = schema.get("maxProperties").and_then(Value::as_u64)
        && count > max
    {
        causes.push(Cause::too_many(path, count, max));
    }
    if let Some(min) = schema.get("minProperties").and_then(Value::as_u64)
        && count < min
    {
        let why = format!("{path} in body should have at least {min} properties");
        causes.push(Cause::invalid(path, &Value::from(count), why));
    }
    for (key, member) in map {
        let root = path.is_empty() && matches!(key.as_str(), "metadata" | "apiVersion" | "kind");
        if !root {
            check(node.member(key), member, &below(path, key), causes);
        }
    }
}

fn check_combined(
    node: Node<'_>,
    schema: &Value,
    value: &Value,
    path: &str,
    causes: &mut Vec<Cause>,
) {
    let passes = |part: &Value| {
        let mut found = Vec::new();
        check(node.with(part), value, path, &mut found);
        found
    };
    let parts = |key: &str| schema.get(key).and_then(Value::as_array);
    for part in parts("allOf").into_iter().flatten() {
        causes.extend(passes(part));
    }
    let mut wrong =
        |word: &str| causes.push(Cause::invalid(path, value, format!("{path} {word}").trim()));
    if parts("anyOf").is_some_and(|parts| !parts.iter().any(|part| passes(part).is_empty())) {
        wrong("in body must validate at least one schema (anyOf)");
    }
    let once = |parts: &Vec<Value>| parts.iter().filter(|part| passes(part).is_empty()).count();
    if parts("oneOf").is_some_and(|parts| once(parts) != 1) {
        wrong("in body must validate one and only one schema (oneOf)");
    }
    if schema
        .get("not")
        .is_some_and(|part| passes(part).is_empty())
    {
        wrong("in body must not validate the schema (not)");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(schema: Value, value: Value) -> Vec<String> {
        let builtins = Builtins::load().unwrap();
        let causes = validate(&schema, &value, &builtins);
        causes
            .into_iter()
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect()
    }

    #[test]
    fn wrong_values_are_named() {
        let schema = json!({"type": "object", "required": ["spec"], "properties": {"spec": {
            "type": "object", "required": ["must"], "properties": {
                "n": {"type": "integer", "minimum": 1},
                "e": {"type": "string", "enum": ["A", "B"]},
                "p": {"type": "string", "pattern": "^a+$", "maxLength": 3},
                "l": {"type": "array", "maxItems": 1, "items": {"type": "string"}},
                "x": {"x-kubernetes-int-or-string": true},
                "o": {"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
                    "properties": {"a": {}, "b": {}}},
        }}}});
        assert_eq!(fields(schema.clone(), json!({})), ["spec: Required value"]);
        assert_eq!(
            fields(
                schema,
                json!({"spec": {
                    "n": 0, "e": "C", "p": "aaab", "l": ["a", "b"], "x": true, "o": {"a": 1, "b": 1}
                }})
            ),
            [
                "spec.e: Unsupported value: \"C\": supported values: \"A\", \"B\"",
                "spec.l: Too many: 2: must have at most 1 item",
                "spec.must: Required value",
                "spec.n: Invalid value: 0: spec.n in body should be greater than or equal to 1",
                "spec.o: Invalid value: {\"a\":1,\"b\":1}: spec.o in body must validate one and only one schema (oneOf)",
                "spec.p: Too long: may not be more than 3 bytes",
                "spec.p: Invalid value: \"aaab\": spec.p in body should match '^a+$'",
                "spec.x: Invalid value: \"boolean\": spec.x in body must be of type integer,string: \"boolean\"",
            ]
        );
    }
}
