//! Resource definitions, told apart by what their schemas allow.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::ResourceExt as _;
use ring::digest;
use serde_json::Value;

use crate::check::facts::Definition;

/// A definition's served versions and their schemas' digests.
pub(super) fn definition(crd: &CustomResourceDefinition) -> Definition {
    let versions = crd.spec.versions.iter().filter(|version| version.served);
    let served = versions.map(|version| {
        let schema = serde_json::to_value(&version.schema).unwrap_or_default();
        (version.name.clone(), digest_of(&schema))
    });
    Definition {
        name: crd.name_any(),
        served: served.collect(),
    }
}

/// Eight digits that are the same for schemas that allow the same. API servers leave out what is empty and what is
/// false, and words for people allow nothing.
fn digest_of(schema: &Value) -> String {
    let text = serde_json::to_string(&Plain::of(schema)).unwrap_or_default();
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let digits = digest.as_ref().iter().take(4);
    digits.map(|octet| format!("{octet:02x}")).collect()
}

/// A value in one order, whatever order the maps of this build keep.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Plain<'a> {
    Map(BTreeMap<&'a str, Plain<'a>>),
    List(Vec<Plain<'a>>),
    Leaf(&'a Value),
}

impl<'a> Plain<'a> {
    fn of(value: &'a Value) -> Self {
        match value {
            Value::Object(map) => {
                let kept = map.iter().filter(|(key, value)| says(key, value));
                Self::Map(
                    kept.map(|(key, value)| (key.as_str(), Self::of(value)))
                        .collect(),
                )
            }
            Value::Array(list) => Self::List(list.iter().map(Self::of).collect()),
            leaf => Self::Leaf(leaf),
        }
    }
}

fn says(key: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => key != "description" && !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Bool(true) | Value::Number(_) | Value::Object(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_a_schema_allows_counts() {
        let digest = |value| digest_of(&value);
        let known = digest(
            json!({ "type": "object", "properties": { "a": { "type": "string", "description": "A." } } }),
        );
        assert_eq!(known.len(), 8);
        for same in [
            json!({ "properties": { "a": { "type": "string" } }, "type": "object" }),
            json!({ "type": "object", "properties": { "a": { "type": "string", "nullable": false, "enum": [] } } }),
        ] {
            assert_eq!(digest(same), known);
        }
        for other in [
            json!({ "type": "object", "properties": { "a": { "type": "integer" } } }),
            json!({ "type": "object", "properties": { "a": { "type": "string" }, "description": { "type": "string" } } }),
        ] {
            assert_ne!(digest(other), known);
        }
    }
}
