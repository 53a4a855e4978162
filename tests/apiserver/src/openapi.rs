//! `/openapi/v3`: what kubectl needs to validate, to apply and to explain.
//!
//! Each document has the schemas of a group and version with all they refer to, and of its paths
//! only what clients look up: which verbs there are, and that PATCH takes `fieldValidation`.
//! OpenAPI v2 is not served; kubectl does without.

use std::collections::BTreeSet;
use std::sync::Arc;

use http::Response;
use serde_json::{Map, Value, json};

use crate::connection::{Body, json_response};
use crate::fields;
use crate::resource::{Origin, Resource};
use crate::schema::{Builtins, definition_name};
use crate::state::State;
use crate::status_error::StatusError;

const REFERENCE: &str = "#/components/schemas/";
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// Answers a request below `/openapi/`.
pub(crate) fn handle(state: &State, rest: &str) -> Result<Response<Body>, StatusError> {
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    let document = match parts.as_slice() {
        ["v3"] => Some(index(state)),
        ["v3", "api", version] => document(state, "", version),
        ["v3", "apis", group, version] => document(state, group, version),
        _ => None,
    };
    document
        .map(|body| json_response(200, &body))
        .ok_or_else(StatusError::no_such_path)
}

fn base(resource: &Resource) -> String {
    if resource.group.is_empty() {
        format!("api/{}", resource.version)
    } else {
        format!("apis/{}/{}", resource.group, resource.version)
    }
}

/// The documents there are. The hash changes with the store, so that clients do not cache for ever.
fn index(state: &State) -> Value {
    let bases: BTreeSet<String> = state.registry.all().iter().map(|one| base(one)).collect();
    let hash = state.store.revision();
    let paths: Map<String, Value> = bases
        .into_iter()
        .map(|path| {
            let url = format!("/openapi/v3/{path}?hash={hash}");
            (path, json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({"paths": paths})
}

fn document(state: &State, group: &str, version: &str) -> Option<Value> {
    let resources: Vec<&Arc<Resource>> = state
        .registry
        .all()
        .iter()
        .filter(|one| one.group == group && one.version == version)
        .collect();
    if resources.is_empty() {
        return None;
    }
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for resource in resources {
        add_paths(resource, &mut paths);
        let schema = root_schema(&state.builtins, resource);
        add_references(&state.builtins, &schema, &mut schemas);
        schemas.insert(schema_name(resource), schema);
    }
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes (herald stand-in)", "version": "v1.36.2"},
        "paths": paths,
        "components": {"schemas": schemas},
    }))
}

fn kind_of(resource: &Resource) -> Value {
    json!({"group": resource.group, "kind": resource.kind, "version": resource.version})
}

fn schema_name(resource: &Resource) -> String {
    match &resource.origin {
        Origin::Builtin => definition_name(&resource.group, &resource.version, &resource.kind),
        Origin::Custom(_) => {
            let mut parts: Vec<&str> = resource.group.split('.').rev().collect();
            parts.extend([resource.version.as_str(), resource.kind.as_str()]);
            parts.join(".")
        }
    }
}

/// A kind's schema, with its kind, and for custom ones with the members that every object has.
fn root_schema(builtins: &Builtins, resource: &Resource) -> Value {
    let known = match &resource.origin {
        Origin::Builtin => builtins.definition(&schema_name(resource)).cloned(),
        Origin::Custom(version) => Some(version.schema.clone()),
    };
    let mut schema = known.unwrap_or_else(|| json!({"type": "object"}));
    if resource.custom().is_some() {
        let text = |words: &str| json!({"type": "string", "description": words});
        let meta = json!({"allOf": [{"$ref": format!("{REFERENCE}{OBJECT_META}")}]});
        let members = [
            (
                "apiVersion",
                text("The version of the schema of this object."),
            ),
            ("kind", text("The kind of this object.")),
            ("metadata", meta),
        ];
        for (name, member) in members {
            fields::set(&mut schema, &["properties", name], member);
        }
    }
    fields::set(
        &mut schema,
        &["x-kubernetes-group-version-kind"],
        json!([kind_of(resource)]),
    );
    schema
}

/// Adds every definition that a schema leads to.
fn add_references(builtins: &Builtins, schema: &Value, schemas: &mut Map<String, Value>) {
    match schema {
        Value::Object(map) => {
            if let Some(name) = map
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|text| text.strip_prefix(REFERENCE))
                && !schemas.contains_key(name)
                && let Some(definition) = builtins.definition(name)
            {
                schemas.insert(name.to_owned(), definition.clone());
                add_references(builtins, definition, schemas);
            }
            map.values()
                .for_each(|inner| add_references(builtins, inner, schemas));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|inner| add_references(builtins, inner, schemas)),
        _ => {}
    }
}

fn add_paths(resource: &Resource, paths: &mut Map<String, Value>) {
    let scope = if resource.namespaced {
        "/namespaces/{namespace}"
    } else {
        ""
    };
    let collection = format!("/{}{scope}/{}", base(resource), resource.plural);
    let write = |action: &str| {
        operation(
            resource,
            action,
            &["dryRun", "fieldManager", "fieldValidation"],
        )
    };
    let mut of_collection = json!({"post": write("post")});
    if !resource.review {
        fields::set(
            &mut of_collection,
            &["get"],
            operation(resource, "list", &[]),
        );
        let mut patch = operation(
            resource,
            "patch",
            &["dryRun", "fieldManager", "fieldValidation", "force"],
        );
        fields::set(
            &mut patch,
            &["requestBody"],
            json!({"content": patch_types(resource)}),
        );
        let of_object = json!({
            "get": operation(resource, "get", &[]), "put": write("put"), "patch": patch,
            "delete": operation(resource, "delete", &["dryRun"]),
        });
        paths.insert(format!("{collection}/{{name}}"), of_object);
    }
    paths.insert(collection, of_collection);
}

fn operation(resource: &Resource, action: &str, parameters: &[&str]) -> Value {
    let parameters: Vec<Value> = parameters
        .iter()
        .map(|name| {
            let kind = if *name == "force" {
                "boolean"
            } else {
                "string"
            };
            json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}})
        })
        .collect();
    json!({
        "parameters": parameters,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": kind_of(resource),
    })
}

fn patch_types(resource: &Resource) -> Value {
    let mut types = vec![
        "application/apply-patch+yaml",
        "application/json-patch+json",
        "application/merge-patch+json",
    ];
    if resource.custom().is_none() {
        types.push("application/strategic-merge-patch+json");
    }
    let content = types
        .into_iter()
        .map(|media| (media.to_owned(), json!({"schema": {"type": "object"}})));
    Value::Object(content.collect())
}
