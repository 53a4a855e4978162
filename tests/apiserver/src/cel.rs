//! `x-kubernetes-validations`: evaluated with the feature `cel`, announced as not evaluated without.

use serde_json::Value;

use crate::resource::CustomVersion;
use crate::status_error::Cause;

/// Whether rules are evaluated in this build.
pub(crate) const EVALUATES: bool = cfg!(feature = "cel");

/// The rules of a schema, compiled when they are first needed.
#[cfg(feature = "cel")]
pub(crate) type Rules = std::sync::OnceLock<kube_cel::CompiledSchema>;

/// Nothing: rules are not evaluated in this build.
#[cfg(not(feature = "cel"))]
pub(crate) type Rules = ();

/// What the rules of a schema refuse.
#[cfg(not(feature = "cel"))]
pub(crate) fn evaluate(
    _version: &CustomVersion,
    _object: &Value,
    _old: Option<&Value>,
) -> Vec<Cause> {
    Vec::new()
}

/// What the rules of a schema refuse.
#[cfg(feature = "cel")]
pub(crate) fn evaluate(version: &CustomVersion, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let rules = version
        .rules
        .get_or_init(|| kube_cel::compile_schema(&version.schema));
    match kube_cel::Validator::new().validate_compiled(rules, object, old) {
        Ok(()) => Vec::new(),
        Err(errors) => errors
            .into_vec()
            .iter()
            .map(|error| cause(object, error))
            .collect(),
    }
}

#[cfg(feature = "cel")]
fn cause(object: &Value, error: &kube_cel::ValidationError) -> Cause {
    use kube_cel::ErrorKind;
    let field = error.field_path.trim_start_matches('.');
    let why = match error.kind {
        ErrorKind::ValidationFailure if error.message.is_empty() => {
            format!("failed rule: {}", error.rule)
        }
        ErrorKind::ValidationFailure => error.message.clone(),
        // Aloud, and closed: what cannot be evaluated is refused.
        _ => format!(
            "herald stand-in: this rule cannot be evaluated: {}",
            error.message
        ),
    };
    match error.reason.as_deref() {
        Some("FieldValueForbidden") => Cause::forbidden(field, why),
        Some("FieldValueRequired") => Cause::required(field, why),
        Some("FieldValueDuplicate") => {
            Cause::duplicate(field, at(object, field).unwrap_or(&Value::Null))
        }
        _ => Cause::invalid_maybe(field, at(object, field), why),
    }
}

/// What a rule's error shows of a value: a scalar itself, of the rest nothing.
#[cfg(feature = "cel")]
fn at<'a>(object: &'a Value, field: &str) -> Option<&'a Value> {
    let pointer = field
        .replace("].", "/")
        .replace(['.', '['], "/")
        .replace(']', "");
    let found = object.pointer(&format!("/{pointer}"));
    found.filter(|value| !value.is_object() && !value.is_array())
}

/// Whether a schema has rules anywhere.
pub(crate) fn has_rules(schema: &Value) -> bool {
    match schema {
        Value::Object(map) => {
            map.contains_key("x-kubernetes-validations") || map.values().any(has_rules)
        }
        Value::Array(items) => items.iter().any(has_rules),
        _ => false,
    }
}
