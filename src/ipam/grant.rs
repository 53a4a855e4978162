//! What a request was granted.

use std::net::IpAddr;

use herald_spi::PoolName;

use super::{Flag, Refusal};

/// What a Service has after its request was granted.
///
/// The order of a move: lock what is `taken`, publish `addresses`, then unlock and release what is `surplus`. Until it
/// is released a surplus address stays with the Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// One address of each family that was granted, the primary family first.
    pub addresses: Vec<Granted>,
    /// Those of them that the Service did not have before, shared ones and reserved ones included.
    pub taken: Vec<IpAddr>,
    /// Addresses that the Service has and that the request no longer includes, in order.
    pub surplus: Vec<IpAddr>,
    /// Why a Service that prefers dual stack has no address of the other family.
    pub lacking: Option<Refusal>,
    /// What the Service keeps although its pools have changed.
    pub flags: Vec<Flag>,
}

/// A granted address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The address.
    pub address: IpAddr,
    /// The pool it comes from: what belongs in `allocated-from`. `None`: from outside every pool.
    ///
    /// It is the pool that has the address now, unless the Service asks for the one that had it before. What belongs
    /// in the record is [`super::Holding::pool`]: of a shared address it stays as it is, because each who shares it may
    /// ask for another pool.
    pub pool: Option<PoolName>,
}
