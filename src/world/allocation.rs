//! An `AddressAllocation`, the lock of one address.

use std::net::IpAddr;

use herald_spi::PoolName;

use super::{Keyed, Layer2Rule};
use crate::api::{Advertisement, Holder};

/// Who holds an address, and how it is announced.
#[derive(Clone, Debug, PartialEq)]
pub struct AllocationRecord {
    /// The address, read from the object's name.
    pub address: IpAddr,
    /// The object's uid; deletion names it.
    pub uid: String,
    /// The object's version; updates and deletion name it.
    pub resource_version: String,
    /// When it was made, in seconds of Unix time.
    pub created: i64,
    /// The pool it came from, if it came from one.
    pub pool: Option<PoolName>,
    /// The Services that hold it.
    pub holders: Vec<Holder>,
    /// How it is announced, as it was written.
    pub advertise: Option<Vec<Advertisement>>,
    /// How it is announced, ready to apply.
    pub rules: Vec<Layer2Rule>,
    /// Whether nodes excluded from load balancers announce too.
    pub ignore_exclude_label: bool,
}

impl Keyed for AllocationRecord {
    type Key = IpAddr;

    fn key(&self) -> IpAddr {
        self.address
    }

    fn version(&self) -> u64 {
        self.resource_version.parse().unwrap_or(0)
    }
}
