//! One address from text, strictly, and which addresses a Service can have at all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The text is not an address that a Service can have. Each variant says what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither IPv4 nor IPv6.
    #[error("{text:?} is not an IP address; write one such as 192.168.77.200 or fd77::200")]
    NotAnAddress {
        /// The text, shortened.
        text: String,
    },
    /// `192.168.077.1`: octal to some programs, decimal to others.
    #[error("{text:?} has leading zeros, which some programs read as octal; write {canonical}")]
    LeadingZeros {
        /// The text.
        text: String,
        /// The same address if the zeros mean nothing.
        canonical: Ipv4Addr,
    },
    /// `::ffff:192.168.77.1`: no host on an IPv6 network has it.
    #[error("{text:?} is an IPv4 address written as IPv6; write {v4}")]
    Mapped {
        /// The text.
        text: String,
        /// The IPv4 address.
        v4: Ipv4Addr,
    },
    /// Not an address that one host on a network can have.
    #[error("{text:?} is {kind}, which no Service can have; choose a unicast address")]
    NotUnicast {
        /// The text.
        text: String,
        /// What it is, with its article.
        kind: &'static str,
    },
}

/// IPv4 blocks that hold no address of a Service: RFC 6890 section 2.2.2, RFC 5771, RFC 919.
const NOT_UNICAST_V4: [(Ipv4Addr, Ipv4Addr, &str); 5] = [
    (
        Ipv4Addr::new(0, 0, 0, 0),
        Ipv4Addr::new(0, 255, 255, 255),
        "an unspecified address",
    ),
    (
        Ipv4Addr::new(127, 0, 0, 0),
        Ipv4Addr::new(127, 255, 255, 255),
        "a loopback address",
    ),
    (
        Ipv4Addr::new(169, 254, 0, 0),
        Ipv4Addr::new(169, 254, 255, 255),
        "a link-local address",
    ),
    (
        Ipv4Addr::new(224, 0, 0, 0),
        Ipv4Addr::new(239, 255, 255, 255),
        "a multicast address",
    ),
    (
        Ipv4Addr::BROADCAST,
        Ipv4Addr::BROADCAST,
        "the broadcast address",
    ),
];

/// IPv6 blocks that hold no address of a Service: RFC 4291 sections 2.4 to 2.7.
const NOT_UNICAST_V6: [(Ipv6Addr, Ipv6Addr, &str); 5] = [
    (
        Ipv6Addr::UNSPECIFIED,
        Ipv6Addr::UNSPECIFIED,
        "the unspecified address",
    ),
    (
        Ipv6Addr::LOCALHOST,
        Ipv6Addr::LOCALHOST,
        "the loopback address",
    ),
    (
        Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0),
        Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0xffff, 0xffff),
        "an IPv4 address written as IPv6",
    ),
    (
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0),
        Ipv6Addr::new(
            0xfebf, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff,
        ),
        "a link-local address",
    ),
    (
        Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0),
        Ipv6Addr::new(
            0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff,
        ),
        "a multicast address",
    ),
];

/// Reads one address. White space around it does not matter; everything else does.
///
/// # Errors
/// With what is wrong and what to write instead.
pub fn parse_address(text: &str) -> Result<IpAddr, AddressError> {
    let address = parse_any(text)?;
    match not_unicast(address, address) {
        Some(kind) => Err(AddressError::NotUnicast {
            text: excerpt(text),
            kind,
        }),
        None => Ok(address),
    }
}

/// Reads one address of any kind but IPv4 written as IPv6: also the ends of ranges and networks of CIDRs.
pub(super) fn parse_any(text: &str) -> Result<IpAddr, AddressError> {
    let text = text.trim();
    match text.parse() {
        Ok(IpAddr::V6(v6)) => match v6.to_ipv4_mapped() {
            Some(v4) => Err(AddressError::Mapped {
                text: excerpt(text),
                v4,
            }),
            None => Ok(IpAddr::V6(v6)),
        },
        Ok(v4) => Ok(v4),
        Err(_) => Err(match without_leading_zeros(text) {
            Some(canonical) => AddressError::LeadingZeros {
                text: excerpt(text),
                canonical,
            },
            None => AddressError::NotAnAddress {
                text: excerpt(text),
            },
        }),
    }
}

/// What some of the addresses from `first` to `last` are that a Service cannot have.
pub(super) fn not_unicast(first: IpAddr, last: IpAddr) -> Option<&'static str> {
    match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => overlapped(&NOT_UNICAST_V4, first, last),
        (IpAddr::V6(first), IpAddr::V6(last)) => overlapped(&NOT_UNICAST_V6, first, last),
        _ => None,
    }
}

/// At most 64 characters of a text that may be of any length, for a message that must fit into a condition.
pub fn excerpt(text: &str) -> String {
    const LENGTH: usize = 64;
    match text.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn overlapped<A: Ord + Copy>(
    blocks: &[(A, A, &'static str)],
    first: A,
    last: A,
) -> Option<&'static str> {
    blocks
        .iter()
        .find(|(from, to, _)| first <= *to && *from <= last)
        .map(|(.., kind)| *kind)
}

/// The IPv4 address that is meant if leading zeros mean nothing, where they are all that is wrong.
fn without_leading_zeros(text: &str) -> Option<Ipv4Addr> {
    let octets: Vec<&str> = text
        .split('.')
        .map(|octet| match octet.trim_start_matches('0') {
            "" if !octet.is_empty() => "0",
            rest => rest,
        })
        .collect();
    octets.join(".").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_addresses_are_read() {
        for (text, address) in [
            ("192.168.77.200", "192.168.77.200"),
            (" 10.0.0.0 ", "10.0.0.0"),
            ("FD77:0::0200", "fd77::200"),
            ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"),
            ("240.0.0.1", "240.0.0.1"),
        ] {
            assert_eq!(
                parse_address(text).map(|a| a.to_string()).as_deref(),
                Ok(address)
            );
        }
    }

    #[test]
    fn bad_addresses_are_refused_with_what_to_write() {
        let long = "x".repeat(100_000);
        for (text, words) in [
            ("", "not an IP address"),
            ("lan", "not an IP address"),
            ("10.0.0", "not an IP address"),
            ("10.0.0.256", "not an IP address"),
            ("10.0.0.1/32", "not an IP address"),
            ("1..2.3", "not an IP address"),
            ("fe80::1%eth0", "not an IP address"),
            (long.as_str(), "xxx...\" is not an IP address"),
            ("192.168.077.001", "write 192.168.77.1"),
            ("10.00.0.1", "write 10.0.0.1"),
            ("::ffff:192.168.77.1", "write 192.168.77.1"),
            ("0.0.0.0", "an unspecified address"),
            ("127.0.0.1", "a loopback address"),
            ("169.254.7.7", "a link-local address"),
            ("224.0.0.251", "a multicast address"),
            ("255.255.255.255", "the broadcast address"),
            ("::", "the unspecified address"),
            ("::1", "the loopback address"),
            ("fe80::1", "a link-local address"),
            ("ff02::1", "a multicast address"),
        ] {
            let fault = parse_address(text).unwrap_err().to_string();
            assert!(fault.contains(words), "{text}: {fault}");
            assert!(fault.len() < 200, "{fault}");
        }
    }
}
