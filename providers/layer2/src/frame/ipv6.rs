//! What Neighbor Discovery and Multicast Listener Discovery share: the IPv6 header, and the checksum over it.

use std::net::Ipv6Addr;

use herald_spi::Mac;
use pnet_packet::{
    ethernet::EtherTypes,
    icmpv6::{self, MutableIcmpv6Packet},
    ip::IpNextHeaderProtocols,
    ipv6::MutableIpv6Packet,
};

use super::{envelope, payload_mut};

/// Octets of the IPv6 header.
pub(super) const IP_HEADER: usize = 40;

/// Who sends to whom, on both layers.
pub(super) struct Route {
    pub(super) from: Mac,
    pub(super) to: Mac,
    pub(super) source: Ipv6Addr,
    pub(super) destination: Ipv6Addr,
    pub(super) hop_limit: u8,
}

/// A whole frame around an ICMPv6 message of the given length, which `fill` writes; the checksum comes last. Before the
/// message stands a whole Hop-by-Hop Options header, or nothing.
pub(super) fn datagram(
    route: &Route,
    hop_by_hop: &[u8],
    length: usize,
    fill: impl FnOnce(&mut [u8]),
) -> Vec<u8> {
    let behind = hop_by_hop.len() + length;
    let mut bytes = envelope(route.to, route.from, EtherTypes::Ipv6, IP_HEADER + behind);
    let datagram = payload_mut(&mut bytes);
    if let Some(mut ip) = MutableIpv6Packet::new(datagram) {
        ip.set_version(6);
        ip.set_payload_length(u16::try_from(behind).unwrap_or_default());
        ip.set_next_header(if hop_by_hop.is_empty() {
            IpNextHeaderProtocols::Icmpv6
        } else {
            IpNextHeaderProtocols::Hopopt
        });
        ip.set_hop_limit(route.hop_limit);
        ip.set_source(route.source);
        ip.set_destination(route.destination);
    }
    let behind = datagram.get_mut(IP_HEADER..).unwrap_or_default();
    let Some((options, icmp)) = behind.split_at_mut_checked(hop_by_hop.len()) else {
        return bytes;
    };
    options.copy_from_slice(hop_by_hop);
    fill(icmp);
    if let Some(mut message) = MutableIcmpv6Packet::new(icmp) {
        let checksum = icmpv6::checksum(&message.to_immutable(), &route.source, &route.destination);
        message.set_checksum(checksum);
    }
    bytes
}
