//! A Namespace, as far as pools select by it.

use std::collections::BTreeMap;

use super::Keyed;

/// A namespace and its labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceRecord {
    /// The name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

impl Keyed for NamespaceRecord {
    type Key = String;

    fn key(&self) -> String {
        self.name.clone()
    }

    /// Nothing is written to it, so only what a watch says counts, in its order.
    fn version(&self) -> u64 {
        0
    }
}
