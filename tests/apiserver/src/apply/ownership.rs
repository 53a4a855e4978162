//! What a write does to the managers of an object, and server-side apply itself.

use serde_json::Value;

use super::fieldset::FieldSet;
use super::managed::{self, Managed, Manager, Managers};
use super::typed;
use crate::clock;
use crate::fields;
use crate::resource::Resource;
use crate::schema::Node;
use crate::status_error::StatusError;

/// Managers by update beyond this many are folded into one, as Kubernetes does.
const MAX_UPDATERS: usize = 10;
const ANCIENT: &str = "ancient-changes";
/// Who owns what was there before the first apply of an object without managedFields.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// One write, as far as field management needs to know it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer<'a> {
    pub(crate) manager: &'a str,
    pub(crate) resource: &'a Resource,
    /// Empty on the main resource.
    pub(crate) subresource: &'a str,
}

impl Writer<'_> {
    fn api_version(&self) -> String {
        self.resource.api_version()
    }

    /// Fields that the written endpoint resets, so that nobody comes to own them through it.
    fn reset(&self) -> FieldSet {
        let resource = self.resource;
        match self.subresource {
            "" if resource.status => FieldSet::of_fields(&[&["status"]]),
            "status" if resource.custom().is_some() => {
                FieldSet::of_fields(&[&["metadata"], &["spec"]])
            }
            "status" if resource.is("apiextensions.k8s.io", "CustomResourceDefinition") => {
                FieldSet::of_fields(&[&["metadata"], &["spec"]])
            }
            "status" => FieldSet::of_fields(&[&["spec"]]),
            _ => FieldSet::default(),
        }
    }
}

/// Fields of every object that nobody manages.
fn stripped() -> FieldSet {
    FieldSet::of_fields(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "clusterName"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ])
}

/// Records a create, an update or a patch: the writer owns what it changed, others lose it.
/// `live` is none for a create, which is compared with `zero`. Leaves the new managedFields in `new`.
pub(crate) fn record_update(
    node: Node<'_>,
    writer: Writer<'_>,
    live: Option<&Value>,
    zero: &Value,
    new: &mut Value,
) {
    let mut managers = managers_for_update(writer, live, new);
    fields::remove(new, &["metadata", "managedFields"]);
    // Objects that were never tracked stay so until their first apply.
    if let (Some(_), true) = (live, managers.is_empty()) {
        return;
    }
    let before = without_managed(live.unwrap_or(zero));
    take_ownership(node, writer, &before, new, &mut managers);
    managed::encode(new, &managers);
}

fn managers_for_update(writer: Writer<'_>, live: Option<&Value>, new: &Value) -> Managers {
    let of_live = || live.and_then(managed::decode).unwrap_or_default();
    if !writer.subresource.is_empty() {
        return of_live();
    }
    let sent = new
        .get("metadata")
        .and_then(|meta| meta.get("managedFields"));
    if let Some(Value::Array(entries)) = sent {
        let reset = match entries.as_slice() {
            [] => true,
            [one] => one.as_object().is_some_and(|map| map.is_empty()),
            _ => false,
        };
        if reset {
            return Managers::new();
        }
    }
    match managed::decode(new) {
        Some(managers) if !managers.is_empty() => managers,
        _ => of_live(),
    }
}

fn take_ownership(
    node: Node<'_>,
    writer: Writer<'_>,
    before: &Value,
    after: &Value,
    managers: &mut Managers,
) {
    let mut changes = typed::compare(node, before, after);
    let reset = writer.reset();
    for set in [
        &mut changes.removed,
        &mut changes.modified,
        &mut changes.added,
    ] {
        *set = set.recursive_difference(&reset);
    }
    let changed = changes.modified.union(&changes.added);
    let lost = changed.union(&changes.removed);
    let own = Manager::updater(writer.manager, writer.subresource, &writer.api_version());
    let taken = changed.recursive_difference(&reset).difference(&stripped());
    for managed in managers.values_mut() {
        // An updater's own entry loses what it changes too, and gets it back just below.
        managed.set = managed.set.difference(&lost);
    }
    if !taken.is_empty() {
        let entry = managers.entry(own).or_insert_with(|| Managed {
            set: FieldSet::default(),
            api_version: writer.api_version(),
            time: None,
        });
        entry.set = entry.set.union(&taken);
        entry.time = Some(clock::now_seconds());
    }
    for managed in managers.values_mut() {
        managed.set = managed.set.difference(&stripped());
    }
    managers.retain(|_, managed| !managed.set.is_empty());
    cap_updaters(managers);
}

