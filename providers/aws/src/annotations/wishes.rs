//! The annotations of one Service, typed.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;

use crate::words::{Alpn, Probe, Scheme, Stack, TargetType, Wire};

/// What a Service asks for; empty or `None` where it says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// The balancer's name, when it is made.
    pub name: Option<String>,
    /// What packets are sent to.
    pub target_type: Option<TargetType>,
    /// Who reaches the balancer.
    pub scheme: Option<Scheme>,
    /// The families on which it listens.
    pub stack: Option<Stack>,
    /// Its subnets: ids or values of their tag `Name`.
    pub subnets: Vec<String>,
    /// Elastic addresses, in the order of the subnets.
    pub allocations: Vec<String>,
    /// IPv4 addresses, each in one of the subnets.
    pub private_v4: Vec<Ipv4Addr>,
    /// IPv6 addresses, each in one of the subnets.
    pub v6: Vec<Ipv6Addr>,
    /// Attributes of the balancer.
    pub attributes: BTreeMap<String, String>,
    /// Certificates: the first for clients that name no host.
    pub certificates: Vec<String>,
    /// Which ports speak TLS, by name or number; empty: all TCP ports.
    pub tls_ports: Vec<String>,
    /// The policy of TLS listeners.
    pub ssl_policy: Option<String>,
    /// Whether TLS is spoken to targets, too.
    pub backend_tls: bool,
    /// What TLS listeners say about HTTP versions.
    pub alpn: Option<Alpn>,
    /// Which targets are told the client's address by the proxy protocol.
    pub proxy_protocol: ProxyProtocol,
    /// Attributes of all target groups.
    pub group_attributes: BTreeMap<String, String>,
    /// Attributes of the target group of a port, over those of all.
    pub group_attributes_of: BTreeMap<u16, BTreeMap<String, String>>,
    /// Attributes of listeners.
    pub listener_attributes: BTreeMap<(Wire, u16), BTreeMap<String, String>>,
    /// How targets are asked whether they are well.
    pub health: HealthWishes,
    /// Labels that nodes must have to be targets.
    pub node_labels: BTreeMap<String, String>,
    /// Tags on everything that is made.
    pub tags: BTreeMap<String, String>,
    /// Security groups that the user brings: ids or values of their tag `Name`.
    pub security_groups: Vec<String>,
    /// Whether the nodes are opened for these.
    pub open_nodes: Option<bool>,
    /// Prefix lists whose addresses may connect.
    pub prefix_lists: Vec<String>,
    /// Ranges that may connect, where the spec names none.
    pub source_ranges: Vec<IpNet>,
    /// Whether packets that report a too large packet come in.
    pub path_mtu: bool,
    /// Whether the balancer has no security group at all.
    pub no_security_groups: bool,
    /// Whether TCP and UDP on one port share a listener; left out: yes.
    pub merge: Option<bool>,
}

/// Which targets are told the client's address by the proxy protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// Nothing is said; the attributes may.
    #[default]
    Unsaid,
    /// All.
    All,
    /// Those of these ports, and no others.
    Ports(BTreeSet<u16>),
}

/// How targets are asked whether they are well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthWishes {
    /// How.
    pub protocol: Option<Probe>,
    /// At which port.
    pub port: Option<HealthPort>,
    /// For which path.
    pub path: Option<String>,
    /// Every so many seconds.
    pub interval: Option<u32>,
    /// For so many seconds.
    pub timeout: Option<u32>,
    /// So many good answers make a target healthy.
    pub healthy: Option<u32>,
    /// So many bad ones make it unhealthy.
    pub unhealthy: Option<u32>,
    /// What a good answer's code is.
    pub codes: Option<String>,
}

/// Where targets are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthPort {
    /// Where they take traffic.
    Traffic,
    /// At this port.
    Number(u16),
    /// At the target port of this port of the Service.
    Named(String),
}
