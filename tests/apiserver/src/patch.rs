//! PATCH: the four kinds of patch, and the write that follows each.

pub(crate) mod json;
pub(crate) mod merge;
pub(crate) mod strategic;

use serde_json::Value;

use crate::apply::ownership::{self, Writer};
use crate::decode;
use crate::encode::in_version;
use crate::fields;
use crate::state::State;
use crate::status_error::StatusError;
use crate::strategy;
use crate::write::{self, Intent, Place, Written};

/// The kind of a patch, by its media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Json,
    Merge,
    Strategic,
    Apply,
}

impl Kind {
    /// Reads a Content-Type. Custom resources have no strategic merge patch.
    pub(crate) fn of(content_type: &str, custom: bool) -> Result<Self, StatusError> {
        match content_type {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" if !custom => Ok(Self::Strategic),
            "application/apply-patch+yaml" => Ok(Self::Apply),
            "application/apply-patch+cbor" => {
                Err(StatusError::not_implemented("CBOR apply patches"))
            }
            _ if custom => Err(StatusError::unsupported_media_type(
                "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
            )),
            _ => {
                let mut error = StatusError::unsupported_media_type("415: Unsupported Media Type");
                error.details = Some(Value::Object(serde_json::Map::new()));
                Err(error)
            }
        }
    }
}

/// PATCH. `given_manager` is the `fieldManager` parameter, which apply requires.
pub(crate) fn patch(
    state: &mut State,
    place: Place<'_>,
    kind: Kind,
    body: Value,
    intent: &Intent,
) -> Result<Written, StatusError> {
    if kind == Kind::Apply {
        return apply(state, place, body, intent);
    }
    let resource = place.resource;
    let Some(old) = write::find(state, place) else {
        return Err(StatusError::not_found(&resource.qualified(), place.name));
    };
    let seen = in_version(resource, &old);
    let mut new = match kind {
        Kind::Json => json::apply(&seen, &body)?,
        Kind::Merge => merge::apply(&seen, &body)?,
        Kind::Strategic | Kind::Apply => {
            strategic::apply(state.builtins.root(resource), &seen, &body)?
        }
    };
    let mut warnings = Vec::new();
    decode_patched(state, place, &mut new, intent, &mut warnings)?;
    write::record(
        state,
        resource,
        place.subresource,
        Some(&old),
        &mut new,
        intent,
    );
    write::store_changed(state, place, &old, new, intent, warnings)
}

fn decode_patched(
    state: &State,
    place: Place<'_>,
    new: &mut Value,
    intent: &Intent,
    warnings: &mut Vec<String>,
) -> Result<(), StatusError> {
    // An unknown field is the patch's fault: 422 about the patch, not 400 about the object.
    decode::decode(state, place.resource, new, intent, warnings).map_err(|error| {
        if error.code == 400 && error.message.contains("strict decoding error") {
            let why = error
                .message
                .split_once("strict decoding error")
                .map_or("", |(_, why)| why);
            let cause = crate::status_error::Cause::invalid(
                "patch",
                &Value::from(new.to_string()),
                format!("strict decoding error{why}"),
            );
            return StatusError::invalid("", "", "", &[cause]);
        }
        error
    })?;
    if fields::meta(new, "name") != place.name {
        return Err(StatusError::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({})",
            fields::meta(new, "name"),
            place.name
        )));
    }
    write::match_namespace(place.resource, place.namespace, new)
}

