//! Creating and updating objects: the order of checks of the real server's generic registry.

mod checks;

use std::sync::Arc;

use serde_json::Value;

use crate::apply::ownership::{self, Writer};
use crate::decode;
use crate::fields;
use crate::resource::Resource;
use crate::state::State;
use crate::status_error::{Cause, StatusError};
use crate::strategy;

use checks::{
    check_namespace_open, check_uid, check_version, fill_system_fields, keep_system_fields,
    match_name, same_but_for_times,
};

pub(crate) use checks::match_namespace;

/// What becomes of fields that a type does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    Ignore,
    Warn,
    Strict,
}

/// Who writes, and how.
#[derive(Debug, Clone)]
pub(crate) struct Intent {
    /// The field manager.
    pub(crate) manager: String,
    pub(crate) dry_run: bool,
    pub(crate) strictness: Strictness,
    /// Server-side apply takes fields from other managers.
    pub(crate) force: bool,
}

impl Intent {
    /// A plain write by a manager.
    pub(crate) fn by(manager: &str) -> Self {
        Self {
            manager: manager.to_owned(),
            dry_run: false,
            strictness: Strictness::Warn,
            force: false,
        }
    }
}

/// Where an object is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) resource: &'a Resource,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    /// Empty, or `status`.
    pub(crate) subresource: &'a str,
}

/// What a write did.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) object: Arc<Value>,
    pub(crate) created: bool,
    pub(crate) warnings: Vec<String>,
}

/// POST.
pub(crate) fn create(
    state: &mut State,
    resource: &Resource,
    namespace: &str,
    mut body: Value,
    intent: &Intent,
) -> Result<Written, StatusError> {
    let mut warnings = Vec::new();
    decode::decode(state, resource, &mut body, intent, &mut warnings)?;
    match_namespace(resource, namespace, &mut body)?;
    if !fields::meta(&body, "resourceVersion").is_empty() {
        return Err(StatusError::internal_plain(
            "resourceVersion should not be set on objects to be created",
        ));
    }
    record(state, resource, "", None, &mut body, intent);
    let place = Place {
        resource,
        namespace,
        name: "",
        subresource: "",
    };
    store_new(state, place, body, intent, warnings)
}

/// PUT.
pub(crate) fn update(
    state: &mut State,
    place: Place<'_>,
    mut body: Value,
    intent: &Intent,
) -> Result<Written, StatusError> {
    let mut warnings = Vec::new();
    let resource = place.resource;
    decode::decode(state, resource, &mut body, intent, &mut warnings)?;
    match_name(place, &mut body)?;
    match_namespace(resource, place.namespace, &mut body)?;
    let Some(old) = find(state, place) else {
        // Even with a resourceVersion, as the real server does.
        if resource.create_on_update {
            record(state, resource, "", None, &mut body, intent);
            return store_new(state, place, body, intent, warnings);
        }
        return Err(StatusError::not_found(&resource.qualified(), place.name));
    };
    check_uid(place, &body, &old)?;
    record(
        state,
        resource,
        place.subresource,
        Some(&old),
        &mut body,
        intent,
    );
    store_changed(state, place, &old, body, intent, warnings)
}

/// The stored object at a place.
pub(crate) fn find(state: &State, place: Place<'_>) -> Option<Arc<Value>> {
    state
        .store
        .get(&place.resource.store_name(), place.namespace, place.name)
        .cloned()
}

/// Tracks who manages what.
pub(crate) fn record(
    state: &State,
    resource: &Resource,
    subresource: &str,
    live: Option<&Value>,
    new: &mut Value,
    intent: &Intent,
) {
    let builtins = Arc::clone(&state.builtins);
    let writer = Writer {
        manager: &intent.manager,
        resource,
        subresource,
    };
    let zero = strategy::zero(state, resource);
    // Fields are owned as the written version names them.
    let stored_version = fields::get(new, &["apiVersion"]).cloned();
    let live = live.map(|live| crate::encode::in_version(resource, live));
    *new = crate::encode::in_version(resource, new);
    ownership::record_update(builtins.root(resource), writer, live.as_ref(), &zero, new);
    if resource.is_events_v1() {
        crate::event::to_core(new);
    }
    if let Some(version) = stored_version {
        fields::set(new, &["apiVersion"], version);
    }
}

