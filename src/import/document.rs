//! Objects of Kubernetes as they come, and how they are read: strictly.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ImportError;

/// A resource of another load balancer's.
#[derive(Clone, Copy, Debug)]
pub struct Resource {
    /// Its API group; empty for the core group.
    pub group: &'static str,
    /// The versions that are known, the newest first.
    pub versions: &'static [&'static str],
    /// Its kind.
    pub kind: &'static str,
    /// Its plural.
    pub plural: &'static str,
    /// The only name that counts, if there is one.
    pub name: Option<&'static str>,
}

/// An object.
#[derive(Clone, Debug)]
pub(super) struct Document {
    pub(super) group: String,
    pub(super) version: String,
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    pub(super) value: Value,
}

/// All objects, also those in lists.
pub(super) fn documents(values: Vec<Value>) -> Result<Vec<Document>, ImportError> {
    let mut documents = Vec::new();
    for (number, value) in (1..).zip(values) {
        match value.get("items") {
            _ if value.is_null() => {}
            Some(Value::Array(items)) => {
                for item in items {
                    documents.push(Document::new(number, item.clone())?);
                }
            }
            _ => documents.push(Document::new(number, value)?),
        }
    }
    Ok(documents)
}

impl Document {
    fn new(number: usize, value: Value) -> Result<Self, ImportError> {
        let missing = |field| ImportError::NoObject { number, field };
        let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str);
        let api_version = text("/apiVersion").ok_or(missing("apiVersion"))?;
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let pairs = |pointer: &str| -> BTreeMap<String, String> {
            let map = value.pointer(pointer).and_then(Value::as_object);
            let pairs = map.into_iter().flatten();
            pairs
                .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
                .collect()
        };
        Ok(Self {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: text("/kind").ok_or(missing("kind"))?.to_owned(),
            namespace: text("/metadata/namespace").unwrap_or("default").to_owned(),
            name: text("/metadata/name")
                .ok_or(missing("metadata.name"))?
                .to_owned(),
            labels: pairs("/metadata/labels"),
            annotations: pairs("/metadata/annotations"),
            value,
        })
    }

    /// How people are told of it.
    pub(super) fn title(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    /// Whether it is of this resource, in a version that is known.
    pub(super) fn is(&self, resource: &Resource) -> Result<bool, ImportError> {
        let same = self.group == resource.group && self.kind == resource.kind;
        if !same || resource.name.is_some_and(|name| name != self.name) {
            return Ok(false);
        }
        if resource.versions.contains(&self.version.as_str()) {
            return Ok(true);
        }
        Err(ImportError::Version {
            object: self.title(),
            version: self.version.clone(),
            known: resource.versions.join(", "),
        })
    }

    /// A part of it.
    pub(super) fn part<T: DeserializeOwned>(&self, field: &str) -> Result<T, ImportError> {
        let part = self.value.get(field).cloned().unwrap_or(Value::Null);
        serde_json::from_value(part).map_err(|error| ImportError::Shape {
            object: self.title(),
            why: format!("{field}: {error}"),
        })
    }
}
