//! What the choice must be told, as plain values.

use std::{collections::BTreeSet, fmt, net::IpAddr};

use herald_spi::{NodeName, Port};

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// One node: what the API server says, and what its agent reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeFacts {
    /// Its name.
    pub name: NodeName,
    /// `status.addresses` of type `ExternalIP`.
    pub external_ips: Vec<IpAddr>,
    /// `status.addresses` of type `InternalIP`.
    pub internal_ips: Vec<IpAddr>,
    /// It carries the label `node.kubernetes.io/exclude-from-external-load-balancers`.
    pub excluded: bool,
    /// It carries the taint `node.kubernetes.io/out-of-service`.
    pub out_of_service: bool,
    /// Its object has a deletion timestamp.
    pub deleting: bool,
    /// It carries the taint `ToBeDeletedByClusterAutoscaler`.
    pub being_scaled_down: bool,
    /// Its condition `Ready` is `True`.
    pub ready: bool,
    /// What its agent reports; `None` where no agent speaks.
    pub host: Option<Host>,
}

/// What a node's agent sees of its own host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// kube-proxy's mode; `None` where it does not say, as with a replacement of kube-proxy.
    pub kube_proxy_mode: Option<String>,
    /// The addresses on the node's interfaces.
    pub addresses: BTreeSet<IpAddr>,
    /// Ports that some process listens on.
    pub listening: BTreeSet<Port>,
}

/// What a Service wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// The families of addresses it wants, the primary one first.
    pub families: Vec<Family>,
    /// Its ports.
    pub ports: BTreeSet<Port>,
    /// Whether every one of its ports has a node port.
    pub node_ports: bool,
    /// Where its endpoints are, under `externalTrafficPolicy: Local`; `None` under `Cluster`.
    pub endpoints: Option<Endpoints>,
}

/// The nodes with endpoints of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Nodes with a ready one.
    pub ready: BTreeSet<NodeName>,
    /// Nodes with one that terminates and still serves; they count when none is ready anywhere.
    pub terminating: BTreeSet<NodeName>,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

impl Host {
    /// Whether kube-proxy works with IPVS there, which binds every load balancer address to the node.
    #[must_use]
    pub fn uses_ipvs(&self) -> bool {
        let mode = self.kube_proxy_mode.as_deref();
        mode.is_some_and(|mode| mode.trim().eq_ignore_ascii_case("ipvs"))
    }
}

impl Endpoints {
    /// The nodes that serve.
    #[must_use]
    pub fn serving(&self) -> &BTreeSet<NodeName> {
        if self.ready.is_empty() {
            &self.terminating
        } else {
            &self.ready
        }
    }
}
