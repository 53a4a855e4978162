//! Who insists on a Service's node ports, or on having none: read from what the API server and `kubectl` remember.
//!
//! Observed on a Kubernetes 1.36.2 API server, and the ground of the rules:
//! * A node port that the API server allocated is nobody's: no `f:nodePort` is recorded, whoever makes the Service. One
//!   that a client names is recorded for that client, with `create`, both kinds of `apply`, and Helm alike.
//! * The flag is filled in before a client's fields are recorded. So whoever makes a Service *without* a word about
//!   the flag owns it, unless by server-side apply: only an `Apply` entry proves that a manifest speaks of it.
//! * A full `replace` without the flag makes its client the flag's owner again, with the value true.
//! * Numbers that were read and written back unchanged stay nobody's. Written back after Herald took them away, or
//!   under a port number that was edited, they are recorded for the writer, like named ones. That cannot be told from
//!   a pin; removing `nodePort` by a patch while the flag is true makes the number nobody's again.
//! * Herald's JSON Patch is an `Update` entry with the flag alone; the entries of others lose what it removed. If the
//!   flag was false already, Herald owns nothing afterwards.
//! * A mutating admission policy's false is recorded for the client whose request it was, unless that client applies on
//!   the server side: then for nobody (or for the applier, if its manifest says true).

use herald_spi::{Port, Protocol};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta};
use serde_json::{Map, Value};

use crate::{
    api,
    world::{Pin, Pinned, PinnedBy},
};

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const FLAG: &str = "allocateLoadBalancerNodePorts";

/// What metadata says about a Service's node ports.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Pins {
    /// Who insists on node ports.
    pub pinned: Option<Pin>,
    /// Who insists on none, while the flag is false.
    pub refused: Option<Pin>,
    /// Who but Herald owns the flag.
    pub flag_owner: Option<String>,
    /// Whether Herald owns the flag.
    pub flag_is_heralds: bool,
}

/// What a manifest says.
#[derive(Debug, Default)]
struct Said {
    numbers: Vec<Port>,
    flag: Option<bool>,
}

/// Reads the metadata of a Service whose flag has this value. What is ill-formed is passed over.
pub(super) fn pins(metadata: &ObjectMeta, allocates: bool) -> Pins {
    let mut pins = Pins::default();
    let mut applied_flag = None;
    let mut numbers = Vec::new();
    for entry in metadata.managed_fields.iter().flatten() {
        let (Some(manager), Some(spec)) = (entry.manager.as_deref(), spec_fields(entry)) else {
            continue;
        };
        let owns_flag = spec.contains_key("f:allocateLoadBalancerNodePorts");
        if manager == api::CONTROLLER {
            pins.flag_is_heralds |= owns_flag;
            continue;
        }
        let applies = entry.operation.as_deref() == Some("Apply");
        let by = if applies {
            PinnedBy::Applied(manager.to_owned())
        } else {
            PinnedBy::Updated(manager.to_owned())
        };
        if owns_flag {
            // An applier means it; prefer its name.
            if applies || pins.flag_owner.is_none() {
                pins.flag_owner = Some(manager.to_owned());
            }
            if applies {
                applied_flag = Some(by.clone());
            }
        }
        let ports = owned_numbers(spec);
        if !ports.is_empty() {
            numbers.push((!applies, by, ports));
        }
    }
    numbers.sort_by_key(|(written, ..)| *written);

    let manifest = last_applied(metadata).unwrap_or_default();
    let numbers = if manifest.numbers.is_empty() {
        numbers.into_iter().next().map(|(_, by, ports)| (by, ports))
    } else {
        Some((PinnedBy::LastApplied, manifest.numbers))
    };
    let flag = |by| Pin {
        what: Pinned::Flag,
        by,
    };
    let manifest_flag = |value| (manifest.flag == Some(value)).then_some(PinnedBy::LastApplied);
    let applied_flag = |value| applied_flag.clone().filter(|_| allocates == value);
    pins.pinned = numbers
        .map(|(by, ports)| Pin {
            what: Pinned::Numbers(ports),
            by,
        })
        .or_else(|| manifest_flag(true).or_else(|| applied_flag(true)).map(flag));
    if !allocates {
        pins.refused = manifest_flag(false)
            .or_else(|| applied_flag(false))
            .map(flag);
    }
    pins
}

/// The fields of the spec that an entry of the main resource owns.
fn spec_fields(entry: &ManagedFieldsEntry) -> Option<&Map<String, Value>> {
    if entry.subresource.as_deref().is_some_and(|s| !s.is_empty()) {
        return None;
    }
    entry.fields_v1.as_ref()?.0.get("f:spec")?.as_object()
}

/// The ports whose node port the entry owns.
fn owned_numbers(spec: &Map<String, Value>) -> Vec<Port> {
    let ports = spec.get("f:ports").and_then(Value::as_object);
    ports
        .into_iter()
        .flatten()
        .filter(|(_, fields)| fields.get("f:nodePort").is_some())
        .filter_map(|(key, _)| port(&serde_json::from_str(key.strip_prefix("k:")?).ok()?))
        .collect()
}

/// What the manifest of the last client-side apply says; parsed only if it can say anything of interest.
fn last_applied(metadata: &ObjectMeta) -> Option<Said> {
    let text = metadata.annotations.as_ref()?.get(LAST_APPLIED)?;
    if !text.contains("\"nodePort\"") && !text.contains(FLAG) {
        return None;
    }
    let manifest: Value = serde_json::from_str(text).ok()?;
    let spec = manifest.get("spec")?;
    let ports = spec.get("ports").and_then(Value::as_array);
    let named = |port: &&Value| {
        port.get("nodePort")
            .and_then(Value::as_u64)
            .is_some_and(|number| number != 0)
    };
    Some(Said {
        numbers: ports
            .into_iter()
            .flatten()
            .filter(named)
            .filter_map(port)
            .collect(),
        flag: spec.get(FLAG).and_then(Value::as_bool),
    })
}

fn port(object: &Value) -> Option<Port> {
    let number = object.get("port")?.as_u64()?;
    let protocol = object.get("protocol").and_then(Value::as_str);
    let protocol = match protocol {
        Some(text) => text.parse().ok()?,
        None => Protocol::default(),
    };
    Some(Port::new(protocol, u16::try_from(number).ok()?))
}

#[cfg(test)]
mod tests;
