//! A run of addresses of one family, as pools write it: `a-b`, CIDR or one address.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;

use super::{
    address::{AddressError, excerpt, not_unicast, parse_any},
    family::{Family, number},
};

/// A run of addresses, both ends included.
///
/// Never crosses families, never reversed, never larger than a /8 (IPv4) or a /48 (IPv6), and only of addresses that a
/// Service can have. Shown in one canonical way: `10.1.2.3`, `192.168.77.0/24` if it was written as a CIDR,
/// `192.168.77.200-192.168.77.250`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    first: IpAddr,
    last: IpAddr,
    /// The prefix length, if it was written as a CIDR of more than one address.
    prefix: Option<u8>,
}

/// The text is no range for a pool. Each variant names the text and says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    /// An end of the range, or the single address, is not right.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The number after the slash.
    #[error(
        "{text:?}: {length:?} is not a prefix length of {family}; write a number from 0 to {max}"
    )]
    PrefixLength {
        /// The text.
        text: String,
        /// What follows the slash.
        length: String,
        /// The family of the address.
        family: Family,
        /// The longest prefix.
        max: u8,
    },
    /// A CIDR whose address is not that of the network.
    #[error(
        "{text:?} has bits set behind the prefix; write {network} for the network or {address} for the address"
    )]
    HostBits {
        /// The text.
        text: String,
        /// The network that the address is in.
        network: IpNet,
        /// The address alone.
        address: IpAddr,
    },
    /// The last address is before the first.
    #[error("{text:?} runs backwards; write {last}-{first}")]
    Reversed {
        /// The text.
        text: String,
        /// The address that was written first.
        first: IpAddr,
        /// The address that was written last.
        last: IpAddr,
    },
    /// From IPv4 to IPv6 or back.
    #[error("{text:?} runs from one address family into the other; write one range for each")]
    MixedFamilies {
        /// The text.
        text: String,
    },
    /// More than a /8 of IPv4 or a /48 of IPv6.
    #[error("{text:?} is too large; a range holds at most a /{limit} of {family}")]
    TooLarge {
        /// The text.
        text: String,
        /// The family.
        family: Family,
        /// The shortest prefix that is allowed.
        limit: u8,
    },
    /// Some of the addresses cannot be those of a Service.
    #[error("{text:?} holds {kind}, which no Service can have; leave it out")]
    NotUnicast {
        /// The text.
        text: String,
        /// What it holds, with its article.
        kind: &'static str,
    },
}

impl Range {
    /// The first address.
    #[must_use]
    pub const fn first(&self) -> IpAddr {
        self.first
    }

    /// The last address, which belongs to the range.
    #[must_use]
    pub const fn last(&self) -> IpAddr {
        self.last
    }

    /// The family of all its addresses.
    #[must_use]
    pub const fn family(&self) -> Family {
        Family::of(self.first)
    }

    /// The prefix length, if the range was written as a CIDR of more than one address.
    #[must_use]
    pub const fn prefix(&self) -> Option<u8> {
        self.prefix
    }

