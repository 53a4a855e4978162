//! GET of one object and of lists: selectors, resourceVersions, pages.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::request::Query;
use crate::resource::Resource;
use crate::selector::{FieldSelector, LabelSelector, Selector};
use crate::state::State;
use crate::status_error::{Cause, StatusError};
use crate::store::{Key, Objects};

/// Objects with the metadata of their list.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) items: Vec<Arc<Value>>,
    pub(crate) revision: u64,
    pub(crate) next: Option<String>,
    pub(crate) remaining: Option<usize>,
}

/// What a list asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) selector: Selector,
    pub(crate) limit: Option<usize>,
    pub(crate) next: Option<String>,
    pub(crate) revision: Option<u64>,
    pub(crate) exact: bool,
}

impl Options {
    /// Reads a query.
    pub(crate) fn from_query(resource: &Resource, query: &Query) -> Result<Self, StatusError> {
        let matching = query.get("resourceVersionMatch");
        let revision = revision_of(query)?;
        check_match(query, matching, revision)?;
        Ok(Self {
            selector: selector_of(resource, query)?,
            limit: number(query, "limit")?.filter(|limit| *limit > 0),
            next: query.get("continue").map(str::to_owned),
            revision,
            exact: matching == Some("Exact"),
        })
    }
}

fn number(query: &Query, key: &str) -> Result<Option<usize>, StatusError> {
    let Some(text) = query.get(key) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        StatusError::bad_request(format!(
            "invalid value for {key}: strconv.ParseInt: parsing \"{text}\": invalid syntax"
        ))
    })
}

/// `resourceVersion` of a query.
pub(crate) fn revision_of(query: &Query) -> Result<Option<u64>, StatusError> {
    let Some(text) = query.get("resourceVersion") else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        let why = format!("strconv.ParseUint: parsing \"{text}\": invalid syntax");
        let message = format!("resourceVersion: Invalid value: \"{text}\": {why}");
        // A watch does not get a Status of its own for this.
        if query.flag("watch") {
            return StatusError::internal_plain(message);
        }
        StatusError::bad_request(message)
    })
}

fn check_match(
    query: &Query,
    matching: Option<&str>,
    revision: Option<u64>,
) -> Result<(), StatusError> {
    let refuse = |cause: Cause| {
        Err(StatusError::invalid(
            "meta.k8s.io",
            "ListOptions",
            "",
            &[cause],
        ))
    };
    let field = "resourceVersionMatch";
    let streaming = query.flag("watch") && query.has("sendInitialEvents");
    match matching {
        None => Ok(()),
        Some(_) if query.flag("watch") && !streaming => refuse(Cause::forbidden(
            field,
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
        )),
        Some("NotOlderThan" | "Exact") if revision.is_none() && !streaming => {
            refuse(Cause::forbidden(
                field,
                "resourceVersionMatch is forbidden unless resourceVersion is provided",
            ))
        }
        Some("Exact") if revision == Some(0) => refuse(Cause::forbidden(
            field,
            "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        )),
        Some("NotOlderThan" | "Exact") => Ok(()),
        Some(other) => {
            let allowed = ["Exact", "NotOlderThan", ""];
            refuse(Cause::unsupported(field, &json!(other), &allowed))
        }
    }
}

/// The selectors of a query; a field that the resource does not select by is refused.
pub(crate) fn selector_of(resource: &Resource, query: &Query) -> Result<Selector, StatusError> {
    let labels = LabelSelector::parse(query.get("labelSelector").unwrap_or_default())?;
    let fields = FieldSelector::parse(query.get("fieldSelector").unwrap_or_default())?;
    for path in fields.paths() {
        if !is_selectable(resource, path) {
            return Err(StatusError::bad_request(match resource.custom() {
                Some(_) | None => format!("field label not supported: {path}"),
            }));
        }
    }
    Ok(Selector { labels, fields })
}

fn is_selectable(resource: &Resource, path: &str) -> bool {
    if matches!(path, "metadata.name" | "metadata.namespace") {
        return true;
    }
    if let Some(version) = resource.custom() {
        return version
            .selectable
            .iter()
            .any(|known| known.trim_start_matches('.') == path);
    }
    let known: &[&str] = match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Service") => &["spec.clusterIP", "spec.type"],
        ("", "Node") => &["spec.unschedulable"],
        ("", "Namespace") => &["status.phase"],
        ("", "Secret") => &["type"],
        ("", "Pod") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("", "Event") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "Event") => &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
        _ => &[],
    };
    known.contains(&path)
}

