//! What a Service asks for.

use std::{collections::BTreeMap, net::IpAddr};

use herald_spi::{PoolName, ServiceKey};

use super::{AddressError, Families, Family, Holder, Terms, parse_address};

/// What a Service asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Namespace and name.
    pub service: ServiceKey,
    /// Tells the Service from an earlier one of the same name.
    pub uid: String,
    /// When it was made, in seconds of Unix time. The allocator does not look at it: callers ask in this order.
    pub created: i64,
    /// The Service's labels.
    pub labels: BTreeMap<String, String>,
    /// Its namespace's labels.
    pub namespace_labels: BTreeMap<String, String>,
    /// The families it needs.
    pub families: Families,
    /// The addresses it asks for, at most one of each family.
    pub addresses: Vec<IpAddr>,
    /// The pools it asks for, in the order in which they are tried; empty: any automatic one.
    pub pools: Vec<PoolName>,
    /// On what terms it would share an address.
    pub terms: Terms,
}

/// The request contradicts itself or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// Nothing where an address should be.
    #[error("an address is missing; write one address, or one of each family with a comma between")]
    Missing,
    /// Not an address that a Service can have.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// More than one of a family.
    #[error("{first} and {second} are both {family}; ask for at most one address of each family")]
    TwoOfFamily {
        /// The family.
        family: Family,
        /// The address that was named first.
        first: IpAddr,
        /// The address that was named next.
        second: IpAddr,
    },
    /// The Service cannot have an address of that family.
    #[error(
        "{address} is {family}, but spec.ipFamilies of the Service has only {only}; ask for an {only} address, or make \
         the Service dual-stack"
    )]
    WrongFamily {
        /// The address that was asked for.
        address: IpAddr,
        /// Its family.
        family: Family,
        /// The only family of the Service.
        only: Family,
    },
}

impl Request {
    /// The Service as a holder.
    #[must_use]
    pub fn holder(&self) -> Holder {
        Holder {
            service: self.service.clone(),
            uid: self.uid.clone(),
        }
    }

    /// The address of a family that it asks for.
    pub(super) fn address_of(&self, family: Family) -> Option<IpAddr> {
        self.addresses
            .iter()
            .copied()
            .find(|address| Family::of(*address) == family)
    }

    /// Whether it asks for pools, and this is none of them.
    pub(super) fn passes_by(&self, pool: &PoolName) -> bool {
        !self.pools.is_empty() && !self.pools.contains(pool)
    }

    /// Whether the addresses fit each other and the families.
    pub(super) fn check(&self) -> Result<(), InvalidRequest> {
        one_of_each_family(&self.addresses)?;
        let Families::Single(only) = self.families else {
            return Ok(());
        };
        match self.address_of(only.other()) {
            Some(address) => Err(InvalidRequest::WrongFamily {
                address,
                family: only.other(),
                only,
            }),
            None => Ok(()),
        }
    }
}

/// Reads the addresses of an annotation: one address, or one of each family with a comma between.
///
/// # Errors
/// With what is wrong and what to write instead.
pub fn parse_addresses(text: &str) -> Result<Vec<IpAddr>, InvalidRequest> {
    let mut addresses = Vec::new();
    for part in text.split(',') {
        if part.trim().is_empty() {
            return Err(InvalidRequest::Missing);
        }
        addresses.push(parse_address(part)?);
        one_of_each_family(&addresses)?;
    }
    Ok(addresses)
}

fn one_of_each_family(addresses: &[IpAddr]) -> Result<(), InvalidRequest> {
    for family in [Family::V4, Family::V6] {
        let mut alike = addresses
            .iter()
            .copied()
            .filter(|address| Family::of(*address) == family);
        if let (Some(first), Some(second)) = (alike.next(), alike.next()) {
            return Err(InvalidRequest::TwoOfFamily {
                family,
                first,
                second,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_in_their_order() {
        for (text, addresses) in [
            ("10.0.0.1", &["10.0.0.1"][..]),
            (" fd77::1 ,10.0.0.1", &["fd77::1", "10.0.0.1"]),
        ] {
            let read = parse_addresses(text).unwrap();
            assert_eq!(
                read.iter().map(IpAddr::to_string).collect::<Vec<_>>(),
                addresses
            );
        }
    }

    #[test]
    fn bad_lists_are_refused_with_what_to_write() {
        let endless = "10.0.0.1,".repeat(20_000);
        for (text, words) in [
            ("", "an address is missing"),
            (" ", "an address is missing"),
            ("10.0.0.1,", "an address is missing"),
            (",10.0.0.1", "an address is missing"),
            ("10.0.0.1 fd77::1", "not an IP address"),
            ("10.0.0.0/24", "not an IP address"),
            ("10.0.0.1-10.0.0.2", "not an IP address"),
            ("web.example", "not an IP address"),
            ("10.0.0.01", "write 10.0.0.1"),
            ("::ffff:10.0.0.1", "write 10.0.0.1"),
            ("224.0.0.1", "a multicast address"),
            ("10.0.0.1,10.0.0.2", "10.0.0.1 and 10.0.0.2 are both IPv4"),
            ("10.0.0.1,10.0.0.1", "both IPv4"),
            ("fd77::1,10.0.0.1,fd77::1", "both IPv6"),
            (endless.as_str(), "both IPv4"),
        ] {
            let fault = parse_addresses(text).unwrap_err().to_string();
            assert!(fault.contains(words), "{fault}");
        }
    }
}
