//! How objects are shown: as they are, as tables, as bare metadata; in the version that was asked for.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::fields;
use crate::list::Listed;
use crate::request::Request;
use crate::resource::Resource;
use crate::status_error::StatusError;
use crate::table;

/// How much of an object a table row carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Include {
    None,
    Metadata,
    Object,
}

/// What the client asked to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Table(Include),
    /// PartialObjectMetadata, and the list of them.
    Metadata,
}

impl Format {
    /// Reads `Accept` and `includeObject`.
    pub(crate) fn of(request: &Request) -> Result<Self, StatusError> {
        let accept = request.header("accept");
        if accept.trim().is_empty() {
            return Ok(Self::Json);
        }
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let parameters: Vec<&str> = parts.collect();
            let is = |text: &str| parameters.contains(&text);
            let shape = parameters
                .iter()
                .find_map(|parameter| parameter.strip_prefix("as="));
            let version = is("v=v1") && is("g=meta.k8s.io");
            match (media, shape) {
                ("application/json" | "application/*" | "*/*", None) => return Ok(Self::Json),
                ("application/json", Some("Table")) if version => {
                    return Ok(Self::Table(include_of(request)?));
                }
                (
                    "application/json",
                    Some("PartialObjectMetadata" | "PartialObjectMetadataList"),
                ) if version => {
                    return Ok(Self::Metadata);
                }
                _ => {}
            }
        }
        Err(StatusError::new(
            406,
            "NotAcceptable",
            "only the following media types are accepted: application/json, application/json;as=Table;v=v1;g=meta.k8s.io, application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io, application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
        ))
    }

    /// One object, as the body of a reply.
    pub(crate) fn object(self, resource: &Resource, object: &Value) -> Value {
        match self {
            Self::Json => in_version(resource, object),
            Self::Metadata => partial(&in_version(resource, object)),
            Self::Table(include) => {
                let shown = Arc::new(object.clone());
                let metadata = json!({"resourceVersion": fields::meta(object, "resourceVersion")});
                table::render(resource, &[shown], include, metadata, true)
            }
        }
    }

    /// A list, as the body of a reply.
    pub(crate) fn list(self, resource: &Resource, listed: &Listed) -> Value {
        let mut metadata = json!({"resourceVersion": listed.revision.to_string()});
        if resource.custom().is_some() && self == Self::Json {
            fields::set(&mut metadata, &["continue"], json!(""));
        }
        if let Some(next) = &listed.next {
            fields::set(&mut metadata, &["continue"], json!(next));
        }
        if let Some(remaining) = listed.remaining {
            fields::set(&mut metadata, &["remainingItemCount"], json!(remaining));
        }
        match self {
            Self::Json => {
                let items: Vec<Value> = listed
                    .items
                    .iter()
                    .map(|object| list_item(resource, object))
                    .collect();
                json!({
                    "kind": resource.list_kind, "apiVersion": resource.api_version(),
                    "metadata": metadata, "items": items,
                })
            }
            Self::Metadata => {
                let items: Vec<Value> = listed
                    .items
                    .iter()
                    .map(|object| partial(&in_version(resource, object)))
                    .collect();
                json!({
                    "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                    "metadata": metadata, "items": items,
                })
            }
            Self::Table(include) => table::render(resource, &listed.items, include, metadata, true),
        }
    }

    /// The object of a watch event; `first` tells a table to name its columns.
    pub(crate) fn event(self, resource: &Resource, object: &Arc<Value>, first: bool) -> Value {
        match self {
            Self::Table(include) => {
                let metadata = json!({"resourceVersion": fields::meta(object, "resourceVersion")});
                table::render(
                    resource,
                    std::slice::from_ref(object),
                    include,
                    metadata,
                    first,
                )
            }
            _ => self.object(resource, object),
        }
    }

    /// The object of a bookmark.
    pub(crate) fn bookmark(self, resource: &Resource, revision: u64, initial_end: bool) -> Value {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if initial_end {
            fields::set(
                &mut metadata,
                &["annotations"],
                json!({"k8s.io/initial-events-end": "true"}),
            );
        }
        match self {
            Self::Json => json!({
                "kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata,
            }),
            Self::Metadata => json!({
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            }),
            Self::Table(include) => table::bookmark(resource, include, metadata),
        }
    }
}

fn include_of(request: &Request) -> Result<Include, StatusError> {
    match request.query.get("includeObject") {
        None | Some("Metadata") => Ok(Include::Metadata),
        Some("None") => Ok(Include::None),
        Some("Object") => Ok(Include::Object),
        Some(other) => Err(StatusError::bad_request(format!(
            "unrecognized includeObject value: \"{other}\""
        ))),
    }
}

/// The stored object in the version of the resource.
pub(crate) fn in_version(resource: &Resource, object: &Value) -> Value {
    let mut shown = object.clone();
    if resource.is_events_v1() {
        crate::event::from_core(&mut shown);
    } else {
        fields::set(&mut shown, &["apiVersion"], json!(resource.api_version()));
    }
    shown
}

/// Items of lists of built-in types have no kind of their own.
fn list_item(resource: &Resource, object: &Value) -> Value {
    let mut shown = in_version(resource, object);
    if resource.custom().is_none() {
        for key in ["apiVersion", "kind"] {
            fields::remove(&mut shown, &[key]);
        }
    }
    shown
}

/// Only the metadata.
pub(crate) fn partial(object: &Value) -> Value {
    json!({
        "kind": "PartialObjectMetadata",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": object.get("metadata").cloned().unwrap_or_else(|| json!({})),
    })
}
