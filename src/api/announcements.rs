//! `NodeAnnouncements`: what one node announces, written by its agent.

#![expect(
    clippy::duplicated_attributes,
    reason = "each printcolumn names its type; clippy compares the words and not the columns"
)]

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Nothing is asked of a node here; everything is in the status.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[kube(
    group = "herald.dev",
    version = "v1alpha1",
    kind = "NodeAnnouncements",
    plural = "nodeannouncements",
    singular = "nodeannouncements",
    shortname = "nann",
    category = "herald",
    status = "NodeAnnouncementsStatus",
    derive = "PartialEq",
    doc = "What one node announces. Named after the node and written by its agent alone.",
    printcolumn(
        name = "Announcing",
        type_ = "integer",
        json_path = ".status.announcing"
    ),
    printcolumn(name = "Abnormal", type_ = "integer", json_path = ".status.abnormal"),
    printcolumn(name = "Peers", type_ = "integer", json_path = ".status.peers"),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
pub struct NodeAnnouncementsSpec {}

/// The announcements of one node.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeAnnouncementsStatus {
    /// How many addresses this node announces.
    #[serde(default)]
    pub announcing: u32,
    /// How many addresses this node should announce and cannot, or in conflict with another host.
    #[serde(default)]
    pub abnormal: u32,
    /// How many other agents this node hears.
    #[serde(default)]
    pub peers: u32,
    /// The addresses, abnormal ones first, at most 1,000.
    #[serde(default)]
    #[schemars(length(max = 1000))]
    pub addresses: Vec<AnnouncedAddress>,
    /// What this node finds when it asks the LAN for the addresses that other nodes announce; left out if none of them
    /// falls to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checks: Option<AddressChecks>,
    /// What falling back to node addresses must know of this node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostFacts>,
}

/// What a node itself does with its addresses and ports.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostFacts {
    /// kube-proxy's mode (`nftables`, `iptables`, `ipvs`, ...); left out if kube-proxy does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub kube_proxy_mode: Option<String>,
    /// The addresses on the node's interfaces, link-local and loopback ones left out.
    #[serde(default)]
    #[schemars(length(max = 256), inner(length(max = 45)))]
    pub addresses: Vec<String>,
    /// Ports that some process of the node listens on, on every address or one of `addresses`: `TCP/22`.
    #[serde(default)]
    #[schemars(length(max = 1024), inner(length(max = 16)))]
    pub listening: Vec<String>,
}

/// One address on one interface.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AnnouncedAddress {
    /// The address.
    pub address: String,
    /// A Service that holds it, as `namespace/name`.
    pub service: String,
    /// The interface's name.
    pub interface: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// What is done about it.
    pub state: AnnouncementState,
    /// The hardware address of the host that also claims it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflicting_mac: Option<String>,
    /// One word that says why the node is no candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub reason: Option<String>,
    /// Details for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Whether the LAN reaches the nodes that announce addresses, as another node sees it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddressChecks {
    /// How many addresses of other nodes this node checks, each about every 30 s.
    #[serde(default)]
    pub checked: u32,
    /// How many of them fail.
    #[serde(default)]
    pub failing: u32,
    /// Those that fail, at most 100.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub failed: Vec<FailedCheck>,
}

/// An address whose owner the LAN does not reach.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedCheck {
    /// The address.
    pub address: String,
    /// The interface of the node that checks.
    pub interface: String,
    /// The node that announces the address.
    pub owner: String,
    /// What is found instead of it.
    pub outcome: CheckOutcome,
    /// The hardware address of the other host that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Since when, RFC 3339.
    pub since: String,
}

/// How a check fails.
#[derive(
    JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize,
)]
pub enum CheckOutcome {
    /// Nobody answers for the address.
    Unanswered,
    /// Another host answers for it, alone or besides the owner.
    WrongMac,
}

/// What a node does about an address.
#[derive(
    JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize,
)]
pub enum AnnouncementState {
    /// A host that is no Herald node had it when this node probed before the very first announcement: it is not
    /// announced.
    InUse,
    /// A host that is no Herald node claims it, though it was announced.
    Conflict,
    /// A silent Herald node still answers for it.
    PeerUnheard,
    /// The interface has no link.
    NoLink,
    /// This node may not announce it, and hears nobody who does.
    NotCandidate,
    /// It is answered for and announced.
    Announcing,
}
