//! What Kubernetes refuses in a CustomResourceDefinition, and what the stand-in cannot serve.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::fields;
use crate::schema::validation::CHECKED_FORMATS;
use crate::state::State;
use crate::status_error::{Cause, StatusError};

/// Formats that the real server checks and the stand-in does not.
const UNCHECKED_FORMATS: [&str; 14] = [
    "bsonobjectid",
    "uri",
    "email",
    "hostname",
    "mac",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
    "isbn",
    "creditcard",
    "ssn",
    "hexcolor",
    "duration",
];

/// What is wrong with a definition; `old` is none at a create.
pub(crate) fn validate_definition(_state: &State, crd: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = |field: &'static str| fields::text(crd, &["spec", field]).to_owned();
    let group = spec("group");
    let plural = fields::text(crd, &["spec", "names", "plural"]);
    if group.is_empty() {
        causes.push(Cause::required("spec.group", ""));
    } else if !group.contains('.') {
        causes.push(Cause::invalid(
            "spec.group",
            &json!(group),
            "should be a domain with at least one dot",
        ));
    }
    for field in ["plural", "singular", "kind", "listKind"] {
        if fields::text(crd, &["spec", "names", field]).is_empty() {
            causes.push(Cause::required(format!("spec.names.{field}"), ""));
        }
    }
    let name = fields::meta(crd, "name");
    if name != format!("{plural}.{group}") {
        let why = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", &json!(name), why));
    }
    let scope = spec("scope");
    if !matches!(scope.as_str(), "Cluster" | "Namespaced") {
        causes.push(Cause::unsupported(
            "spec.scope",
            &json!(scope),
            &["Cluster", "Namespaced"],
        ));
    }
    check_versions(crd, &mut causes);
    if let Some(old) = old {
        check_immutable(crd, old, &mut causes);
    }
    causes
}

fn check_versions(crd: &Value, causes: &mut Vec<Cause>) {
    let versions = fields::list(crd, &["spec", "versions"]);
    let storage = versions
        .iter()
        .filter(|version| fields::boolean(version, &["storage"]) == Some(true))
        .count();
    if storage != 1 {
        let shown = Value::Array(versions.to_vec());
        causes.push(Cause::invalid(
            "spec.versions",
            &shown,
            "must have exactly one version marked as storage version",
        ));
    }
    let mut seen = BTreeSet::new();
    for (at, version) in versions.iter().enumerate() {
        let name = fields::text(version, &["name"]);
        if !seen.insert(name) {
            let why = "must be unique";
            causes.push(Cause::invalid(
                format!("spec.versions[{at}].name"),
                &json!(name),
                why,
            ));
        }
        let field = format!("spec.versions[{at}].schema.openAPIV3Schema");
        match fields::get(version, &["schema", "openAPIV3Schema"]) {
            None => causes.push(Cause::required(field, "schemas are required")),
            Some(schema) => {
                if fields::text(schema, &["type"]) != "object" {
                    let value = json!(fields::text(schema, &["type"]));
                    causes.push(Cause::invalid(
                        format!("{field}.type"),
                        &value,
                        "must be object at the root",
                    ));
                }
                check_structural(schema, &field, causes);
            }
        }
    }
}

/// Structural schemas: every place has a type, or says that it has none.
fn check_structural(schema: &Value, field: &str, causes: &mut Vec<Cause>) {
    let typed = schema.get("type").is_some()
        || schema.get("x-kubernetes-int-or-string").is_some()
        || schema.get("x-kubernetes-preserve-unknown-fields").is_some();
    if !typed {
        causes.push(Cause::required(
            format!("{field}.type"),
            "must not be empty for specified object fields",
        ));
    }
    if let Some(Value::Object(properties)) = schema.get("properties") {
        for (name, inner) in properties {
            check_structural(inner, &format!("{field}.properties[{name}]"), causes);
        }
        if schema
            .get("additionalProperties")
            .is_some_and(|more| more != &json!(false))
        {
            let why = "additionalProperties and properties are mutual exclusive";
            causes.push(Cause::forbidden(
                format!("{field}.additionalProperties"),
                why,
            ));
        }
    }
    if let Some(inner) = schema.get("items").filter(|items| items.is_object()) {
        check_structural(inner, &format!("{field}.items"), causes);
    } else if schema.get("type") == Some(&json!("array")) {
        causes.push(Cause::required(
            format!("{field}.items"),
            "must be specified",
        ));
    }
    if let Some(inner) = schema
        .get("additionalProperties")
        .filter(|more| more.is_object())
    {
        check_structural(inner, &format!("{field}.additionalProperties"), causes);
    }
}

fn check_immutable(crd: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let paths: [&[&str]; 2] = [&["spec", "group"], &["spec", "names", "plural"]];
    for path in paths {
        if fields::text(crd, path) != fields::text(old, path) {
            let value = json!(fields::text(crd, path));
            causes.push(Cause::invalid(path.join("."), &value, "field is immutable"));
        }
    }
    let paths: [&[&str]; 2] = [&["spec", "scope"], &["spec", "names", "kind"]];
    for path in paths {
        if fields::text(crd, path) != fields::text(old, path) {
            let value = json!(fields::text(crd, path));
            causes.push(Cause::invalid(path.join("."), &value, "field is immutable"));
        }
    }
}

/// Refuses aloud what would be served wrongly.
pub(crate) fn refuse_unsupported(crd: &Value) -> Result<(), StatusError> {
    if fields::text(crd, &["spec", "conversion", "strategy"]) == "Webhook" {
        return Err(StatusError::not_implemented(
            "conversion webhooks of CustomResourceDefinitions",
        ));
    }
    for version in fields::list(crd, &["spec", "versions"]) {
        if fields::get(version, &["subresources", "scale"]).is_some() {
            return Err(StatusError::not_implemented(
                "the scale subresource of CustomResourceDefinitions",
            ));
        }
    }
    Ok(())
}

/// What a definition's author should know: rules and formats that are not checked here.
pub(crate) fn warnings(crd: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    let versions = fields::list(crd, &["spec", "versions"]);
    if !crate::cel::EVALUATES && versions.iter().any(crate::cel::has_rules) {
        warnings.push(
            "herald stand-in: x-kubernetes-validations are not evaluated (built without the feature `cel`)"
                .to_owned(),
        );
    }
    let mut formats = BTreeSet::new();
    versions
        .iter()
        .for_each(|version| collect_formats(version, &mut formats));
    for format in formats
        .iter()
        .filter(|format| UNCHECKED_FORMATS.contains(&format.as_str()))
    {
        warnings.push(format!(
            "herald stand-in: format \"{format}\" is not checked"
        ));
    }
    debug_assert!(
        CHECKED_FORMATS
            .iter()
            .all(|format| !UNCHECKED_FORMATS.contains(format))
    );
    warnings
}

fn collect_formats(schema: &Value, formats: &mut BTreeSet<String>) {
    match schema {
        Value::Object(map) => {
            if let Some(format) = map.get("format").and_then(Value::as_str) {
                formats.insert(format.to_owned());
            }
            map.values()
                .for_each(|inner| collect_formats(inner, formats));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|inner| collect_formats(inner, formats)),
        _ => {}
    }
}
