//! Events: one store, two APIs. Kept as core/v1, shown as events.k8s.io/v1 on demand.

use serde_json::{Value, json};

use crate::fields;
use crate::resource::Resource;
use crate::status_error::Cause;

/// Field of events.k8s.io/v1, field of core/v1.
const RENAMED: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// Turns an events.k8s.io/v1 Event into the stored form.
pub(crate) fn to_core(event: &mut Value) {
    rename(event, |(new, core)| (new, core));
    fields::set(event, &["apiVersion"], json!("v1"));
}

/// Turns a stored Event into events.k8s.io/v1.
pub(crate) fn from_core(event: &mut Value) {
    rename(event, |(new, core)| (core, new));
    fields::set(event, &["apiVersion"], json!("events.k8s.io/v1"));
}

fn rename(
    event: &mut Value,
    direction: fn((&'static str, &'static str)) -> (&'static str, &'static str),
) {
    for pair in RENAMED {
        let (from, to) = direction(pair);
        if let Some(value) = fields::remove(event, &[from]) {
            fields::set(event, &[to], value);
        }
    }
}

/// What Go's encoding of a core Event always shows.
pub(crate) fn set_defaults(event: &mut Value) {
    for field in ["firstTimestamp", "lastTimestamp", "eventTime"] {
        fields::set_default(event, &[field], Value::Null);
    }
    for field in ["reportingComponent", "reportingInstance"] {
        fields::set_default(event, &[field], json!(""));
    }
    for field in ["source", "involvedObject"] {
        fields::set_default(event, &[field], json!({}));
    }
}

/// What is wrong with an Event; the newer API asks for more. `old` is none at a create.
pub(crate) fn validate(resource: &Resource, event: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    check_legacy(resource, event, &mut causes);
    if resource.is_events_v1() {
        match old {
            None => check_new(event, &mut causes),
            Some(old) => check_unchanged(event, old, &mut causes),
        }
    }
    causes
}

fn check_legacy(resource: &Resource, event: &Value, causes: &mut Vec<Cause>) {
    let text = |field: &str| fields::text(event, &[field]);
    let namespace = fields::meta(event, "namespace");
    let about = fields::text(event, &["involvedObject", "namespace"]);
    let unrelated = |causes: &mut Vec<Cause>| {
        let why = "does not match event.namespace";
        causes.push(Cause::invalid(
            "involvedObject.namespace",
            &json!(about),
            why,
        ));
    };
    if text("eventTime").is_empty() {
        let right = if about.is_empty() {
            namespace == "default"
        } else {
            about == namespace
        };
        if !right {
            unrelated(causes);
        }
        return;
    }
    if about.is_empty() && !matches!(namespace, "default" | "kube-system") {
        unrelated(causes);
    }
    let controller = if resource.is_events_v1() {
        "reportingController"
    } else {
        "reportingComponent"
    };
    let name = text("reportingComponent");
    if name.is_empty() {
        causes.push(Cause::required(controller, ""));
    }
    if let Some(why) = crate::names::wrong_qualified_name(name) {
        causes.push(Cause::invalid(controller, &json!(name), why));
    }
    for (field, max) in [
        ("reportingInstance", 128),
        ("action", 128),
        ("reason", 128),
        ("message", 1024),
    ] {
        if field != "message" && text(field).is_empty() {
            causes.push(Cause::required(field, ""));
        }
        if text(field).len() > max {
            let why = format!("can have at most {max} characters");
            causes.push(Cause::invalid(field, &json!(""), why));
        }
    }
}

fn check_new(event: &Value, causes: &mut Vec<Cause>) {
    let text = |path: &[&str]| fields::text(event, path);
    if text(&["eventTime"]).is_empty() {
        causes.push(Cause::required("eventTime", ""));
    }
    let kind = text(&["type"]);
    if !matches!(kind, "Normal" | "Warning") {
        causes.push(Cause::invalid(
            "type",
            &json!(""),
            format!("has invalid value: {kind}"),
        ));
    }
    let source = [text(&["source", "component"]), text(&["source", "host"])].concat();
    let set = [
        ("firstTimestamp", !text(&["firstTimestamp"]).is_empty()),
        ("lastTimestamp", !text(&["lastTimestamp"]).is_empty()),
        (
            "count",
            fields::int(event, &["count"]).is_some_and(|count| count != 0),
        ),
        ("source", !source.is_empty()),
    ];
    for (field, _) in set.into_iter().filter(|(_, is_set)| *is_set) {
        causes.push(Cause::invalid(field, &json!(""), "needs to be unset"));
    }
}

/// Only the series of an event may change through the newer API.
fn check_unchanged(event: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let kept = [
        ("involvedObject", "involvedObject"),
        ("reason", "reason"),
        ("message", "message"),
        ("source", "source"),
        ("firstTimestamp", "firstTimestamp"),
        ("lastTimestamp", "lastTimestamp"),
        ("count", "count"),
        ("type", "type"),
        ("action", "action"),
        ("related", "related"),
        ("reportingController", "reportingComponent"),
        ("reportingInstance", "reportingInstance"),
    ];
    for (shown, field) in kept {
        if event.get(field) != old.get(field) {
            let value = event.get(field).cloned().unwrap_or(Value::Null);
            causes.push(Cause::invalid(shown, &value, "field is immutable"));
        }
    }
}
