//! `AddressPool`: a set of addresses with rules.

#![expect(
    clippy::duplicated_attributes,
    reason = "each printcolumn names its type; clippy compares the words and not the columns"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which addresses there are, who may have them, and how they are made reachable.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[kube(
    group = "herald.dev",
    version = "v1alpha1",
    kind = "AddressPool",
    plural = "addresspools",
    shortname = "apool",
    category = "herald",
    status = "AddressPoolStatus",
    derive = "PartialEq",
    doc = "A set of addresses that Services of type LoadBalancer are served from.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].status"
    ),
    printcolumn(name = "IPv4 used", type_ = "string", json_path = ".status.ipv4.used"),
    printcolumn(
        name = "IPv4 free",
        type_ = "string",
        json_path = ".status.ipv4.available"
    ),
    printcolumn(name = "IPv6 used", type_ = "string", json_path = ".status.ipv6.used"),
    printcolumn(
        name = "IPv6 free",
        type_ = "string",
        json_path = ".status.ipv6.available"
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type=='Ready')].reason",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct AddressPoolSpec {
    /// Addresses to give out: ranges (`192.168.77.200-192.168.77.250`), CIDRs (`fd77::200/120`) or single
    /// addresses (`10.1.2.3`); IPv4, IPv6 or both.
    #[schemars(length(min = 1, max = 256), inner(length(min = 2, max = 96)))]
    #[x_kube(validation = kube::core::Rule::new(ADDRESSES_CEL).message(ADDRESSES_MESSAGE))]
    pub addresses: Vec<String>,

    /// Addresses that are never given out, in the same notation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256), inner(length(min = 2, max = 96)))]
    #[x_kube(validation = kube::core::Rule::new(ADDRESSES_CEL).message(ADDRESSES_MESSAGE))]
    pub exclude: Vec<String>,

    /// Whether Services that ask for nothing special are served from this pool; `false`: only on request.
    #[serde(default = "yes")]
    pub automatic: bool,

    /// Pools of higher priority are used first; ties by name.
    #[serde(default)]
    pub priority: i32,

    /// Leave out .0 and .255 of every IPv4 /24, and a CIDR's network and broadcast address.
    #[serde(default)]
    pub avoid_edge_addresses: bool,

    /// Names of namespaces whose Services may use the pool; an alternative to `namespaceSelector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256), inner(length(min = 1, max = 63)))]
    pub namespaces: Option<Vec<String>>,

    /// Labels of namespaces whose Services may use the pool; an alternative to `namespaces`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,

    /// Labels of Services that may use the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_selector: Option<LabelSelector>,

    /// How many addresses the Services of one namespace may hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub quota_per_namespace: Option<u32>,

    /// How long the address of a deleted Service waits for the same namespace and name: `90s`, `10m`, `24h`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = r"^([0-9]+(h|m|s|ms))+$"))]
    pub retention: Option<String>,

    /// Announce also from nodes labelled `node.kubernetes.io/exclude-from-external-load-balancers`.
    #[serde(default)]
    pub ignore_exclude_label: bool,

    /// Whether Services of this pool keep their node ports.
    #[serde(default)]
    pub node_ports: NodePortPolicy,

    /// What a Service gets when no address is free.
    #[serde(default)]
    pub fallback: FallbackPolicy,

    /// How addresses are made reachable. Left out: layer2 on every interface whose subnet holds the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub advertise: Option<Vec<Advertisement>>,

    /// Whether addresses move while their nodes are well: back to preferred nodes, and evenly over equal ones. Each
    /// move breaks the TCP connections that the new node gives to another endpoint.
    #[serde(default)]
    pub rebalance: RebalancePolicy,

    /// Who may share an address by key.
    #[serde(default)]
    pub sharing: SharingScope,
}

/// What the CEL of `addresses` and `exclude` can see; ranges are compared by the controller.
const ADDRESSES_CEL: &str = "self.all(a, isIP(a) || isCIDR(a) || (a.split('-').size() == 2 && \
     a.split('-').all(e, isIP(e.trim())) && \
     ip(a.split('-')[0].trim()).family() == ip(a.split('-')[1].trim()).family()))";
const ADDRESSES_MESSAGE: &str = "each entry must be an address (10.1.2.3), a CIDR (fd77::200/120) or a range of one \
     family (192.168.77.200-192.168.77.250)";

fn yes() -> bool {
    true
}

/// Whether node ports are kept.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum NodePortPolicy {
    /// As Kubernetes allocates them.
    #[default]
    Keep,
    /// Switched off where nothing needs them.
    Disable,
}

/// What a Service gets when no address is free.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum FallbackPolicy {
    /// Nothing, and a condition that says why.
    #[default]
    None,
    /// Addresses of nodes.
    Nodes,
}

/// Whether addresses move while their nodes are well.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum RebalancePolicy {
    /// Only when somebody says `herald rebalance`.
    #[default]
    Manual,
    /// Always, one address of a network segment at a time, half a minute apart.
    Automatic,
}

/// Who may share an address by key.
#[derive(JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum SharingScope {
    /// Services of one namespace.
    #[default]
    Namespace,
    /// Services of the whole cluster.
    Cluster,
}

/// One way of making a pool's addresses reachable.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Advertisement {
    /// By ARP and NDP on the LAN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer2: Option<Layer2Advertisement>,
}

/// Where and from which nodes addresses are announced by ARP and NDP.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer2Advertisement {
    /// Names of interfaces to announce on, whether or not their subnet holds the address. Left out: every
    /// interface whose subnet does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 15)))]
    pub interfaces: Option<Vec<String>>,

    /// Labels of nodes that may announce.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<LabelSelector>,

    /// Labels of Services that are announced this way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_selector: Option<LabelSelector>,

    /// Nodes to prefer when an owner must be chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 16))]
    pub preferred_nodes: Option<Vec<PreferredNodes>>,
}

/// A weight for some nodes.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PreferredNodes {
    /// Added up over all entries that match a node.
    #[schemars(range(min = 1, max = 100))]
    pub weight: u8,
    /// Which nodes.
    pub node_selector: LabelSelector,
}

/// What has become of a pool.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AddressPoolStatus {
    /// `Ready`: addresses are given out. `Degraded`: some addresses in use lie outside the pool.
    #[serde(default)]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// IPv4 addresses, if the pool has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4: Option<FamilyStatus>,
    /// IPv6 addresses, if the pool has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<FamilyStatus>,
}

/// Numbers of addresses, as decimal strings: those of IPv6 do not fit an integer.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FamilyStatus {
    /// All that the pool may give out.
    pub capacity: String,
    /// Held by Services.
    pub used: String,
    /// Kept back for deleted Services that may come again.
    pub reserved: String,
    /// Given to nobody for a while, because a host that is none of Herald's was found to use them.
    #[serde(default)]
    pub quarantined: String,
    /// Free to be given out.
    pub available: String,
}
