//! What the cloud's part of the controller knows of the cluster: Services with all that a Network Load Balancer is made
//! of, endpoints by address, and nodes by their instance.

use std::net::Ipv4Addr;

use herald_spi::{NodeName, ServiceKey};

use super::{Keyed, ServiceRecord};

/// A Service of type LoadBalancer.
#[derive(Clone, Debug, PartialEq)]
pub struct AwsService {
    /// As the rest of Herald sees it.
    pub record: ServiceRecord,
    /// As the provider sees it.
    pub wanted: herald_aws::Service,
    /// All its finalizers.
    pub finalizers: Vec<String>,
}

/// A Service of another type on which Herald's finalizer still is.
#[derive(Clone, Debug, PartialEq)]
pub struct AwsLeft {
    /// Namespace and name.
    pub key: ServiceKey,
    /// Its UID.
    pub uid: String,
    /// The object's version.
    pub resource_version: String,
    /// All its finalizers.
    pub finalizers: Vec<String>,
}

/// The endpoints of an `EndpointSlice`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsSlice {
    /// Namespace and name of the slice.
    pub key: (String, String),
    /// The Service it belongs to.
    pub service: ServiceKey,
    /// Its endpoints.
    pub endpoints: Vec<AwsEndpoint>,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsEndpoint {
    /// As the provider sees it.
    pub endpoint: herald_aws::Endpoint,
    /// Whether it is ending and still serves.
    pub ending: bool,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsNode {
    /// As the provider sees it; its security groups are AWS's to tell.
    pub node: herald_aws::Node,
    /// The region that it says it is in.
    pub region: Option<String>,
    /// Its first InternalIP of IPv4: by this AWS knows an instance that the node does not name.
    pub address: Option<Ipv4Addr>,
}

impl Keyed for AwsService {
    type Key = ServiceKey;

    fn key(&self) -> ServiceKey {
        self.record.key.clone()
    }

    fn version(&self) -> u64 {
        self.record.version()
    }
}

impl Keyed for AwsLeft {
    type Key = ServiceKey;

    fn key(&self) -> ServiceKey {
        self.key.clone()
    }

    fn version(&self) -> u64 {
        self.resource_version.parse().unwrap_or(0)
    }
}

impl Keyed for AwsSlice {
    type Key = (String, String);

    fn key(&self) -> (String, String) {
        self.key.clone()
    }

    /// Nothing is written to it, so only what a watch says counts, in its order.
    fn version(&self) -> u64 {
        0
    }
}

impl Keyed for AwsNode {
    type Key = NodeName;

    fn key(&self) -> NodeName {
        self.node.name.clone()
    }

    /// Nothing is written to it, so only what a watch says counts, in its order.
    fn version(&self) -> u64 {
        0
    }
}
