//! What a Service keeps although its pools have changed.

use std::{fmt, net::IpAddr};

use herald_spi::PoolName;

use super::{Place, Why};

/// An address that a Service keeps, although by now nobody would give it to the Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The address.
    pub address: IpAddr,
    /// Why it would not be given.
    pub why: FlagWhy,
}

/// What has changed since an address was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlagWhy {
    /// The pool that it came from is Ready and does not give it out any more.
    OutsidePool {
        /// The pool that it came from.
        pool: PoolName,
        /// Where the address is now.
        place: Place,
    },
    /// The pool that it came from does not exist any more.
    PoolGone {
        /// The pool.
        pool: PoolName,
    },
    /// The pool that it came from is not Ready any more.
    PoolNotReady {
        /// The pool.
        pool: PoolName,
        /// Why not.
        reason: &'static str,
    },
    /// The pool does not allow the Service any more.
    NotAllowed {
        /// The pool.
        pool: PoolName,
        /// Why not.
        why: Why,
    },
    /// The Services of the namespace hold more addresses of the pool than they may.
    OverQuota {
        /// The pool.
        pool: PoolName,
        /// How many they hold.
        held: u64,
        /// How many they may hold.
        quota: u32,
    },
}

impl FlagWhy {
    /// The pool that makes the difference.
    #[must_use]
    pub const fn pool(&self) -> &PoolName {
        match self {
            Self::OutsidePool { pool, .. }
            | Self::PoolGone { pool }
            | Self::PoolNotReady { pool, .. }
            | Self::NotAllowed { pool, .. }
            | Self::OverQuota { pool, .. } => pool,
        }
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is kept, but {}", self.address, self.why)
    }
}

impl fmt::Display for FlagWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutsidePool { pool, place } => outside(f, pool, place),
            Self::PoolGone { pool } => write!(f, "pool {pool} no longer exists"),
            Self::PoolNotReady { pool, reason } => {
                write!(f, "pool {pool} is no longer Ready ({reason})")
            }
            Self::NotAllowed { pool, why } => match why {
                Why::NamespaceNotAllowed => {
                    write!(f, "pool {pool} no longer allows this namespace")
                }
                Why::ServiceNotSelected => {
                    write!(
                        f,
                        "the serviceSelector of pool {pool} no longer matches this Service"
                    )
                }
                why => write!(f, "pool {pool} no longer serves it: {why}"),
            },
            Self::OverQuota { pool, held, quota } => write!(
                f,
                "this namespace holds {held} addresses of pool {pool}, more than its quota of {quota}"
            ),
        }
    }
}

fn outside(f: &mut fmt::Formatter<'_>, pool: &PoolName, place: &Place) -> fmt::Result {
    match place {
        Place::Excluded(by) if by == pool => write!(f, "pool {pool} now excludes it"),
        Place::Edge(by) if by == pool => {
            write!(f, "pool {pool} now leaves it out as an edge address")
        }
        Place::Nowhere { .. } => write!(f, "it is no longer in pool {pool}"),
        Place::Excluded(by) => {
            write!(
                f,
                "it is no longer in pool {pool}, and pool {by} excludes it"
            )
        }
        Place::Edge(by) => write!(
            f,
            "it is no longer in pool {pool}, and pool {by} leaves it out as an edge address"
        ),
        Place::NotReady(by, reason) => write!(
            f,
            "it is no longer in pool {pool}, but in pool {by}, which is not Ready ({reason})"
        ),
        Place::Elsewhere(by) => write!(f, "it is no longer in pool {pool}, but in pool {by}"),
    }
}
