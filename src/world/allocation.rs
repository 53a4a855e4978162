//! An `AddressAllocation`, the lock of one address, or of one port on all node addresses.

use std::{collections::BTreeSet, fmt, net::IpAddr};

use herald_spi::{PoolName, Port, ServiceKey};

use super::{Keyed, Layer2Rule};
use crate::{
    api::{self, AddressAllocationSpec, Advertisement, Awaited, ForeignUse, Holder},
    ipam::Terms,
};

/// What a lock locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockKey {
    /// An address of a pool.
    Address(IpAddr),
    /// A port on the addresses of all nodes, for Services that are served there.
    NodePort(Port),
}

/// Who holds an address, and how it is announced.
#[derive(Clone, Debug, PartialEq)]
pub struct AllocationRecord {
    /// What is locked, read from the object's name.
    pub key: LockKey,
    /// The object's uid; deletion names it.
    pub uid: String,
    /// The object's version; updates and deletion name it.
    pub resource_version: String,
    /// The pool it came from, if it came from one.
    pub pool: Option<PoolName>,
    /// The Services that hold it.
    pub holders: Vec<Holder>,
    /// The key by which they share it.
    pub sharing_key: Option<String>,
    /// The deleted Service that it waits for.
    pub awaited: Option<ServiceKey>,
    /// Until when it is kept back, in seconds of Unix time.
    pub reserved_until: Option<i64>,
    /// Since when its holder has it without that a node is known to have announced it, in seconds of Unix time.
    pub unannounced_since: Option<i64>,
    /// The host that was found to use it before it was announced.
    pub foreign_use: Option<Box<ForeignUse>>,
    /// How often a status was about to name the address anew.
    pub publications: i64,
    /// How it is announced, as it was written.
    pub advertise: Option<Vec<Advertisement>>,
    /// How it is announced, ready to apply.
    pub rules: Vec<Layer2Rule>,
    /// Whether nodes excluded from load balancers announce too.
    pub ignore_exclude_label: bool,
}

impl LockKey {
    /// The one object name.
    #[must_use]
    pub fn object_name(self) -> String {
        match self {
            Self::Address(address) => api::object_name(address),
            Self::NodePort(port) => api::object_name_of_node_port(port),
        }
    }

    /// What an object name stands for; `None`: nothing of Herald's.
    #[must_use]
    pub fn of_object_name(name: &str) -> Option<Self> {
        let address = api::address_of_object_name(name).ok().map(Self::Address);
        address.or_else(|| api::node_port_of_object_name(name).map(Self::NodePort))
    }

    /// The address, if it is one.
    #[must_use]
    pub const fn address(self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(address),
            Self::NodePort(_) => None,
        }
    }
}

impl fmt::Display for LockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::NodePort(port) => write!(f, "{port} of the nodes"),
        }
    }
}

impl AllocationRecord {
    /// Whether the Service with this uid holds it.
    #[must_use]
    pub fn is_held_by(&self, uid: &str) -> bool {
        self.holders.iter().any(|holder| holder.uid == uid)
    }

    /// On what terms a holder shares it.
    #[must_use]
    pub fn terms(&self, holder: &Holder) -> Terms {
        Terms {
            key: self.sharing_key.clone(),
            ports: holder
                .ports
                .iter()
                .filter_map(|p| p.parse().ok())
                .collect::<BTreeSet<Port>>(),
            local: holder.local_selector.clone(),
        }
    }

    /// What its object says.
    #[must_use]
    pub fn spec(&self) -> AddressAllocationSpec {
        AddressAllocationSpec {
            address: self.key.to_string(),
            pool: self
                .pool
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            holders: self.holders.clone(),
            sharing_key: self.sharing_key.clone(),
            reserved_for: self.awaited.as_ref().map(|service| Awaited {
                namespace: service.namespace.clone(),
                name: service.name.clone(),
            }),
            reserved_until: self.reserved_until.map(api::moment),
            unannounced_since: self.unannounced_since.map(api::moment),
            foreign_use: self.foreign_use.as_deref().cloned(),
            publications: self.publications,
            advertise: self.advertise.clone(),
            ignore_exclude_label: self.ignore_exclude_label,
        }
    }

    /// Whether its object says this already.
    #[must_use]
    pub fn says(&self, spec: &AddressAllocationSpec) -> bool {
        self.spec() == *spec
    }
}

impl Keyed for AllocationRecord {
    type Key = LockKey;

    fn key(&self) -> LockKey {
        self.key
    }

    fn version(&self) -> u64 {
        self.resource_version.parse().unwrap_or(0)
    }
}
