//! What Kubernetes 1.36 refuses in a Service, in its order and its words.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{is_headless, kind, needs_health_check, node_port, ports, spec, strings, text};
use crate::addresses::{check_cidr, check_ip};
use crate::fields;
use crate::names;
use crate::status_error::Cause;

/// Checks a Service; `old` is none at a create.
pub(crate) fn validate(service: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    if let Some(old) = old {
        super::changes::check(service, old, &mut causes);
    }
    check_type(service, &mut causes);
    check_ports(service, &mut causes);
    check_affinity(service, &mut causes);
    causes.extend(super::families::check_related(service, old));
    let known = old
        .map(|old| strings(old, "externalIPs"))
        .unwrap_or_default();
    for (at, ip) in strings(service, "externalIPs").iter().enumerate() {
        causes.extend(check_ip(&format!("spec.externalIPs[{at}]"), ip, &known));
    }
    let types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    if !types.contains(&kind(service)) {
        causes.push(Cause::unsupported(
            "spec.type",
            &json!(kind(service)),
            &types,
        ));
    }
    check_duplicates(service, &mut causes);
    check_source_ranges(service, old, &mut causes);
    check_balancer_fields(service, &mut causes);
    check_external_policy(service, &mut causes);
    check_enumerated(
        service,
        "internalTrafficPolicy",
        &["Cluster", "Local"],
        &mut causes,
    );
    check_distribution(service, &mut causes);
    causes
}

fn check_type(service: &Value, causes: &mut Vec<Cause>) {
    let external = kind(service) == "ExternalName";
    if ports(service).is_empty() && !is_headless(service) && !external {
        causes.push(Cause::required("spec.ports", ""));
    }
    if matches!(kind(service), "NodePort" | "LoadBalancer") && is_headless(service) {
        let why = format!("may not be set to 'None' for {} services", kind(service));
        causes.push(Cause::invalid("spec.clusterIPs[0]", &json!("None"), why));
    }
    if !external {
        return;
    }
    for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        if spec(service, field).is_some_and(|value| value != &json!([])) {
            let why = "may not be set for ExternalName services";
            causes.push(Cause::forbidden(format!("spec.{field}"), why));
        }
    }
    let given = text(service, "externalName");
    let name = given.strip_suffix('.').unwrap_or(given);
    if name.is_empty() {
        causes.push(Cause::required("spec.externalName", ""));
    } else if !names::is_dns1123_subdomain(name) {
        causes.push(Cause::invalid(
            "spec.externalName",
            &json!(name),
            names::DNS1123_SUBDOMAIN,
        ));
    }
}

fn check_ports(service: &Value, causes: &mut Vec<Cause>) {
    let all = ports(service);
    let needs_names = all.len() > 1;
    let mut seen_names = BTreeSet::new();
    for (at, port) in all.iter().enumerate() {
        let field = format!("spec.ports[{at}]");
        check_port_name(port, &field, needs_names, &mut seen_names, causes);
        let number = fields::int(port, &["port"]).unwrap_or_default();
        check_number(&format!("{field}.port"), number, causes);
        let protocol = fields::text(port, &["protocol"]);
        if protocol.is_empty() {
            causes.push(Cause::required(format!("{field}.protocol"), ""));
        } else if !matches!(protocol, "TCP" | "UDP" | "SCTP") {
            let allowed = ["SCTP", "TCP", "UDP"];
            causes.push(Cause::unsupported(
                format!("{field}.protocol"),
                &json!(protocol),
                &allowed,
            ));
        }
        match fields::get(port, &["targetPort"]) {
            Some(Value::String(name)) => check_target_name(&field, name, causes),
            Some(Value::Number(target)) => {
                let target = target.as_i64().unwrap_or_default();
                check_number(&format!("{field}.targetPort"), target, causes);
            }
            _ => {}
        }
        if let Some(application) = fields::get(port, &["appProtocol"]).and_then(Value::as_str)
            && let Some(why) = names::wrong_qualified_name(application)
        {
            causes.push(Cause::invalid(
                format!("{field}.appProtocol"),
                &json!(application),
                why,
            ));
        }
    }
}

fn check_port_name(
    port: &Value,
    field: &str,
    required: bool,
    seen: &mut BTreeSet<String>,
    causes: &mut Vec<Cause>,
) {
    let name = fields::text(port, &["name"]);
    let field = format!("{field}.name");
    if name.is_empty() {
        if required {
            causes.push(Cause::required(field, ""));
        }
        return;
    }
    if name.len() > 63 {
        causes.push(Cause::invalid(
            field.clone(),
            &json!(name),
            "must be no more than 63 bytes",
        ));
    }
    if !names::is_dns1123_label(name) {
        causes.push(Cause::invalid(
            field.clone(),
            &json!(name),
            names::DNS1123_LABEL,
        ));
    }
    if !seen.insert(name.to_owned()) {
        causes.push(Cause::duplicate(field, &json!(name)));
    }
}

fn check_number(field: &str, number: i64, causes: &mut Vec<Cause>) {
    if !(1..=65535).contains(&number) {
        let why = "must be between 1 and 65535, inclusive";
        causes.push(Cause::invalid(field, &json!(number), why));
    }
}

fn check_target_name(field: &str, name: &str, causes: &mut Vec<Cause>) {
    let field = format!("{field}.targetPort");
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let wrong = [
        (name.len() > 15, "must be no more than 15 characters"),
        (
            !name.chars().all(letters),
            "must contain only alphanumeric characters (a-z, 0-9), and hyphens (-)",
        ),
        (
            !name.contains(|c: char| c.is_ascii_lowercase()),
            "must contain at least one letter (a-z)",
        ),
        (name.contains("--"), "must not contain consecutive hyphens"),
        (
            name.starts_with('-') || name.ends_with('-'),
            "must not begin or end with a hyphen",
        ),
    ];
    for (_, why) in wrong.into_iter().filter(|(is, _)| *is) {
        causes.push(Cause::invalid(field.clone(), &json!(name), why));
    }
}

