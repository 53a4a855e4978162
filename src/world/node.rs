//! A Node, as far as candidates for announcing go.

use std::{collections::BTreeMap, net::IpAddr};

use herald_spi::NodeName;

use super::Keyed;

/// What decides whether a node may announce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord {
    /// The name.
    pub name: NodeName,
    /// Tells a node from one that was made again under the same name.
    pub uid: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Labelled as excluded from external load balancers.
    pub excluded: bool,
    /// Tainted as out of service.
    pub out_of_service: bool,
    /// Its network is reported as unavailable.
    pub network_unavailable: bool,
    /// It is being deleted.
    pub deleting: bool,
    /// The cluster autoscaler is about to delete it.
    pub being_scaled_down: bool,
    /// Nobody says that it is not ready.
    pub ready: bool,
    /// `ExternalIP` addresses.
    pub external_ips: Vec<IpAddr>,
    /// `InternalIP` addresses.
    pub internal_ips: Vec<IpAddr>,
}

impl Keyed for NodeRecord {
    type Key = NodeName;

    fn key(&self) -> NodeName {
        self.name.clone()
    }

    /// Nothing is written to it, so only what a watch says counts, in its order.
    fn version(&self) -> u64 {
        0
    }
}
