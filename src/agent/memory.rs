//! What an agent needs to remember over its own end: enough to announce and to fail over without the API server.
//!
//! Owns: the text of the state file and what it is good for. Pure; [`file`] reads and writes it. What is remembered is
//! a help, never an authority: the API server's view replaces it, and nothing is announced from it unasked.
//!
//! ```text
//!   {"version": 1, "node": ..., "incarnation": ..., "nodes": {..}, "rules": [..], "addresses": {..}, "claims": [..],
//!    "macs": [..], "nodeAddresses": {..}}                       addresses name their rules by number
//! ```

pub(super) mod file;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use herald_spi::{IfIndex, Mac, NodeName, Place};
use serde::{Deserialize, Serialize};

use crate::{
    membership::NodeAddresses,
    placement::{AddressFacts, NodeFacts, Rule, ServiceFacts, epoch::Epoch},
};

/// The only version so far. A file of another one is passed over: the API server and the peers know all of it.
const VERSION: u32 = 1;

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Memory {
    /// The last life of this agent that wrote.
    pub(super) incarnation: u64,
    /// The cluster's nodes, as last known.
    pub(super) nodes: Arc<BTreeMap<NodeName, NodeFacts>>,
    /// The cluster's addresses, as last known.
    pub(super) addresses: Arc<BTreeMap<IpAddr, AddressFacts>>,
    /// What was claimed, by whomever, and whether this node held it.
    pub(super) claims: BTreeMap<Claimed, Last>,
    /// The hardware addresses of all Herald nodes ever heard.
    pub(super) macs: BTreeSet<Mac>,
    /// Where the cluster's nodes are.
    pub(super) node_addresses: Arc<NodeAddresses>,
}

/// An address and the name of the interface; indexes do not last.
pub(super) type Claimed = (IpAddr, Arc<str>);

/// The last that is known of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Last {
    pub(super) epoch: Epoch,
    pub(super) held: bool,
}

/// Why a file says nothing to this agent.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("it cannot be read as the state of an agent")]
    Ill(#[source] serde_json::Error),
    #[error("it has version {0}; this agent reads version {VERSION}")]
    OtherVersion(u32),
    #[error("it belongs to node {0}")]
    OtherNode(NodeName),
}

/// What every version begins with.
#[derive(Deserialize)]
struct Head {
    version: u32,
    node: NodeName,
}

#[derive(Serialize, Deserialize)]
struct Text<'a> {
    version: u32,
    node: NodeName,
    incarnation: u64,
    nodes: Arc<BTreeMap<NodeName, NodeFacts>>,
    rules: Vec<Arc<[Rule]>>,
    addresses: BTreeMap<IpAddr, AddressText<'a>>,
    claims: Vec<ClaimText>,
    macs: BTreeSet<Mac>,
    #[serde(default, rename = "nodeAddresses")]
    node_addresses: Arc<NodeAddresses>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AddressText<'a> {
    rules: usize,
    ignore_exclude_label: bool,
    services: std::borrow::Cow<'a, [ServiceFacts]>,
}

#[derive(Serialize, Deserialize)]
struct ClaimText {
    address: IpAddr,
    interface: Arc<str>,
    epoch: Epoch,
    held: bool,
}

impl Unusable {
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Ill(_) => "StateFileIll",
            Self::OtherVersion(_) => "StateFileVersion",
            Self::OtherNode(_) => "StateFileOfAnotherNode",
        }
    }
}

impl Memory {
    /// The epochs on the interfaces that `index` knows.
    pub(super) fn epochs(&self, index: impl Fn(&str) -> Option<IfIndex>) -> BTreeMap<Place, Epoch> {
        let place = |((address, name), last): (&Claimed, &Last)| {
            let interface = index(name)?;
            let place = Place {
                address: *address,
                interface,
            };
            Some((place, last.epoch))
        };
        self.claims.iter().filter_map(place).collect()
    }

    /// The text of the file.
    ///
    /// # Errors
    /// None that could happen; JSON has a word for everything here.
    pub(super) fn to_text(&self, node: &NodeName) -> serde_json::Result<Vec<u8>> {
        let mut numbers: BTreeMap<*const Rule, usize> = BTreeMap::new();
        let mut rules: Vec<Arc<[Rule]>> = Vec::new();
        let mut number = |of: &Arc<[Rule]>| {
            *numbers.entry(Arc::as_ptr(of).cast()).or_insert_with(|| {
                rules.push(Arc::clone(of));
                rules.len() - 1
            })
        };
        let addresses = self.addresses.iter().map(|(address, facts)| {
            let text = AddressText {
                rules: number(&facts.rules),
                ignore_exclude_label: facts.ignore_exclude_label,
                services: facts.services.as_slice().into(),
            };
            (*address, text)
        });
        let addresses = addresses.collect();
        let claims = self
            .claims
            .iter()
            .map(|((address, interface), last)| ClaimText {
                address: *address,
                interface: Arc::clone(interface),
                epoch: last.epoch,
                held: last.held,
            });
        serde_json::to_vec(&Text {
            version: VERSION,
            node: node.clone(),
            incarnation: self.incarnation,
            nodes: Arc::clone(&self.nodes),
            rules,
            addresses,
            claims: claims.collect(),
            macs: self.macs.clone(),
            node_addresses: Arc::clone(&self.node_addresses),
        })
    }

    /// Reads what [`Self::to_text`] wrote.
    ///
    /// # Errors
    /// It is torn, of another version, or of another node.
    pub(super) fn from_text(text: &[u8], node: &NodeName) -> Result<Self, Unusable> {
        let head: Head = serde_json::from_slice(text).map_err(Unusable::Ill)?;
        if head.version != VERSION {
            return Err(Unusable::OtherVersion(head.version));
        }
        if head.node != *node {
            return Err(Unusable::OtherNode(head.node));
        }
        let text: Text<'_> = serde_json::from_slice(text).map_err(Unusable::Ill)?;
        let rules = text.rules;
        let addresses = text.addresses.into_iter().filter_map(|(address, about)| {
            let facts = AddressFacts {
                rules: Arc::clone(rules.get(about.rules)?),
                ignore_exclude_label: about.ignore_exclude_label,
                services: about.services.into_owned(),
                // It was announced before, by this node or another.
                fresh: false,
                proxied: true,
            };
            Some((address, facts))
        });
        let claims = text.claims.into_iter().map(|claim| {
            let ClaimText {
                address,
                interface,
                epoch,
                held,
            } = claim;
            ((address, interface), Last { epoch, held })
        });
        Ok(Self {
            incarnation: text.incarnation,
            nodes: text.nodes,
            addresses: Arc::new(addresses.collect()),
            claims: claims.collect(),
            macs: text.macs,
            node_addresses: text.node_addresses,
        })
    }
}

#[cfg(test)]
pub(super) use tests::sample;
#[cfg(test)]
mod tests;
