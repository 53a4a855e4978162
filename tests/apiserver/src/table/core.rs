//! Cells of the core kinds, as `pkg/printers/internalversion` fills them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::clock;
use crate::fields;
use crate::service;

/// Type, cluster IP, external IP, ports, age, selector.
pub(crate) fn service(object: &Value, age: &Value) -> Vec<Value> {
    let cluster_ip = match fields::text(object, &["spec", "clusterIP"]) {
        "" => "<none>",
        address => address,
    };
    let selector = fields::get(object, &["spec", "selector"]);
    vec![
        json!(service::kind(object)),
        json!(cluster_ip),
        json!(external_ip(object)),
        json!(ports(object)),
        age.clone(),
        json!(labels(selector)),
    ]
}

fn external_ip(object: &Value) -> String {
    let external = service::strings(object, "externalIPs");
    let or_none = |list: &[String]| {
        if list.is_empty() {
            "<none>".to_owned()
        } else {
            list.join(",")
        }
    };
    match service::kind(object) {
        "ExternalName" => fields::text(object, &["spec", "externalName"]).to_owned(),
        "LoadBalancer" => {
            let ingress = fields::list(object, &["status", "loadBalancer", "ingress"]);
            let mut shown: Vec<String> = ingress
                .iter()
                .map(|item| match fields::text(item, &["ip"]) {
                    "" => fields::text(item, &["hostname"]).to_owned(),
                    ip => ip.to_owned(),
                })
                .filter(|address| !address.is_empty())
                .collect();
            shown.sort();
            shown.dedup();
            if shown.is_empty() && external.is_empty() {
                return "<pending>".to_owned();
            }
            let mut all = vec![shown.join(",")];
            all.retain(|part| !part.is_empty());
            all.extend(external);
            all.join(",")
        }
        _ => or_none(&external),
    }
}

fn ports(object: &Value) -> String {
    let shown: Vec<String> = service::ports(object)
        .iter()
        .map(|port| {
            let number = fields::int(port, &["port"]).unwrap_or_default();
            let protocol = fields::text(port, &["protocol"]);
            match service::node_port(port) {
                0 => format!("{number}/{protocol}"),
                node => format!("{number}:{node}/{protocol}"),
            }
        })
        .collect();
    if shown.is_empty() {
        "<none>".to_owned()
    } else {
        shown.join(",")
    }
}

/// `a=b,c=d`, or `<none>`.
pub(crate) fn labels(map: Option<&Value>) -> String {
    let pairs: Vec<String> = map
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    if pairs.is_empty() {
        "<none>".to_owned()
    } else {
        pairs.join(",")
    }
}

/// A LabelSelector as text.
pub(crate) fn selector(selector: Option<&Value>) -> String {
    let Some(selector) = selector else {
        return "<none>".to_owned();
    };
    let mut parts = Vec::new();
    if let Some(map) = selector
        .get("matchLabels")
        .filter(|map| map.as_object().is_some_and(|m| !m.is_empty()))
    {
        parts.push(labels(Some(map)));
    }
    for term in fields::list(selector, &["matchExpressions"]) {
        let key = fields::text(term, &["key"]);
        let values: Vec<&str> = fields::list(term, &["values"])
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let values = values.join(",");
        parts.push(match fields::text(term, &["operator"]) {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        });
    }
    if parts.is_empty() {
        "<none>".to_owned()
    } else {
        parts.join(",")
    }
}

/// Status, roles, age, version, addresses and system of a node.
pub(crate) fn node(object: &Value, age: &Value) -> Vec<Value> {
    let mut status = Vec::new();
    let conditions = fields::list(object, &["status", "conditions"]);
    match conditions
        .iter()
        .find(|one| fields::text(one, &["type"]) == "Ready")
    {
        Some(ready) if fields::text(ready, &["status"]) == "True" => status.push("Ready"),
        Some(_) => status.push("NotReady"),
        None => status.push("Unknown"),
    }
    if fields::boolean(object, &["spec", "unschedulable"]) == Some(true) {
        status.push("SchedulingDisabled");
    }
    let info = |key: &str| match fields::text(object, &["status", "nodeInfo", key]) {
        "" => json!("<unknown>"),
        text => json!(text),
    };
    let address = |kind: &str| {
        let addresses = fields::list(object, &["status", "addresses"]);
        let found = addresses
            .iter()
            .find(|one| fields::text(one, &["type"]) == kind);
        json!(found.map_or("<none>", |one| fields::text(one, &["address"])))
    };
    let architecture = fields::text(object, &["status", "nodeInfo", "architecture"]);
    let kernel = match (info("kernelVersion"), architecture) {
        (kernel, "") => kernel,
        (kernel, architecture) => {
            json!(format!(
                "{} ({architecture})",
                kernel.as_str().unwrap_or_default()
            ))
        }
    };
    vec![
        json!(status.join(",")),
        json!(roles(object)),
        age.clone(),
        json!(fields::text(
            object,
            &["status", "nodeInfo", "kubeletVersion"]
        )),
        address("InternalIP"),
        address("ExternalIP"),
        info("osImage"),
        kernel,
        info("containerRuntimeVersion"),
    ]
}

fn roles(object: &Value) -> String {
    let labels = fields::get(object, &["metadata", "labels"]).and_then(Value::as_object);
    let mut roles: Vec<String> = Vec::new();
    for (key, value) in labels.into_iter().flatten() {
        if let Some(role) = key.strip_prefix("node-role.kubernetes.io/") {
            roles.push(role.to_owned());
        } else if key == "kubernetes.io/role" {
            roles.push(value.as_str().unwrap_or_default().to_owned());
        }
    }
    roles.retain(|role| !role.is_empty());
    roles.sort();
    roles.dedup();
    if roles.is_empty() {
        "<none>".to_owned()
    } else {
        roles.join(",")
    }
}

