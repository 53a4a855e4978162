//! What the operator of the cluster says once, for all Services.

use std::collections::{BTreeMap, BTreeSet};

use crate::words::{Scheme, TargetType};

/// The settings of the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The cluster's name: with a Service's UID it marks what is ours. Never to be changed.
    pub cluster: String,
    /// The region in which balancers are made, such as `eu-west-1`.
    pub region: String,
    /// Without an annotation.
    pub scheme: Scheme,
    /// Without an annotation.
    pub target_type: TargetType,
    /// Of TLS listeners, without an annotation.
    pub ssl_policy: String,
    /// Tags on everything that is made; a Service's own come on top.
    pub tags: BTreeMap<String, String>,
    /// Tag keys that others write: left alone, and refused in annotations.
    pub external_tags: BTreeSet<String>,
    /// How the nodes' security groups are opened.
    pub node_ports: NodePorts,
    /// Whether they are opened also for balancers whose security groups the user brings.
    pub open_nodes_for_foreign_groups: bool,
    /// The one security group of the nodes that is opened; left out: found on the nodes.
    pub node_security_group: Option<String>,
    /// How long, in seconds, a replaced balancer serves on after the status has moved: resolvers and clients keep the old name.
    pub drain: u64,
    /// At most so many targets per balancer; a target counts once per target group.
    pub targets_per_balancer: usize,
}

/// How the nodes' security groups are opened for a balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodePorts {
    /// Just the ports of the targets: a rule for each.
    Exact,
    /// One rule per protocol from the first to the last of these: fewer rules where there are many Services.
    Range(u16, u16),
}

impl Settings {
    /// The defaults for a cluster.
    pub fn new(cluster: impl Into<String>, region: impl Into<String>) -> Self {
        Self {
            cluster: cluster.into(),
            region: region.into(),
            scheme: Scheme::Internal,
            target_type: TargetType::Instance,
            ssl_policy: "ELBSecurityPolicy-TLS13-1-2-2021-06".to_owned(),
            tags: BTreeMap::new(),
            external_tags: BTreeSet::new(),
            node_ports: NodePorts::Exact,
            open_nodes_for_foreign_groups: false,
            node_security_group: None,
            drain: 300,
            targets_per_balancer: 500,
        }
    }
}
