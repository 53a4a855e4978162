//! EndpointSlices: defaults, and what Kubernetes refuses in one.

use serde_json::{Value, json};

use crate::addresses::check_ip;
use crate::fields;
use crate::names;
use crate::status_error::Cause;

/// The most addresses of an endpoint.
const MAX_ADDRESSES: usize = 100;

/// Defaults of `pkg/apis/discovery/v1`.
pub(crate) fn set_defaults(slice: &mut Value) {
    let ports = slice.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten() {
        fields::set_default(port, &["name"], json!(""));
        fields::set_default(port, &["protocol"], json!("TCP"));
    }
    for field in ["endpoints", "ports"] {
        if fields::get(slice, &[field]).is_none() {
            fields::set(slice, &[field], Value::Null);
        }
    }
    let endpoints = slice.get_mut("endpoints").and_then(Value::as_array_mut);
    for endpoint in endpoints.into_iter().flatten() {
        fields::set_default(endpoint, &["conditions"], json!({}));
    }
}

/// What is wrong with a slice.
pub(crate) fn validate(slice: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let family = fields::text(slice, &["addressType"]);
    if family.is_empty() {
        causes.push(Cause::required("addressType", ""));
    } else if !matches!(family, "IPv4" | "IPv6" | "FQDN") {
        let allowed = ["FQDN", "IPv4", "IPv6"];
        causes.push(Cause::unsupported("addressType", &json!(family), &allowed));
    }
    if let Some(old) = old
        && fields::text(old, &["addressType"]) != family
    {
        causes.push(Cause::invalid(
            "addressType",
            &json!(family),
            "field is immutable",
        ));
    }
    check_ports(slice, &mut causes);
    for (at, endpoint) in fields::list(slice, &["endpoints"]).iter().enumerate() {
        let field = format!("endpoints[{at}].addresses");
        let addresses = fields::list(endpoint, &["addresses"]);
        if addresses.is_empty() {
            causes.push(Cause::required(
                field.clone(),
                "must contain at least 1 address",
            ));
        }
        if addresses.len() > MAX_ADDRESSES {
            causes.push(Cause::too_many(
                field.clone(),
                addresses.len() as u64,
                MAX_ADDRESSES as u64,
            ));
        }
        for (index, address) in addresses.iter().enumerate() {
            let text = address.as_str().unwrap_or_default();
            check_address(
                family,
                &field,
                &format!("{field}[{index}]"),
                text,
                &mut causes,
            );
        }
    }
    causes
}

fn check_ports(slice: &Value, causes: &mut Vec<Cause>) {
    let mut seen = std::collections::BTreeSet::new();
    for (at, port) in fields::list(slice, &["ports"]).iter().enumerate() {
        let name = fields::text(port, &["name"]);
        let field = format!("ports[{at}].name");
        if !name.is_empty() && !names::is_dns1123_label(name) {
            causes.push(Cause::invalid(
                field.clone(),
                &json!(name),
                names::DNS1123_LABEL,
            ));
        }
        if !seen.insert(name) {
            causes.push(Cause::duplicate(field, &json!(name)));
        }
        let protocol = fields::text(port, &["protocol"]);
        if !matches!(protocol, "TCP" | "UDP" | "SCTP") {
            let field = format!("ports[{at}].protocol");
            causes.push(Cause::unsupported(
                field,
                &json!(protocol),
                &["SCTP", "TCP", "UDP"],
            ));
        }
    }
}

fn check_address(family: &str, list: &str, field: &str, text: &str, causes: &mut Vec<Cause>) {
    if family == "FQDN" {
        if !names::is_dns1123_subdomain(text) {
            causes.push(Cause::invalid(
                field,
                &json!(text),
                names::DNS1123_SUBDOMAIN,
            ));
        }
        return;
    }
    if !matches!(family, "IPv4" | "IPv6") {
        return;
    }
    let wrong = check_ip(field, text, &[]);
    if !wrong.is_empty() {
        causes.extend(wrong);
        return;
    }
    if text.contains(':') != (family == "IPv6") {
        let why = format!("must be an {family} address");
        causes.push(Cause::invalid(list, &json!(text), why));
    }
}
