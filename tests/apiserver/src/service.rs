//! Services as Kubernetes 1.36 keeps them: defaults, cluster IPs, node ports, what a type change wipes.
//!
//! ```text
//! create:  defaults ─> allocate (families, cluster IPs, node ports) ─> prepare ─> validate ─> commit
//! update:  defaults ─> patch what was allocated ─> allocate ─> prepare ─> validate ─> commit
//! ```
//! Follows `pkg/registry/core/service` and `pkg/apis/core/{v1/defaults,validation/validation}.go`.

pub(crate) mod allocate;
pub(crate) mod allocations;
pub(crate) mod changes;
pub(crate) mod cidr;
pub(crate) mod defaults;
pub(crate) mod families;
pub(crate) mod prepare;
pub(crate) mod status;
pub(crate) mod validate;
pub(crate) mod warnings;

use serde_json::Value;

use crate::fields;

/// `spec.type`.
pub(crate) fn kind(service: &Value) -> &str {
    fields::text(service, &["spec", "type"])
}

/// A field of the spec.
pub(crate) fn spec<'a>(service: &'a Value, field: &str) -> Option<&'a Value> {
    fields::get(service, &["spec", field])
}

/// A text of the spec, or the empty string.
pub(crate) fn text<'a>(service: &'a Value, field: &str) -> &'a str {
    fields::text(service, &["spec", field])
}

/// Whether the type has node ports.
pub(crate) fn has_node_ports(service: &Value) -> bool {
    matches!(kind(service), "NodePort" | "LoadBalancer")
}

/// Whether a health check node port is needed.
pub(crate) fn needs_health_check(service: &Value) -> bool {
    kind(service) == "LoadBalancer"
        && fields::text(service, &["spec", "externalTrafficPolicy"]) == "Local"
}

/// Whether the service is reachable from outside by its type or its external IPs.
pub(crate) fn externally_accessible(service: &Value) -> bool {
    has_node_ports(service)
        || (kind(service) == "ClusterIP"
            && !fields::list(service, &["spec", "externalIPs"]).is_empty())
}

/// The strings of a list in the spec.
pub(crate) fn strings(service: &Value, field: &str) -> Vec<String> {
    let items = fields::list(service, &["spec", field]).iter();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The ports.
pub(crate) fn ports(service: &Value) -> &[Value] {
    fields::list(service, &["spec", "ports"])
}

/// The ports, to be changed.
pub(crate) fn ports_mut(service: &mut Value) -> &mut [Value] {
    let ports = service
        .get_mut("spec")
        .and_then(|spec| spec.get_mut("ports"));
    ports
        .and_then(Value::as_array_mut)
        .map(Vec::as_mut_slice)
        .unwrap_or_default()
}

/// A port's node port, 0 if it has none.
pub(crate) fn node_port(port: &Value) -> i64 {
    fields::int(port, &["nodePort"]).unwrap_or_default()
}

/// All node ports of a service without the health check's.
pub(crate) fn node_ports(service: &Value) -> Vec<i64> {
    ports(service)
        .iter()
        .map(node_port)
        .filter(|port| *port != 0)
        .collect()
}

/// What Go prints of a ServicePort of which only protocol and port are set.
pub(crate) fn go_service_port(protocol: &str, port: i64) -> String {
    format!(
        "{{\"Name\":\"\",\"Protocol\":{protocol:?},\"AppProtocol\":null,\"Port\":{port},\"TargetPort\":0,\"NodePort\":0}}"
    )
}

/// Whether it is headless.
pub(crate) fn is_headless(service: &Value) -> bool {
    fields::text(service, &["spec", "clusterIP"]) == "None"
}