/// Whether an object is in the namespace (every one is in the empty namespace) and is selected.
pub(crate) fn is_seen(
    resource: &Resource,
    namespace: &str,
    selector: &Selector,
    object: &Value,
) -> bool {
    if !namespace.is_empty() && crate::fields::meta(object, "namespace") != namespace {
        return false;
    }
    if resource.is_events_v1() && !selector.is_empty() {
        let mut shown = object.clone();
        crate::event::from_core(&mut shown);
        return selector.matches(&shown);
    }
    selector.matches(object)
}

/// GET of a collection.
pub(crate) fn list(
    state: &State,
    resource: &Resource,
    namespace: &str,
    options: &Options,
) -> Result<Listed, StatusError> {
    let name = resource.store_name();
    let now = state.store.revision();
    let (revision, start) = match &options.next {
        Some(token) => {
            if options.revision.is_some_and(|revision| revision != 0) {
                return Err(StatusError::bad_request(
                    "specifying resource version is not allowed when using continue",
                ));
            }
            let (revision, start) = decode_token(token)?;
            (revision, Some(start))
        }
        None => match options.revision {
            Some(wanted) if wanted > now => return Err(too_large(wanted, now)),
            Some(wanted) if options.exact => (wanted, None),
            _ => (now, None),
        },
    };
    let snapshot: Objects;
    let objects: Box<dyn Iterator<Item = (&Key, &Arc<Value>)>> = if revision == now {
        Box::new(state.store.iter(&name))
    } else {
        snapshot = state
            .store
            .snapshot(&name, revision)
            .map_err(|_| gone(revision, now, options))?;
        Box::new(snapshot.iter())
    };
    let mut seen = objects
        .filter(|(key, _)| start.as_ref().is_none_or(|start| *key > start))
        .filter(|(_, object)| is_seen(resource, namespace, &options.selector, object));
    let Some(limit) = options.limit else {
        let items = seen.map(|(_, object)| Arc::clone(object)).collect();
        return Ok(Listed {
            items,
            revision,
            next: None,
            remaining: None,
        });
    };
    let page: Vec<(&Key, &Arc<Value>)> = seen.by_ref().take(limit).collect();
    let left = seen.count();
    let next = page
        .last()
        .filter(|_| left > 0)
        .map(|(key, _)| encode_token(revision, key));
    Ok(Listed {
        items: page
            .into_iter()
            .map(|(_, object)| Arc::clone(object))
            .collect(),
        revision,
        remaining: (left > 0 && options.selector.is_empty()).then_some(left),
        next,
    })
}

fn too_large(wanted: u64, now: u64) -> StatusError {
    let mut error = StatusError::new(
        504,
        "Timeout",
        format!("Timeout: Too large resource version: {wanted}, current: {now}"),
    );
    error.detail(
        "causes",
        json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]),
    );
    error.retry_after(1)
}

fn gone(revision: u64, now: u64, options: &Options) -> StatusError {
    if options.next.is_some() {
        return StatusError::expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.",
        );
    }
    StatusError::expired(format!(
        "The resourceVersion for the provided list is too old: {revision} ({now})"
    ))
}

fn encode_token(revision: u64, key: &Key) -> String {
    URL_SAFE_NO_PAD.encode(json!({"v": "meta.k8s.io/v1", "rv": revision, "start": key}).to_string())
}

fn decode_token(token: &str) -> Result<(u64, Key), StatusError> {
    let bad = || StatusError::bad_request("continue key is not valid: the token cannot be read");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad())?;
    let token: Value = serde_json::from_slice(&bytes).map_err(|_| bad())?;
    let revision = token.get("rv").and_then(Value::as_u64).ok_or_else(bad)?;
    let key = token.get("start").cloned().ok_or_else(bad)?;
    Ok((revision, serde_json::from_value(key).map_err(|_| bad())?))
}
