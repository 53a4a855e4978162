//! Why a request was not granted, as data; the text is made only when somebody reads it.

use std::{collections::BTreeMap, fmt, net::IpAddr, sync::Arc};

use herald_spi::{PoolName, Port, ServiceKey};

use super::{Family, Holder, InvalidRequest, Mismatch, PassedOver, moment::Moment};

/// Why a request was not granted. The message says which pools were tried, who is in the way and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No pool serves the Service of its own accord, or the pools it names are not Ready.
    #[error("{}", no_pool(.0))]
    NoPool(PassedOver),
    /// A pool could serve the Service and has no free address.
    #[error(
        "no free {} address: {passed}; add addresses to a pool, or delete a Service that no longer needs its own",
        Listed(missing, "or")
    )]
    PoolExhausted {
        /// The families of which no address was free.
        missing: Vec<Family>,
        /// The pools that were tried.
        passed: PassedOver,
    },
    /// A pool could serve the Service, but its namespace has as many addresses of it as it may have.
    #[error(
        "no {} address within the quota: {passed}; delete a Service of this namespace that no longer needs its own, \
         or have the pool's quotaPerNamespace raised",
        Listed(missing, "or")
    )]
    QuotaExceeded {
        /// The families that are missing.
        missing: Vec<Family>,
        /// The pools that were tried.
        passed: PassedOver,
    },
    /// The Service names a pool that does not exist.
    #[error("{0}; correct herald.dev/pool, or create the pool")]
    PoolNotFound(PassedOver),
    /// The Service may not use the pool that it names, or whose address it asks for.
    #[error(
        "{passed}; {}, or have the pool's namespaces, namespaceSelector or serviceSelector changed",
        other_choice(*address)
    )]
    PoolNotAllowed {
        /// The address that was asked for.
        address: Option<IpAddr>,
        /// The pools.
        passed: PassedOver,
    },
    /// No pool that may serve the Service has addresses of the family.
    #[error(
        "no {} addresses in any pool for this Service: {passed}; add some to a pool, or change spec.ipFamilies or \
         spec.ipFamilyPolicy of the Service",
        Listed(missing, "and no")
    )]
    FamilyUnavailable {
        /// The families that are missing.
        missing: Vec<Family>,
        /// The pools that were tried.
        passed: PassedOver,
    },
    /// The address that was asked for is none that a pool gives out.
    #[error("{address} {place}")]
    AddressNotInPool {
        /// The address that was asked for.
        address: IpAddr,
        /// Where it is instead.
        place: Place,
    },
    /// Somebody else has the address, and the Service has no sharing key.
    #[error(
        "{address} is in use by Service {holder} (uid {}), {}",
        holder.uid,
        how_held(*shared)
    )]
    AddressInUse {
        /// The address.
        address: IpAddr,
        /// Who has it; of the same namespace and name, if an earlier Service of that name is not yet cleared away.
        holder: Arc<Holder>,
        /// Whether that Service would share it by key.
        shared: bool,
    },
    /// A Service with the same sharing key serves the same port.
    #[error(
        "{port}{} of {address} is in use by Service {holder} (uid {}) with the same sharing key; change the port of \
         one of them, or ask for another address",
        AndMore(clashes.len().saturating_sub(1)),
        holder.uid
    )]
    PortInUse {
        /// The address.
        address: IpAddr,
        /// The first port that both serve.
        port: Port,
        /// The other Service.
        holder: Arc<Holder>,
        /// All ports of the Service that others serve, and who does.
        clashes: BTreeMap<Port, Arc<Holder>>,
    },
    /// A Service that has the address does not share it with this one.
    #[error("{address} cannot be shared with Service {holder} (uid {}): {why}", holder.uid)]
    SharingKeyMismatch {
        /// The address.
        address: IpAddr,
        /// The other Service.
        holder: Arc<Holder>,
        /// What is between them.
        why: Mismatch,
    },
    /// Nobody has the address, and it is kept back.
    #[error("{address} is {} until {}; ask for another address, or wait", kept_back(awaited.as_ref()), Moment(*until))]
    AddressReserved {
        /// The address.
        address: IpAddr,
        /// The Service that it is kept for; `None`: in quarantine.
        awaited: Option<ServiceKey>,
        /// Until when, in seconds of Unix time.
        until: i64,
    },
    /// The request contradicts itself.
    #[error(transparent)]
    InvalidRequest(#[from] InvalidRequest),
}

