//! Reviews: questions that are answered and not stored. Every answer is yes, until roles are enforced.

use serde_json::{Value, json};

use crate::fields;
use crate::resource::Resource;
use crate::status_error::StatusError;

/// Answers a review.
pub(crate) fn answer(resource: &Resource, mut body: Value) -> Result<Value, StatusError> {
    if !body.is_object() {
        return Err(StatusError::bad_request("a review is an object"));
    }
    let user = || {
        let all = json!(["system:masters", "system:authenticated"]);
        json!({"username": "herald-standin", "groups": all})
    };
    let status = match resource.kind.as_str() {
        "TokenReview" => json!({"authenticated": true, "user": user()}),
        "SelfSubjectReview" => json!({"userInfo": user()}),
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        }),
        _ => json!({"allowed": true}),
    };
    fields::set(&mut body, &["apiVersion"], json!(resource.api_version()));
    fields::set(&mut body, &["kind"], json!(resource.kind));
    fields::set_default(&mut body, &["metadata"], json!({}));
    fields::set(&mut body, &["status"], status);
    Ok(body)
}
