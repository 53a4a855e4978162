//! What a request was granted.

use std::net::IpAddr;

use herald_spi::PoolName;

use super::Refusal;

/// What a Service has after its request was granted.
///
/// The order of a move: lock what is `taken`, publish `addresses`, then unlock and release what is `surplus`. Until it
/// is released a surplus address stays with the Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// One address of each family that was granted, the primary family first.
    pub addresses: Vec<Granted>,
    /// Those of them that the Service did not have before.
    pub taken: Vec<IpAddr>,
    /// Addresses that the Service has and that the request no longer includes, in order.
    pub surplus: Vec<IpAddr>,
    /// Why a Service that prefers dual stack has no address of the other family.
    pub lacking: Option<Refusal>,
}

/// A granted address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The address.
    pub address: IpAddr,
    /// The pool it comes from: what belongs in the record and in `allocated-from`. `None`: from outside every pool.
    ///
    /// It is the pool that has the address now, unless the Service asks for the one that had it before.
    pub pool: Option<PoolName>,
}
