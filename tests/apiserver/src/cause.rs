//! What is wrong with one field: an entry of `details.causes`, worded as Kubernetes words it.

use std::fmt;

use serde_json::{Value, json};

/// One entry of `details.causes`: a field that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// `FieldValueInvalid`, `FieldValueRequired`, ...
    pub reason: &'static str,
    /// The path, such as `spec.ports[0].port`.
    pub field: String,
    /// The sentence after the path.
    pub message: String,
}

impl Cause {
    /// A value that is not allowed; `value` is shown as Go's `%#v` would show JSON.
    pub fn invalid(field: impl Into<String>, value: &Value, why: impl fmt::Display) -> Self {
        let shown = match value {
            Value::Object(_) => compact(value),
            other => other.to_string(),
        };
        Self {
            reason: "FieldValueInvalid",
            field: field.into(),
            message: format!("Invalid value: {shown}: {why}"),
        }
    }

    /// A value that is not allowed, shown if it is given.
    pub fn invalid_maybe(
        field: impl Into<String>,
        value: Option<&Value>,
        why: impl fmt::Display,
    ) -> Self {
        match value {
            Some(value) => Self::invalid(field, value, why),
            None => Self {
                reason: "FieldValueInvalid",
                field: field.into(),
                message: format!("Invalid value: {why}"),
            },
        }
    }

    /// A required value is missing.
    pub fn required(field: impl Into<String>, why: impl fmt::Display) -> Self {
        let why = why.to_string();
        let message = if why.is_empty() {
            "Required value".to_owned()
        } else {
            format!("Required value: {why}")
        };
        Self {
            reason: "FieldValueRequired",
            field: field.into(),
            message,
        }
    }

    /// A value that must not be given here.
    pub fn forbidden(field: impl Into<String>, why: impl fmt::Display) -> Self {
        Self {
            reason: "FieldValueForbidden",
            field: field.into(),
            message: format!("Forbidden: {why}"),
        }
    }

    /// A value that occurs twice in a list.
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self {
            reason: "FieldValueDuplicate",
            field: field.into(),
            message: format!("Duplicate value: {}", compact(value)),
        }
    }

    /// A value that occurs twice, in words of one's own.
    pub fn duplicate_shown(field: impl Into<String>, shown: &str) -> Self {
        Self {
            reason: "FieldValueDuplicate",
            field: field.into(),
            message: format!("Duplicate value: {shown}"),
        }
    }

    /// A value outside an enumeration.
    pub fn unsupported(field: impl Into<String>, value: &Value, allowed: &[&str]) -> Self {
        let mut sorted: Vec<String> = allowed.iter().map(|one| format!("\"{one}\"")).collect();
        sorted.sort();
        Self {
            reason: "FieldValueNotSupported",
            field: field.into(),
            message: format!(
                "Unsupported value: {}: supported values: {}",
                compact(value),
                sorted.join(", ")
            ),
        }
    }

    /// A value outside an enumeration of a schema, whose order is kept.
    pub fn unsupported_unsorted(field: impl Into<String>, value: &Value, allowed: &[&str]) -> Self {
        let quoted: Vec<String> = allowed.iter().map(|one| format!("{one:?}")).collect();
        Self {
            reason: "FieldValueNotSupported",
            field: field.into(),
            message: format!(
                "Unsupported value: {}: supported values: {}",
                compact(value),
                quoted.join(", ")
            ),
        }
    }

    /// A text that is too long.
    pub fn too_long(field: impl Into<String>, max: u64) -> Self {
        let unit = if max == 1 { "byte" } else { "bytes" };
        Self {
            reason: "FieldValueTooLong",
            field: field.into(),
            message: format!("Too long: may not be more than {max} {unit}"),
        }
    }

    /// A list that has too many items.
    pub fn too_many(field: impl Into<String>, count: u64, max: u64) -> Self {
        let unit = if max == 1 { "item" } else { "items" };
        Self {
            reason: "FieldValueTooMany",
            field: field.into(),
            message: format!("Too many: {count}: must have at most {max} {unit}"),
        }
    }

    /// A value of the wrong JSON type.
    pub fn type_invalid(field: impl Into<String>, value: &Value, why: impl fmt::Display) -> Self {
        Self {
            reason: "FieldValueTypeInvalid",
            field: field.into(),
            message: format!("Invalid value: {}: {why}", compact(value)),
        }
    }

    /// The path and the sentence.
    pub(crate) fn sentence(&self) -> String {
        format!("{}: {}", self.field, self.message)
    }

    /// As an entry of `details.causes`.
    pub(crate) fn to_value(&self) -> Value {
        json!({"reason": self.reason, "message": self.message, "field": self.field})
    }
}

fn compact(value: &Value) -> String {
    value.to_string()
}
