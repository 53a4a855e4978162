//! Cells of pods, workloads, policies and bindings.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::core::{labels, selector, subjects};
use crate::clock;
use crate::fields;

fn number(object: &Value, path: &[&str]) -> i64 {
    fields::int(object, path).unwrap_or_default()
}

fn or_none(text: &str) -> Value {
    json!(if text.is_empty() { "<none>" } else { text })
}

/// Ready, status, restarts, age, IP, node, nominated node, readiness gates.
pub(crate) fn pod(object: &Value, age: &Value, now: Timestamp) -> Vec<Value> {
    let containers = fields::list(object, &["spec", "containers"]).len();
    let statuses = fields::list(object, &["status", "containerStatuses"]);
    let ready = statuses
        .iter()
        .filter(|one| fields::boolean(one, &["ready"]) == Some(true))
        .count();
    let restarts: i64 = statuses
        .iter()
        .map(|one| number(one, &["restartCount"]))
        .sum();
    let last_restart = statuses
        .iter()
        .map(|one| fields::text(one, &["lastState", "terminated", "finishedAt"]))
        .max()
        .unwrap_or_default();
    let restarts = if restarts > 0 && !last_restart.is_empty() {
        format!("{restarts} ({} ago)", clock::age(last_restart, now))
    } else {
        restarts.to_string()
    };
    let address = match fields::list(object, &["status", "podIPs"]).first() {
        Some(first) => fields::text(first, &["ip"]),
        None => fields::text(object, &["status", "podIP"]),
    };
    vec![
        json!(format!("{ready}/{containers}")),
        json!(pod_status(object, statuses)),
        json!(restarts),
        age.clone(),
        or_none(address),
        or_none(fields::text(object, &["spec", "nodeName"])),
        or_none(fields::text(object, &["status", "nominatedNodeName"])),
        json!("<none>"),
    ]
}

fn pod_status(object: &Value, statuses: &[Value]) -> String {
    let mut status = match fields::text(object, &["status", "reason"]) {
        "" => fields::text(object, &["status", "phase"]),
        reason => reason,
    };
    for one in statuses.iter().rev() {
        let waiting = fields::text(one, &["state", "waiting", "reason"]);
        let terminated = fields::text(one, &["state", "terminated", "reason"]);
        if !waiting.is_empty() {
            status = waiting;
        } else if !terminated.is_empty() {
            status = terminated;
        }
    }
    if !fields::meta(object, "deletionTimestamp").is_empty() {
        status = "Terminating";
    }
    status.to_owned()
}

fn containers(object: &Value) -> (Value, Value) {
    let list = fields::list(object, &["spec", "template", "spec", "containers"]);
    let join = |key: &str| {
        let words: Vec<&str> = list.iter().map(|one| fields::text(one, &[key])).collect();
        json!(words.join(","))
    };
    (join("name"), join("image"))
}

/// Ready, up to date, available, age, containers, images, selector.
pub(crate) fn deployment(object: &Value, age: &Value) -> Vec<Value> {
    let (names, images) = containers(object);
    let wanted = fields::int(object, &["spec", "replicas"]).unwrap_or(1);
    vec![
        json!(format!(
            "{}/{wanted}",
            number(object, &["status", "readyReplicas"])
        )),
        json!(number(object, &["status", "updatedReplicas"])),
        json!(number(object, &["status", "availableReplicas"])),
        age.clone(),
        names,
        images,
        json!(selector(fields::get(object, &["spec", "selector"]))),
    ]
}

/// Desired, current, ready, up to date, available, node selector, age, containers, images, selector.
pub(crate) fn daemon_set(object: &Value, age: &Value) -> Vec<Value> {
    let (names, images) = containers(object);
    let status = |key| json!(number(object, &["status", key]));
    vec![
        status("desiredNumberScheduled"),
        status("currentNumberScheduled"),
        status("numberReady"),
        status("updatedNumberScheduled"),
        status("numberAvailable"),
        json!(labels(fields::get(
            object,
            &["spec", "template", "spec", "nodeSelector"]
        ))),
        age.clone(),
        names,
        images,
        json!(selector(fields::get(object, &["spec", "selector"]))),
    ]
}

/// Role, age, users, groups, service accounts.
pub(crate) fn binding(object: &Value, age: &Value) -> Vec<Value> {
    let role = format!(
        "{}/{}",
        fields::text(object, &["roleRef", "kind"]),
        fields::text(object, &["roleRef", "name"])
    );
    let by_kind = subjects(object);
    let of = |kind: &str| {
        json!(
            by_kind
                .get(kind)
                .map(|names| names.join(", "))
                .unwrap_or_default()
        )
    };
    vec![
        json!(role),
        age.clone(),
        of("User"),
        of("Group"),
        of("ServiceAccount"),
    ]
}

/// Minimum, maximum, allowed disruptions, age.
pub(crate) fn disruption_budget(object: &Value, age: &Value) -> Vec<Value> {
    let bound = |key| match fields::get(object, &["spec", key]) {
        None => json!("N/A"),
        Some(Value::String(text)) => json!(text),
        Some(other) => json!(other.to_string()),
    };
    vec![
        bound("minAvailable"),
        bound("maxUnavailable"),
        json!(number(object, &["status", "disruptionsAllowed"])),
        age.clone(),
    ]
}

/// Value, global default, age, preemption policy.
pub(crate) fn priority_class(object: &Value, age: &Value) -> Vec<Value> {
    let global = fields::boolean(object, &["globalDefault"]).unwrap_or_default();
    vec![
        json!(number(object, &["value"])),
        json!(global),
        age.clone(),
        json!(fields::text(object, &["preemptionPolicy"])),
    ]
}

/// Webhook configurations and admission policies.
pub(crate) fn admission(kind: &str, object: &Value, age: &Value) -> Vec<Value> {
    match kind {
        "ValidatingAdmissionPolicy" => {
            let param = fields::get(object, &["spec", "paramKind"]).map(|param| {
                let text = |key| fields::text(param, &[key]);
                format!("{}/{}", text("apiVersion"), text("kind"))
            });
            vec![
                json!(fields::list(object, &["spec", "validations"]).len()),
                json!(param.unwrap_or_else(|| "<unset>".to_owned())),
                age.clone(),
            ]
        }
        "ValidatingAdmissionPolicyBinding" => {
            let param = fields::get(object, &["spec", "paramRef"]).map(|param| {
                let text = |key| fields::text(param, &[key]);
                match text("namespace") {
                    "" => text("name").to_owned(),
                    namespace => format!("{namespace}/{}", text("name")),
                }
            });
            vec![
                json!(fields::text(object, &["spec", "policyName"])),
                json!(param.unwrap_or_else(|| "<unset>".to_owned())),
                age.clone(),
            ]
        }
        _ => vec![
            json!(fields::list(object, &["webhooks"]).len()),
            age.clone(),
        ],
    }
}
