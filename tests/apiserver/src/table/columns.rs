//! Which columns a resource has, and which function fills them.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{core, jsonpath, workloads};
use crate::clock;
use crate::fields;
use crate::resource::Resource;

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    name: String,
    kind: String,
    format: String,
    description: String,
    /// 0: always shown; 1: with `-o wide`.
    priority: i64,
}

impl Column {
    /// As a `TableColumnDefinition`.
    pub(crate) fn to_value(&self) -> Value {
        json!({
            "name": self.name, "type": self.kind, "format": self.format,
            "description": self.description, "priority": self.priority,
        })
    }
}

/// The columns of a kind: `Name`, `Age`; a star marks those of `-o wide`, a hash numbers.
fn names(resource: &Resource) -> &'static str {
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Service") => "Name,Type,Cluster-IP,External-IP,Port(s),Age,Selector*",
        ("", "Namespace") => "Name,Status,Age",
        ("", "Node") => {
            "Name,Status,Roles,Age,Version,Internal-IP*,External-IP*,OS-Image*,Kernel-Version*,Container-Runtime*"
        }
        ("" | "events.k8s.io", "Event") => {
            "Last Seen,Type,Reason,Object,Subobject*,Source*,Message,First Seen*,Count*,Name*"
        }
        ("", "Secret") => "Name,Type,Data,Age",
        ("", "ConfigMap") => "Name,Data,Age",
        ("", "ServiceAccount") => "Name,Age",
        ("", "Pod") => "Name,Ready,Status,Restarts,Age,IP*,Node*,Nominated Node*,Readiness Gates*",
        ("", "Endpoints") => "Name,Endpoints,Age",
        ("discovery.k8s.io", _) => "Name,AddressType,Ports,Endpoints,Age",
        ("coordination.k8s.io", _) => "Name,Holder,Age",
        ("apps", "Deployment") => {
            "Name,Ready,Up-to-date,Available,Age,Containers*,Images*,Selector*"
        }
        ("apps", "DaemonSet") => {
            "Name,Desired#,Current#,Ready#,Up-to-date#,Available#,Node Selector,Age,Containers*,Images*,Selector*"
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            "Name,Role,Age,Users*,Groups*,ServiceAccounts*"
        }
        ("policy", _) => "Name,Min Available,Max Unavailable,Allowed Disruptions#,Age",
        ("scheduling.k8s.io", _) => "Name,Value#,Global-Default?,Age,PreemptionPolicy",
        ("networking.k8s.io", _) => "Name,Pod-Selector,Age",
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => {
            "Name,Validations#,ParamKind,Age"
        }
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding") => {
            "Name,PolicyName,ParamRef,Age"
        }
        ("admissionregistration.k8s.io", _) => "Name,Webhooks#,Age",
        _ => "Name,Created At",
    }
}

/// The columns of a resource.
pub(crate) fn of(resource: &Resource) -> Vec<Column> {
    if let Some(version) = resource.custom() {
        return custom(&version.columns);
    }
    let column = |word: &str| {
        let bare = word.trim_end_matches(['*', '#', '?']);
        let kind = match word.chars().last() {
            Some('#') => "integer",
            Some('?') => "boolean",
            _ => "string",
        };
        let date = bare == "Created At";
        Column {
            name: bare.to_owned(),
            kind: if date { "date" } else { kind }.to_owned(),
            format: if bare == "Name" { "name" } else { "" }.to_owned(),
            description: String::new(),
            priority: i64::from(word.contains('*')),
        }
    };
    names(resource).split(',').map(column).collect()
}

fn custom(columns: &[Value]) -> Vec<Column> {
    let text = |column: &Value, key: &str| fields::text(column, &[key]).to_owned();
    let name = Column {
        name: "Name".to_owned(),
        kind: "string".to_owned(),
        format: "name".to_owned(),
        description: String::new(),
        priority: 0,
    };
    let mut all = vec![name];
    all.extend(columns.iter().map(|column| Column {
        name: text(column, "name"),
        kind: text(column, "type"),
        format: text(column, "format"),
        description: match fields::text(column, &["description"]) {
            "" => format!(
                "Custom resource definition column (in JSONPath format): {}",
                text(column, "jsonPath")
            ),
            given => given.to_owned(),
        },
        priority: fields::int(column, &["priority"]).unwrap_or_default(),
    }));
    if columns.is_empty() {
        all.push(Column {
            name: "Age".to_owned(),
            kind: "date".to_owned(),
            format: String::new(),
            description: String::new(),
            priority: 0,
        });
    }
    all
}

