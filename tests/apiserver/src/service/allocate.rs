//! Cluster IPs and node ports for a Service that is about to be stored.
//!
//! Nothing is taken here: a pick is checked against what stored services hold, and the commit of
//! the object takes it. A dry run therefore takes nothing.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{
    families, has_node_ports, is_headless, kind, needs_health_check, node_port, node_ports, ports,
    ports_mut, strings,
};
use crate::fields;
use crate::state::State;
use crate::status_error::{Cause, StatusError};

/// Allocates for a create. A dry run shows the first address of the range, as the real server does.
pub(crate) fn create(
    state: &mut State,
    service: &mut Value,
    dry_run: bool,
) -> Result<(), StatusError> {
    families::fill(service, None, &state.allocations)
        .map_err(|causes| invalid(service, &causes))?;
    cluster_ips(state, service, None, dry_run)?;
    if has_node_ports(service) {
        let ports = pick_node_ports(state, service, &[], true)?;
        write_node_ports(service, &ports);
    }
    if needs_health_check(service) {
        health_check_port(state, service)?;
    }
    Ok(())
}

/// Allocates for an update.
pub(crate) fn update(
    state: &mut State,
    service: &mut Value,
    old: &Value,
    dry_run: bool,
) -> Result<(), StatusError> {
    families::fill(service, Some(old), &state.allocations)
        .map_err(|causes| invalid(service, &causes))?;
    cluster_ips(state, service, Some(old), dry_run)?;
    if has_node_ports(service) {
        let ports = pick_node_ports(state, service, &node_ports(old), false)?;
        write_node_ports(service, &ports);
    }
    if needs_health_check(service) && !needs_health_check(old) {
        health_check_port(state, service)?;
    }
    Ok(())
}

fn cluster_ips(
    state: &mut State,
    service: &mut Value,
    old: Option<&Value>,
    dry_run: bool,
) -> Result<(), StatusError> {
    if kind(service) == "ExternalName"
        || is_headless(service)
        || families::keeps_preferred(service, old)
    {
        return Ok(());
    }
    let held: Vec<String> = match old {
        Some(old) if kind(old) != "ExternalName" => {
            if is_headless(old) {
                return Ok(());
            }
            strings(old, "clusterIPs")
        }
        _ => Vec::new(),
    };
    let wanted = strings(service, "clusterIPs");
    let mut addresses = Vec::new();
    for (at, family) in strings(service, "ipFamilies").iter().enumerate() {
        let asked = wanted.get(at).filter(|text| !text.is_empty());
        let address = match asked {
            Some(text) if held.contains(text) => text.clone(),
            // The first address of an update is immutable; validation says so.
            Some(text) if old.is_some() && at == 0 && !held.is_empty() => text.clone(),
            Some(text) => checked_address(state, service, text, family)?,
            None => {
                let State {
                    allocations, dice, ..
                } = state;
                let next = if dry_run {
                    allocations.cidr(family).and_then(|cidr| cidr.address(0))
                } else {
                    allocations.next_address(family, dice)
                };
                let full =
                    || StatusError::internal("failed to allocate a serviceIP: range is full");
                next.ok_or_else(full)?.to_string()
            }
        };
        addresses.push(address);
    }
    if let Some(first) = addresses.first() {
        fields::set(service, &["spec", "clusterIP"], json!(first));
        fields::set(service, &["spec", "clusterIPs"], json!(addresses));
    }
    Ok(())
}

fn checked_address(
    state: &State,
    service: &Value,
    text: &str,
    family: &str,
) -> Result<String, StatusError> {
    let refuse = |why: String| {
        let shown = json!(strings(service, "clusterIPs"));
        let why = format!("failed to allocate IP {text}: {why}");
        invalid(service, &[Cause::invalid("spec.clusterIPs", &shown, why)])
    };
    let Ok(address) = text.parse::<IpAddr>() else {
        let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        let cause = Cause::invalid("spec.clusterIPs[0]", &json!(text), why);
        return Err(invalid(service, &[cause]));
    };
    let Some(cidr) = state.allocations.cidr(family) else {
        return Err(refuse("no such family".to_owned()));
    };
    if !cidr.contains(address) {
        return Err(refuse(
            "the provided network does not match the current range".to_owned(),
        ));
    }
    if state.allocations.is_taken(address) {
        return Err(refuse("provided IP is already allocated".to_owned()));
    }
    Ok(text.to_owned())
}

