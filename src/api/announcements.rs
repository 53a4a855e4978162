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
    /// The hardware addresses of the interfaces on which this node can announce, at most 64: to other agents they are
    /// those of a Herald node, heard or not.
    #[serde(default)]
    #[schemars(length(max = 64), inner(length(max = 17)))]
    pub macs: Vec<String>,
    /// The agents that this node heard on an interface and does not hear there now, though they are alive: the nodes
    /// reach each other by their InternalIPs. At most 100.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub unheard: Vec<UnheardPeer>,
    /// The hardware address of another host whose agent speaks under this node's name; left out if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 17))]
    pub namesake: Option<String>,
    /// What falling back to node addresses must know of this node, and `herald check`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostFacts>,
    /// The agent itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentFacts>,
    /// What this node's clock said when this was written, RFC 3339. The API server notes its own time beside it in
    /// `metadata.managedFields`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 40))]
    pub clock: Option<String>,
    /// What this node found when it was asked last to look on the wire for hosts on a pool's free addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub survey: Option<WireSurvey>,
}

/// What an agent says of itself.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AgentFacts {
    /// Its version.
    #[schemars(length(max = 64))]
    pub version: String,
    /// Eight digits that tell the key which signs its heartbeats from others, and reveal nothing of it.
    #[schemars(length(max = 16))]
    pub key: String,
    /// Why it dropped heartbeats within the last minute.
    #[serde(default)]
    #[schemars(length(max = 8))]
    pub dropped: Vec<DroppedHeartbeats>,
    /// This node's kube-proxy was healthy and is not any more.
    #[serde(default)]
    pub kube_proxy_unhealthy: bool,
}

/// Heartbeats that an agent does not accept.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DroppedHeartbeats {
    /// Why.
    pub why: DropReason,
    /// Since when without a minute's break, RFC 3339.
    pub since: String,
}

/// Why an agent does not accept a heartbeat.
#[derive(
    JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize,
)]
pub enum DropReason {
    /// It is signed by a key that is not here.
    UnknownKey,
    /// The signature does not fit.
    BadSignature,
    /// Its envelope is of a version that this agent does not know.
    UnknownVersion,
    /// It is signed well and cannot be read.
    Malformed,
}

/// An interface on which a node can announce.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceFacts {
    /// Its name.
    #[schemars(length(max = 16))]
    pub name: String,
    /// Its subnets.
    #[serde(default)]
    #[schemars(length(max = 32), inner(length(max = 49)))]
    pub subnets: Vec<String>,
    /// `net.ipv4.conf.*.arp_ignore` as it counts here: the larger one of the interface's and of `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arp_ignore: Option<u8>,
    /// `arp_announce` likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arp_announce: Option<u8>,
    /// `rp_filter` likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rp_filter: Option<u8>,
}

/// A router by which a node reaches everything else.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GatewayFacts {
    /// Its address.
    #[schemars(length(max = 45))]
    pub address: String,
    /// The interface to it.
    #[schemars(length(max = 16))]
    pub interface: String,
}

/// What a node found on the wire.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WireSurvey {
    /// The value of the annotation `herald.dev/survey` that asked for it.
    #[schemars(length(max = 64))]
    pub request: String,
    /// Whether it has ended.
    pub done: bool,
    /// The pools that asked, at most 100.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub pools: Vec<String>,
    /// Each interface whose subnets hold free addresses of theirs.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub interfaces: Vec<SurveyedInterface>,
}

/// What was found on one segment.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SurveyedInterface {
    /// The interface.
    #[schemars(length(max = 16))]
    pub interface: String,
    /// The node that asks on this segment: of those that hear each other there only one does.
    pub by: String,
    /// For how many addresses it asked so far.
    #[serde(default)]
    pub asked: u32,
    /// For how many it did not ask, since there are more than it asks for at a time.
    #[serde(default)]
    pub left: u32,
    /// Who answered, at most 100.
    #[serde(default)]
    #[schemars(length(max = 100))]
    pub answered: Vec<Answered>,
    /// What DHCP servers offered, at most 16.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub offers: Vec<DhcpOffer>,
    /// Why nothing could be asked; left out where it could.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub error: Option<String>,
}

/// A host that has an address which no Service holds.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answered {
    /// The address.
    #[schemars(length(max = 45))]
    pub address: String,
    /// The host's hardware address.
    #[schemars(length(max = 17))]
    pub mac: String,
}

/// An address that a DHCP server would give out.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DhcpOffer {
    /// The server's address, as it names itself.
    #[schemars(length(max = 45))]
    pub server: String,
    /// The server's hardware address, or its relay's.
    #[schemars(length(max = 17))]
    pub mac: String,
    /// The address that it offers.
    #[schemars(length(max = 45))]
    pub address: String,
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
    /// The interfaces on which the node can announce.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub interfaces: Vec<InterfaceFacts>,
    /// The routers of its default routes.
    #[serde(default)]
    #[schemars(length(max = 16))]
    pub gateways: Vec<GatewayFacts>,
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

/// An agent that is alive and not heard on a segment.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnheardPeer {
    /// Its node.
    pub node: String,
    /// The interface of the node that does not hear it.
    pub interface: String,
    /// Why it is not heard.
    pub why: UnheardReason,
}

/// Why an agent that is alive is not heard.
#[derive(
    JsonSchema, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize,
)]
pub enum UnheardReason {
    /// It says that its interface there has no carrier.
    PeerNoCarrier,
    /// It does not know of anything: its heartbeats do not arrive.
    PeerUnheard,
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
