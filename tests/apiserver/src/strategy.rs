//! What each kind does to an object on its way into the store.
//!
//! ```text
//! body ─ decode ─> (field management) ─ begin ─> prepare ─> validate ─> commit
//! ```
//! The same steps for every resource; a kind that needs more has it behind one of them.

use serde_json::{Value, json};

use crate::crd;
use crate::event;
use crate::fields;
use crate::names;
use crate::resource::Resource;
use crate::schema::pruning;
use crate::service;
use crate::state::State;
use crate::status_error::{Cause, StatusError};

/// What Go's zero value of a kind shows: a create is compared with it to find who owns what.
pub(crate) fn zero(state: &State, resource: &Resource) -> Value {
    let mut zero = json!({});
    if resource.custom().is_some() {
        return zero;
    }
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("" | "events.k8s.io", "Event") => {
            event::set_defaults(&mut zero);
            if resource.is_events_v1() {
                event::from_core(&mut zero);
            }
        }
        ("discovery.k8s.io", _) => {
            zero = json!({"addressType": "", "endpoints": Value::Null, "ports": Value::Null});
        }
        ("rbac.authorization.k8s.io", kind) if kind.ends_with("Binding") => {
            zero = json!({"roleRef": {"apiGroup": "", "kind": "", "name": ""}});
        }
        ("rbac.authorization.k8s.io", _) => zero = json!({"rules": Value::Null}),
        ("", "Service") => zero = json!({"spec": {}, "status": {"loadBalancer": {}}}),
        ("apiextensions.k8s.io", _) => {
            zero = json!({"spec": {
                "group": "", "names": {"kind": "", "plural": ""}, "scope": "", "versions": Value::Null,
            }});
        }
        _ => {
            let root = state.builtins.root(resource);
            for field in ["spec", "status"] {
                if root.property(field).is_some_and(|node| node.is_struct()) {
                    fields::set(&mut zero, &[field], json!({}));
                }
            }
        }
    }
    zero
}

/// Allocates for a create.
pub(crate) fn begin_create(
    state: &mut State,
    resource: &Resource,
    object: &mut Value,
    dry_run: bool,
) -> Result<(), StatusError> {
    if resource.is("", "Service") {
        service::prepare::normalize_cluster_ips(object, None);
        service::allocate::create(state, object, dry_run)?;
    }
    Ok(())
}

/// Allocates for an update of the main resource.
pub(crate) fn begin_update(
    state: &mut State,
    resource: &Resource,
    object: &mut Value,
    old: &Value,
    dry_run: bool,
) -> Result<(), StatusError> {
    if resource.is("", "Service") {
        service::prepare::patch_allocated(object, old);
        service::prepare::normalize_cluster_ips(object, Some(old));
        service::allocate::update(state, object, old, dry_run)?;
    }
    Ok(())
}

/// Clears what a create must not set.
pub(crate) fn prepare_create(resource: &Resource, object: &mut Value) {
    if resource.is("", "Service") {
        fields::set(object, &["status"], json!({"loadBalancer": {}}));
    } else if resource.is("", "Namespace") {
        fields::set(object, &["status"], json!({"phase": "Active"}));
        fields::set(object, &["spec", "finalizers"], json!(["kubernetes"]));
    } else if resource.is("apiextensions.k8s.io", "CustomResourceDefinition") {
        crd::prepare_create(object);
    } else if resource.status && resource.custom().is_some() {
        fields::remove(object, &["status"]);
    } else if resource.status && !resource.is("", "Node") {
        fields::set(object, &["status"], json!({}));
    }
    if resource.generation {
        fields::set(object, &["metadata", "generation"], json!(1));
    } else {
        fields::remove(object, &["metadata", "generation"]);
    }
}

/// Brings an object into the shape in which it is stored: empty lists that are always shown are null.
pub(crate) fn settle(state: &State, resource: &Resource, object: &mut Value) {
    if resource.custom().is_none() && !resource.is_events_v1() {
        pruning::null_lists(state.builtins.root(resource), object);
    }
}

/// Keeps from the old object what the written endpoint must not change.
pub(crate) fn prepare_update(
    resource: &Resource,
    subresource: &str,
    object: &mut Value,
    old: &Value,
) {
    fields::carry(object, old, &["metadata", "generation"]);
    if subresource == "status" {
        prepare_status(resource, object, old);
        return;
    }
    if resource.status {
        fields::carry(object, old, &["status"]);
    }
    if resource.is("", "Service") {
        service::prepare::drop_type_dependent(object, old);
    }
    if resource.is("", "Namespace") {
        fields::carry(object, old, &["spec", "finalizers"]);
    }
    if resource.generation && intent_changed(resource, object, old) {
        let generation = fields::int(old, &["metadata", "generation"]).unwrap_or_default();
        fields::set(object, &["metadata", "generation"], json!(generation + 1));
    }
}

