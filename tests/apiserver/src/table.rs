//! Tables: what `kubectl get` prints.

mod columns;
mod core;
mod jsonpath;
mod workloads;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::encode::{self, Include};
use crate::resource::Resource;

pub(crate) use columns::Column;

/// Renders objects as a `meta.k8s.io/v1` Table.
pub(crate) fn render(
    resource: &Resource,
    objects: &[Arc<Value>],
    include: Include,
    metadata: Value,
    with_columns: bool,
) -> Value {
    let now = Timestamp::now();
    let columns = columns::of(resource);
    let rows: Vec<Value> = objects
        .iter()
        .map(|object| {
            let cells = columns::cells(resource, object, now);
            json!({"cells": cells, "object": included(resource, object, include)})
        })
        .collect();
    // Definitions have a table convertor of their own.
    let own = resource.group == "apiextensions.k8s.io";
    let rows = if rows.is_empty() && own {
        Value::Null
    } else {
        Value::Array(rows)
    };
    let definitions = if with_columns {
        columns.iter().map(Column::to_value).collect()
    } else {
        Value::Null
    };
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": definitions, "rows": rows,
    })
}

/// A table without rows that carries a bookmark.
pub(crate) fn bookmark(resource: &Resource, include: Include, metadata: Value) -> Value {
    let object = json!({
        "kind": resource.kind, "apiVersion": resource.api_version(), "metadata": metadata,
    });
    let cells = columns::cells(resource, &object, Timestamp::now());
    let row = json!({"cells": cells, "object": included(resource, &object, include)});
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
        "columnDefinitions": Value::Null, "rows": [row],
    })
}

fn included(resource: &Resource, object: &Value, include: Include) -> Option<Value> {
    match include {
        Include::None => None,
        Include::Metadata => Some(encode::partial(object)),
        Include::Object => Some(encode::in_version(resource, object)),
    }
}
