//! `AddressAllocation`: the lock of one address. Whoever creates it has the address.

#![expect(
    clippy::duplicated_attributes,
    reason = "each printcolumn names its type; clippy compares the words and not the columns"
)]

use std::net::{IpAddr, Ipv6Addr};

use herald_spi::Port;
use k8s_openapi::jiff::Timestamp;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::Advertisement;

/// Who holds an address, and how it is announced. The object's name is [`object_name`] of the address, so that the
/// API server lets one controller create it and no second one.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[kube(
    group = "herald.dev",
    version = "v1alpha1",
    kind = "AddressAllocation",
    plural = "addressallocations",
    shortname = "aalloc",
    category = "herald",
    derive = "PartialEq",
    doc = "The lock of one address: who holds it. Written by Herald's controller alone.",
    selectable = ".spec.pool",
    printcolumn(name = "Address", type_ = "string", json_path = ".spec.address"),
    printcolumn(name = "Pool", type_ = "string", json_path = ".spec.pool"),
    printcolumn(
        name = "Namespace",
        type_ = "string",
        json_path = ".spec.holders[0].namespace"
    ),
    printcolumn(
        name = "Service",
        type_ = "string",
        json_path = ".spec.holders[0].name"
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct AddressAllocationSpec {
    /// The address in its canonical text.
    #[schemars(length(max = 45))]
    pub address: String,
    /// The pool it came from; empty if it was adopted from outside every pool.
    #[serde(default)]
    #[schemars(length(max = 253))]
    pub pool: String,
    /// The Services that hold it, the first one first. None while the address is kept back.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub holders: Vec<Holder>,
    /// The key by which the holders share it; without one there is one holder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub sharing_key: Option<String>,
    /// The deleted Service that the address waits for. With `reservedUntil` alone it is in quarantine: given to
    /// nobody, because of its `foreignUse`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved_for: Option<Awaited>,
    /// Until when it is kept back, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub reserved_until: Option<String>,
    /// Since when Herald gives the address to its holder, and no node is known to have announced it. Taken off at the
    /// latest before the Service's condition `herald.dev/Announced` stops being True. Only with it an address may be
    /// replaced because another host uses it. RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub unannounced_since: Option<String>,
    /// The host that was found to use the address before it was announced. Its Service moves, or has moved, away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign_use: Option<ForeignUse>,
    /// Counts the times that a status was about to name the address anew, so that a deletion which was decided before
    /// that is refused.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(range(min = 0))]
    pub publications: i64,
    /// How the pool announces it, remembered for the time after the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub advertise: Option<Vec<Advertisement>>,
    /// Whether nodes excluded from load balancers announce it too, remembered likewise.
    #[serde(default)]
    pub ignore_exclude_label: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// A Service that holds an address.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Holder {
    /// The Service's namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// The Service's name.
    #[schemars(length(max = 63))]
    pub name: String,
    /// The Service's uid: a Service made again under the same name is another one.
    #[schemars(length(max = 64))]
    pub uid: String,
    /// The ports that it serves on the address: `TCP/80`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024), inner(length(max = 16)))]
    pub ports: Vec<String>,
    /// Under `externalTrafficPolicy: Local` its selector: Services that share must agree on it, because only nodes
    /// with their endpoints may announce the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub local_selector: Option<String>,
}

/// A deleted Service whose address is kept.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Awaited {
    /// The Service's namespace.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// The Service's name.
    #[schemars(length(max = 63))]
    pub name: String,
}

/// A host that is none of Herald's uses an address.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ForeignUse {
    /// The hardware address of the host.
    #[schemars(length(max = 64))]
    pub mac: String,
    /// The namespace of the Service that was given the address.
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(max = 63))]
    pub name: String,
}

/// The name is none that [`object_name`] makes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of an AddressAllocation of an address")]
pub struct InvalidObjectName(String);

/// The one object name for an address. IPv4 as it is; IPv6 as eight groups without leading zeros, with `-` for the
/// `:` that names of custom resources may not have: `fd77-0-0-0-0-0-0-200`.
#[must_use]
pub fn object_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => v6.segments().map(|group| format!("{group:x}")).join("-"),
    }
}

/// The address that an object name stands for.
///
/// # Errors
/// When the name is not exactly the one that [`object_name`] makes of some address.
pub fn address_of_object_name(name: &str) -> Result<IpAddr, InvalidObjectName> {
    let v4 = || name.parse().ok().map(IpAddr::V4);
    let v6 = || {
        name.replace('-', ":")
            .parse::<Ipv6Addr>()
            .ok()
            .map(IpAddr::V6)
    };
    v4().or_else(v6)
        .filter(|address| object_name(*address) == name)
        .ok_or_else(|| InvalidObjectName(name.to_owned()))
}

/// The one object name for a port on the addresses of all nodes: `nodes-tcp-80`.
#[must_use]
pub fn object_name_of_node_port(port: Port) -> String {
    format!(
        "nodes-{}-{}",
        port.protocol.as_str().to_lowercase(),
        port.number
    )
}

/// The port that an object name stands for; `None` if [`object_name_of_node_port`] makes no such name.
#[must_use]
pub fn node_port_of_object_name(name: &str) -> Option<Port> {
    let (protocol, number) = name.strip_prefix("nodes-")?.split_once('-')?;
    let port = Port::new(protocol.to_uppercase().parse().ok()?, number.parse().ok()?);
    (object_name_of_node_port(port) == name).then_some(port)
}

/// A moment as objects tell it: RFC 3339, in UTC.
#[must_use]
pub fn moment(unix_seconds: i64) -> String {
    Timestamp::from_second(unix_seconds)
        .unwrap_or(Timestamp::MAX)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_names_are_dns_names_and_lead_back() {
        for (address, name) in [
            ("192.168.77.200", "192.168.77.200"),
            ("fd77::200", "fd77-0-0-0-0-0-0-200"),
            ("::", "0-0-0-0-0-0-0-0"),
            ("fd77::", "fd77-0-0-0-0-0-0-0"),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(object_name(address), name);
            assert_eq!(address_of_object_name(name), Ok(address));
        }
        for ill in ["fd77--200", "lan", "192.168.077.200", "0fd7-0-0-0-0-0-0-1"] {
            assert!(address_of_object_name(ill).is_err(), "{ill}");
        }
    }

    #[test]
    fn node_ports_have_names_of_their_own() {
        let port: Port = "UDP/53".parse().unwrap();
        assert_eq!(object_name_of_node_port(port), "nodes-udp-53");
        assert_eq!(node_port_of_object_name("nodes-udp-53"), Some(port));
        for ill in [
            "nodes-udp-053",
            "nodes-UDP-53",
            "nodes-icmp-1",
            "nodes-tcp-",
            "10.0.0.1",
        ] {
            assert_eq!(node_port_of_object_name(ill), None, "{ill}");
        }
    }
}
