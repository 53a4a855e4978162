//! IP families of a Service: what is asked for, what the cluster has, what is filled in.

use serde_json::{Value, json};

use super::{is_headless, kind, strings};
use crate::fields;
use crate::service::allocations::Allocations;
use crate::status_error::Cause;

const POLICY: [&str; 2] = ["spec", "ipFamilyPolicy"];

/// Fills in `ipFamilyPolicy` and `ipFamilies`. `old` is none at a create.
pub(crate) fn fill(
    service: &mut Value,
    old: Option<&Value>,
    allocations: &Allocations,
) -> Result<(), Vec<Cause>> {
    if kind(service) == "ExternalName" || keeps_preferred(service, old) {
        return Ok(());
    }
    let selectorless = fields::get(service, &["spec", "selector"])
        .and_then(Value::as_object)
        .is_none_or(|selector| selector.is_empty());
    if fields::get(service, &POLICY).is_none() {
        let kept = old
            .map(|old| fields::text(old, &POLICY))
            .filter(|policy| !policy.is_empty());
        let fallback = if is_headless(service) && selectorless {
            "RequireDualStack"
        } else {
            "SingleStack"
        };
        let policy = json!(kept.unwrap_or(fallback));
        fields::set(service, &POLICY, policy);
    }
    let policy = fields::text(service, &POLICY).to_owned();
    let mut causes = check_related(service, old);
    if !causes.is_empty() {
        return Err(causes);
    }
    if let Some(old) = old {
        shrink(service, old, &policy, &mut causes);
    }
    check_policy(service, &policy, &mut causes);
    infer(service, allocations, &mut causes);
    if !causes.is_empty() {
        return Err(causes);
    }
    if is_headless(service) && selectorless {
        complete(service, &policy, true, allocations);
        return Ok(());
    }
    if policy == "RequireDualStack" && allocations.cidrs.len() < 2 {
        let why = "this cluster is not configured for dual-stack services";
        causes.push(Cause::invalid("spec.ipFamilyPolicy", &json!(policy), why));
    }
    for (at, family) in strings(service, "ipFamilies").iter().enumerate() {
        if allocations.cidr(family).is_none() {
            let field = format!("spec.ipFamilies[{at}]");
            causes.push(Cause::invalid(
                field,
                &json!(family),
                "not configured on this cluster",
            ));
        }
    }
    if !causes.is_empty() {
        return Err(causes);
    }
    complete(service, &policy, allocations.cidrs.len() == 2, allocations);
    Ok(())
}

/// A PreferDualStack service is neither widened nor narrowed by an update that leaves it alone.
pub(crate) fn keeps_preferred(service: &Value, old: Option<&Value>) -> bool {
    let Some(old) = old else { return false };
    let prefers = |service: &Value| fields::text(service, &POLICY) == "PreferDualStack";
    kind(old) == kind(service)
        && kind(service) != "ExternalName"
        && prefers(service)
        && prefers(old)
        && strings(old, "clusterIPs") == strings(service, "clusterIPs")
        && strings(old, "ipFamilies") == strings(service, "ipFamilies")
}

fn shrink(service: &mut Value, old: &Value, policy: &str, causes: &mut Vec<Cause>) {
    let fields_and_words = [
        (
            "clusterIPs",
            "must be 'SingleStack' to release the secondary cluster IP",
        ),
        (
            "ipFamilies",
            "must be 'SingleStack' to release the secondary IP family",
        ),
    ];
    for (field, why) in fields_and_words {
        let (before, after) = (strings(old, field), strings(service, field));
        if policy == "SingleStack" {
            if before == after && after.len() > 1 {
                let first: Vec<&String> = after.iter().take(1).collect();
                fields::set(service, &["spec", field], json!(first));
            }
        } else if !after.is_empty() && after.len() < before.len() {
            causes.push(Cause::invalid("spec.ipFamilyPolicy", &json!(policy), why));
        }
    }
}

fn check_policy(service: &Value, policy: &str, causes: &mut Vec<Cause>) {
    for (field, what) in [("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")] {
        if policy == "SingleStack" && strings(service, field).len() == 2 {
            let why = format!(
                "must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
            );
            causes.push(Cause::invalid("spec.ipFamilyPolicy", &json!(policy), why));
        }
    }
}

