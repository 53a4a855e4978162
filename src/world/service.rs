//! A Service of type LoadBalancer, as far as Herald looks at it.

use std::{collections::BTreeMap, net::IpAddr};

use herald_spi::ServiceKey;

use super::Keyed;
use crate::ipam::Families;

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
    pub labels: BTreeMap<String, String>,
    /// The annotations under Herald's prefix and its synonyms.
    pub annotations: BTreeMap<String, String>,
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

impl ServiceRecord {
    /// The addresses in the status, in its order.
    pub fn status_addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.ingress.iter().filter_map(|entry| entry.ip)
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
