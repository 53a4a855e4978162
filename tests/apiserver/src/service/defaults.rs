//! Defaults that decoding sets, before anything else sees a Service.

use serde_json::{Value, json};

use super::{externally_accessible, has_node_ports, kind, ports_mut};
use crate::fields;

/// Sets the defaults of `pkg/apis/core/v1.SetDefaults_Service`.
pub(crate) fn set_defaults(service: &mut Value) {
    drop_zero_values(service);
    set(service, "sessionAffinity", json!("None"));
    let affinity = fields::text(service, &["spec", "sessionAffinity"]).to_owned();
    match affinity.as_str() {
        "None" => {
            fields::remove(service, &["spec", "sessionAffinityConfig"]);
        }
        "ClientIP" => {
            let path = [
                "spec",
                "sessionAffinityConfig",
                "clientIP",
                "timeoutSeconds",
            ];
            fields::set_default(service, &path, json!(10800));
        }
        _ => {}
    }
    set(service, "type", json!("ClusterIP"));
    for port in ports_mut(service) {
        fields::set_default(port, &["protocol"], json!("TCP"));
        let target = fields::get(port, &["targetPort"]);
        let zero = target.is_none_or(|target| target == &json!(0) || target == &json!(""));
        if zero {
            let number = fields::get(port, &["port"])
                .cloned()
                .unwrap_or_else(|| json!(0));
            fields::set(port, &["targetPort"], number);
        }
    }
    if has_node_ports(service) || externally_accessible(service) {
        set(service, "externalTrafficPolicy", json!("Cluster"));
    }
    if kind(service) != "ExternalName" {
        set(service, "internalTrafficPolicy", json!("Cluster"));
    }
    if kind(service) == "LoadBalancer" {
        set(service, "allocateLoadBalancerNodePorts", json!(true));
        default_ip_mode(service);
    }
}

/// `ipMode: VIP` where an ingress has an IP and says nothing.
fn default_ip_mode(service: &mut Value) {
    let ingress = service.pointer_mut("/status/loadBalancer/ingress");
    for item in ingress.and_then(Value::as_array_mut).into_iter().flatten() {
        if !fields::text(item, &["ip"]).is_empty() {
            fields::set_default(item, &["ipMode"], json!("VIP"));
        }
    }
}

fn set(service: &mut Value, field: &str, value: Value) {
    fields::set_default(service, &["spec", field], value);
}

/// Removes values that typed encoding leaves out: empty strings, zero numbers, false flags.
fn drop_zero_values(service: &mut Value) {
    const OMITTED: [&str; 9] = [
        "type",
        "clusterIP",
        "sessionAffinity",
        "loadBalancerIP",
        "externalName",
        "externalTrafficPolicy",
        "healthCheckNodePort",
        "publishNotReadyAddresses",
        "internalTrafficPolicy",
    ];
    if let Some(Value::Object(spec)) = service.get_mut("spec") {
        spec.retain(|key, value| {
            !(OMITTED.contains(&key.as_str()) && *key != "internalTrafficPolicy" && is_zero(value))
        });
    }
    for port in ports_mut(service) {
        if let Value::Object(port) = port {
            let omitted = |key: &str| matches!(key, "name" | "protocol" | "nodePort");
            port.retain(|key, value| !(omitted(key) && is_zero(value)));
        }
    }
    let ingress = service.pointer_mut("/status/loadBalancer/ingress");
    for item in ingress.and_then(Value::as_array_mut).into_iter().flatten() {
        if let Value::Object(item) = item {
            item.retain(|key, value| {
                !(matches!(key.as_str(), "ip" | "hostname") && is_zero(value))
            });
        }
    }
    fields::set_default(service, &["status", "loadBalancer"], json!({}));
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Bool(flag) => !flag,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_service_is_filled_in() {
        let mut service =
            json!({"spec": {"type": "LoadBalancer", "ports": [{"port": 80, "name": ""}]}});
        set_defaults(&mut service);
        assert_eq!(
            service,
            json!({
                "spec": {
                    "type": "LoadBalancer", "sessionAffinity": "None", "externalTrafficPolicy": "Cluster",
                    "internalTrafficPolicy": "Cluster", "allocateLoadBalancerNodePorts": true,
                    "ports": [{"port": 80, "targetPort": 80, "protocol": "TCP"}],
                },
                "status": {"loadBalancer": {}},
            })
        );
    }
}
