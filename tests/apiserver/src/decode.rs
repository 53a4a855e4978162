//! From a body to the stored form: its version, fields that the type does not have, defaults.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::crd;
use crate::event;
use crate::fields;
use crate::resource::{Fidelity, Resource};
use crate::schema::defaulting;
use crate::schema::pruning::{self, Mode};
use crate::service;
use crate::state::State;
use crate::status_error::StatusError;
use crate::write::{Intent, Strictness};

/// Brings a body into the stored form: version, unknown fields, defaults.
pub(crate) fn decode(
    state: &State,
    resource: &Resource,
    body: &mut Value,
    intent: &Intent,
    warnings: &mut Vec<String>,
) -> Result<(), StatusError> {
    check_kind(resource, body)?;
    if resource.is_events_v1() {
        event::to_core(body);
    }
    fields::set(body, &["apiVersion"], json!(resource.stored_api_version()));
    let root = state.builtins.root(resource);
    let mode = if resource.custom().is_some() {
        Mode::Structural
    } else {
        Mode::Typed
    };
    let core_event;
    let root = if resource.is_events_v1() {
        core_event = state.resource("", "v1", "events")?;
        state.builtins.root(&core_event)
    } else {
        root
    };
    let unknown = pruning::prune(root, body, mode);
    report_unknown(resource, &unknown, intent, warnings)?;
    if resource.custom().is_some() {
        defaulting::apply_defaults(root, body);
    } else {
        check_types(state, resource, body)?;
        let resets = body
            .pointer("/metadata/managedFields")
            .is_some_and(|list| list == &json!([]));
        pruning::drop_empty(root, body);
        if resets {
            // An empty list of managedFields is a request to forget them.
            fields::set(body, &["metadata", "managedFields"], json!([]));
        }
        if resource.is("", "Service") {
            service::defaults::set_defaults(body);
        }
        default_builtin(resource, body);
    }
    if resource.fidelity == Fidelity::AsSent {
        warnings.push(format!(
            "herald stand-in: {} are stored as sent: their defaults and validation are not modelled",
            resource.plural
        ));
    }
    Ok(())
}

fn check_kind(resource: &Resource, body: &mut Value) -> Result<(), StatusError> {
    if !body.is_object() {
        return Err(StatusError::bad_request(
            "the object provided is unrecognized (must be of type object)",
        ));
    }
    let version = resource.api_version();
    fields::set_default(body, &["apiVersion"], json!(version));
    fields::set_default(body, &["kind"], json!(resource.kind));
    let (sent_version, sent_kind) = (
        fields::text(body, &["apiVersion"]),
        fields::text(body, &["kind"]),
    );
    if sent_kind != resource.kind || sent_version != version {
        let sent = sent_version.rsplit('/').next().unwrap_or_default();
        let why = if resource.custom().is_some() {
            format!(
                "the API version in the data ({sent_version}) does not match the expected API version ({version})"
            )
        } else if sent_version == version {
            format!(
                "{sent_kind} in version \"{sent}\" cannot be handled as a {}: unknown conversion",
                resource.kind
            )
        } else {
            format!(
                "{sent_kind} in version \"{sent}\" cannot be handled as a {}: no kind \"{sent_kind}\" is registered for version \"{sent_version}\" in scheme \"pkg/api/legacyscheme/scheme.go:30\"",
                resource.kind
            )
        };
        return Err(StatusError::bad_request(why));
    }
    Ok(())
}

