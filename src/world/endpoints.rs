//! An EndpointSlice, as far as `externalTrafficPolicy: Local` needs it.

use std::collections::BTreeSet;

use herald_spi::{NodeName, ServiceKey};

use super::Keyed;

/// On which nodes a slice has endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceRecord {
    /// Namespace and name of the slice.
    pub key: (String, String),
    /// The Service it belongs to.
    pub service: ServiceKey,
    /// Nodes with a ready endpoint.
    pub ready: BTreeSet<NodeName>,
    /// Nodes with an endpoint that is ending and still serves.
    pub terminating: BTreeSet<NodeName>,
}

impl Keyed for SliceRecord {
    type Key = (String, String);

    fn key(&self) -> (String, String) {
        self.key.clone()
    }

    /// Nothing is written to it, so only what a watch says counts, in its order.
    fn version(&self) -> u64 {
        0
    }
}
