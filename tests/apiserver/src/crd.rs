//! CustomResourceDefinitions: checked, named, established, and what they serve.

pub(crate) mod definition;
pub(crate) mod serve;

use serde_json::{Value, json};

pub(crate) use definition::validate_definition;

use crate::fields;
use crate::resource::CustomVersion;
use crate::schema::validation;
use crate::state::State;
use crate::status_error::Cause;

/// Defaults of `apiextensions/v1`.
pub(crate) fn set_defaults(crd: &mut Value) {
    let kind = fields::text(crd, &["spec", "names", "kind"]).to_owned();
    if !kind.is_empty() {
        fields::set_default(
            crd,
            &["spec", "names", "singular"],
            json!(kind.to_lowercase()),
        );
        fields::set_default(
            crd,
            &["spec", "names", "listKind"],
            json!(format!("{kind}List")),
        );
    }
    fields::set_default(crd, &["spec", "conversion", "strategy"], json!("None"));
    let versions = crd
        .pointer_mut("/spec/versions")
        .and_then(Value::as_array_mut);
    for version in versions.into_iter().flatten() {
        for flag in ["served", "storage"] {
            fields::set_default(version, &[flag], json!(false));
        }
        let columns = version
            .get_mut("additionalPrinterColumns")
            .and_then(Value::as_array_mut);
        for column in columns.into_iter().flatten() {
            drop_zero(column, &["description", "format", "priority"]);
        }
    }
}

fn drop_zero(object: &mut Value, keys: &[&str]) {
    if let Some(map) = object.as_object_mut() {
        map.retain(|key, value| {
            !(keys.contains(&key.as_str()) && (*value == json!("") || *value == json!(0)))
        });
    }
}

/// A new definition has no status but the versions that are stored.
pub(crate) fn prepare_create(crd: &mut Value) {
    let stored: Vec<Value> = fields::list(crd, &["spec", "versions"])
        .iter()
        .filter(|version| fields::boolean(version, &["storage"]) == Some(true))
        .filter_map(|version| version.get("name").cloned())
        .collect();
    let nothing = json!({"kind": "", "plural": ""});
    let status =
        json!({"acceptedNames": nothing, "conditions": Value::Null, "storedVersions": stored});
    fields::set(crd, &["status"], status);
}

/// What is wrong with a custom object.
pub(crate) fn validate_object(
    state: &State,
    version: &CustomVersion,
    object: &Value,
    old: Option<&Value>,
    subresource: &str,
) -> Vec<Cause> {
    let builtins = &state.builtins;
    let mut causes = match subresource {
        "status" => validation::validate_status(&version.schema, object, builtins),
        _ => validation::validate(&version.schema, object, builtins),
    };
    let blocks = |cause: &Cause| {
        let reasons = [
            "FieldValueRequired",
            "FieldValueTooLong",
            "FieldValueTooMany",
            "FieldValueTypeInvalid",
        ];
        reasons.contains(&cause.reason)
    };
    if !causes.iter().any(blocks) {
        causes.extend(crate::cel::evaluate(version, object, old));
    } else if crate::cel::has_rules(&version.schema) {
        let why = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
        causes.push(Cause::invalid("<nil>", &Value::Null, why));
    }
    causes
}