fn check_affinity(service: &Value, causes: &mut Vec<Cause>) {
    check_enumerated(service, "sessionAffinity", &["ClientIP", "None"], causes);
    if text(service, "sessionAffinity") == "ClientIP" {
        let path = [
            "spec",
            "sessionAffinityConfig",
            "clientIP",
            "timeoutSeconds",
        ];
        let seconds = fields::int(service, &path).unwrap_or_default();
        if !(1..=86400).contains(&seconds) {
            let why = "must be greater than 0 and less than 86400";
            causes.push(Cause::invalid(path.join("."), &json!(seconds), why));
        }
    }
}

fn check_enumerated(service: &Value, field: &str, allowed: &[&str], causes: &mut Vec<Cause>) {
    let value = text(service, field);
    if !value.is_empty() && !allowed.contains(&value) {
        causes.push(Cause::unsupported(
            format!("spec.{field}"),
            &json!(value),
            allowed,
        ));
    }
}

fn check_duplicates(service: &Value, causes: &mut Vec<Cause>) {
    let key = |port: &Value, number: i64| (fields::text(port, &["protocol"]).to_owned(), number);
    let all = || ports(service).iter().enumerate();
    if kind(service) == "ClusterIP" {
        for (at, _) in all().filter(|(_, port)| node_port(port) != 0) {
            let why = "may not be used when `type` is 'ClusterIP'";
            causes.push(Cause::forbidden(format!("spec.ports[{at}].nodePort"), why));
        }
    }
    let mut seen = BTreeSet::new();
    for (at, port) in all().filter(|(_, port)| node_port(port) != 0) {
        if !seen.insert(key(port, node_port(port))) {
            let field = format!("spec.ports[{at}].nodePort");
            causes.push(Cause::duplicate(field, &json!(node_port(port))));
        }
    }
    let mut seen = BTreeSet::new();
    for (at, port) in all() {
        let number = fields::int(port, &["port"]).unwrap_or_default();
        if !seen.insert(key(port, number)) {
            let protocol = fields::text(port, &["protocol"]);
            causes.push(Cause::duplicate_shown(
                format!("spec.ports[{at}]"),
                &super::go_service_port(protocol, number),
            ));
        }
    }
}

fn check_source_ranges(service: &Value, old: Option<&Value>, causes: &mut Vec<Cause>) {
    let field = "spec.LoadBalancerSourceRanges";
    let ranges = strings(service, "loadBalancerSourceRanges");
    if ranges.is_empty() {
        return;
    }
    if kind(service) != "LoadBalancer" {
        causes.push(Cause::forbidden(
            field,
            "may only be used when `type` is 'LoadBalancer'",
        ));
    }
    let known = old
        .map(|old| strings(old, "loadBalancerSourceRanges"))
        .unwrap_or_default();
    for (at, range) in ranges.iter().enumerate() {
        causes.extend(check_cidr(&format!("{field}[{at}]"), range.trim(), &known));
    }
}

fn check_balancer_fields(service: &Value, causes: &mut Vec<Cause>) {
    let balancer = kind(service) == "LoadBalancer";
    let only = "may only be used when `type` is 'LoadBalancer'";
    let flag = spec(service, "allocateLoadBalancerNodePorts");
    if !balancer && flag.is_some() {
        causes.push(Cause::forbidden("spec.allocateLoadBalancerNodePorts", only));
    }
    if balancer && flag.is_none() {
        causes.push(Cause::required("allocateLoadBalancerNodePorts", ""));
    }
    let Some(class) = spec(service, "loadBalancerClass") else {
        return;
    };
    if !balancer {
        causes.push(Cause::forbidden("spec.loadBalancerClass", only));
    } else if let Some(why) = names::wrong_qualified_name(class.as_str().unwrap_or_default()) {
        causes.push(Cause::invalid("spec.loadBalancerClass", class, why));
    }
}

fn check_external_policy(service: &Value, causes: &mut Vec<Cause>) {
    let policy = text(service, "externalTrafficPolicy");
    if !super::externally_accessible(service) {
        if !policy.is_empty() {
            let why = "may only be set for externally-accessible services";
            causes.push(Cause::invalid(
                "spec.externalTrafficPolicy",
                &json!(policy),
                why,
            ));
        }
    } else if policy.is_empty() {
        causes.push(Cause::required("spec.externalTrafficPolicy", ""));
    } else {
        check_enumerated(
            service,
            "externalTrafficPolicy",
            &["Cluster", "Local"],
            causes,
        );
    }
    let health = fields::int(service, &["spec", "healthCheckNodePort"]).unwrap_or_default();
    let field = "spec.healthCheckNodePort";
    if needs_health_check(service) {
        if health == 0 {
            causes.push(Cause::required(field, ""));
        } else {
            check_number(field, health, causes);
        }
    } else if health != 0 {
        let why =
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        causes.push(Cause::invalid(field, &json!(health), why));
    }
}

fn check_distribution(service: &Value, causes: &mut Vec<Cause>) {
    let allowed = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    if let Some(value) = spec(service, "trafficDistribution")
        && !allowed.iter().any(|one| value == one)
    {
        causes.push(Cause::unsupported_unsorted(
            "spec.trafficDistribution",
            value,
            &allowed,
        ));
    }
}
