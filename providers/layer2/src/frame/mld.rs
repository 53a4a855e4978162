//! Multicast Listener Discovery: the queries of RFC 2710 and RFC 3810, and what a listener tells.

use std::{net::Ipv6Addr, time::Duration};

use herald_spi::Mac;
use pnet_packet::{
    icmpv6::{self, Icmpv6Packet, Icmpv6Type},
    ip::{IpNextHeaderProtocol, IpNextHeaderProtocols},
    ipv6::Ipv6Packet,
};

use super::{
    ipv6::{IP_HEADER, Route, datagram},
    ndp::multicast_mac,
    payload,
};

const QUERY: u8 = 130;
const REPORT_OF_VERSION_1: u8 = 131;
const DONE: u8 = 132;
const REPORT: u8 = 143;

/// The Hop-by-Hop Options header of every message: ICMPv6 follows, a Router Alert for MLD (RFC 2711), and padding.
const ROUTER_ALERT: [u8; 8] = [58, 0, 5, 2, 0, 0, 1, 0];
/// No router forwards a message.
const HOP_LIMIT: u8 = 1;
/// Octets of every message of version 1, and of the beginning of a query of version 2.
const MESSAGE: usize = 24;
/// Octets of a query of version 2 without sources.
const QUERY_OF_VERSION_2: usize = 28;
/// Octets of a report before its records, and of a record without sources.
const REPORT_HEADER: usize = 8;
const RECORD: usize = 20;
/// So many records fit whatever the link's MTU is: IPv6 demands 1,280 octets.
pub const RECORDS: usize = (1280 - IP_HEADER - ROUTER_ALERT.len() - REPORT_HEADER) / RECORD;

/// Where reports of version 2 go: all routers that speak it, and the switches that overhear them.
const ROUTERS_OF_VERSION_2: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// What the querier of the segment speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// RFC 2710.
    One,
    /// RFC 3810.
    Two,
}

/// Who listens?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Of this group; `None`: of every one.
    pub group: Option<Ipv6Addr>,
    /// Answers are to be spread over so long.
    pub within: Duration,
    /// What the querier speaks.
    pub version: Version,
    /// How often a change is to be told, as the querier has it; 0 if it does not say.
    pub robustness: u8,
}

/// What a listener tells of a group; it listens to every source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It listens (`MODE_IS_EXCLUDE`): the answer to a query.
    Listens = 2,
    /// It does not any more (`CHANGE_TO_INCLUDE_MODE`).
    Left = 3,
    /// It does from now on (`CHANGE_TO_EXCLUDE_MODE`).
    Joined = 4,
}

/// One group, and what is told of it.
pub type Record = (Standing, Ipv6Addr);

/// Who reports: the link's hardware address and its link-local address, or `::` while it has none (RFC 3590).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station {
    /// Of the link.
    pub mac: Mac,
    /// Of the link too.
    pub address: Ipv6Addr,
}

impl Query {
    /// Reads one Ethernet frame; `None` if it is no query that a listener has to heed (RFC 3810 sections 6.2 and 8.1).
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let datagram = payload(bytes);
        let ip = Ipv6Packet::new(datagram)?;
        let near = ip.get_hop_limit() == HOP_LIMIT && ip.get_source().is_unicast_link_local();
        if ip.get_version() != 6 || ip.get_next_header() != IpNextHeaderProtocols::Hopopt || !near {
            return None;
        }
        let end = IP_HEADER + usize::from(ip.get_payload_length());
        let icmp = behind_router_alert(datagram.get(IP_HEADER..end)?)?;
        let message = Icmpv6Packet::new(icmp)?;
        let right = icmpv6::checksum(&message, &ip.get_source(), &ip.get_destination());
        if message.get_icmpv6_type() != Icmpv6Type(QUERY) || message.get_checksum() != right {
            return None;
        }
        let version = match icmp.len() {
            MESSAGE => Version::One,
            QUERY_OF_VERSION_2.. => Version::Two,
            _ => return None,
        };
        let code = u16::from_be_bytes(icmp.get(4..6)?.try_into().ok()?);
        let group: [u8; 16] = icmp.get(8..MESSAGE)?.try_into().ok()?;
        let group = Ipv6Addr::from(group);
        Some(Self {
            group: (!group.is_unspecified()).then_some(group),
            within: Duration::from_millis(match version {
                Version::One => code.into(),
                Version::Two => maximum_response_delay(code),
            }),
            version,
            // Behind the S flag; version 1 has none.
            robustness: icmp.get(MESSAGE).map_or(0, |octet| octet & 7),
        })
    }
}

/// A report of version 2, of up to [`RECORDS`] records.
#[must_use]
pub fn report(from: Station, records: &[Record]) -> Vec<u8> {
    let length = REPORT_HEADER + RECORD * records.len();
    datagram(
        &route(from, ROUTERS_OF_VERSION_2),
        &ROUTER_ALERT,
        length,
        |icmp| {
            let (header, rest) = icmp.split_at_mut(REPORT_HEADER);
            let count = u16::try_from(records.len()).unwrap_or_default();
            write(header, 0, &[REPORT]);
            write(header, 6, &count.to_be_bytes());
            for (octets, (standing, group)) in rest.chunks_exact_mut(RECORD).zip(records) {
                write(octets, 0, &[*standing as u8]);
                write(octets, 4, &group.octets());
            }
        },
    )
}

/// The same of one group to a querier of version 1.
#[must_use]
pub fn report_of_version_1(from: Station, (standing, group): Record) -> Vec<u8> {
    let (kind, to) = match standing {
        Standing::Listens | Standing::Joined => (REPORT_OF_VERSION_1, group),
        Standing::Left => (DONE, ALL_ROUTERS),
    };
    datagram(&route(from, to), &ROUTER_ALERT, MESSAGE, |icmp| {
        write(icmp, 0, &[kind]);
        write(icmp, 8, &group.octets());
    })
}

fn route(from: Station, to: Ipv6Addr) -> Route {
    Route {
        from: from.mac,
        to: multicast_mac(to),
        source: from.address,
        destination: to,
        hop_limit: HOP_LIMIT,
    }
}

fn write(octets: &mut [u8], at: usize, what: &[u8]) {
    if let Some(place) = octets.get_mut(at..at + what.len()) {
        place.copy_from_slice(what);
    }
}

/// The ICMPv6 message behind a Hop-by-Hop Options header that holds a Router Alert.
fn behind_router_alert(bytes: &[u8]) -> Option<&[u8]> {
    let &[next, length, ..] = bytes else {
        return None;
    };
    let (header, rest) = bytes.split_at_checked(8 * (usize::from(length) + 1))?;
    let mut options = header.get(2..)?;
    let mut alert = false;
    while let [kind, behind @ ..] = options {
        options = match (kind, behind) {
            // Padding of one octet has no length.
            (0, _) => behind,
            (kind, [length, behind @ ..]) => {
                alert |= (*kind, *length) == (5, 2);
                behind.get(usize::from(*length)..)?
            }
            _ => return None,
        };
    }
    (alert && IpNextHeaderProtocol(next) == IpNextHeaderProtocols::Icmpv6).then_some(rest)
}

/// Milliseconds; large ones have an exponent (RFC 3810 section 5.1.3).
fn maximum_response_delay(code: u16) -> u64 {
    let code = u64::from(code);
    if code < 0x8000 {
        code
    } else {
        (code & 0xfff | 0x1000) << ((code >> 12 & 7) + 3)
    }
}

#[cfg(test)]
mod tests;
