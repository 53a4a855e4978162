//! Deleting: preconditions, finalizers, collections, and namespaces with what is in them.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::clock;
use crate::fields;
use crate::resource::{Resource, qualify};
use crate::state::State;
use crate::status_error::StatusError;
use crate::store::{self, Key};
use crate::strategy;
use crate::write::{Place, find};

/// `DeleteOptions`, as far as they are honoured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) dry_run: bool,
    /// The finalizer that the propagation policy asks for.
    pub(crate) finalizer: Option<&'static str>,
}

/// What a delete did.
#[derive(Debug, Clone)]
pub(crate) enum Deleted {
    /// The object is gone; its last state.
    Gone(Arc<Value>),
    /// Finalizers hold it; it has a deletionTimestamp now.
    Pending(Arc<Value>),
}

impl Options {
    /// Reads a `DeleteOptions` body, or nothing.
    pub(crate) fn from_body(body: &Value) -> Result<Self, StatusError> {
        let text = |path: &[&str]| {
            let text = fields::text(body, path);
            (!text.is_empty()).then(|| text.to_owned())
        };
        let policy = fields::text(body, &["propagationPolicy"]);
        let orphans = fields::boolean(body, &["orphanDependents"]).unwrap_or_default();
        let finalizer = match policy {
            "Orphan" => Some("orphan"),
            "Foreground" => Some("foregroundDeletion"),
            "Background" => None,
            "" if orphans => Some("orphan"),
            "" => None,
            other => {
                let cause = crate::status_error::Cause::unsupported(
                    "propagationPolicy",
                    &json!(other),
                    &["Foreground", "Background", "Orphan", "nil"],
                );
                return Err(StatusError::invalid(
                    "meta.k8s.io",
                    "DeleteOptions",
                    "",
                    &[cause],
                ));
            }
        };
        Ok(Self {
            uid: text(&["preconditions", "uid"]),
            resource_version: text(&["preconditions", "resourceVersion"]),
            dry_run: fields::list(body, &["dryRun"])
                .iter()
                .any(|item| item == "All"),
            finalizer,
        })
    }
}

/// DELETE of one object.
pub(crate) fn delete(
    state: &mut State,
    place: Place<'_>,
    options: &Options,
) -> Result<Deleted, StatusError> {
    let resource = place.resource;
    let Some(old) = find(state, place) else {
        return Err(StatusError::not_found(&resource.qualified(), place.name));
    };
    check_preconditions(place, &old, options)?;
    if resource.is("", "Namespace")
        && matches!(place.name, "default" | "kube-system" | "kube-public")
    {
        let message = format!(
            "namespaces \"{}\" is forbidden: this namespace may not be deleted",
            place.name
        );
        return Err(StatusError::new(403, "Forbidden", message).about("namespaces", place.name));
    }
    if resource.is("", "Namespace") {
        return delete_namespace(state, place, &old, options);
    }
    let has_finalizers = !fields::list(&old, &["metadata", "finalizers"]).is_empty();
    // The garbage collector, which would remove these finalizers, does not run here: an object
    // without other finalizers has no dependents that the stand-in knows, so it goes at once.
    if has_finalizers {
        return mark(state, place, &old, options);
    }
    if options.dry_run {
        return Ok(Deleted::Gone(old));
    }
    remove(state, resource, &store::key_of(&old)).map(Deleted::Gone)
}

