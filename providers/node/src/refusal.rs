//! Why a Service gets no node address, in one word and in a sentence that says what to do.

use std::{collections::BTreeSet, fmt};

use herald_spi::{NodeName, Port, ServiceKey};

use crate::Family;

/// How many nodes a sentence names.
const NAMED: usize = 3;

/// A Service gets no node address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No node lends an address of a wanted family.
    #[error("no node can lend its address: {}", no_node(*.eligible, .unfit, .families))]
    NoNode {
        /// How many nodes are eligible, and yet have no address of these families.
        eligible: usize,
        /// The others, and why they are left out.
        unfit: Vec<(NodeName, Unfit)>,
        /// The wanted families.
        families: Vec<Family>,
    },
    /// Under `externalTrafficPolicy: Local`: no eligible node has an endpoint.
    #[error("externalTrafficPolicy is Local, and {}; run one on an eligible node, or set externalTrafficPolicy: Cluster", no_endpoint(.elsewhere))]
    NoEndpoint {
        /// The nodes that have endpoints but are not eligible.
        elsewhere: BTreeSet<NodeName>,
    },
    /// The nodes need the port for themselves.
    #[error(
        "{port} is not served on the nodes' own addresses, since there it is {why}; use another port, or give the Service an address from a pool"
    )]
    PortDenied {
        /// The port.
        port: Port,
        /// What the nodes need it for.
        why: &'static str,
    },
    /// Someone else serves the port on node addresses.
    #[error("{port} on the nodes' addresses is in use by {by}; use another port, {}, or give the Service an address from a pool", .by.remedy())]
    PortInUse {
        /// The port.
        port: Port,
        /// Who.
        by: Occupant,
    },
    /// Only node ports could be served, and the Service has none.
    #[error(
        "only node ports can be served on the nodes' addresses, since {why}, and not every port of the Service has one; set spec.allocateLoadBalancerNodePorts: true and remove herald.dev/node-ports: disabled"
    )]
    NoNodePort {
        /// Why the addresses cannot be served directly.
        why: String,
    },
}

/// Who serves a port already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Occupant {
    /// Another Service, directly on node addresses.
    Service(ServiceKey),
    /// A process of a node.
    Process {
        /// On which node it listens.
        node: NodeName,
    },
}

/// Why a node lends no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unfit {
    /// It is being deleted.
    Deleting,
    /// It is labelled as excluded from external load balancers.
    Excluded,
    /// It is tainted as out of service.
    OutOfService,
    /// The cluster autoscaler is about to remove it.
    BeingScaledDown,
    /// It has not been ready for a while, or not ready for long enough yet.
    NotReady,
}

impl Refusal {
    /// The one word, for conditions, Events, metrics and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoNode { .. } => "NoNode",
            Self::NoEndpoint { .. } => "NoEndpoint",
            Self::PortDenied { .. } => "PortDenied",
            Self::PortInUse { .. } => "PortInUse",
            Self::NoNodePort { .. } => "NodePortsNeeded",
        }
    }
}

impl Occupant {
    const fn remedy(&self) -> &'static str {
        match self {
            Self::Service(_) => "let that Service go",
            Self::Process { .. } => "stop that process",
        }
    }
}

impl fmt::Display for Occupant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(key) => write!(f, "Service {key}"),
            Self::Process { node } => write!(f, "a process on node {node}"),
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Deleting => "being deleted",
            Self::Excluded => {
                "labelled node.kubernetes.io/exclude-from-external-load-balancers; remove the label to use it"
            }
            Self::OutOfService => "tainted node.kubernetes.io/out-of-service",
            Self::BeingScaledDown => "tainted ToBeDeletedByClusterAutoscaler",
            Self::NotReady => "not Ready, or not for 30 s yet",
        })
    }
}

fn no_node(eligible: usize, unfit: &[(NodeName, Unfit)], families: &[Family]) -> String {
    if eligible > 0 {
        let families: Vec<_> = families.iter().map(ToString::to_string).collect();
        return format!(
            "none of the nodes that could has an ExternalIP or InternalIP of {}; see status.addresses of the Nodes",
            families.join(" or ")
        );
    }
    if unfit.is_empty() {
        return "the cluster has no node".to_owned();
    }
    let said = unfit.iter().map(|(node, why)| format!("{node} is {why}"));
    list(said)
}

fn no_endpoint(elsewhere: &BTreeSet<NodeName>) -> String {
    if elsewhere.is_empty() {
        return "no node has a ready endpoint".to_owned();
    }
    let nodes = list(elsewhere.iter().map(ToString::to_string));
    format!("endpoints are only on nodes that are not eligible ({nodes})")
}

/// The first few, and how many more.
fn list(all: impl ExactSizeIterator<Item = String>) -> String {
    let rest = all.len().saturating_sub(NAMED);
    let mut named: Vec<_> = all.take(NAMED).collect();
    if rest > 0 {
        named.push(format!("and {rest} more"));
    }
    named.join(", ")
}
