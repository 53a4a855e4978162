//! What an update of a Service may not change: its addresses, families and class.

use serde_json::{Value, json};

use super::{is_headless, kind, needs_health_check, spec, strings, text};
use crate::fields;
use crate::names;
use crate::status_error::Cause;

/// What an update may not change.
pub(crate) fn check(service: &Value, old: &Value, causes: &mut Vec<Cause>) {
    if kind(service) != "ExternalName" && kind(old) != "ExternalName" {
        check_addresses_kept(service, old, causes);
    }
    let class = |service| spec(service, "loadBalancerClass").cloned();
    let balancers = kind(old) == "LoadBalancer" && kind(service) == "LoadBalancer";
    if balancers && class(old) != class(service) {
        let value = class(service).unwrap_or(Value::Null);
        let why = "may not change once set";
        causes.push(Cause::invalid("spec.loadBalancerClass", &value, why));
        // The format is checked here too, and again below.
        if let Some(wrong) = value.as_str().and_then(names::wrong_qualified_name) {
            causes.push(Cause::invalid("spec.loadBalancerClass", &value, wrong));
        }
    }
    let health = |service: &Value| fields::int(service, &["spec", "healthCheckNodePort"]);
    if needs_health_check(old) && needs_health_check(service) && health(old) != health(service) {
        causes.push(Cause::forbidden(
            "spec.healthCheckNodePort",
            "field is immutable",
        ));
    }
}

/// Addresses and families may be added and released at the end, under the right policy.
fn check_addresses_kept(service: &Value, old: &Value, causes: &mut Vec<Cause>) {
    let single = text(service, "ipFamilyPolicy") == "SingleStack";
    let policy = || {
        spec(service, "ipFamilyPolicy")
            .cloned()
            .unwrap_or(Value::Null)
    };
    let addresses = |service| strings(service, "clusterIPs");
    let families = |service| strings(service, "ipFamilies");
    let both = [
        (
            "clusterIPs",
            "clusterIP",
            addresses(old),
            addresses(service),
        ),
        ("ipFamilies", "ipFamily", families(old), families(service)),
    ];
    for (field, one, was, is) in both {
        let unchecked = if field == "clusterIPs" {
            is_headless(old) && is_headless(service)
        } else {
            is_headless(old) || is_headless(service)
        };
        if unchecked {
            continue;
        }
        let path = format!("spec.{field}");
        let changed = |at: usize| was.get(at) != is.get(at);
        let may_not = "may not change once set";
        if was.len() == is.len() {
            for at in (0..was.len()).filter(|at| changed(*at)) {
                let at = if field == "clusterIPs" { at } else { 0 };
                causes.push(Cause::invalid(format!("{path}[{at}]"), &json!(is), may_not));
            }
            continue;
        }
        if is.is_empty() {
            let why = format!("primary {one} can not be unset");
            causes.push(Cause::invalid(format!("{path}[0]"), &json!(is), why));
        } else if !was.is_empty() && changed(0) {
            causes.push(Cause::invalid(
                format!("{path}[0]"),
                &json!(addresses(service)),
                may_not,
            ));
        }
        if is.len() < was.len() && is.len() == 1 && !single {
            let why = format!("must be set to 'SingleStack' when releasing the secondary {one}");
            causes.push(Cause::invalid("spec.ipFamilyPolicy", &policy(), why));
        }
    }
}
