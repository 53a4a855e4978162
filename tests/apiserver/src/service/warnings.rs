//! What Kubernetes warns of in a Service that it accepts.

use serde_json::Value;

use super::{is_headless, kind, strings, text};

/// What Kubernetes warns of in a Service that it accepts.
pub(crate) fn warnings(service: &Value) -> Vec<String> {
    let mut warnings = Vec::new();
    let headless = kind(service) == "ClusterIP" && is_headless(service);
    let external = strings(service, "externalIPs");
    let ip_warnings = |field: &str| {
        let all = strings(service, field);
        let warn = |(at, ip): (usize, &String)| {
            crate::addresses::ip_warning(&format!("spec.{field}[{at}]"), ip)
        };
        all.iter().enumerate().filter_map(warn).collect::<Vec<_>>()
    };
    warnings.extend(ip_warnings("clusterIPs"));
    if headless {
        if !text(service, "loadBalancerIP").is_empty() {
            warnings.push("spec.loadBalancerIP is ignored for headless services".to_owned());
        }
        if !external.is_empty() {
            warnings.push("spec.externalIPs is ignored for headless services".to_owned());
        }
        if text(service, "sessionAffinity") != "None" {
            warnings.push("spec.SessionAffinity is ignored for headless services".to_owned());
        }
    }
    warnings.extend(ip_warnings("externalIPs"));
    if !external.is_empty() && !headless && kind(service) != "ExternalName" {
        warnings.push(
            "spec.externalIPs is deprecated and may no longer be implemented in some clusters"
                .to_owned(),
        );
    }
    let balancer_ip = text(service, "loadBalancerIP");
    warnings.extend(crate::addresses::ip_warning(
        "spec.loadBalancerIP",
        balancer_ip,
    ));
    if kind(service) == "ExternalName" && !external.is_empty() {
        warnings.push("spec.externalIPs is ignored when spec.type is \"ExternalName\"".to_owned());
    }
    if kind(service) != "ExternalName" && !text(service, "externalName").is_empty() {
        warnings
            .push("spec.externalName is ignored when spec.type is not \"ExternalName\"".to_owned());
    }
    if text(service, "trafficDistribution") == "PreferClose" {
        warnings.push(
            "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\""
                .to_owned(),
        );
    }
    warnings
}
