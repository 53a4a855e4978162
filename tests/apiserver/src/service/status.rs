//! `status.loadBalancer` and `status.conditions` of a Service.

use serde_json::{Value, json};

use super::kind;
use crate::addresses::{check_ip, sloppy_ip};
use crate::fields;
use crate::status_error::Cause;

/// What is wrong with the status of a Service that is being written.
pub(crate) fn validate(service: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let path = ["status", "loadBalancer", "ingress"];
    let ingress = fields::list(service, &path);
    let root = "status.loadBalancer.ingress";
    if kind(service) != "LoadBalancer" && !ingress.is_empty() {
        let why = "may only be used when `spec.type` is 'LoadBalancer'";
        causes.push(Cause::forbidden(root, why));
        return causes;
    }
    let known: Vec<String> = fields::list(old, &path)
        .iter()
        .map(|item| fields::text(item, &["ip"]).to_owned())
        .filter(|ip| !ip.is_empty())
        .collect();
    for (at, item) in ingress.iter().enumerate() {
        check_ingress(item, &format!("{root}[{at}]"), &known, &mut causes);
    }
    causes
}

fn check_ingress(item: &Value, field: &str, known: &[String], causes: &mut Vec<Cause>) {
    let ip = fields::text(item, &["ip"]);
    if !ip.is_empty() {
        causes.extend(check_ip(&format!("{field}.ip"), ip, known));
    }
    let mode_field = format!("{field}.ipMode");
    match fields::get(item, &["ipMode"]) {
        None if !ip.is_empty() => {
            causes.push(Cause::required(
                mode_field,
                "must be specified when `ip` is set",
            ));
        }
        Some(_) if ip.is_empty() => {
            causes.push(Cause::forbidden(
                mode_field,
                "may not be specified when `ip` is not set",
            ));
        }
        Some(mode) if !matches!(mode.as_str(), Some("VIP" | "Proxy")) => {
            causes.push(Cause::unsupported(mode_field, mode, &["Proxy", "VIP"]));
        }
        _ => {}
    }
    let hostname = fields::text(item, &["hostname"]);
    if !hostname.is_empty() {
        let hostname_field = format!("{field}.hostname");
        if !crate::names::is_dns1123_subdomain(hostname) {
            let why = crate::names::DNS1123_SUBDOMAIN;
            causes.push(Cause::invalid(
                hostname_field.clone(),
                &json!(hostname),
                why,
            ));
        }
        if sloppy_ip(hostname).is_some() {
            let why = "must be a DNS name, not an IP address";
            causes.push(Cause::invalid(hostname_field, &json!(hostname), why));
        }
    }
}

/// What Kubernetes warns of in a status that it accepts.
pub(crate) fn warnings(service: &Value) -> Vec<String> {
    let ingress = fields::list(service, &["status", "loadBalancer", "ingress"]);
    let warn = |(at, item): (usize, &Value)| {
        let field = format!("status.loadBalancer.ingress[{at}]");
        crate::addresses::ip_warning(&field, fields::text(item, &["ip"]))
    };
    ingress.iter().enumerate().filter_map(warn).collect()
}
