//! What an agent says of its node.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use herald_spi::{NodeName, Port};

use super::Keyed;
use crate::api::AnnouncementState;

/// A node's own addresses and ports, and what it announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRecord {
    /// The node.
    pub name: NodeName,
    /// What it says of the addresses of Services; `None`: nothing is known of its agent's announcements.
    pub announcements: Option<Announcements>,
    /// Its own addresses and ports; `None` if it does not tell them.
    pub facts: Option<HostFacts>,
}

/// What a node says of the addresses of Services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcements {
    /// By address, and on which interface.
    pub said: BTreeMap<IpAddr, Vec<Announcement>>,
    /// There are more than the list has room for.
    pub cut: bool,
}

/// What a node says of one address on one interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The interface's name.
    pub interface: String,
    /// What is done about the address there.
    pub state: AnnouncementState,
    /// Since when, RFC 3339.
    pub since: String,
    /// The same in seconds of Unix time, if it can be read.
    pub began: Option<i64>,
    /// The hardware address of the other host that claims it.
    pub mac: Option<String>,
    /// Why the node is no candidate.
    pub reason: Option<String>,
}

/// A node's own addresses and ports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
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