/// DELETE of all objects that match.
pub(crate) fn delete_collection(
    state: &mut State,
    resource: &Resource,
    keys: &[Key],
    options: &Options,
) -> Result<Vec<Arc<Value>>, StatusError> {
    let mut deleted = Vec::new();
    for (namespace, name) in keys {
        let place = Place {
            resource,
            namespace,
            name,
            subresource: "",
        };
        let before = find(state, place);
        match delete(state, place, options) {
            // The list shows what is gone as it was.
            Ok(Deleted::Gone(object)) => deleted.push(before.unwrap_or(object)),
            Ok(Deleted::Pending(object)) => deleted.push(object),
            Err(error) if error.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(deleted)
}

fn check_preconditions(
    place: Place<'_>,
    old: &Value,
    options: &Options,
) -> Result<(), StatusError> {
    let checks = [
        (
            "UID",
            options.uid.as_deref(),
            fields::meta(old, "uid"),
            "deleted and then recreated",
        ),
        (
            "ResourceVersion",
            options.resource_version.as_deref(),
            fields::meta(old, "resourceVersion"),
            "modified",
        ),
    ];
    for (what, wanted, has, since) in checks {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != has) {
            let why = format!(
                "the {what} in the precondition ({wanted}) does not match the {what} in record ({has}). The object might have been {since}"
            );
            // Named by kind here, and by resource everywhere else.
            let kind = qualify(&place.resource.kind, &place.resource.group);
            return Err(StatusError::conflict(&kind, place.name, why));
        }
    }
    Ok(())
}

/// Sets the deletionTimestamp of an object that finalizers hold.
fn mark(
    state: &mut State,
    place: Place<'_>,
    old: &Arc<Value>,
    options: &Options,
) -> Result<Deleted, StatusError> {
    let mut object = Value::clone(old);
    if fields::meta(&object, "deletionTimestamp").is_empty() {
        fields::set(
            &mut object,
            &["metadata", "deletionTimestamp"],
            json!(clock::now_seconds()),
        );
        fields::set(
            &mut object,
            &["metadata", "deletionGracePeriodSeconds"],
            json!(0),
        );
        if place.resource.generation {
            let generation = fields::int(&object, &["metadata", "generation"]).unwrap_or_default();
            fields::set(
                &mut object,
                &["metadata", "generation"],
                json!(generation + 1),
            );
        }
    }
    if let Some(finalizer) = options.finalizer {
        let mut list = fields::list(&object, &["metadata", "finalizers"]).to_vec();
        if !list.iter().any(|one| one == finalizer) {
            list.push(json!(finalizer));
        }
        fields::set(&mut object, &["metadata", "finalizers"], Value::Array(list));
    }
    if object == **old || options.dry_run {
        return Ok(Deleted::Pending(Arc::new(object)));
    }
    let key = store::key_of(&object);
    let stored = state.store.put(&place.resource.store_name(), key, object);
    strategy::after_commit(state, place.resource, Some(old), Some(&stored))?;
    Ok(Deleted::Pending(stored))
}

fn remove(state: &mut State, resource: &Resource, key: &Key) -> Result<Arc<Value>, StatusError> {
    let last = state
        .store
        .remove(&resource.store_name(), key)
        .ok_or_else(|| StatusError::not_found(&resource.qualified(), &key.1))?;
    strategy::after_commit(state, resource, Some(&last), None)?;
    if resource.namespaced {
        finish_namespace(state, &key.0)?;
    }
    Ok(last)
}

/// Does the namespace controller's work too: what is inside goes, then the namespace itself.
fn delete_namespace(
    state: &mut State,
    place: Place<'_>,
    old: &Arc<Value>,
    options: &Options,
) -> Result<Deleted, StatusError> {
    let mut object = Value::clone(old);
    fields::set_default(
        &mut object,
        &["metadata", "deletionTimestamp"],
        json!(clock::now_seconds()),
    );
    fields::set(&mut object, &["status", "phase"], json!("Terminating"));
    if options.dry_run {
        return Ok(Deleted::Pending(Arc::new(object)));
    }
    let stored = state
        .store
        .put("namespaces", store::key_of(&object), object);
    for resource in state.registry.all().to_vec() {
        if !resource.namespaced || resource.review || resource.is_events_v1() {
            continue;
        }
        let inside: Vec<Key> = state
            .store
            .iter(&resource.store_name())
            .map(|(key, _)| key.clone())
            .filter(|(namespace, _)| namespace == place.name)
            .collect();
        delete_collection(state, &resource, &inside, &Options::default())?;
    }
    finish_namespace(state, place.name)?;
    Ok(Deleted::Pending(stored))
}

/// Removes a terminating namespace once nothing is left in it.
pub(crate) fn finish_namespace(state: &mut State, namespace: &str) -> Result<(), StatusError> {
    let Some(object) = state.store.get("namespaces", "", namespace) else {
        return Ok(());
    };
    let terminating = !fields::meta(object, "deletionTimestamp").is_empty();
    let held = !fields::list(object, &["metadata", "finalizers"]).is_empty();
    if !terminating || held || is_occupied(state, namespace) {
        return Ok(());
    }
    state
        .store
        .remove("namespaces", &(String::new(), namespace.to_owned()));
    Ok(())
}

fn is_occupied(state: &State, namespace: &str) -> bool {
    let mut resources = state
        .registry
        .all()
        .iter()
        .filter(|resource| resource.namespaced);
    resources.any(|resource| {
        state
            .store
            .iter(&resource.store_name())
            .any(|((inside, _), _)| inside == namespace)
    })
}

/// Whether an object is a namespace that must wait for what is in it.
pub(crate) fn holds_namespace(state: &State, resource: &Resource, object: &Value) -> bool {
    resource.is("", "Namespace") && is_occupied(state, fields::meta(object, "name"))
}
