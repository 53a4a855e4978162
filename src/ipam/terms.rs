//! On what terms a Service would share an address.

use std::collections::BTreeSet;

use herald_spi::Port;

/// What a Service brings to an address that it might share.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Terms {
    /// Its sharing key; `None`: it shares with nobody. Another tenant's key is a secret: no message shows one.
    pub key: Option<String>,
    /// What it serves.
    pub ports: BTreeSet<Port>,
    /// Under `externalTrafficPolicy: Local` its selector as canonical text; `None` under `Cluster`.
    pub local: Option<String>,
}

/// How far the Services that share an address of a pool may be apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// In one namespace.
    #[default]
    Namespace,
    /// Anywhere in the cluster.
    Cluster,
}
