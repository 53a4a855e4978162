//! A Service of type LoadBalancer, as far as Herald looks at it.

use std::net::IpAddr;

use herald_spi::{Port, ServiceKey};

use super::{Keyed, Pairs};
use crate::{
    api::{self, Reason, Verdict},
    ipam::Families,
};

/// The parts of a Service that Herald decides by.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceRecord {
    /// Namespace and name.
    pub key: ServiceKey,
    /// Tells a Service from one that was made again under the same name.
    pub uid: String,
    /// The object's version; writes name it.
    pub resource_version: String,
    /// When it was made, in seconds of Unix time.
    pub created: i64,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Its labels.
    pub labels: Pairs,
    /// The annotations under Herald's prefix and its synonyms.
    pub annotations: Pairs,
    /// A finalizer that proves another controller's care.
    pub foreign_finalizer: Option<String>,
    /// `spec.loadBalancerClass`.
    pub class: Option<String>,
    /// `spec.loadBalancerIP`.
    pub requested_ip: Option<String>,
    /// Which address families it needs.
    pub families: Families,
    /// `spec.externalTrafficPolicy`.
    pub policy: TrafficPolicy,
    /// `status.loadBalancer.ingress`.
    pub ingress: Vec<IngressRecord>,
    /// Herald's own condition on the allocation.
    pub allocated: Option<ConditionRecord>,
    /// `spec.selector`, where `externalTrafficPolicy: Local` makes it matter.
    pub selector: Pairs,
    /// `spec.ports`, each in its place: patches name them by their index.
    pub ports: Vec<PortRecord>,
    /// `spec.allocateLoadBalancerNodePorts`; absent counts as true.
    pub allocates_node_ports: bool,
    /// Who insists that there are node ports, if anybody does.
    pub node_ports_pinned: Option<Pin>,
    /// Who insists that none are allocated: a manifest that says false. Only while the flag is false.
    pub node_ports_refused: Option<Pin>,
    /// The field manager other than Herald that owns the flag. It may have done no more than to leave the flag out.
    pub node_ports_flag_owner: Option<String>,
    /// Whether the flag is, or was, switched by Herald: its manager owns it, or its condition says `Disabled`.
    pub node_ports_switched: bool,
    /// Herald's own condition on the node ports.
    pub node_ports: Option<ConditionRecord>,
    /// Herald's own condition on who announces its addresses.
    pub announced: Option<Box<ConditionRecord>>,
    /// Herald's own condition on its balancer in the cloud.
    pub provisioned: Option<Box<ConditionRecord>>,
    /// Whether the finalizer [`api::FINALIZER_AWS_NLB`] is on it: something in AWS may be there for it.
    pub kept_by_aws: bool,
}

/// How an address is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IpMode {
    /// kube-proxy answers for the address.
    Vip,
    /// Something else does, and sends on to node ports.
    Proxy,
}

/// One entry of `spec.ports`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRecord {
    /// Its name.
    pub name: Option<String>,
    /// Protocol and number.
    pub port: Port,
    /// The port that every node opens for it.
    pub node_port: Option<u16>,
}

/// What somebody insists on, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// What is insisted on.
    pub what: Pinned,
    /// Who does.
    pub by: PinnedBy,
}

/// What a [`Pin`] insists on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pinned {
    /// The numbers of the node ports of these ports.
    Numbers(Vec<Port>),
    /// The value of `spec.allocateLoadBalancerNodePorts`.
    Flag,
}

/// Who insists, and how that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinnedBy {
    /// The manifest in the annotation `kubectl.kubernetes.io/last-applied-configuration`.
    LastApplied,
    /// A field manager that applies its fields (server-side apply).
    Applied(String),
    /// A field manager that wrote them otherwise.
    Updated(String),
}

/// Which nodes may take traffic in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficPolicy {
    /// Every node.
    Cluster,
    /// Nodes with an endpoint.
    Local,
}

/// One entry of the load balancer status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressRecord {
    /// The address, where it is one.
    pub ip: Option<IpAddr>,
    /// The host name, which Herald's layer 2 never writes.
    pub hostname: Option<String>,
    /// `VIP` or `Proxy`.
    pub ip_mode: Option<String>,
    /// The ports that are told, with what is wrong with each.
    pub ports: Vec<(Port, Option<String>)>,
}

impl IpMode {
    /// The word that Kubernetes uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Vip => "VIP",
            Self::Proxy => "Proxy",
        }
    }
}

/// A condition as it stands on the Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionRecord {
    /// Whether its status is True.
    pub holds: bool,
    /// The one word.
    pub reason: String,
    /// The sentence.
    pub message: String,
    /// When the status last changed, RFC 3339.
    pub since: String,
}

impl ConditionRecord {
    /// What it says, if its reason is one of these words.
    #[must_use]
    pub fn verdict(&self, words: &[Reason]) -> Option<Verdict> {
        let mut words = words.iter();
        let reason = words.find(|word| word.as_str() == self.reason)?;
        Some(Verdict {
            holds: self.holds,
            reason: *reason,
            message: self.message.clone(),
        })
    }
}

impl ServiceRecord {
    /// The addresses in the status, in its order.
    pub fn status_addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.ingress.iter().filter_map(|entry| entry.ip)
    }

    /// Whether it carries anything that Herald's controller wrote, beside its addresses.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.allocated.is_some()
            || self.node_ports.is_some()
            || self.announced.is_some()
            || self.provisioned.is_some()
            || self
                .annotations
                .contains_key(api::ANNOTATION_ALLOCATED_FROM)
    }

    /// Whether no node port is open, nor will be allocated. The health check's port is another matter.
    #[must_use]
    pub fn has_no_node_ports(&self) -> bool {
        !self.allocates_node_ports && self.ports.iter().all(|port| port.node_port.is_none())
    }
}

impl Keyed for ServiceRecord {
    type Key = ServiceKey;

    fn key(&self) -> ServiceKey {
        self.key.clone()
    }

    fn version(&self) -> u64 {
        self.resource_version.parse().unwrap_or(0)
    }
}