/// The cells of an object, one per column.
pub(crate) fn cells(resource: &Resource, object: &Value, now: Timestamp) -> Vec<Value> {
    if let Some(version) = resource.custom() {
        return custom_cells(&version.columns, object, now);
    }
    let name = json!(fields::meta(object, "name"));
    let age = json!(age_of(object, now));
    let mut cells = match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Service") => core::service(object, &age),
        ("", "Namespace") => vec![json!(fields::text(object, &["status", "phase"])), age],
        ("", "Node") => core::node(object, &age),
        ("" | "events.k8s.io", "Event") => return core::event(object, now),
        ("", "Secret") => {
            vec![
                json!(fields::text(object, &["type"])),
                core::count(object, &["data"]),
                age,
            ]
        }
        ("", "ConfigMap") => vec![core::config_size(object), age],
        ("", "ServiceAccount") => vec![age],
        ("", "Pod") => workloads::pod(object, &age, now),
        ("", "Endpoints") => vec![json!(core::endpoints(object)), age],
        ("discovery.k8s.io", _) => core::endpoint_slice(object, &age),
        ("coordination.k8s.io", _) => {
            vec![
                json!(fields::text(object, &["spec", "holderIdentity"])),
                age,
            ]
        }
        ("apps", "Deployment") => workloads::deployment(object, &age),
        ("apps", "DaemonSet") => workloads::daemon_set(object, &age),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            workloads::binding(object, &age)
        }
        ("policy", _) => workloads::disruption_budget(object, &age),
        ("scheduling.k8s.io", _) => workloads::priority_class(object, &age),
        ("networking.k8s.io", _) => {
            vec![
                json!(core::selector(fields::get(
                    object,
                    &["spec", "podSelector"]
                ))),
                age,
            ]
        }
        ("admissionregistration.k8s.io", kind) => workloads::admission(kind, object, &age),
        _ => vec![json!(fields::meta(object, "creationTimestamp"))],
    };
    cells.insert(0, name);
    cells
}

fn custom_cells(columns: &[Value], object: &Value, now: Timestamp) -> Vec<Value> {
    let mut cells = vec![json!(fields::meta(object, "name"))];
    for column in columns {
        let path = fields::text(column, &["jsonPath"]);
        let found = jsonpath::find(object, path);
        cells.push(typed_cell(fields::text(column, &["type"]), &found, now));
    }
    if columns.is_empty() {
        cells.push(json!(age_of(object, now)));
    }
    cells
}

/// A cell of a declared type; what is absent or of another type is null.
fn typed_cell(kind: &str, found: &[&Value], now: Timestamp) -> Value {
    let Some(first) = found.first() else {
        return Value::Null;
    };
    match kind {
        "integer" => first
            .as_i64()
            .or_else(|| {
                first
                    .as_f64()
                    .map(|number| number.trunc())
                    .and_then(|n| n.to_string().parse().ok())
            })
            .map_or(Value::Null, |number| json!(number)),
        "number" => first.as_f64().map_or(Value::Null, |number| json!(number)),
        "boolean" => first.as_bool().map_or(Value::Null, |flag| json!(flag)),
        "date" => match first.as_str() {
            Some(text) => json!(clock::age(text, now)),
            None => Value::Null,
        },
        _ => {
            let words: Vec<String> = found
                .iter()
                .map(|value| {
                    value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned)
                })
                .collect();
            json!(words.join(","))
        }
    }
}

/// `metadata.creationTimestamp` as kubectl shows it.
pub(crate) fn age_of(object: &Value, now: Timestamp) -> String {
    clock::age(fields::meta(object, "creationTimestamp"), now)
}
