//! The two address families, and addresses as numbers within one.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Which families a Service needs: `spec.ipFamilies` and `spec.ipFamilyPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Families {
    /// One address, of this family.
    Single(Family),
    /// `PreferDualStack`: both if possible, else the named one, else the other.
    Prefer(Family),
    /// `RequireDualStack`: both or neither; the named one is the primary.
    Require(Family),
}

/// One value for each family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PerFamily<T> {
    /// The value for IPv4.
    pub v4: T,
    /// The value for IPv6.
    pub v6: T,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    /// The address with this number; of IPv4 only the low 32 bits count.
    #[must_use]
    pub(super) const fn address(self, number: u128) -> IpAddr {
        match self {
            Self::V4 => {
                let [.., a, b, c, d] = number.to_be_bytes();
                IpAddr::V4(Ipv4Addr::new(a, b, c, d))
            }
            Self::V6 => IpAddr::V6(Ipv6Addr::from_bits(number)),
        }
    }
}

/// The number of an address within its family.
pub(super) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

impl Families {
    /// The family that comes first in the status.
    #[must_use]
    pub const fn primary(self) -> Family {
        match self {
            Self::Single(family) | Self::Prefer(family) | Self::Require(family) => family,
        }
    }

    /// The wanted families, the primary first.
    pub fn wanted(self) -> impl Iterator<Item = Family> {
        let other = match self {
            Self::Single(_) => None,
            Self::Prefer(primary) | Self::Require(primary) => Some(primary.other()),
        };
        std::iter::once(self.primary()).chain(other)
    }
}

impl<T> PerFamily<T> {
    /// The value for a family.
    pub const fn get(&self, family: Family) -> &T {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    /// The value for a family, to be changed.
    pub const fn get_mut(&mut self, family: Family) -> &mut T {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lead_back_to_addresses() {
        for text in [
            "0.0.0.0",
            "192.168.77.200",
            "255.255.255.255",
            "::",
            "fd77::200",
        ] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(Family::of(address).address(number(address)), address);
        }
    }

    #[test]
    fn the_primary_family_comes_first() {
        let wanted = |families: Families| families.wanted().collect::<Vec<_>>();
        assert_eq!(wanted(Families::Single(Family::V6)), [Family::V6]);
        assert_eq!(
            wanted(Families::Prefer(Family::V6)),
            [Family::V6, Family::V4]
        );
        assert_eq!(
            wanted(Families::Require(Family::V4)),
            [Family::V4, Family::V6]
        );
    }
}
