//! An `AddressPool`, as far as Herald looks at it.

use std::collections::BTreeSet;

use herald_spi::PoolName;
use ipnet::IpNet;

use super::Keyed;
use crate::{
    api::{FallbackPolicy, NodePortPolicy, RebalancePolicy},
    ipam::{Pool, Selector},
};

/// A pool's rules and how its addresses are announced.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolRecord {
    /// The name.
    pub name: PoolName,
    /// The object's version.
    pub resource_version: String,
    /// The generation that the status speaks of.
    pub generation: i64,
    /// What the allocator works with, or why the pool cannot be used.
    pub pool: Result<Pool, PoolUnfit>,
    /// How long the address of a deleted Service waits for one of the same name, in seconds.
    pub retention: i64,
    /// Whether its Services keep their node ports.
    pub node_ports: NodePortPolicy,
    /// What a Service gets when no address is free.
    pub fallback: FallbackPolicy,
    /// Where and from which nodes the addresses are announced.
    pub rules: Vec<Layer2Rule>,
    /// The same as it was written, for the memory of the allocations.
    pub advertise: Option<Vec<crate::api::Advertisement>>,
    /// Whether nodes excluded from load balancers announce too.
    pub ignore_exclude_label: bool,
    /// Whether addresses move to better places by themselves.
    pub rebalance: RebalancePolicy,
    /// When somebody asked for a rebalance last, as it was written.
    pub rebalance_asked: Option<String>,
    /// When somebody asked last to look on the wire for hosts on its free addresses, as it was written.
    pub survey_asked: Option<String>,
    /// The status as it stands.
    pub status: Option<crate::api::AddressPoolStatus>,
}

/// Why a pool gives out nothing, before the allocator has looked at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolUnfit {
    /// The one word.
    pub reason: &'static str,
    /// The sentence.
    pub message: String,
}

/// One layer2 advertisement. The default one announces everything, from every node, wherever a subnet fits.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Layer2Rule {
    /// Interfaces by name; `None`: every one whose subnet holds the address.
    pub interfaces: Option<BTreeSet<String>>,
    /// Which nodes may announce; `None`: all.
    pub nodes: Option<Selector>,
    /// Which Services are announced this way; `None`: all.
    pub services: Option<Selector>,
    /// Nodes to prefer when an owner must be chosen: a weight, and which nodes.
    pub preferred: Vec<(u8, Selector)>,
}

impl PoolRecord {
    /// Whether some rule lets addresses of it be announced on an interface of this name and these subnets. Which nodes
    /// and Services the rule selects does not matter.
    #[must_use]
    pub fn reaches(&self, interface: &str, subnets: &[IpNet]) -> bool {
        let ranges = self.pool.as_ref().map(|pool| pool.ranges.as_slice());
        let ranges = ranges.unwrap_or_default();
        let meets = |net: &IpNet| ranges.iter().any(|range| range.meets(net));
        self.rules.iter().any(|rule| match &rule.interfaces {
            Some(names) => names.contains(interface),
            None => subnets.iter().any(meets),
        })
    }
}

impl Keyed for PoolRecord {
    type Key = PoolName;

    fn key(&self) -> PoolName {
        self.name.clone()
    }

    fn version(&self) -> u64 {
        self.resource_version.parse().unwrap_or(0)
    }
}