/// Server-side apply: merges, removes what the manager no longer applies, and finds conflicts.
/// `live` is none for a create on apply. The result has its new managedFields.
pub(crate) fn apply(
    node: Node<'_>,
    writer: Writer<'_>,
    live: Option<&Value>,
    zero: &Value,
    config: &Value,
    force: bool,
) -> Result<Value, StatusError> {
    let bad = |bad: typed::BadItem| {
        let metadata = |key| fields::meta(config, key);
        StatusError::internal_plain(format!(
            "failed to create typed patch object ({}/{}; {}): {}",
            metadata("namespace"),
            metadata("name"),
            writer.resource.go_kind(),
            bad.0
        ))
    };
    typed::check_lists(node, config, "").map_err(bad)?;
    let mut skeleton = zero.clone();
    for key in ["apiVersion", "kind"] {
        fields::carry(&mut skeleton, config, &[key]);
    }
    let live_managers = live.map_or_else(|| Some(Managers::new()), managed::decode);
    let mut managers =
        live_managers.ok_or_else(|| StatusError::internal("failed to decode managed fields"))?;
    let before = live.map_or(skeleton, without_managed);
    if let (Some(_), true) = (live, managers.is_empty()) {
        let first = Writer {
            manager: BEFORE_FIRST_APPLY,
            ..writer
        };
        take_ownership(node, first, zero, &before, &mut managers);
    }
    let reset = writer.reset();
    let own = Manager::applier(writer.manager, writer.subresource);
    let mut merged = typed::merge(node, &before, config).map_err(bad)?;
    let set = typed::fields_of(node, config).recursive_difference(&reset);
    let last = managers.insert(
        own.clone(),
        Managed {
            set,
            api_version: writer.api_version(),
            time: Some(clock::now_seconds()),
        },
    );
    if let Some(last) = &last {
        merged = prune(node, &merged, &managers, &last.set);
    }
    settle(node, &before, &merged, &own, &reset, force, &mut managers)?;
    for managed in managers.values_mut() {
        managed.set = managed.set.difference(&stripped());
    }
    managers.retain(|_, managed| !managed.set.is_empty());
    managed::encode(&mut merged, &managers);
    Ok(merged)
}

/// Takes from the others what the apply changes: by force, or it is a conflict.
fn settle(
    node: Node<'_>,
    before: &Value,
    after: &Value,
    own: &Manager,
    reset: &FieldSet,
    force: bool,
    managers: &mut Managers,
) -> Result<(), StatusError> {
    let changes = typed::compare(node, before, after);
    let changed = changes
        .modified
        .union(&changes.added)
        .recursive_difference(reset);
    let removed = changes.removed.recursive_difference(reset);
    let others = managers.iter().filter(|(manager, _)| *manager != own);
    let conflicts: Vec<(Manager, FieldSet)> = others
        .map(|(manager, managed)| (manager.clone(), managed.set.intersection(&changed)))
        .filter(|(_, set)| !set.is_empty())
        .collect();
    if !force && !conflicts.is_empty() {
        return Err(conflict(&conflicts));
    }
    for (manager, managed) in managers.iter_mut() {
        if manager != own {
            managed.set = managed.set.difference(&changed);
            managed.set = managed.set.difference(&removed);
        }
    }
    Ok(())
}

fn conflict(conflicts: &[(Manager, FieldSet)]) -> StatusError {
    let mut causes = Vec::new();
    let mut lines = Vec::new();
    for (manager, set) in conflicts {
        lines.push(format!("conflicts with {}:", manager.shown()));
        for path in set.shown() {
            causes.push(serde_json::json!({
                "reason": "FieldManagerConflict",
                "message": format!("conflict with {}", manager.shown()),
                "field": path,
            }));
            lines.push(format!("- {path}"));
        }
    }
    let message = match (causes.as_slice(), conflicts) {
        ([one], [(manager, _)]) => format!(
            "Apply failed with 1 conflict: conflict with {}: {}",
            manager.shown(),
            fields::text(one, &["field"])
        ),
        _ => format!(
            "Apply failed with {} conflicts: {}",
            causes.len(),
            lines.join("\n")
        ),
    };
    let mut error = StatusError::new(409, "Conflict", message);
    error.detail("causes", Value::Array(causes));
    error
}

/// Removes what the manager applied last time and nobody claims now.
fn prune(node: Node<'_>, merged: &Value, managers: &Managers, last: &FieldSet) -> Value {
    let named = |set: &FieldSet| typed::with_named_fields(node, set);
    let without = |gone: &FieldSet| {
        typed::remove(node, merged, gone).unwrap_or_else(|| serde_json::json!({}))
    };
    let fields_in = |value: &Value| named(&typed::fields_of(node, value));
    let last = named(last);
    let all = fields_in(merged);
    // What someone owns, the new configuration included, is added back ...
    let owned = managers
        .values()
        .fold(FieldSet::default(), |sum, managed| sum.union(&managed.set));
    let kept = fields_in(&without(&last));
    let pruned = without(&all.difference(&kept.union(&named(&owned))));
    // ... and so is what the manager did not own, though it hung below what it owned.
    without(&all.difference(&fields_in(&pruned)).intersection(&last))
}

fn without_managed(object: &Value) -> Value {
    let mut object = object.clone();
    fields::remove(&mut object, &["metadata", "managedFields"]);
    object
}

fn cap_updaters(managers: &mut Managers) {
    let mut updaters: Vec<(Option<String>, Manager)> = managers
        .iter()
        .filter(|(manager, _)| !manager.applies)
        .map(|(manager, managed)| (managed.time.clone(), manager.clone()))
        .collect();
    if updaters.len() <= MAX_UPDATERS {
        return;
    }
    updaters.sort();
    let fold = updaters.len() - MAX_UPDATERS + 1;
    for (_, manager) in updaters.into_iter().take(fold) {
        let Some(old) = managers.remove(&manager) else {
            continue;
        };
        let ancient = Manager::updater(ANCIENT, "", &old.api_version);
        let entry = managers.entry(ancient).or_insert_with(|| Managed {
            set: FieldSet::default(),
            ..old.clone()
        });
        entry.set = entry.set.union(&old.set);
        entry.time = old.time;
    }
}
