//! Why a request was not granted, as data; the text is made only when somebody reads it.

use std::{fmt, net::IpAddr, sync::Arc};

use herald_spi::PoolName;

use super::{Family, Holder, InvalidRequest, PassedOver};

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
    /// Somebody else has the address.
    #[error(
        "{address} is in use by Service {holder} (uid {}); ask for another address, or delete that Service",
        holder.uid
    )]
    AddressInUse {
        /// The address.
        address: IpAddr,
        /// Who has it; of the same namespace and name, if an earlier Service of that name is not yet cleared away.
        holder: Arc<Holder>,
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

impl Refusal {
    /// The one word, the same in conditions, Events, metrics and logs.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoPool(_) => "NoPool",
            Self::PoolExhausted { .. } => "PoolExhausted",
            Self::PoolNotFound(_) => "PoolNotFound",
            Self::PoolNotAllowed { .. } => "PoolNotAllowed",
            Self::FamilyUnavailable { .. } => "FamilyUnavailable",
            Self::AddressNotInPool { .. } => "AddressNotInPool",
            Self::AddressInUse { .. } => "AddressInUse",
            Self::InvalidRequest(_) => "InvalidRequest",
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