/// Where an address is that no pool may give to the Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In no pool.
    Nowhere {
        /// The pools that have addresses of the family.
        pools: Vec<PoolName>,
        /// How many more there are.
        more: usize,
    },
    /// Among the exclusions of a pool.
    Excluded(PoolName),
    /// An edge address that a pool avoids.
    Edge(PoolName),
    /// In a pool that is not Ready, for this reason.
    NotReady(PoolName, &'static str),
    /// In a pool that is none of those that the Service names.
    Elsewhere(PoolName),
}

struct Listed<'a>(&'a [Family], &'static str);

/// How many ports there are besides the one that is named.
struct AndMore(usize);

impl Refusal {
    /// The one word, the same in conditions, Events, metrics and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoPool(_) => "NoPool",
            Self::PoolExhausted { .. } => "PoolExhausted",
            Self::QuotaExceeded { .. } => "QuotaExceeded",
            Self::PoolNotFound(_) => "PoolNotFound",
            Self::PoolNotAllowed { .. } => "PoolNotAllowed",
            Self::FamilyUnavailable { .. } => "FamilyUnavailable",
            Self::AddressNotInPool { .. } => "AddressNotInPool",
            Self::AddressInUse { .. } => "AddressInUse",
            Self::PortInUse { .. } => "PortInUse",
            Self::SharingKeyMismatch { .. } => "SharingKeyMismatch",
            Self::AddressReserved { .. } => "AddressReserved",
            Self::InvalidRequest(_) => "InvalidRequest",
        }
    }

    /// The ports of the Service that others serve on an address, each with who does, if that is the reason.
    #[must_use]
    pub const fn clashing_ports(&self) -> Option<(IpAddr, &BTreeMap<Port, Arc<Holder>>)> {
        match self {
            Self::PortInUse {
                address, clashes, ..
            } => Some((*address, clashes)),
            _ => None,
        }
    }
}

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, family) in self.0.iter().enumerate() {
            match index {
                0 => write!(f, "{family}")?,
                _ => write!(f, " {} {family}", self.1)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for AndMore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            1 => f.write_str(" (and one more port)"),
            more => write!(f, " (and {more} more ports)"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere { pools, more } => {
                f.write_str("is in no pool")?;
                for (index, pool) in pools.iter().enumerate() {
                    let lead = if index == 0 {
                        "; choose an address from"
                    } else {
                        ","
                    };
                    write!(f, "{lead} {pool}")?;
                }
                match more {
                    0 => f.write_str(", or add it to one"),
                    more => write!(f, " or {more} more, or add it to one"),
                }
            }
            Self::Excluded(pool) => {
                write!(
                    f,
                    "is excluded from pool {pool}; choose another, or remove it from spec.exclude"
                )
            }
            Self::Edge(pool) => write!(
                f,
                "is an edge address that pool {pool} leaves out (avoidEdgeAddresses); choose another"
            ),
            Self::NotReady(pool, reason) => {
                write!(
                    f,
                    "is in pool {pool}, which is not Ready ({reason}); repair the pool"
                )
            }
            Self::Elsewhere(pool) => write!(
                f,
                "is in pool {pool}, which the Service does not name; add it to herald.dev/pool, or choose another address"
            ),
        }
    }
}

fn no_pool(passed: &PassedOver) -> String {
    if passed.pools.is_empty() {
        return "there is no AddressPool; create one".to_owned();
    }
    format!(
        "no pool serves this Service: {passed}; name a pool in herald.dev/pool, or repair or create one"
    )
}

const fn other_choice(address: Option<IpAddr>) -> &'static str {
    match address {
        Some(_) => "ask for another address",
        None => "name another pool in herald.dev/pool",
    }
}

const fn how_held(shared: bool) -> &'static str {
    if shared {
        "which shares it only by key; ask for another address, give this Service the same herald.dev/sharing-key, or \
         delete that Service"
    } else {
        "which does not share it; ask for another address, or delete that Service"
    }
}

fn kept_back(awaited: Option<&ServiceKey>) -> String {
    match awaited {
        Some(service) => format!("kept for Service {service}"),
        None => "in quarantine (a host that is none of Herald's uses it)".to_owned(),
    }
}