/// All cells of an event.
pub(crate) fn event(object: &Value, now: Timestamp) -> Vec<Value> {
    let text = |path: &[&str]| fields::text(object, path).to_owned();
    let or = |first: String, other: String| if first.is_empty() { other } else { first };
    let since = |time: &str| {
        if time.is_empty() {
            "<unknown>".to_owned()
        } else {
            clock::age(time, now)
        }
    };
    let event_time = text(&["eventTime"]);
    let series = fields::get(object, &["series"]);
    let count = series.and_then(|series| fields::int(series, &["count"]));
    let count = count
        .or_else(|| fields::int(object, &["count"]).filter(|count| *count != 0))
        .unwrap_or(1);
    let first = since(&or(text(&["firstTimestamp"]), event_time.clone()));
    let last = match series {
        Some(series) => since(fields::text(series, &["lastObservedTime"])),
        None => since(&or(text(&["lastTimestamp"]), event_time)),
    };
    let component = or(
        text(&["reportingComponent"]),
        text(&["source", "component"]),
    );
    let instance = or(text(&["reportingInstance"]), text(&["source", "host"]));
    let source = if instance.is_empty() {
        component
    } else {
        format!("{component}, {instance}")
    };
    let about = format!(
        "{}/{}",
        text(&["involvedObject", "kind"]).to_lowercase(),
        text(&["involvedObject", "name"])
    );
    vec![
        json!(last),
        json!(text(&["type"])),
        json!(text(&["reason"])),
        json!(about.trim_matches('/')),
        json!(text(&["involvedObject", "fieldPath"])),
        json!(source),
        json!(text(&["message"]).trim()),
        json!(first),
        json!(count),
        json!(text(&["metadata", "name"])),
    ]
}

/// How many members a map or a list has.
pub(crate) fn count(object: &Value, path: &[&str]) -> Value {
    match fields::get(object, path) {
        Some(Value::Object(map)) => json!(map.len()),
        Some(Value::Array(items)) => json!(items.len()),
        _ => json!(0),
    }
}

/// The entries of a ConfigMap.
pub(crate) fn config_size(object: &Value) -> Value {
    let of = |key| count(object, &[key]).as_u64().unwrap_or_default();
    json!(of("data") + of("binaryData"))
}

/// Addresses and ports of Endpoints, at most three.
pub(crate) fn endpoints(object: &Value) -> String {
    let mut all = Vec::new();
    for subset in fields::list(object, &["subsets"]) {
        let addresses: Vec<&str> = fields::list(subset, &["addresses"])
            .iter()
            .map(|one| fields::text(one, &["ip"]))
            .collect();
        let ports = fields::list(subset, &["ports"]);
        if ports.is_empty() {
            all.extend(addresses.iter().map(|address| (*address).to_owned()));
        }
        for port in ports {
            let number = fields::int(port, &["port"]).unwrap_or_default();
            all.extend(addresses.iter().map(|address| {
                if address.contains(':') {
                    format!("[{address}]:{number}")
                } else {
                    format!("{address}:{number}")
                }
            }));
        }
    }
    shortened(&all, 3)
}

/// Address type, ports, endpoints, age.
pub(crate) fn endpoint_slice(object: &Value, age: &Value) -> Vec<Value> {
    let ports = match fields::list(object, &["ports"]) {
        [] => "<unset>".to_owned(),
        ports => {
            let shown: Vec<String> = ports
                .iter()
                .map(|port| match fields::int(port, &["port"]) {
                    Some(number) => number.to_string(),
                    None => match fields::text(port, &["name"]) {
                        "" => "*".to_owned(),
                        name => name.to_owned(),
                    },
                })
                .collect();
            shortened(&shown, 3)
        }
    };
    let addresses: Vec<String> = fields::list(object, &["endpoints"])
        .iter()
        .flat_map(|endpoint| fields::list(endpoint, &["addresses"]))
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let endpoints = if addresses.is_empty() {
        "<unset>".to_owned()
    } else {
        shortened(&addresses, 3)
    };
    vec![
        json!(fields::text(object, &["addressType"])),
        json!(ports),
        json!(endpoints),
        age.clone(),
    ]
}

fn shortened(all: &[String], max: usize) -> String {
    if all.is_empty() {
        return "<none>".to_owned();
    }
    let shown: Vec<&str> = all.iter().take(max).map(String::as_str).collect();
    let joined = shown.join(",");
    match all.len().saturating_sub(max) {
        0 => joined,
        more => format!("{joined} + {more} more..."),
    }
}

/// Subjects of a binding by kind.
pub(crate) fn subjects(object: &Value) -> BTreeMap<String, Vec<String>> {
    let mut by_kind: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for subject in fields::list(object, &["subjects"]) {
        let name = fields::text(subject, &["name"]);
        let shown = match fields::text(subject, &["namespace"]) {
            "" => name.to_owned(),
            namespace => format!("{namespace}/{name}"),
        };
        by_kind
            .entry(fields::text(subject, &["kind"]).to_owned())
            .or_default()
            .push(shown);
    }
    by_kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_balancer_is_pending_until_it_has_an_address() {
        let mut object = json!({"spec": {"type": "LoadBalancer", "clusterIP": "10.96.0.5",
            "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]}});
        let shown = |object: &Value| service(object, &json!("1s"));
        assert_eq!(shown(&object)[2], "<pending>");
        assert_eq!(shown(&object)[3], "80:30080/TCP,53/UDP");
        object["status"] =
            json!({"loadBalancer": {"ingress": [{"ip": "192.168.77.201"}, {"ip": "fd77::201"}]}});
        assert_eq!(shown(&object)[2], "192.168.77.201,fd77::201");
    }
}
