//! Errors as clients see them: `meta/v1.Status` objects, worded as Kubernetes words them.
//!
//! Follows `k8s.io/apimachinery/pkg/api/errors`. A refusal of what the stand-in cannot do is a
//! [`StatusError::not_implemented`], never an approximation.

use std::fmt;

use serde_json::{Map, Value, json};

pub use crate::cause::Cause;

/// A failed request: everything that goes into the `Status` object and the HTTP status line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusError {
    /// HTTP status code.
    pub code: u16,
    /// The one-word machine readable reason, such as `NotFound`.
    pub reason: String,
    /// The sentence for people.
    pub message: String,
    /// `details` of the Status, when there are any.
    pub details: Option<Value>,
}

impl StatusError {
    /// An error without details.
    pub fn new(code: u16, reason: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
            message: message.into(),
            details: None,
        }
    }

    /// 404 for an object. `resource` is `services` or `addresspools.herald.dev`.
    pub fn not_found(resource: &str, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{resource} \"{name}\" not found")).about(resource, name)
    }

    /// 404 for a path that no resource serves.
    pub fn no_such_path() -> Self {
        let mut error = Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        );
        error.details = Some(json!({}));
        error
    }

    /// 409 at a create.
    pub fn already_exists(resource: &str, name: &str) -> Self {
        Self::new(
            409,
            "AlreadyExists",
            format!("{resource} \"{name}\" already exists"),
        )
        .about(resource, name)
    }

    /// 409 with a reason of one's own.
    pub fn conflict(resource: &str, name: &str, why: impl fmt::Display) -> Self {
        Self::new(
            409,
            "Conflict",
            format!("Operation cannot be fulfilled on {resource} \"{name}\": {why}"),
        )
        .about(resource, name)
    }

    /// 409 because the resourceVersion is not the newest.
    pub fn modified(resource: &str, name: &str) -> Self {
        Self::conflict(
            resource,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 410: the resourceVersion is older than what is remembered.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 422 with one cause per wrong field. `group` is empty for the core group.
    pub fn invalid(group: &str, kind: &str, name: &str, causes: &[Cause]) -> Self {
        let kind_shown = if group.is_empty() {
            kind.to_owned()
        } else {
            format!("{kind}.{group}")
        };
        // A cause may be found twice; the message says it once.
        let mut sentences: Vec<String> = Vec::new();
        for sentence in causes.iter().map(Cause::sentence) {
            if !sentences.contains(&sentence) {
                sentences.push(sentence);
            }
        }
        let shown = match sentences.as_slice() {
            [] => String::new(),
            [one] => format!(": {one}"),
            many => format!(": [{}]", many.join(", ")),
        };
        let mut error = Self::new(
            422,
            "Invalid",
            format!("{kind_shown} \"{name}\" is invalid{shown}"),
        );
        let mut details = Map::new();
        if !name.is_empty() {
            details.insert("name".to_owned(), json!(name));
        }
        if !group.is_empty() {
            details.insert("group".to_owned(), json!(group));
        }
        details.insert("kind".to_owned(), json!(kind));
        if !causes.is_empty() {
            details.insert(
                "causes".to_owned(),
                causes.iter().map(Cause::to_value).collect(),
            );
        }
        error.details = Some(Value::Object(details));
        error
    }

    /// 405.
    pub fn method_not_allowed() -> Self {
        let mut error = Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        );
        error.details = Some(json!({}));
        error
    }

    /// 415 for a body of a type that is not read.
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 501: the stand-in says aloud what it cannot do.
    pub fn not_implemented(what: impl fmt::Display) -> Self {
        Self::new(
            501,
            "NotImplemented",
            format!("the herald stand-in API server does not support {what}"),
        )
    }

    /// 500.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(
            500,
            "InternalError",
            format!("Internal error occurred: {message}"),
        )
    }

    /// 500 with a message of its own, as the real server makes of an untyped error.
    pub fn internal_plain(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// Adds `details.retryAfterSeconds`, sent as a `Retry-After` header too.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.detail("retryAfterSeconds", json!(seconds));
        self
    }

    /// The seconds of `Retry-After`, if any.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.details.as_ref()?.get("retryAfterSeconds")?.as_u64()
    }

    /// Adds name, group and kind (the plural, as Kubernetes does) to the details.
    pub fn about(mut self, resource: &str, name: &str) -> Self {
        let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
        self.detail("name", json!(name));
        if !group.is_empty() {
            self.detail("group", json!(group));
        }
        self.detail("kind", json!(plural));
        self
    }

    /// Adds one key to the details.
    pub fn detail(&mut self, key: &str, value: Value) {
        let details = self.details.get_or_insert_with(|| json!({}));
        if let Some(map) = details.as_object_mut() {
            map.insert(key.to_owned(), value);
        }
    }

    /// The `Status` object.
    pub fn to_value(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if let Some(map) = status.as_object_mut() {
            if let Some(details) = &self.details {
                map.insert("details".to_owned(), details.clone());
            }
            if self.reason.is_empty() {
                map.remove("reason");
            }
        }
        status
    }
}

impl fmt::Display for StatusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.code, self.reason, self.message)
    }
}

impl std::error::Error for StatusError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_kubernetes() {
        let modified = StatusError::modified("services", "web");
        assert_eq!(
            modified.message,
            "Operation cannot be fulfilled on services \"web\": the object has been modified; \
             please apply your changes to the latest version and try again"
        );
        let invalid = StatusError::invalid(
            "herald.dev",
            "AddressPool",
            "lan",
            &[
                Cause::required("spec.addresses", ""),
                Cause::forbidden("spec.x", "no"),
            ],
        );
        assert_eq!(
            invalid.message,
            "AddressPool.herald.dev \"lan\" is invalid: [spec.addresses: Required value, spec.x: Forbidden: no]"
        );
        assert_eq!(
            invalid.to_value()["details"]["causes"][1]["field"],
            "spec.x"
        );
    }
}
