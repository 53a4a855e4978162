//! What an update takes over from the old Service, and what a change of type wipes.

use serde_json::{Value, json};

use super::{
    externally_accessible, has_node_ports, kind, needs_health_check, node_port, node_ports, ports,
    ports_mut, strings,
};
use crate::fields;

/// Fills in what was allocated and the client left out, so that re-sending a manifest works.
pub(crate) fn patch_allocated(new: &mut Value, old: &Value) {
    let has_address = |service: &Value| kind(service) != "ExternalName";
    if has_address(old) && has_address(new) {
        if fields::text(new, &["spec", "clusterIP"]).is_empty() {
            carry(new, old, "clusterIP");
        }
        if strings(new, "clusterIPs").is_empty() && !strings(old, "clusterIPs").is_empty() {
            carry(new, old, "clusterIPs");
        }
    }
    if keeps_node_ports(old) && keeps_node_ports(new) {
        patch_node_ports(new, old);
    }
    let health = ["spec", "healthCheckNodePort"];
    if needs_health_check(old) && needs_health_check(new) && fields::int(new, &health).is_none() {
        carry(new, old, "healthCheckNodePort");
    }
}

/// Ports are recognised by name. A number that another port of the new object has is not taken over.
fn patch_node_ports(new: &mut Value, old: &Value) {
    let (before, after) = (node_ports(old), node_ports(new));
    let used: Vec<i64> = before
        .into_iter()
        .filter(|port| after.contains(port))
        .collect();
    for port in ports_mut(new) {
        if node_port(port) != 0 {
            continue;
        }
        let name = fields::text(port, &["name"]);
        let was = ports(old)
            .iter()
            .rfind(|port| fields::text(port, &["name"]) == name);
        let number = was.map(node_port).unwrap_or_default();
        if number != 0 && !used.contains(&number) {
            fields::set(port, &["nodePort"], json!(number));
        }
    }
}

/// Whether node ports are given out: for a load balancer only where the flag is not false.
fn keeps_node_ports(service: &Value) -> bool {
    let flag = fields::boolean(service, &["spec", "allocateLoadBalancerNodePorts"]);
    match kind(service) {
        "NodePort" => true,
        "LoadBalancer" => flag.unwrap_or(true),
        _ => false,
    }
}

/// Keeps `clusterIP` and `clusterIPs` in step. `old` is none at a create.
pub(crate) fn normalize_cluster_ips(new: &mut Value, old: Option<&Value>) {
    let single = fields::text(new, &["spec", "clusterIP"]).to_owned();
    let Some(old) = old else {
        if !single.is_empty() && strings(new, "clusterIPs").is_empty() {
            fields::set(new, &["spec", "clusterIPs"], json!([single]));
        }
        return;
    };
    let was = fields::text(old, &["spec", "clusterIP"]);
    let same_plural = strings(old, "clusterIPs") == strings(new, "clusterIPs");
    if was == single || !same_plural {
        return;
    }
    if !was.is_empty() && single.is_empty() {
        fields::remove(new, &["spec", "clusterIPs"]);
    } else {
        fields::set(new, &["spec", "clusterIPs"], json!([single]));
    }
}

/// Wipes what the new type has no use for, where the client did not change it too.
pub(crate) fn drop_type_dependent(new: &mut Value, old: &Value) {
    let same = |new: &Value, field: &str| {
        fields::get(old, &["spec", field]) == fields::get(new, &["spec", field])
    };
    let mut wipe = Vec::new();
    if kind(old) != "ExternalName" && kind(new) == "ExternalName" {
        if same(new, "clusterIP") && same(new, "clusterIPs") {
            wipe.extend(["clusterIP", "clusterIPs"]);
        }
        let others = ["ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"];
        wipe.extend(others.into_iter().filter(|field| same(new, field)));
    }
    if needs_health_check(old) && !needs_health_check(new) && same(new, "healthCheckNodePort") {
        wipe.push("healthCheckNodePort");
    }
    if kind(old) == "LoadBalancer" && kind(new) != "LoadBalancer" {
        let fields = ["allocateLoadBalancerNodePorts", "loadBalancerClass"];
        wipe.extend(fields.into_iter().filter(|field| same(new, field)));
    }
    if externally_accessible(old)
        && !externally_accessible(new)
        && same(new, "externalTrafficPolicy")
    {
        wipe.push("externalTrafficPolicy");
    }
    for field in wipe {
        fields::remove(new, &["spec", field]);
    }
    let before = node_ports(old);
    let no_new_ports = node_ports(new).iter().all(|port| before.contains(port));
    if has_node_ports(old) && !has_node_ports(new) && no_new_ports {
        for port in ports_mut(new) {
            fields::remove(port, &["nodePort"]);
        }
    }
    if kind(new) != "LoadBalancer" {
        fields::set(new, &["status", "loadBalancer"], json!({}));
    }
}

fn carry(new: &mut Value, old: &Value, field: &str) {
    fields::carry(new, old, &["spec", field]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balancer(flag: bool, ports: Value) -> Value {
        json!({"spec": {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": flag, "ports": ports}})
    }

    #[test]
    fn node_ports_are_taken_over_only_while_they_are_given_out() {
        let old = balancer(
            true,
            json!([{"name": "a", "nodePort": 30001}, {"name": "b", "nodePort": 30002}]),
        );
        let bare = json!([{"name": "a"}, {"name": "b"}]);
        let cases = [
            (balancer(true, bare.clone()), vec![30001, 30002]),
            (balancer(false, bare), vec![]),
            (
                balancer(
                    true,
                    json!([{"name": "b"}, {"name": "c", "nodePort": 30001}]),
                ),
                vec![30002, 30001],
            ),
            (
                balancer(
                    true,
                    json!([{"name": "a"}, {"name": "c", "nodePort": 30001}]),
                ),
                vec![30001],
            ),
        ];
        for (mut new, expected) in cases {
            patch_allocated(&mut new, &old);
            assert_eq!(node_ports(&new), expected);
        }
    }

    #[test]
    fn a_type_change_wipes_what_belongs_to_the_old_type() {
        let old = json!({
            "spec": {
                "type": "LoadBalancer", "allocateLoadBalancerNodePorts": true, "loadBalancerClass": "x",
                "externalTrafficPolicy": "Local", "healthCheckNodePort": 30003, "loadBalancerIP": "1.2.3.4",
                "ports": [{"port": 80, "nodePort": 30001}],
            },
            "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}},
        });
        let mut new = old.clone();
        new["spec"]["type"] = json!("ClusterIP");
        drop_type_dependent(&mut new, &old);
        assert_eq!(
            new,
            json!({
                "spec": {"type": "ClusterIP", "loadBalancerIP": "1.2.3.4", "ports": [{"port": 80}]},
                "status": {"loadBalancer": {}},
            })
        );
    }
}
