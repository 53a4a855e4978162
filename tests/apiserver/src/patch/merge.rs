//! JSON Merge Patch (RFC 7386).

use serde_json::Value;

use crate::status_error::StatusError;

/// The object after the patch.
pub(crate) fn apply(object: &Value, patch: &Value) -> Result<Value, StatusError> {
    if !patch.is_object() {
        return Err(StatusError::bad_request(
            "error decoding patch: a merge patch is an object",
        ));
    }
    let mut object = object.clone();
    json_patch::merge(&mut object, patch);
    Ok(object)
}
