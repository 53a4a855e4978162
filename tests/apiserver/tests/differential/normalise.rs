//! Symbols for what two servers can never agree on: uids, times, versions, random numbers.
//!
//! Each value becomes a symbol numbered by its first appearance, so that what is equal stays equal.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::{Value, json};

static UID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").unwrap()
});
static TIME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z").unwrap());
static CLUSTER_IP: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\b10\.96\.\d+\.\d+\b|\bfd96::[0-9a-f:]+").unwrap());
static NODE_PORT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b3[0-2]\d{3}\b").unwrap());
static VERSION_TEXT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(resource version: |resourceVersion for the provided list is too old: |current: )\d+( \(\d+\))?").unwrap()
});
static AGE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^(\d+[smhdy])+$|^<invalid>$").unwrap());

/// What was seen so far in one script on one server.
#[derive(Debug, Default)]
pub struct Normaliser {
    symbols: BTreeMap<String, String>,
    counts: BTreeMap<&'static str, usize>,
}

impl Normaliser {
    /// Normalises an answer.
    pub fn answer(&mut self, mut answer: Value) -> Value {
        self.walk("", &mut answer);
        answer
    }

    fn symbol(&mut self, kind: &'static str, value: &str) -> String {
        if let Some(known) = self.symbols.get(&format!("{kind} {value}")) {
            return known.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let symbol = format!("<{kind}-{count}>");
        self.symbols
            .insert(format!("{kind} {value}"), symbol.clone());
        symbol
    }

    fn walk(&mut self, key: &str, value: &mut Value) {
        match value {
            Value::Object(map) => {
                prepare(map);
                let is_list = map.contains_key("items") || map.contains_key("rows");
                if is_list && let Some(metadata) = map.get_mut("metadata") {
                    for volatile in ["resourceVersion", "continue"] {
                        if metadata.get(volatile).is_some_and(|value| value != "") {
                            metadata[volatile] = json!(format!("<list {volatile}>"));
                        }
                    }
                }
                // Names and uids first, so that symbols are numbered alike whatever the order.
                for (key, member) in map.iter_mut() {
                    self.walk(key, member);
                }
            }
            Value::Array(items) => {
                if key == "managedFields" {
                    items.sort_by_key(|entry| {
                        ["manager", "operation", "subresource", "apiVersion"]
                            .map(|key| entry[key].as_str().unwrap_or_default().to_owned())
                    });
                }
                items.iter_mut().for_each(|item| self.walk(key, item));
            }
            Value::Number(number) if matches!(key, "nodePort" | "healthCheckNodePort") => {
                let symbol = self.symbol("port", &number.to_string());
                *value = json!(symbol);
            }
            Value::String(text) => *value = json!(self.text(key, text)),
            _ => {}
        }
    }

    fn text(&mut self, key: &str, text: &str) -> String {
        if key == "resourceVersion" && text.parse::<u64>().is_ok_and(|version| version > 0) {
            return self.symbol("version", text);
        }
        if key == "cells" && AGE.is_match(text) {
            return "<age>".to_owned();
        }
        let text = UID
            .replace_all(text, |found: &Captures<'_>| self.symbol("uid", &found[0]))
            .into_owned();
        let text = TIME.replace_all(&text, "<time>").into_owned();
        let text = VERSION_TEXT.replace_all(&text, "$1<version>").into_owned();
        let text = CLUSTER_IP
            .replace_all(&text, |found: &Captures<'_>| {
                if &found[0] == "10.96.0.0" {
                    found[0].to_owned()
                } else {
                    self.symbol("ip", &found[0])
                }
            })
            .into_owned();
        if matches!(key, "cells" | "message") {
            return NODE_PORT
                .replace_all(&text, |found: &Captures<'_>| match &found[0] {
                    end @ ("30000" | "32767") => end.to_owned(),
                    port => self.symbol("port", port),
                })
                .into_owned();
        }
        text
    }
}

/// Drops what is not worth comparing.
fn prepare(map: &mut serde_json::Map<String, Value>) {
    if map.contains_key("columnDefinitions")
        && let Some(Value::Array(columns)) = map.get_mut("columnDefinitions")
    {
        for column in columns {
            column
                .as_object_mut()
                .map(|column| column.remove("description"));
        }
    }
    if map.get("type").is_some_and(|kind| kind == "BOOKMARK")
        && let Some(version) = map
            .get_mut("object")
            .and_then(|object| object.pointer_mut("/metadata/resourceVersion"))
    {
        *version = json!("<bookmark version>");
    }
    // Go writes an unset time of a typed object as null.
    if map.get("creationTimestamp").is_some_and(Value::is_null) {
        map.remove("creationTimestamp");
    }
    let generated = map
        .get("generateName")
        .and_then(Value::as_str)
        .map(str::to_owned);
    if let (Some(base), Some(name)) = (generated, map.get_mut("name")) {
        *name = json!(format!("{base}<random>"));
    }
}
