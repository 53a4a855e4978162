//! What the desired model is made of, as plain values: the Service, where its pods run, the nodes and the network.

use std::{collections::BTreeMap, net::IpAddr};

use herald_spi::{NodeName, Port, ServiceKey};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A Service of type LoadBalancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its namespace and name.
    pub key: ServiceKey,
    /// Its UID: a Service that was deleted and made again owns nothing of the former one's.
    pub uid: String,
    /// All its annotations.
    pub annotations: BTreeMap<String, String>,
    /// `spec.ports`.
    pub ports: Vec<ServicePort>,
    /// Whether `spec.ipFamilies` has IPv6.
    pub has_v6: bool,
    /// `spec.loadBalancerSourceRanges`.
    pub source_ranges: Vec<String>,
    /// Whether `externalTrafficPolicy` is `Local`.
    pub local: bool,
    /// `spec.healthCheckNodePort`.
    pub health_check_node_port: Option<u16>,
}

/// A port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name; empty where the only port has none.
    pub name: String,
    /// Protocol and number.
    pub port: Port,
    /// The nodes' port, if one is allocated.
    pub node_port: Option<u16>,
    /// `targetPort` if it is a number.
    pub target_port: Option<u16>,
}

/// An endpoint of the Service, from its `EndpointSlices`. A pod behind it is not needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its address.
    pub address: IpAddr,
    /// The port's number by the name of the Service's port.
    pub ports: BTreeMap<String, u16>,
    /// Whether it takes new connections.
    pub ready: bool,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// `spec.providerID`, such as `aws:///eu-west-1a/i-0123`.
    pub provider_id: Option<String>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Whether it may take traffic: ready, and neither excluded by label nor about to be removed.
    pub fit: bool,
    /// The security groups of its primary interface.
    pub security_groups: Vec<NodeGroup>,
}

/// A security group of a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeGroup {
    /// Its id.
    pub id: String,
    /// Whether it carries the tag `kubernetes.io/cluster/NAME` of this cluster.
    pub of_cluster: bool,
}

/// The VPC of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Its id.
    pub vpc: String,
    /// Its address ranges.
    pub ranges: Vec<IpNet>,
    /// Its subnets.
    pub subnets: Vec<Subnet>,
    /// Its security groups: the ids by the tag `Name`.
    pub named_groups: BTreeMap<String, String>,
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// Its id.
    pub id: String,
    /// Its availability zone.
    pub zone: String,
    /// Where the zone is: empty for a region's ordinary zones, else the local zone's or outpost's group.
    pub locale: String,
    /// Its IPv4 range.
    pub v4: Ipv4Net,
    /// Its IPv6 range.
    pub v6: Option<Ipv6Net>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// How many of its IPv4 addresses are free.
    pub free: u32,
    /// Whether its route table leads to an internet gateway.
    pub public: bool,
}

/// Everything from which the desired model of one Service is made.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The Service.
    pub service: &'a Service,
    /// Its endpoints.
    pub endpoints: &'a [Endpoint],
    /// The cluster's nodes.
    pub nodes: &'a [Node],
    /// The VPC.
    pub network: &'a Network,
}

impl Node {
    /// The id of its instance: `aws:///zone/i-0123` names one; nodes elsewhere have other forms.
    #[must_use]
    pub fn instance(&self) -> Option<&str> {
        let id = self.provider_id.as_deref()?.strip_prefix("aws://")?;
        id.rsplit('/').next().filter(|id| id.starts_with("i-"))
    }
}
