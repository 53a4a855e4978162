//! What an import would change in the cluster.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use kube::{Api, ResourceExt as _, api::ListParams};
use serde::Serialize;
use serde_json::Value;

use super::{notes, said};
use crate::{
    api::AddressPool,
    cli::{
        output::{Answer, Look, Table, plain},
        reading::Reader,
    },
    import::{Import, Note},
};

const CHANGES: [&str; 3] = ["OBJECT", "CHANGE", "WHAT"];

/// Every object of the import, and what becomes of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Changes {
    well: bool,
    changes: Vec<Change>,
    notes: Vec<Note>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    object: String,
    change: Kind,
    what: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Kind {
    Create,
    Change,
    None,
}

pub(super) async fn compare(reader: &Reader, found: Import) -> anyhow::Result<Changes> {
    let mut changes = Vec::new();
    let pools: Api<AddressPool> = Api::all(reader.client());
    for pool in &found.pools {
        let there = reader.get(&pools, &pool.name_any()).await?;
        let wanted = said(pool)?;
        let (change, what) = match there {
            None => (Kind::Create, pool.spec.addresses.join(",")),
            Some(there) => differences(&said(&there)?, &wanted),
        };
        let object = format!("AddressPool/{}", pool.name_any());
        changes.push(Change {
            object,
            change,
            what,
        });
    }
    let services: Api<Service> = Api::all(reader.client());
    let services = reader.list(&services, ListParams::default()).await?;
    let annotations: BTreeMap<_, _> = services
        .iter()
        .map(|it| {
            (
                (it.namespace().unwrap_or_default(), it.name_any()),
                it.annotations(),
            )
        })
        .collect();
    for wanted in &found.services {
        let there = annotations.get(&(wanted.namespace.clone(), wanted.name.clone()));
        let missing = wanted
            .annotations
            .iter()
            .filter(|(key, value)| there.is_none_or(|there| there.get(*key) != Some(*value)));
        let missing: Vec<_> = missing
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let what = match there {
            None => "is not in the cluster".to_owned(),
            Some(_) => missing.join(" "),
        };
        changes.push(Change {
            object: format!("Service/{} in {}", wanted.name, wanted.namespace),
            change: if missing.is_empty() {
                Kind::None
            } else {
                Kind::Change
            },
            what,
        });
    }
    Ok(Changes {
        well: changes.iter().all(|change| change.change == Kind::None),
        changes,
        notes: found.notes,
    })
}

/// The fields of a pool that are other than wanted.
fn differences(there: &Value, wanted: &Value) -> (Kind, String) {
    let keys = |value: &Value| -> Vec<String> {
        let fields = value.as_object().into_iter().flatten();
        fields.map(|(key, _)| key.clone()).collect()
    };
    let mut all: Vec<_> = [keys(there), keys(wanted)].concat();
    all.sort();
    all.dedup();
    all.retain(|key| there.get(key) != wanted.get(key));
    match all.is_empty() {
        true => (Kind::None, String::new()),
        false => (Kind::Change, all.join(", ")),
    }
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::None => "none",
        }
    }
}

impl Answer for Changes {
    fn well(&self) -> bool {
        self.well
    }

    fn text(&self, look: &Look) -> String {
        let mut table = Table::new(&CHANGES);
        for change in &self.changes {
            table.row(vec![
                plain(&change.object),
                plain(change.change.word()),
                plain(&change.what),
            ]);
        }
        let mut text = table.text(look);
        if !self.notes.is_empty() {
            text.push('\n');
            text.push_str(&notes(&self.notes, look));
        }
        text
    }
}
