//! What placement must be told, as plain values.
//!
//! The agent fills these from its watches and heartbeats. They are whole and level-triggered, ordered, and can be
//! written down, so that an incident can be replayed from a record of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use herald_spi::{Link, Mac, NodeName, ServiceKey, Time};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::epoch::Epoch;

/// What the API server says of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeFacts {
    /// It carries the label `node.kubernetes.io/exclude-from-external-load-balancers`, with whatever value.
    pub excluded: bool,
    /// It carries the taint `node.kubernetes.io/out-of-service`.
    pub out_of_service: bool,
    /// Its condition `NetworkUnavailable` is `True`.
    pub network_unavailable: bool,
    /// Its object has a deletion timestamp.
    pub deleting: bool,
    /// It has been not ready for a while: others are preferred when an owner must be chosen.
    #[serde(default)]
    pub unready: bool,
}

/// What the API server says of an address that this cluster announces by layer 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressFacts {
    /// The `layer2` entries of the pool's `advertise`. Addresses of one pool should share one `Arc`: candidates are
    /// then found once for all of them.
    pub rules: Arc<[Rule]>,
    /// The pool's `ignoreExcludeLabel`.
    pub ignore_exclude_label: bool,
    /// The Services that have it, in any order; one, unless they share.
    pub services: Vec<ServiceFacts>,
    /// Its first Service status was seen after this agent's first sync, so nothing can have announced it before.
    pub fresh: bool,
    /// This node's kube-proxy has synced since that status was seen. Asked only of a fresh address.
    pub proxied: bool,
}

/// One way to announce an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// The links by name, without regard to subnets. `None`: every link whose subnet holds the address.
    pub interfaces: Option<BTreeSet<String>>,
    /// What the node selector admits.
    pub nodes: Nodes,
    /// What the service selector admits; `None`: every Service.
    pub services: Option<BTreeSet<ServiceKey>>,
    /// Nodes that are better than others when an owner must be chosen.
    pub preferred: Vec<Preference>,
}

/// Some nodes of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Nodes {
    /// All of them.
    #[default]
    Every,
    /// Those a selector picked.
    Only(Arc<BTreeSet<NodeName>>),
}

/// Nodes that are better by so much.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preference {
    /// Added up over the preferences that pick a node; the greatest sum comes first, before evenness.
    pub weight: u32,
    /// What its selector picks.
    pub nodes: Nodes,
}

/// What the API server says of one Service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceFacts {
    /// Which Service.
    pub key: ServiceKey,
    /// Its creation, in seconds since 1970. The oldest one decides; equal ones go by key.
    pub created: i64,
    /// Its `externalTrafficPolicy`.
    pub policy: Policy,
}

/// A Service's `externalTrafficPolicy`, with what it depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Policy {
    /// Every node forwards to every endpoint; endpoints do not matter.
    Cluster,
    /// A node forwards to its own endpoints only.
    Local {
        /// Nodes with a ready endpoint.
        ready: BTreeSet<NodeName>,
        /// Nodes with an endpoint that terminates and still serves; they count when `ready` is empty.
        terminating: BTreeSet<NodeName>,
    },
}

/// What this agent hears on one of its links.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// This node's own link.
    pub link: Link,
    /// Since when this agent has listened there without a break.
    pub listening_since: Time,
    /// The agents that are heard there now, this one left out.
    pub peers: BTreeMap<NodeName, Peer>,
}

/// Another agent on a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its links on this segment; nearly always one.
    pub links: Vec<PeerLink>,
    /// The hardware addresses of all its interfaces.
    pub macs: Arc<BTreeSet<Mac>>,
    /// It said that it is about to end.
    pub leaving: bool,
    /// It has been silent for several heartbeats, though not yet for long enough to be lost: two thirds of that time
    /// are a good measure. It stays a candidate, but does not count for a majority. Where many fall silent at once,
    /// the first that is lost must not be replaced in the name of the others.
    pub quiet: bool,
    /// It says that its kube-proxy is not healthy: others are preferred when an owner must be chosen.
    #[serde(default)]
    pub impaired: bool,
    /// What it claims on this segment, by the newest that was heard of its present incarnation.
    pub claims: Arc<BTreeMap<IpAddr, Epoch>>,
}

/// A peer's link, as its heartbeats describe it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerLink {
    /// Its name on the peer.
    pub name: String,
    /// The peer's [`Link::subnets`].
    pub subnets: Vec<IpNet>,
}

impl Nodes {
    /// Whether `node` is one of them.
    #[must_use]
    pub fn contain(&self, node: &NodeName) -> bool {
        match self {
            Self::Every => true,
            Self::Only(nodes) => nodes.contains(node),
        }
    }
}

impl Rule {
    /// Whether it speaks of this Service.
    #[must_use]
    pub fn serves(&self, service: &ServiceKey) -> bool {
        self.services
            .as_ref()
            .is_none_or(|services| services.contains(service))
    }

    /// Whether it announces `address` on a link of this name with these subnets.
    #[must_use]
    pub fn uses(
        &self,
        address: IpAddr,
        link: &str,
        mut subnets: impl Iterator<Item = IpNet>,
    ) -> bool {
        match &self.interfaces {
            Some(names) => names.contains(link),
            None => subnets.any(|subnet| subnet.contains(&address)),
        }
    }

    /// How much it prefers `node`.
    #[must_use]
    pub fn preference(&self, node: &NodeName) -> u32 {
        let fitting = self
            .preferred
            .iter()
            .filter(|preference| preference.nodes.contain(node));
        fitting.fold(0, |sum, preference| sum.saturating_add(preference.weight))
    }
}

impl Policy {
    /// The nodes it restricts the Service to: `None` for no restriction.
    #[must_use]
    pub fn endpoints(&self) -> Option<&BTreeSet<NodeName>> {
        match self {
            Self::Cluster => None,
            Self::Local { ready, terminating } if ready.is_empty() => Some(terminating),
            Self::Local { ready, .. } => Some(ready),
        }
    }
}

impl ServiceFacts {
    /// What orders Services by age, the oldest first.
    #[must_use]
    pub fn age(&self) -> (i64, &ServiceKey) {
        (self.created, &self.key)
    }
}
