//! `metadata.managedFields`: entries to sets by manager, and back.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::fieldset::FieldSet;
use crate::fields;

/// Who manages: the key of an entry. Appliers are the same manager in every apiVersion.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Manager {
    pub(crate) name: String,
    pub(crate) applies: bool,
    pub(crate) subresource: String,
    /// Empty for appliers.
    api_version: String,
}

/// What a manager manages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Managed {
    pub(crate) set: FieldSet,
    pub(crate) api_version: String,
    pub(crate) time: Option<String>,
}

/// All managers of an object.
pub(crate) type Managers = BTreeMap<Manager, Managed>;

impl Manager {
    /// The manager of a write that is no apply.
    pub(crate) fn updater(name: &str, subresource: &str, api_version: &str) -> Self {
        Self {
            name: name.to_owned(),
            applies: false,
            subresource: subresource.to_owned(),
            api_version: api_version.to_owned(),
        }
    }

    /// The manager of an apply.
    pub(crate) fn applier(name: &str, subresource: &str) -> Self {
        Self {
            name: name.to_owned(),
            applies: true,
            subresource: subresource.to_owned(),
            api_version: String::new(),
        }
    }

    fn operation(&self) -> &'static str {
        if self.applies { "Apply" } else { "Update" }
    }

    /// As a conflict names it.
    pub(crate) fn shown(&self) -> String {
        let mut shown = format!("{:?}", self.name);
        if !self.subresource.is_empty() {
            shown.push_str(&format!(" with subresource {:?}", self.subresource));
        }
        if !self.applies {
            shown.push_str(&format!(" using {}", self.api_version));
        }
        shown
    }
}

/// Reads the entries of an object; none if one is malformed.
pub(crate) fn decode(object: &Value) -> Option<Managers> {
    let mut managers = Managers::new();
    for entry in fields::list(object, &["metadata", "managedFields"]) {
        let applies = match fields::text(entry, &["operation"]) {
            "Apply" => true,
            "Update" => false,
            _ => return None,
        };
        let version = fields::text(entry, &["apiVersion"]);
        if version.is_empty() || fields::text(entry, &["fieldsType"]) != "FieldsV1" {
            return None;
        }
        let manager = Manager {
            name: fields::text(entry, &["manager"]).to_owned(),
            applies,
            subresource: fields::text(entry, &["subresource"]).to_owned(),
            api_version: if applies {
                String::new()
            } else {
                version.to_owned()
            },
        };
        let fields_v1 = entry.get("fieldsV1").cloned().unwrap_or_else(|| json!({}));
        let managed = Managed {
            set: FieldSet::from_fields_v1(&fields_v1)?,
            api_version: version.to_owned(),
            time: fields::get(entry, &["time"])
                .and_then(Value::as_str)
                .map(str::to_owned),
        };
        managers.insert(manager, managed);
    }
    Some(managers)
}

/// Writes the entries of an object, in the order of Kubernetes.
pub(crate) fn encode(object: &mut Value, managers: &Managers) {
    let mut sorted: Vec<(&Manager, &Managed)> = managers.iter().collect();
    sorted.sort_by(|(a, a_managed), (b, b_managed)| {
        let key = |manager: &Manager, managed: &Managed| {
            (
                manager.operation(),
                managed.time.clone(),
                manager.name.clone(),
                managed.api_version.clone(),
                manager.subresource.clone(),
            )
        };
        key(a, a_managed).cmp(&key(b, b_managed))
    });
    if sorted.is_empty() {
        fields::remove(object, &["metadata", "managedFields"]);
        return;
    }
    let entries = sorted.into_iter().map(|(manager, managed)| {
        let mut entry = json!({
            "manager": manager.name,
            "operation": manager.operation(),
            "apiVersion": managed.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": managed.set.to_fields_v1(),
        });
        if let Some(time) = &managed.time {
            fields::set(&mut entry, &["time"], json!(time));
        }
        if !manager.subresource.is_empty() {
            fields::set(&mut entry, &["subresource"], json!(manager.subresource));
        }
        entry
    });
    let entries: Vec<Value> = entries.collect();
    fields::set(
        object,
        &["metadata", "managedFields"],
        Value::Array(entries),
    );
}

/// The name under which a request without `fieldManager` writes: its User-Agent up to the slash.
pub(crate) fn name_of(field_manager: Option<&str>, user_agent: &str) -> String {
    match field_manager {
        Some(name) => name.to_owned(),
        None => {
            let prefix = user_agent.split('/').next().unwrap_or_default();
            let mut name = String::new();
            for letter in prefix.chars().filter(|letter| !letter.is_control()) {
                if name.len() + letter.len_utf8() > 128 {
                    break;
                }
                name.push(letter);
            }
            name
        }
    }
}