/// The node port of each port, in their order; 0 for none.
fn pick_node_ports(
    state: &mut State,
    service: &Value,
    held: &[i64],
    creating: bool,
) -> Result<Vec<i64>, StatusError> {
    let allocates = kind(service) == "NodePort"
        || fields::boolean(service, &["spec", "allocateLoadBalancerNodePorts"]).unwrap_or(true);
    let asked: Vec<i64> = ports(service).iter().map(node_port).collect();
    let mut picked: Vec<i64> = Vec::new();
    for (at, port) in ports(service).iter().enumerate() {
        let own = asked.get(at).copied().unwrap_or_default();
        if own != 0 {
            if !held.contains(&own) && !picked.contains(&own) {
                state.allocations.check_port(own, held).map_err(|why| {
                    let field = format!("spec.ports[{at}].nodePort");
                    invalid(service, &[Cause::invalid(field, &json!(own), why)])
                })?;
            }
            picked.push(own);
        } else if allocates {
            let shared = if creating {
                of_same_number(service, at, port, &asked, &picked)
            } else {
                None
            };
            let next = shared.or_else(|| {
                let taken: Vec<i64> = asked.iter().chain(&picked).copied().collect();
                let State {
                    allocations, dice, ..
                } = &mut *state;
                allocations.next_port(&taken, dice)
            });
            picked.push(next.ok_or_else(|| {
                StatusError::internal("failed to allocate a nodePort: range is full")
            })?);
        } else {
            picked.push(0);
        }
    }
    Ok(picked)
}

/// At a create, ports of one number and different protocols share a node port.
fn of_same_number(
    service: &Value,
    at: usize,
    port: &Value,
    asked: &[i64],
    picked: &[i64],
) -> Option<i64> {
    let number = fields::int(port, &["port"]);
    let same = |index: &usize| {
        ports(service)
            .get(*index)
            .is_some_and(|other| fields::int(other, &["port"]) == number)
    };
    let before = (0..at)
        .filter(same)
        .find_map(|index| picked.get(index).copied().filter(|p| *p != 0));
    let after = || {
        (at..asked.len())
            .filter(same)
            .find_map(|i| asked.get(i).copied().filter(|p| *p != 0))
    };
    before.or_else(after)
}

fn write_node_ports(service: &mut Value, picked: &[i64]) {
    for (port, number) in ports_mut(service).iter_mut().zip(picked) {
        if *number != 0 {
            fields::set(port, &["nodePort"], json!(number));
        }
    }
}

fn health_check_port(state: &mut State, service: &mut Value) -> Result<(), StatusError> {
    let path = ["spec", "healthCheckNodePort"];
    let taken = node_ports(service);
    let port = match fields::int(service, &path).filter(|port| *port != 0) {
        Some(asked) => {
            state.allocations.check_port(asked, &[]).map_err(|why| {
                StatusError::internal(format!(
                    "failed to allocate requested HealthCheck NodePort {asked}: {why}"
                ))
            })?;
            asked
        }
        None => {
            let State {
                allocations, dice, ..
            } = state;
            allocations
                .next_port(&taken, dice)
                .ok_or_else(|| StatusError::internal("failed to allocate a HealthCheck NodePort"))?
        }
    };
    fields::set(service, &path, json!(port));
    Ok(())
}

fn invalid(service: &Value, causes: &[Cause]) -> StatusError {
    StatusError::invalid("", "Service", fields::meta(service, "name"), causes)
}
