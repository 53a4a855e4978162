//! What is checked and filled in around a write: names, namespaces, preconditions, system fields.

use serde_json::{Value, json};

use super::Place;
use crate::clock;
use crate::fields;
use crate::resource::Resource;
use crate::state::State;
use crate::status_error::{Cause, StatusError};

/// The name of a body is that of the request.
pub(super) fn match_name(place: Place<'_>, body: &mut Value) -> Result<(), StatusError> {
    let sent = fields::meta(body, "name").to_owned();
    if sent.is_empty() {
        fields::set(body, &["metadata", "name"], json!(place.name));
        return Ok(());
    }
    if sent != place.name {
        return Err(StatusError::bad_request(format!(
            "the name of the object ({sent}) does not match the name on the URL ({})",
            place.name
        )));
    }
    Ok(())
}

/// Makes the namespace of a body that of the request.
pub(crate) fn match_namespace(
    resource: &Resource,
    namespace: &str,
    body: &mut Value,
) -> Result<(), StatusError> {
    if !resource.namespaced {
        fields::remove(body, &["metadata", "namespace"]);
        return Ok(());
    }
    let sent = fields::meta(body, "namespace");
    if !sent.is_empty() && sent != namespace {
        return Err(StatusError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    fields::set(body, &["metadata", "namespace"], json!(namespace));
    Ok(())
}

/// A namespace must exist, and must not be on its way out.
pub(super) fn check_namespace_open(
    state: &State,
    resource: &Resource,
    namespace: &str,
) -> Result<(), StatusError> {
    if !resource.namespaced {
        return Ok(());
    }
    let Some(found) = state.store.get("namespaces", "", namespace) else {
        return Err(StatusError::not_found("namespaces", namespace));
    };
    if fields::meta(found, "deletionTimestamp").is_empty() {
        return Ok(());
    }
    let why = format!(
        "unable to create new content in namespace {namespace} because it is being terminated"
    );
    let resource_name = resource.qualified();
    let mut error = StatusError::new(
        403,
        "Forbidden",
        format!("{resource_name} is forbidden: {why}"),
    );
    error.detail("kind", json!(resource.plural));
    error.detail(
        "causes",
        json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        }]),
    );
    Err(error)
}

/// What a new object gets from the server.
pub(super) fn fill_system_fields(state: &mut State, object: &mut Value) {
    for key in [
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
    ] {
        fields::remove(object, &["metadata", key]);
    }
    fields::set(
        object,
        &["metadata", "creationTimestamp"],
        json!(clock::now_seconds()),
    );
    let uid = state.dice.uuid();
    fields::set(object, &["metadata", "uid"], json!(uid));
    let base = fields::meta(object, "generateName").to_owned();
    if !base.is_empty() && fields::meta(object, "name").is_empty() {
        let base: String = base.chars().take(58).collect();
        let name = format!("{base}{}", state.dice.suffix());
        fields::set(object, &["metadata", "name"], json!(name));
    }
}

/// What an update never changes.
pub(super) fn keep_system_fields(object: &mut Value, old: &Value) {
    if fields::meta(object, "uid").is_empty() {
        fields::carry(object, old, &["metadata", "uid"]);
    }
    fields::carry(object, old, &["metadata", "creationTimestamp"]);
    fields::carry(object, old, &["metadata", "deletionTimestamp"]);
    fields::carry(object, old, &["metadata", "deletionGracePeriodSeconds"]);
    fields::remove(object, &["metadata", "selfLink"]);
}

/// A uid in the body is a precondition.
pub(crate) fn check_uid(place: Place<'_>, body: &Value, old: &Value) -> Result<(), StatusError> {
    let (sent, has) = (fields::meta(body, "uid"), fields::meta(old, "uid"));
    if sent.is_empty() || sent == has {
        return Ok(());
    }
    let resource = place.resource.qualified();
    Err(StatusError::conflict(
        &resource,
        place.name,
        format!("Precondition failed: UID in precondition: {sent}, UID in object meta: {has}"),
    ))
}

/// A resourceVersion in the body is a precondition.
pub(super) fn check_version(
    place: Place<'_>,
    object: &mut Value,
    old: &Value,
) -> Result<(), StatusError> {
    let resource = place.resource;
    let sent = fields::meta(object, "resourceVersion").to_owned();
    let has = fields::meta(old, "resourceVersion");
    if sent.is_empty() || sent == "0" {
        if !resource.unconditional_update {
            let cause = Cause {
                reason: "FieldValueInvalid",
                field: "metadata.resourceVersion".to_owned(),
                message: "Invalid value: 0: must be specified for an update".to_owned(),
            };
            let causes = [cause];
            return Err(StatusError::invalid(
                &resource.group,
                &resource.plural,
                place.name,
                &causes,
            ));
        }
        fields::set(object, &["metadata", "resourceVersion"], json!(has));
        return Ok(());
    }
    if sent.parse::<u64>().is_err() {
        let cause = Cause::invalid(
            "metadata.resourceVersion",
            &json!(sent),
            "must be an integer",
        );
        return Err(StatusError::invalid(
            &resource.group,
            &resource.kind,
            place.name,
            &[cause],
        ));
    }
    if sent != has {
        return Err(StatusError::modified(&resource.qualified(), place.name));
    }
    Ok(())
}

/// Whether nothing changed, or only times in managedFields did: then nothing is written.
pub(super) fn same_but_for_times(object: &Value, old: &Value) -> bool {
    if object == old {
        return true;
    }
    let strip = |object: &Value| {
        let mut copy = object.clone();
        let entries = copy
            .pointer_mut("/metadata/managedFields")
            .and_then(Value::as_array_mut);
        for entry in entries.into_iter().flatten() {
            fields::remove(entry, &["time"]);
        }
        copy
    };
    strip(object) == strip(old)
}
