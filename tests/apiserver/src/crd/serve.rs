//! From a stored definition to served resources: establishing, changing, removing.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::clock;
use crate::fields;
use crate::resource::{CustomVersion, Fidelity, Origin, Resource, qualify};
use crate::state::State;
use crate::status_error::StatusError;
use crate::store;

/// Follows a commit of a definition.
pub(crate) fn follow(
    state: &mut State,
    old: Option<&Value>,
    new: Option<&Value>,
) -> Result<(), StatusError> {
    match (old, new) {
        (_, Some(crd)) if fields::meta(crd, "deletionTimestamp").is_empty() => {
            let crd = crd.clone();
            serve(state, &crd);
            establish(state, crd);
        }
        (Some(crd), _) => withdraw(state, crd),
        _ => {}
    }
    Ok(())
}

fn serve(state: &mut State, crd: &Value) {
    let (group, plural) = names(crd);
    let storage = fields::list(crd, &["spec", "versions"])
        .iter()
        .find(|version| fields::boolean(version, &["storage"]) == Some(true))
        .map(|version| fields::text(version, &["name"]).to_owned())
        .unwrap_or_default();
    let mut resources: Vec<Resource> = fields::list(crd, &["spec", "versions"])
        .iter()
        .filter(|version| fields::boolean(version, &["served"]) == Some(true))
        .map(|version| resource(crd, version, &storage))
        .collect();
    resources.sort_by(|a, b| b.version.cmp(&a.version));
    state.registry.replace_custom(&group, &plural, resources);
}

fn names(crd: &Value) -> (String, String) {
    let text = |path: &[&str]| fields::text(crd, path).to_owned();
    (text(&["spec", "group"]), text(&["spec", "names", "plural"]))
}

fn resource(crd: &Value, version: &Value, storage: &str) -> Resource {
    let name = |field: &str| fields::text(crd, &["spec", "names", field]).to_owned();
    let names = |field: &str| -> Vec<String> {
        let items = fields::list(crd, &["spec", "names", field]).iter();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let selectable = fields::list(version, &["selectableFields"])
        .iter()
        .map(|field| fields::text(field, &["jsonPath"]).to_owned())
        .collect();
    let schema = fields::get(version, &["schema", "openAPIV3Schema"]);
    Resource {
        group: fields::text(crd, &["spec", "group"]).to_owned(),
        version: fields::text(version, &["name"]).to_owned(),
        kind: name("kind"),
        list_kind: name("listKind"),
        plural: name("plural"),
        singular: name("singular"),
        short_names: names("shortNames"),
        categories: names("categories"),
        namespaced: fields::text(crd, &["spec", "scope"]) == "Namespaced",
        status: fields::get(version, &["subresources", "status"]).is_some(),
        generation: true,
        unconditional_update: false,
        create_on_update: false,
        review: false,
        fidelity: Fidelity::Modelled,
        origin: Origin::Custom(Arc::new(CustomVersion {
            schema: schema.cloned().unwrap_or_else(|| json!({})),
            columns: fields::list(version, &["additionalPrinterColumns"]).to_vec(),
            selectable,
            storage_version: storage.to_owned(),
            rules: crate::cel::Rules::default(),
        })),
    }
}

/// Does the work of the naming and establishing controllers at once, in one further write.
fn establish(state: &mut State, mut crd: Value) {
    let accepted = crd
        .pointer("/spec/names")
        .cloned()
        .unwrap_or_else(|| json!({}));
    let established = fields::list(&crd, &["status", "conditions"])
        .iter()
        .any(|condition| fields::text(condition, &["type"]) == "Established");
    let same = fields::get(&crd, &["status", "acceptedNames"]) == Some(&accepted);
    if established && same {
        return;
    }
    fields::set(&mut crd, &["status", "acceptedNames"], accepted);
    if !established {
        let now = clock::now_seconds();
        let condition = |kind: &str, reason: &str, message: &str| {
            json!({
                "type": kind, "status": "True", "reason": reason, "message": message,
                "lastTransitionTime": now,
            })
        };
        let conditions = json!([
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition(
                "Established",
                "InitialNamesAccepted",
                "the initial names have been accepted"
            ),
        ]);
        fields::set(&mut crd, &["status", "conditions"], conditions);
    }
    state.store.put(
        "customresourcedefinitions.apiextensions.k8s.io",
        store::key_of(&crd),
        crd,
    );
}

/// Removes the served versions and every object of them.
fn withdraw(state: &mut State, crd: &Value) {
    let (group, plural) = names(crd);
    state.registry.replace_custom(&group, &plural, Vec::new());
    state.store.remove_all(&qualify(&plural, &group));
}
