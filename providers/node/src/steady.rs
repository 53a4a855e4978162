//! Nodes with readiness that does not flap.
//!
//! A kubelet that restarts or an API server that is slow makes a node `NotReady` for some seconds while its
//! kube-proxy goes on. Readiness counts here only after it has lasted: a node leaves after [`DAMPING`] of not being
//! ready, and one that left comes back after as long of being ready. A node that was never ready before counts from its
//! first moment. Everything else counts at once.
//!
//! ```text
//!   ready     ▔▔▔▔▁▁▔▔▔▔▔▁▁▁▁▁▁▁▁▁▁▁▔▔▁▔▔▔▔▔▔▔▔▔▔▔
//!   counted   ▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▔▁▁▁▁▁▁▁▁▁▁▁▁▁▁▔▔▔▔
//! ```
//!
//! If no node is left but for its readiness, readiness does not count: that all nodes died at once is less likely than
//! that whoever watches them did.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use herald_spi::NodeName;

use crate::{Host, NodeFacts, Unfit};

/// How long readiness must last to count, in seconds.
pub const DAMPING: i64 = 30;

/// All nodes of the cluster, steadied.
#[derive(Clone, Debug, Default)]
pub struct Steady {
    nodes: BTreeMap<NodeName, Standing>,
    readiness: BTreeMap<NodeName, Readiness>,
}

/// What the choice looks at; two that are equal lead to equal answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) external: BTreeSet<IpAddr>,
    pub(crate) internal: BTreeSet<IpAddr>,
    /// Of a node that is unfit only kube-proxy's mode is kept.
    pub(crate) host: Option<Host>,
    pub(crate) unfit: Option<Unfit>,
}

#[derive(Clone, Copy, Debug)]
struct Readiness {
    counted: bool,
    /// It has been ready once.
    ever: bool,
    /// Since when the node has said otherwise.
    otherwise_since: Option<i64>,
}

impl Steady {
    /// Takes in all nodes as they are at `now`, in seconds of Unix time. Whether that changes what
    /// [`choose`](crate::choose) could answer.
    pub fn update(&mut self, now: i64, nodes: Vec<NodeFacts>) -> bool {
        let mut readiness = BTreeMap::new();
        for node in &nodes {
            let known = self.readiness.get(&node.name).copied();
            let mut steadied = known.unwrap_or(Readiness {
                counted: node.ready,
                ever: node.ready,
                otherwise_since: None,
            });
            steadied.hear(now, node.ready);
            readiness.insert(node.name.clone(), steadied);
        }
        let judge = |lenient: bool| -> BTreeMap<NodeName, Standing> {
            let stand = |node: &NodeFacts| {
                let counted = readiness.get(&node.name).is_some_and(|r| r.counted);
                let standing = Standing::new(node.clone(), lenient || counted);
                (node.name.clone(), standing)
            };
            nodes.iter().map(stand).collect()
        };
        let mut standings = judge(false);
        if standings.values().all(|node| node.unfit.is_some()) {
            standings = judge(true);
        }
        self.readiness = readiness;
        let changed = self.nodes != standings;
        self.nodes = standings;
        changed
    }

    /// When to call [`Self::update`] again even if no node changes: some readiness will have lasted then.
    #[must_use]
    pub fn next_due(&self) -> Option<i64> {
        let since = self.readiness.values().filter_map(|r| r.otherwise_since);
        since.min().map(|since| since.saturating_add(DAMPING))
    }

    pub(crate) fn fit(&self) -> impl Iterator<Item = (&NodeName, &Standing)> {
        self.nodes.iter().filter(|(_, node)| node.unfit.is_none())
    }

    pub(crate) fn unfit(&self) -> impl Iterator<Item = (&NodeName, Unfit)> {
        self.nodes
            .iter()
            .filter_map(|(name, node)| Some((name, node.unfit?)))
    }

    /// A node under IPVS. One that lends no address counts too: its kube-proxy would bind the others' addresses,
    /// and it would lose its way to those nodes.
    pub(crate) fn under_ipvs(&self) -> Option<&NodeName> {
        self.nodes
            .iter()
            .find(|(_, node)| node.host.as_ref().is_some_and(Host::uses_ipvs))
            .map(|(name, _)| name)
    }
}

impl Readiness {
    fn hear(&mut self, now: i64, ready: bool) {
        if ready == self.counted || (ready && !self.ever) {
            *self = Self {
                counted: ready,
                ever: self.ever || ready,
                otherwise_since: None,
            };
            return;
        }
        // A clock that was set back must not make the wait longer.
        let since = self.otherwise_since.map_or(now, |since| since.min(now));
        self.otherwise_since = Some(since);
        if now.saturating_sub(since) >= DAMPING {
            self.counted = ready;
            self.otherwise_since = None;
        }
    }
}

impl Standing {
    fn new(node: NodeFacts, ready: bool) -> Self {
        let unfit = if node.deleting {
            Some(Unfit::Deleting)
        } else if node.excluded {
            Some(Unfit::Excluded)
        } else if node.out_of_service {
            Some(Unfit::OutOfService)
        } else if node.being_scaled_down {
            Some(Unfit::BeingScaledDown)
        } else if !ready {
            Some(Unfit::NotReady)
        } else {
            None
        };
        if unfit.is_some() {
            // Sockets that come and go on such a node change no answer.
            return Self {
                external: BTreeSet::new(),
                internal: BTreeSet::new(),
                host: node.host.map(|host| Host {
                    kube_proxy_mode: host.kube_proxy_mode,
                    ..Host::default()
                }),
                unfit,
            };
        }
        Self {
            external: published(node.external_ips),
            internal: published(node.internal_ips),
            host: node.host,
            unfit,
        }
    }
}

/// Addresses as they may stand in a status, and none that means this host or many hosts.
fn published(addresses: Vec<IpAddr>) -> BTreeSet<IpAddr> {
    addresses
        .into_iter()
        .map(|address| address.to_canonical())
        .filter(|a| !a.is_unspecified() && !a.is_loopback() && !a.is_multicast())
        .collect()
}

#[cfg(test)]
mod tests;