    /// Whether the address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        // Of two families the one is never between two of the other.
        self.first <= address && address <= self.last
    }

    /// The first address that both have.
    #[must_use]
    pub fn overlap(&self, first: IpAddr, last: IpAddr) -> Option<IpAddr> {
        // Of two families the one ends before the other begins.
        let begins = self.first.max(first);
        (begins <= self.last.min(last)).then_some(begins)
    }

    /// Whether some of it lies in this network.
    #[must_use]
    pub fn meets(&self, net: &IpNet) -> bool {
        self.overlap(net.network(), net.broadcast()).is_some()
    }

    /// The part of it between two addresses.
    #[must_use]
    pub fn within(&self, first: IpAddr, last: IpAddr) -> Option<Self> {
        let begins = self.overlap(first, last)?;
        Some(Self::part(begins, self.last.min(last)))
    }

    /// Its addresses, one after the other.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + use<> {
        let (first, last) = self.numbers();
        let family = self.family();
        (first..=last).map(move |number| family.address(number))
    }

    /// Both ends as numbers within the family.
    pub(super) fn numbers(&self) -> (u128, u128) {
        (number(self.first), number(self.last))
    }

    /// A part of a range that was read before, so that nothing needs to be checked.
    pub(super) const fn part(first: IpAddr, last: IpAddr) -> Self {
        Self {
            first,
            last,
            prefix: None,
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix {
            Some(prefix) => write!(f, "{}/{prefix}", self.first),
            None if self.first == self.last => self.first.fmt(f),
            None => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let text = text.trim();
        let range = if let Some((first, last)) = text.split_once('-') {
            span(text, parse_any(first)?, parse_any(last)?)?
        } else if let Some((address, length)) = text.split_once('/') {
            cidr(text, parse_any(address)?, length)?
        } else {
            let address = super::parse_address(text)?;
            Self::part(address, address)
        };
        check_size(text, range)?;
        match not_unicast(range.first, range.last) {
            Some(kind) => Err(RangeError::NotUnicast {
                text: excerpt(text),
                kind,
            }),
            None => Ok(range),
        }
    }
}

fn span(text: &str, first: IpAddr, last: IpAddr) -> Result<Range, RangeError> {
    let text = || excerpt(text);
    if Family::of(first) != Family::of(last) {
        return Err(RangeError::MixedFamilies { text: text() });
    }
    if last < first {
        return Err(RangeError::Reversed {
            text: text(),
            first,
            last,
        });
    }
    Ok(Range::part(first, last))
}

fn cidr(text: &str, address: IpAddr, length: &str) -> Result<Range, RangeError> {
    let family = Family::of(address);
    let max = match family {
        Family::V4 => 32,
        Family::V6 => 128,
    };
    // The standard parser takes `+24` and `024` too.
    let plain =
        length.bytes().all(|b| b.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
    let network = length
        .parse()
        .ok()
        .filter(|_| plain)
        .and_then(|l| IpNet::new(address, l).ok());
    let Some(network) = network else {
        return Err(RangeError::PrefixLength {
            text: excerpt(text),
            length: excerpt(length),
            family,
            max,
        });
    };
    if network.network() != address {
        return Err(RangeError::HostBits {
            text: excerpt(text),
            network: network.trunc(),
            address,
        });
    }
    Ok(Range {
        first: address,
        last: network.broadcast(),
        prefix: Some(network.prefix_len()).filter(|length| *length < max),
    })
}

fn check_size(text: &str, range: Range) -> Result<(), RangeError> {
    let family = range.family();
    let (limit, bits) = match family {
        Family::V4 => (8, 24),
        Family::V6 => (48, 80),
    };
    let (first, last) = range.numbers();
    if last - first < 1 << bits {
        return Ok(());
    }
    Err(RangeError::TooLarge {
        text: excerpt(text),
        family,
        limit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_between_two_addresses_is_of_their_family() {
        let range: Range = "10.0.0.4-10.0.0.9".parse().unwrap();
        for (first, last, part) in [
            ("10.0.0.0", "10.0.0.5", Some("10.0.0.4-10.0.0.5")),
            ("10.0.0.6", "10.0.0.6", Some("10.0.0.6")),
            ("10.0.0.0", "10.0.0.255", Some("10.0.0.4-10.0.0.9")),
            ("10.0.0.10", "10.0.0.255", None),
            ("10.0.0.0", "10.0.0.3", None),
            ("fd00::", "fd00::ff", None),
            ("::", "ffff::", None),
        ] {
            let found = range.within(first.parse().unwrap(), last.parse().unwrap());
            assert_eq!(
                found.map(|it| it.to_string()).as_deref(),
                part,
                "{first} {last}"
            );
        }
        let all: Vec<String> = range.addresses().map(|it| it.to_string()).collect();
        assert_eq!(
            (all.len(), all[0].as_str(), all[5].as_str()),
            (6, "10.0.0.4", "10.0.0.9")
        );
    }

    #[test]
    fn ranges_are_read_and_shown_in_one_way() {
        for (text, shown, first, last) in [
            ("10.1.2.3", "10.1.2.3", "10.1.2.3", "10.1.2.3"),
            ("10.1.2.3/32", "10.1.2.3", "10.1.2.3", "10.1.2.3"),
            ("10.1.2.3-10.1.2.3", "10.1.2.3", "10.1.2.3", "10.1.2.3"),
            (
                " 10.1.2.3 - 10.1.2.9 ",
                "10.1.2.3-10.1.2.9",
                "10.1.2.3",
                "10.1.2.9",
            ),
            (
                "192.168.77.0/24",
                "192.168.77.0/24",
                "192.168.77.0",
                "192.168.77.255",
            ),
            ("10.0.0.0/8", "10.0.0.0/8", "10.0.0.0", "10.255.255.255"),
            (
                "10.0.0.0-10.255.255.255",
                "10.0.0.0-10.255.255.255",
                "10.0.0.0",
                "10.255.255.255",
            ),
            ("FD77::200/120", "fd77::200/120", "fd77::200", "fd77::2ff"),
            (
                "fd77::1-fd77::ff",
                "fd77::1-fd77::ff",
                "fd77::1",
                "fd77::ff",
            ),
            (
                "fd77::/48",
                "fd77::/48",
                "fd77::",
                "fd77::ffff:ffff:ffff:ffff:ffff",
            ),
            ("fd77::1/128", "fd77::1", "fd77::1", "fd77::1"),
        ] {
            let range: Range = text.parse().unwrap();
            assert_eq!(range.to_string(), shown);
            assert_eq!(range.first(), first.parse::<IpAddr>().unwrap(), "{text}");
            assert_eq!(range.last(), last.parse::<IpAddr>().unwrap(), "{text}");
            assert_eq!(range.to_string().parse(), Ok(range));
        }
    }

    #[test]
    fn bad_ranges_are_refused_with_what_to_write() {
        for (text, words) in [
            ("", "not an IP address"),
            ("-", "not an IP address"),
            ("lan", "not an IP address"),
            ("10.0.0.1-", "not an IP address"),
            ("10.0.0.1-10.0.0.2-10.0.0.3", "not an IP address"),
            ("10.0.0.1-20", "\"20\" is not an IP address"),
            (
                "10.0.0.0/24-10.0.1.0",
                "\"10.0.0.0/24\" is not an IP address",
            ),
            ("10.0.0.0/33", "from 0 to 32"),
            ("10.0.0.0/", "from 0 to 32"),
            ("10.0.0.0/+24", "from 0 to 32"),
            ("10.0.0.0/024", "from 0 to 32"),
            ("10.0.0.0/255.255.255.0", "from 0 to 32"),
            ("fd77::/129", "from 0 to 128"),
            (
                "10.0.0.7/24",
                "write 10.0.0.0/24 for the network or 10.0.0.7 for the address",
            ),
            ("fd77::201/120", "write fd77::200/120 for the network"),
            ("10.0.0.9-10.0.0.1", "write 10.0.0.1-10.0.0.9"),
            ("10.0.0.1-fd77::1", "write one range for each"),
            ("010.0.0.1-10.0.0.2", "write 10.0.0.1"),
            ("10.0.0.000/24", "write 10.0.0.0"),
            ("::ffff:10.0.0.1", "write 10.0.0.1"),
            ("::ffff:10.0.0.0/120", "write 10.0.0.0"),
            ("10.0.0.0/7", "at most a /8 of IPv4"),
            ("10.0.0.0-11.0.0.0", "at most a /8 of IPv4"),
            ("0.0.0.0/0", "at most a /8 of IPv4"),
            ("fd00::/47", "at most a /48 of IPv6"),
            ("::/0", "at most a /48 of IPv6"),
            ("0.0.0.0/8", "an unspecified address"),
            ("127.0.0.0/8", "a loopback address"),
            ("169.254.0.0/16", "a link-local address"),
            ("223.255.255.0-224.0.0.1", "a multicast address"),
            ("255.255.255.0/24", "the broadcast address"),
            ("::/64", "the unspecified address"),
            ("::1", "the loopback address"),
            ("::2-::1:0:0:0", "an IPv4 address written as IPv6"),
            ("fe80::/64", "a link-local address"),
            ("ff02::/64", "a multicast address"),
        ] {
            let fault = text.parse::<Range>().unwrap_err().to_string();
            assert!(fault.contains(words), "{text}: {fault}");
        }
    }

    #[test]
    fn a_range_holds_its_ends_and_no_other_family() {
        let range: Range = "10.0.0.1-10.0.0.3".parse().unwrap();
        for (address, inside) in [
            ("10.0.0.0", false),
            ("10.0.0.1", true),
            ("10.0.0.3", true),
            ("10.0.0.4", false),
            ("::a00:2", false),
        ] {
            assert_eq!(
                range.contains(address.parse().unwrap()),
                inside,
                "{address}"
            );
        }
    }
}
