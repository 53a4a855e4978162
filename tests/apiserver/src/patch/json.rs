//! JSON Patch (RFC 6902).

use json_patch::Patch;
use serde_json::{Value, json};

use crate::status_error::StatusError;

/// The largest patch that Kubernetes takes.
const MAX_OPERATIONS: usize = 10_000;

/// The object after the patch.
pub(crate) fn apply(object: &Value, patch: &Value) -> Result<Value, StatusError> {
    let patch: Patch = serde_json::from_value(patch.clone())
        .map_err(|error| StatusError::bad_request(format!("error decoding patch: {error}")))?;
    if patch.0.len() > MAX_OPERATIONS {
        return Err(StatusError::new(
            413,
            "RequestEntityTooLarge",
            format!(
                "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
                patch.0.len()
            ),
        ));
    }
    let mut object = object.clone();
    // A failed `test`, a missing path: the real server says no more than this either.
    json_patch::patch(&mut object, &patch.0).map_err(|_| {
        let mut error = StatusError::new(
            422,
            "Invalid",
            "the server rejected our request due to an error in our request",
        );
        error.details = Some(json!({}));
        error
    })?;
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_test_is_422() {
        let object = json!({"metadata": {"resourceVersion": "5"}, "spec": {"a": 1}});
        let guarded = |version: &str| {
            json!([
                {"op": "test", "path": "/metadata/resourceVersion", "value": version},
                {"op": "remove", "path": "/spec/a"},
            ])
        };
        assert_eq!(apply(&object, &guarded("5")).unwrap()["spec"], json!({}));
        let error = apply(&object, &guarded("4")).unwrap_err();
        assert_eq!((error.code, error.reason.as_str()), (422, "Invalid"));
        assert_eq!(
            apply(&object, &json!({"op": "test"})).unwrap_err().code,
            400
        );
    }
}