fn report_unknown(
    resource: &Resource,
    unknown: &[String],
    intent: &Intent,
    warnings: &mut Vec<String>,
) -> Result<(), StatusError> {
    let sentences: Vec<String> = unknown
        .iter()
        .map(|path| format!("unknown field \"{path}\""))
        .collect();
    match intent.strictness {
        Strictness::Strict if !sentences.is_empty() => Err(StatusError::bad_request(format!(
            "{} in version \"{}\" cannot be handled as a {}: strict decoding error: {}",
            resource.kind,
            resource.version,
            resource.kind,
            sentences.join(", ")
        ))),
        Strictness::Warn => {
            warnings.extend(sentences);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Wrong JSON types of built-in objects are a decoding error, as in Go.
fn check_types(state: &State, resource: &Resource, body: &Value) -> Result<(), StatusError> {
    let root = state.builtins.root(resource);
    match crate::schema::decoding::first_wrong_type(root, body) {
        None => Ok(()),
        Some(why) => Err(StatusError::bad_request(format!(
            "{} in version \"{}\" cannot be handled as a {}: {why}",
            resource.kind, resource.version, resource.kind
        ))),
    }
}

/// Defaults of the other built-in kinds that clients of a load balancer see.
fn default_builtin(resource: &Resource, body: &mut Value) {
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Namespace") => {
            let name = fields::meta(body, "name").to_owned();
            if !name.is_empty() {
                fields::set(
                    body,
                    &["metadata", "labels", "kubernetes.io/metadata.name"],
                    json!(name),
                );
            }
            fields::set_default(body, &["status", "phase"], json!("Active"));
            fields::set_default(body, &["spec"], json!({}));
        }
        ("", "Secret") => {
            fields::set_default(body, &["type"], json!("Opaque"));
            encode_string_data(body);
        }
        ("", "Node") => {
            fields::set_default(body, &["spec"], json!({}));
            let status = [
                ("daemonEndpoints", json!({"kubeletEndpoint": {"Port": 0}})),
                ("nodeInfo", empty_node_info()),
            ];
            for (key, value) in status {
                fields::set_default(body, &["status", key], value);
            }
            let conditions = body
                .pointer_mut("/status/conditions")
                .and_then(Value::as_array_mut);
            for condition in conditions.into_iter().flatten() {
                for time in ["lastHeartbeatTime", "lastTransitionTime"] {
                    fields::set_default(condition, &[time], Value::Null);
                }
            }
        }
        ("discovery.k8s.io", _) => crate::endpointslice::set_defaults(body),
        ("coordination.k8s.io", _) => fields::set_default(body, &["spec"], json!({})),
        ("", "Event") | ("events.k8s.io", _) => event::set_defaults(body),
        ("apiextensions.k8s.io", _) => crd::set_defaults(body),
        ("rbac.authorization.k8s.io", kind) => default_rbac(kind, body),
        _ => {}
    }
    if resource.status && resource.group != "apiextensions.k8s.io" {
        fields::set_default(body, &["status"], json!({}));
    }
}

/// `stringData` is write-only: it ends up in `data`.
fn encode_string_data(secret: &mut Value) {
    let Some(Value::Object(texts)) = fields::remove(secret, &["stringData"]) else {
        return;
    };
    for (key, text) in texts {
        let encoded = BASE64.encode(text.as_str().unwrap_or_default());
        fields::set(secret, &["data", &key], json!(encoded));
    }
}

fn empty_node_info() -> Value {
    json!({
        "machineID": "", "systemUUID": "", "bootID": "", "kernelVersion": "", "osImage": "",
        "containerRuntimeVersion": "", "kubeletVersion": "", "kubeProxyVersion": "",
        "operatingSystem": "", "architecture": "",
    })
}

fn default_rbac(kind: &str, body: &mut Value) {
    if kind.ends_with("Binding") {
        let group = "rbac.authorization.k8s.io";
        fields::set_default(body, &["roleRef", "apiGroup"], json!(group));
        let subjects = body.get_mut("subjects").and_then(Value::as_array_mut);
        for subject in subjects.into_iter().flatten() {
            if matches!(fields::text(subject, &["kind"]), "User" | "Group") {
                fields::set_default(subject, &["apiGroup"], json!(group));
            }
        }
    } else if fields::get(body, &["rules"]).is_none() {
        fields::set(body, &["rules"], Value::Null);
    }
}