fn prepare_status(resource: &Resource, object: &mut Value, old: &Value) {
    let whole_metadata = resource.custom().is_some()
        || resource.is("apiextensions.k8s.io", "CustomResourceDefinition");
    if whole_metadata {
        let status = fields::get(object, &["status"]).cloned();
        let managed = fields::get(object, &["metadata", "managedFields"]).cloned();
        let version = fields::get(object, &["metadata", "resourceVersion"]).cloned();
        *object = old.clone();
        for (path, value) in [
            (&["status"][..], status),
            (&["metadata", "managedFields"][..], managed),
            (&["metadata", "resourceVersion"][..], version),
        ] {
            match value {
                Some(value) => fields::set(object, path, value),
                None => {
                    fields::remove(object, path);
                }
            }
        }
    } else {
        fields::carry(object, old, &["spec"]);
    }
}

/// Whether anything changed that counts as a new generation.
fn intent_changed(resource: &Resource, object: &Value, old: &Value) -> bool {
    if resource.custom().is_some() {
        let rest = |object: &Value| {
            let mut copy = object.clone();
            fields::remove(&mut copy, &["metadata"]);
            copy
        };
        return rest(object) != rest(old);
    }
    match resource.group.as_str() {
        "discovery.k8s.io" => {
            let rest = |object: &Value| {
                let mut copy = object.clone();
                fields::remove(&mut copy, &["metadata"]);
                let labels = fields::get(object, &["metadata", "labels"]).cloned();
                (copy, labels)
            };
            rest(object) != rest(old)
        }
        "admissionregistration.k8s.io" => ["spec", "webhooks"]
            .iter()
            .any(|field| object.get(*field) != old.get(*field)),
        _ => fields::get(object, &["spec"]) != fields::get(old, &["spec"]),
    }
}

/// What Kubernetes warns of in an object that it accepts.
pub(crate) fn warnings(resource: &Resource, subresource: &str, object: &Value) -> Vec<String> {
    if !resource.is("", "Service") {
        return Vec::new();
    }
    match subresource {
        "" => service::warnings::warnings(object),
        _ => service::status::warnings(object),
    }
}

/// Everything that is wrong with an object; `old` is none at a create.
pub(crate) fn validate(
    state: &State,
    resource: &Resource,
    subresource: &str,
    object: &Value,
    old: Option<&Value>,
) -> Vec<Cause> {
    let mut causes = names::check_metadata(resource, object);
    if let Some(old) = old {
        // Once for all kinds, and once more by each kind: the real server repeats these causes.
        let changed = names::check_metadata_update(object, old);
        causes.extend(changed.iter().cloned());
        causes.extend(changed);
    }
    if let Some(version) = resource.custom() {
        causes.extend(crd::validate_object(
            state,
            version,
            object,
            old,
            subresource,
        ));
        return causes;
    }
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Service") if subresource == "status" => {
            causes.extend(
                old.map(|old| service::status::validate(object, old))
                    .unwrap_or_default(),
            );
        }
        ("", "Service") => causes.extend(service::validate::validate(object, old)),
        ("coordination.k8s.io", _) => causes.extend(crate::lease::validate(object, old)),
        ("discovery.k8s.io", _) => causes.extend(crate::endpointslice::validate(object, old)),
        ("", "Event") | ("events.k8s.io", _) => {
            causes.extend(event::validate(resource, object, old))
        }
        ("", "Secret" | "ConfigMap") => causes.extend(validate_immutable(resource, object, old)),
        ("apiextensions.k8s.io", _) if subresource.is_empty() => {
            causes.extend(crd::validate_definition(state, object, old));
        }
        _ => {}
    }
    causes
}

fn validate_immutable(resource: &Resource, object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let Some(old) = old else { return causes };
    if fields::boolean(old, &["immutable"]) == Some(true) {
        for field in ["data", "stringData", "binaryData", "immutable"] {
            if fields::get(old, &[field]) != fields::get(object, &[field]) {
                causes.push(Cause::forbidden(
                    field,
                    "field is immutable when `immutable` is set",
                ));
            }
        }
    }
    if resource.kind == "Secret" && fields::get(old, &["type"]) != fields::get(object, &["type"]) {
        let value = fields::get(object, &["type"])
            .cloned()
            .unwrap_or(Value::Null);
        causes.push(Cause::invalid("type", &value, "field is immutable"));
    }
    causes
}

/// Keeps what is derived from stored objects in step with a commit.
pub(crate) fn after_commit(
    state: &mut State,
    resource: &Resource,
    old: Option<&Value>,
    new: Option<&Value>,
) -> Result<(), StatusError> {
    if resource.is("", "Service") {
        state.allocations.commit(old, new);
    } else if resource.is("apiextensions.k8s.io", "CustomResourceDefinition") {
        crd::serve::follow(state, old, new)?;
    }
    Ok(())
}
