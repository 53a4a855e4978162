//! What an agent says of its node, as far as falling back to node addresses goes.

use std::{collections::BTreeSet, net::IpAddr};

use herald_spi::{NodeName, Port};

use super::Keyed;

/// A node's own addresses and ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRecord {
    /// The node.
    pub name: NodeName,
    /// kube-proxy's mode, where it says one.
    pub kube_proxy_mode: Option<String>,
    /// The addresses on its interfaces.
    pub addresses: BTreeSet<IpAddr>,
    /// The ports that its processes listen on.
    pub listening: BTreeSet<Port>,
}

impl Keyed for HostRecord {
    type Key = NodeName;

    fn key(&self) -> NodeName {
        self.name.clone()
    }

    /// Nothing is written to it by the controller, so only what a watch says counts, in its order.
    fn version(&self) -> u64 {
        0
    }
}