/// Stores an object that is decoded and whose managedFields are set.
pub(crate) fn store_new(
    state: &mut State,
    place: Place<'_>,
    mut object: Value,
    intent: &Intent,
    mut warnings: Vec<String>,
) -> Result<Written, StatusError> {
    let Place {
        resource,
        namespace,
        ..
    } = place;
    check_namespace_open(state, resource, namespace)?;
    fill_system_fields(state, &mut object);
    strategy::begin_create(state, resource, &mut object, intent.dry_run)?;
    strategy::prepare_create(resource, &mut object);
    strategy::settle(state, resource, &mut object);
    let causes = strategy::validate(state, resource, "", &object, None);
    if !causes.is_empty() {
        return Err(invalid(resource, fields::meta(&object, "name"), &causes));
    }
    warnings.extend(strategy::warnings(resource, "", &object));
    let name = fields::meta(&object, "name").to_owned();
    let store_name = resource.store_name();
    if let Some(old) = state.store.get(&store_name, namespace, &name) {
        let mut error = StatusError::already_exists(&resource.qualified(), &name);
        if !fields::meta(old, "deletionTimestamp").is_empty() {
            error.message = format!("object is being deleted: {}", error.message);
        }
        return Err(error);
    }
    fields::remove(&mut object, &["metadata", "resourceVersion"]);
    if intent.dry_run {
        return Ok(Written {
            object: Arc::new(object),
            created: true,
            warnings,
        });
    }
    let stored = state
        .store
        .put(&store_name, (namespace.to_owned(), name), object);
    strategy::after_commit(state, resource, None, Some(&stored))?;
    Ok(Written {
        object: stored,
        created: true,
        warnings,
    })
}

/// Stores a changed object whose managedFields are set; deletes it if its last finalizer went.
pub(crate) fn store_changed(
    state: &mut State,
    place: Place<'_>,
    old: &Arc<Value>,
    mut object: Value,
    intent: &Intent,
    mut warnings: Vec<String>,
) -> Result<Written, StatusError> {
    let Place {
        resource,
        subresource,
        ..
    } = place;
    check_version(place, &mut object, old)?;
    if subresource.is_empty() {
        strategy::begin_update(state, resource, &mut object, old, intent.dry_run)?;
    }
    strategy::prepare_update(resource, subresource, &mut object, old);
    keep_system_fields(&mut object, old);
    strategy::settle(state, resource, &mut object);
    let causes = strategy::validate(state, resource, subresource, &object, Some(old));
    if !causes.is_empty() {
        return Err(invalid(resource, fields::meta(&object, "name"), &causes));
    }
    warnings.extend(strategy::warnings(resource, subresource, &object));
    if same_but_for_times(&object, old) {
        return Ok(Written {
            object: Arc::clone(old),
            created: false,
            warnings,
        });
    }
    let deleting = !fields::meta(&object, "deletionTimestamp").is_empty()
        && fields::list(&object, &["metadata", "finalizers"]).is_empty();
    let key = crate::store::key_of(&object);
    let store_name = resource.store_name();
    if intent.dry_run {
        return Ok(Written {
            object: Arc::new(object),
            created: false,
            warnings,
        });
    }
    if deleting && !crate::delete::holds_namespace(state, resource, &object) {
        // The real server deletes what is stored instead of writing the change, and shows the change.
        state.store.remove(&store_name, &key);
        strategy::after_commit(state, resource, Some(old), None)?;
        if resource.namespaced {
            crate::delete::finish_namespace(state, place.namespace)?;
        }
        return Ok(Written {
            object: Arc::new(object),
            created: false,
            warnings,
        });
    }
    let stored = state.store.put(&store_name, key, object);
    strategy::after_commit(state, resource, Some(old), Some(&stored))?;
    Ok(Written {
        object: stored,
        created: false,
        warnings,
    })
}

/// 422 with causes.
pub(crate) fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> StatusError {
    StatusError::invalid(&resource.group, &resource.kind, name, causes)
}
