//! Why pools were passed over, for messages.

use std::fmt;

use herald_spi::PoolName;

use super::PerFamily;

/// How many pools a message names. A condition holds 32 KiB, a reader less.
const SHOWN: usize = 16;

/// The pools that could not serve a request, those nearest to serving it first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PassedOver {
    /// At most sixteen of them.
    pub pools: Vec<Passed>,
    /// How many more there are.
    pub more: usize,
}

/// One pool that could not serve a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The pool.
    pub pool: PoolName,
    /// Why not.
    pub why: Why,
}

/// Why a pool could not serve a request. The order is that of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// It may serve the Service and has not what is needed; `None`: the family was not needed from it.
    Lacks(PerFamily<Option<Lack>>),
    /// The Services of the namespace hold as many of its addresses as they may.
    QuotaExceeded {
        /// How many they hold, reserved ones included.
        held: u64,
        /// How many they may hold.
        quota: u32,
    },
    /// No pool has that name.
    NotFound,
    /// The pool is not Ready, for this reason.
    NotReady(&'static str),
    /// It does not allow the Service's namespace.
    NamespaceNotAllowed,
    /// Its `serviceSelector` does not match the Service.
    ServiceNotSelected,
    /// It serves only what asks for it.
    NotAutomatic,
    /// The Service asks for other pools. Only in explanations.
    NotNamed,
}

/// What a pool has of a family that was needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// A free address: it is the other family that is missing.
    Free,
    /// None of its addresses is free.
    Full {
        /// How many it has.
        capacity: u128,
        /// How many of them are held by nobody and kept back for a Service that may come again.
        reserved: u128,
        /// How many of them are held by nobody and kept back from everybody: one object each.
        quarantined: u64,
    },
    /// It has no addresses of the family.
    NoRange,
}

impl PassedOver {
    /// Sorts the pools, nearest to serving first and else in the order given, and keeps what a message can show.
    pub(super) fn new<'a>(pools: impl IntoIterator<Item = (&'a PoolName, Why)>) -> Self {
        let mut pools: Vec<(&PoolName, Why)> = pools.into_iter().collect();
        pools.sort_by_key(|(_, why)| why.rank());
        let more = pools.len().saturating_sub(SHOWN);
        let passed = |(pool, why): (&PoolName, Why)| Passed {
            pool: pool.clone(),
            why,
        };
        Self {
            pools: pools.into_iter().take(SHOWN).map(passed).collect(),
            more,
        }
    }
}

impl Why {
    const fn rank(self) -> u8 {
        match self {
            Self::Lacks(_) | Self::QuotaExceeded { .. } => 0,
            Self::NotFound => 1,
            Self::NotReady(_) => 2,
            Self::NamespaceNotAllowed | Self::ServiceNotSelected => 3,
            Self::NotAutomatic => 4,
            Self::NotNamed => 5,
        }
    }
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, passed) in self.pools.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}pool {}: {}", passed.pool, passed.why)?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lacks(lacks) => {
                let needed = [("IPv4", lacks.v4), ("IPv6", lacks.v6)];
                let needed = needed
                    .into_iter()
                    .filter_map(|(family, lack)| Some((family, lack?)));
                for (index, (family, lack)) in needed.enumerate() {
                    let separator = if index == 0 { "" } else { ", " };
                    match lack {
                        Lack::Free => write!(f, "{separator}{family} free")?,
                        Lack::Full {
                            capacity,
                            reserved,
                            quarantined,
                        } => {
                            write!(f, "{separator}{family} full (0 of {capacity} free")?;
                            if reserved > 0 {
                                write!(f, ", {reserved} reserved")?;
                            }
                            if quarantined > 0 {
                                write!(f, ", {quarantined} in quarantine")?;
                            }
                            f.write_str(")")?;
                        }
                        Lack::NoRange => write!(f, "{separator}no {family} addresses")?,
                    }
                }
                Ok(())
            }
            Self::QuotaExceeded { held, quota } => {
                write!(f, "this namespace holds {held} of at most {quota}")
            }
            Self::NotFound => f.write_str("not found"),
            Self::NotReady(reason) => write!(f, "not Ready ({reason})"),
            Self::NamespaceNotAllowed => f.write_str("does not allow this namespace"),
            Self::ServiceNotSelected => f.write_str("its serviceSelector does not match"),
            Self::NotAutomatic => f.write_str("not automatic, serves only what names it"),
            Self::NotNamed => f.write_str("not among the pools that the Service names"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_pools_come_first_and_the_rest_is_counted() {
        let full = Why::Lacks(PerFamily {
            v4: Some(Lack::Full {
                capacity: 51,
                reserved: 2,
                quarantined: 0,
            }),
            v6: Some(Lack::NoRange),
        });
        let [lan, dmz, typo] = ["lan", "dmz", "typo"].map(PoolName::from);
        let passed = PassedOver::new([
            (&dmz, Why::NotAutomatic),
            (&typo, Why::NotFound),
            (&lan, full),
        ]);
        assert_eq!(
            passed.to_string(),
            "pool lan: IPv4 full (0 of 51 free, 2 reserved), no IPv6 addresses; pool typo: not found; \
             pool dmz: not automatic, serves only what names it"
        );
        let many = PassedOver::new(std::iter::repeat_n((&lan, full), 1_000));
        assert!(many.to_string().ends_with("; and 984 more"));
        assert!(many.to_string().len() < 2_000);
    }
}