/// Families of addresses that were given.
fn infer(service: &mut Value, allocations: &Allocations, causes: &mut Vec<Cause>) {
    let addresses = strings(service, "clusterIPs");
    let mut families = strings(service, "ipFamilies");
    for (at, address) in addresses.iter().enumerate() {
        if address == "None" {
            break;
        }
        let family = if address.contains(':') {
            "IPv6"
        } else {
            "IPv4"
        };
        if at < families.len() {
            continue;
        }
        if allocations.cidr(family).is_some() {
            families.push(family.to_owned());
        } else {
            let why = format!("{family} is not configured on this cluster");
            causes.push(Cause::invalid(
                format!("spec.clusterIPs[{at}]"),
                &json!(addresses),
                why,
            ));
        }
    }
    if !families.is_empty() {
        fields::set(service, &["spec", "ipFamilies"], json!(families));
    }
}

fn complete(service: &mut Value, policy: &str, dual: bool, allocations: &Allocations) {
    let mut families = strings(service, "ipFamilies");
    if families.is_empty() {
        families.extend(
            allocations
                .cidrs
                .first()
                .map(|cidr| cidr.family().to_owned()),
        );
    }
    if policy != "SingleStack" && families.len() == 1 && dual {
        let other = if families.first().is_some_and(|first| first == "IPv4") {
            "IPv6"
        } else {
            "IPv4"
        };
        families.push(other.to_owned());
    }
    fields::set(service, &["spec", "ipFamilies"], json!(families));
}

/// `clusterIP`, `clusterIPs`, `ipFamilies` and `ipFamilyPolicy` against each other.
pub(crate) fn check_related(service: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    if kind(service) == "ExternalName" {
        return causes;
    }
    let single = fields::text(service, &["spec", "clusterIP"]);
    let addresses = strings(service, "clusterIPs");
    let field = "spec.clusterIPs";
    let mut refuse = |why: &str| causes.push(Cause::invalid(field, &json!(addresses), why));
    match addresses.first() {
        None if !single.is_empty() => causes.push(Cause::required(field, "")),
        Some(_) if single.is_empty() => refuse("must be empty when `clusterIP` is not specified"),
        Some(first) if first != single => refuse("first value must match `clusterIP`"),
        _ => {}
    }
    check_families(service, &mut causes);
    let known = old
        .map(|old| strings(old, "clusterIPs"))
        .unwrap_or_default();
    let mut invalid = false;
    for (at, address) in addresses.iter().enumerate() {
        if at == 0 && address == "None" {
            if addresses.len() > 1 {
                invalid = true;
                let why = "'None' must be the first and only value";
                causes.push(Cause::invalid(field, &json!(addresses), why));
            }
            continue;
        }
        let wrong = crate::addresses::check_ip(&format!("{field}[{at}]"), address, &known);
        invalid |= !wrong.is_empty();
        causes.extend(wrong);
    }
    if addresses.len() > 2 {
        causes.push(Cause::invalid(
            field,
            &json!(addresses),
            "may only hold up to 2 values",
        ));
    }
    if !invalid {
        check_dual(service, &addresses, &mut causes);
    }
    causes
}

fn check_families(service: &Value, causes: &mut Vec<Cause>) {
    let mut seen = std::collections::BTreeSet::new();
    for (at, family) in strings(service, "ipFamilies").into_iter().enumerate() {
        let field = format!("spec.ipFamilies[{at}]");
        if !matches!(family.as_str(), "IPv4" | "IPv6") {
            causes.push(Cause::unsupported(
                field.clone(),
                &json!(family),
                &["IPv4", "IPv6"],
            ));
        }
        if !seen.insert(family.clone()) {
            causes.push(Cause::duplicate(field, &json!(family)));
        }
    }
    let policies = ["PreferDualStack", "RequireDualStack", "SingleStack"];
    if let Some(policy) = fields::get(service, &POLICY)
        && !policies.iter().any(|one| policy == one)
    {
        causes.push(Cause::unsupported("spec.ipFamilyPolicy", policy, &policies));
    }
}

fn check_dual(service: &Value, addresses: &[String], causes: &mut Vec<Cause>) {
    let is_v6 = |address: &String| address.contains(':');
    if addresses.len() > 1 && addresses.iter().all(is_v6) == addresses.iter().any(is_v6) {
        let why = "may specify no more than one IP for each IP family";
        causes.push(Cause::invalid("spec.clusterIPs", &json!(addresses), why));
    }
    if is_headless(service) {
        return;
    }
    let families = strings(service, "ipFamilies");
    for (at, (address, family)) in addresses.iter().zip(&families).enumerate() {
        if (family == "IPv6") != is_v6(address) {
            let why = format!("expected an {family} value as indicated by `ipFamilies[{at}]`");
            causes.push(Cause::invalid(
                format!("spec.clusterIPs[{at}]"),
                &json!(address),
                why,
            ));
        }
    }
}