/// Server-side apply; creates what is not there, unless it is a subresource.
fn apply(
    state: &mut State,
    place: Place<'_>,
    mut config: Value,
    intent: &Intent,
) -> Result<Written, StatusError> {
    let resource = place.resource;
    check_config(place, &mut config)?;
    let mut warnings = Vec::new();
    check_shape(state, place, &config, intent)?;
    let old = write::find(state, place);
    // Only a kind that a PUT creates is also created through its status.
    if old.is_none() && !place.subresource.is_empty() && !resource.create_on_update {
        return Err(StatusError::not_found(&resource.qualified(), place.name));
    }
    let writer = Writer {
        manager: &intent.manager,
        resource,
        subresource: place.subresource,
    };
    let builtins = std::sync::Arc::clone(&state.builtins);
    let root = builtins.root(resource);
    let zero = strategy::zero(state, resource);
    // Fields are owned as the applied version names them.
    let live = old.as_deref().map(|old| in_version(resource, old));
    let mut new = ownership::apply(root, writer, live.as_ref(), &zero, &config, intent.force)?;
    decode::decode(state, resource, &mut new, intent, &mut warnings)?;
    write::match_namespace(resource, place.namespace, &mut new)?;
    match old {
        Some(old) => write::store_changed(state, place, &old, new, intent, warnings),
        None => {
            let sent = fields::meta(&new, "uid");
            if !sent.is_empty() {
                return Err(StatusError::conflict(
                    &resource.qualified(),
                    place.name,
                    format!(
                        "uid mismatch: the provided object specified uid {sent}, and no existing object was found"
                    ),
                ));
            }
            write::store_new(state, place, new, intent, warnings)
        }
    }
}

fn check_config(place: Place<'_>, config: &mut Value) -> Result<(), StatusError> {
    let version = place.resource.api_version();
    let sent = fields::text(config, &["apiVersion"]);
    if fields::text(config, &["kind"]).is_empty() {
        return Err(StatusError::bad_request(
            "Object 'Kind' is missing in the applied configuration",
        ));
    }
    let kind = fields::text(config, &["kind"]);
    if sent != version || kind != place.resource.kind {
        let (group, sent) = sent.rsplit_once('/').unwrap_or(("", sent));
        let message = format!("invalid object type: {group}/{sent}, Kind={kind}");
        return Err(StatusError::bad_request(message));
    }
    let managed = config
        .get("metadata")
        .and_then(|meta| meta.get("managedFields"));
    if managed.is_some_and(|managed| !managed.is_null()) {
        return Err(StatusError::bad_request(
            "metadata.managedFields must be nil",
        ));
    }
    let name = fields::meta(config, "name");
    if !name.is_empty() && name != place.name {
        return Err(StatusError::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            place.name
        )));
    }
    if name.is_empty() {
        fields::set(config, &["metadata", "name"], Value::from(place.name));
    }
    Ok(())
}

/// Fields that the schema does not have cannot be applied, whatever the strictness.
fn check_shape(
    state: &State,
    place: Place<'_>,
    config: &Value,
    _intent: &Intent,
) -> Result<(), StatusError> {
    use crate::schema::pruning::{Mode, prune};
    let resource = place.resource;
    if resource.custom().is_some() && !has_closed_schema(state, place) {
        return Ok(());
    }
    if let Some(wrong) =
        crate::schema::decoding::first_untyped(state.builtins.root(resource), config)
    {
        return Err(untyped(place, config, &wrong));
    }
    let mode = if resource.custom().is_some() {
        Mode::Structural
    } else {
        Mode::Typed
    };
    let unknown = prune(state.builtins.root(resource), &mut config.clone(), mode);
    if unknown.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = unknown
        .iter()
        .map(|path| format!(".{path}: field not declared in schema"))
        .collect();
    let shown = match lines.as_slice() {
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    Err(untyped(place, config, &shown))
}

/// The configuration does not fit the schema: an untyped error, and so a plain 500, in Kubernetes.
fn untyped(place: Place<'_>, config: &Value, why: &str) -> StatusError {
    StatusError::internal_plain(format!(
        "failed to create typed patch object ({}/{}; {}): {why}",
        fields::meta(config, "namespace"),
        fields::meta(config, "name"),
        place.resource.go_kind()
    ))
}

fn has_closed_schema(state: &State, place: Place<'_>) -> bool {
    !state.builtins.root(place.resource).preserves_unknown()
}
