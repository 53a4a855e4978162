//! Reviews: questions that are answered and not stored. While everyone may do everything every answer is yes; else
//! the known tokens and the stored roles answer.

use serde_json::{Value, json};

use super::access;
use crate::faults::ClientId;
use crate::fields;
use crate::rbac::{Access, User};
use crate::resource::Resource;
use crate::server::Shared;
use crate::status_error::StatusError;

/// Answers a review.
pub(super) fn answer(
    shared: &Shared,
    client: &ClientId,
    resource: &Resource,
    mut body: Value,
) -> Result<Value, StatusError> {
    if !body.is_object() {
        return Err(StatusError::bad_request("a review is an object"));
    }
    let everyone = User::new("herald-standin", &["system:masters"]);
    let asker = access::user(shared, client).unwrap_or(&everyone);
    let status = match resource.kind.as_str() {
        "TokenReview" if shared.tokens.is_empty() => authenticated(&everyone),
        "TokenReview" => match shared.tokens.get(fields::text(&body, &["spec", "token"])) {
            Some(user) => authenticated(user),
            None => json!({"user": {}, "error": "[invalid bearer token]"}),
        },
        "SelfSubjectReview" => json!({"userInfo": info(asker)}),
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        }),
        _ if !shared.enforces_rbac => json!({"allowed": true}),
        "SelfSubjectAccessReview" => verdict(shared, asker, &body),
        _ => verdict(shared, &named(&body), &body),
    };
    fields::set(&mut body, &["apiVersion"], json!(resource.api_version()));
    fields::set(&mut body, &["kind"], json!(resource.kind));
    fields::set_default(&mut body, &["metadata"], json!({}));
    fields::set(&mut body, &["status"], status);
    Ok(body)
}

fn authenticated(user: &User) -> Value {
    json!({"authenticated": true, "user": info(user)})
}

fn info(user: &User) -> Value {
    let groups = user.groups.iter().map(String::as_str);
    let groups: Vec<_> = groups.chain(["system:authenticated"]).collect();
    json!({"username": user.name, "groups": groups})
}

/// Of whom a review speaks.
fn named(review: &Value) -> User {
    let groups = fields::list(review, &["spec", "groups"]).iter();
    let groups: Vec<_> = groups.filter_map(Value::as_str).collect();
    User::new(fields::text(review, &["spec", "user"]), &groups)
}

fn verdict(shared: &Shared, user: &User, review: &Value) -> Value {
    let of = |part: &str, field: &str| fields::text(review, &["spec", part, field]).to_owned();
    let resource = |field: &str| of("resourceAttributes", field);
    let path = of("nonResourceAttributes", "path");
    let access = Access {
        user: user.name.clone(),
        verb: match path.is_empty() {
            true => resource("verb"),
            false => of("nonResourceAttributes", "verb"),
        },
        group: resource("group"),
        resource: resource("resource"),
        subresource: resource("subresource"),
        namespace: resource("namespace"),
        name: resource("name"),
        path,
        allowed: false,
    };
    if access::is_open(&access) || access::allows(&shared.state(), user, &access) {
        json!({"allowed": true})
    } else {
        json!({"allowed": false})
    }
}
