//! Neighbor Discovery: the Neighbor Solicitation and the Neighbor Advertisement of RFC 4861.

use std::net::Ipv6Addr;

use herald_spi::Mac;
use pnet_packet::{
    Packet,
    ethernet::{EtherTypes, EthernetPacket},
    icmpv6::{
        self, Icmpv6Packet, Icmpv6Type, Icmpv6Types,
        ndp::{
            MutableNdpOptionPacket, MutableNeighborAdvertPacket, MutableNeighborSolicitPacket,
            NdpOptionType, NdpOptionTypes, NeighborAdvertFlags, NeighborAdvertPacket,
            NeighborSolicitPacket,
        },
    },
    ip::IpNextHeaderProtocols,
    ipv6::Ipv6Packet,
};

use super::{
    ETHERNET_HEADER, FrameError, ethernet, ethertype, from_pnet,
    ipv6::{IP_HEADER, Route, datagram},
    payload, truncated,
};

/// Octets of a solicitation or an advertisement before its options; both have the same shape.
const MESSAGE: usize = 24;
/// Octets of an option that carries an Ethernet address.
const LINK_LAYER_OPTION: usize = 8;
/// What only a sender on the same segment can send (RFC 4861 section 3.1).
const HOP_LIMIT: u8 = 255;
/// All nodes of the segment.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// A view of a received Neighbor Solicitation or Advertisement.
#[derive(Debug)]
pub struct NdpFrame<'a> {
    ethernet: EthernetPacket<'a>,
    ip: Ipv6Packet<'a>,
    message: Message<'a>,
    link_layer: Option<Mac>,
}

#[derive(Debug)]
enum Message<'a> {
    Solicitation(NeighborSolicitPacket<'a>),
    Advertisement(NeighborAdvertPacket<'a>),
}

/// The flags of a Neighbor Advertisement (RFC 4861 section 4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags {
    /// R: the sender is a router.
    pub router: bool,
    /// S: it answers a solicitation of the host that it is sent to.
    pub solicited: bool,
    /// O: it replaces what is cached.
    pub overrides: bool,
}

impl<'a> NdpFrame<'a> {
    /// Checks one Ethernet frame as RFC 4861 sections 7.1.1 and 7.1.2 demand. Octets behind the IPv6 payload are
    /// Ethernet padding and are ignored.
    ///
    /// # Errors
    /// When it is no valid Neighbor Solicitation or Advertisement.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let ethertype = ethertype(bytes)?;
        if ethertype != EtherTypes::Ipv6 {
            return Err(FrameError::EtherType(ethertype.0));
        }
        let ethernet = ethernet(bytes)?;
        let (ip, icmp) = network(bytes)?;
        let message = message(&ip, icmp)?;
        let options = icmp.get(MESSAGE..).unwrap_or_default();
        let kind = match message {
            Message::Solicitation(_) => NdpOptionTypes::SourceLLAddr,
            Message::Advertisement(_) => NdpOptionTypes::TargetLLAddr,
        };
        let link_layer = link_layer(options, kind)?;
        let frame = Self {
            ethernet,
            ip,
            message,
            link_layer,
        };
        frame.check_addresses()?;
        Ok(frame)
    }

    fn check_addresses(&self) -> Result<(), FrameError> {
        let source_mac = self.source_mac();
        if !source_mac.is_unicast() {
            return Err(FrameError::Sender(source_mac));
        }
        if let Some(mac) = self.link_layer.filter(|mac| !mac.is_unicast()) {
            return Err(FrameError::Sender(mac));
        }
        let target = self.target();
        if target.is_multicast() || target.is_unspecified() {
            return Err(FrameError::Target);
        }
        let (source, destination) = (self.source(), self.ip.get_destination());
        let fits = match self.message {
            _ if source.is_multicast() => false,
            Message::Solicitation(_) if source.is_unspecified() => {
                self.link_layer.is_none() && destination == solicited_node(target)
            }
            Message::Solicitation(_) => true,
            Message::Advertisement(_) => {
                let solicits_all = destination.is_multicast() && self.flags().solicited;
                !source.is_unspecified() && !solicits_all
            }
        };
        fits.then_some(()).ok_or(FrameError::Addresses)
    }

    /// To whom the Ethernet header says it goes.
    #[must_use]
    pub fn destination(&self) -> Mac {
        from_pnet(self.ethernet.get_destination())
    }

    /// From whom the Ethernet header says it comes.
    #[must_use]
    pub fn source_mac(&self) -> Mac {
        from_pnet(self.ethernet.get_source())
    }

    /// Whether it asks; otherwise it advertises.
    #[must_use]
    pub fn is_solicitation(&self) -> bool {
        matches!(self.message, Message::Solicitation(_))
    }

    /// Whether it asks if an address is free (duplicate address detection, RFC 4862 section 5.4).
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.is_solicitation() && self.source().is_unspecified()
    }

    /// The IPv6 source.
    #[must_use]
    pub fn source(&self) -> Ipv6Addr {
        self.ip.get_source()
    }

    /// The IPv6 destination.
    #[must_use]
    pub fn ip_destination(&self) -> Ipv6Addr {
        self.ip.get_destination()
    }

    /// The address that is asked for or advertised.
    #[must_use]
    pub fn target(&self) -> Ipv6Addr {
        match &self.message {
            Message::Solicitation(message) => message.get_target_addr(),
            Message::Advertisement(message) => message.get_target_addr(),
        }
    }

    /// The hardware address in the option that goes with the message: the source's in a solicitation, the
    /// target's in an advertisement. Either may leave it out.
    #[must_use]
    pub fn link_layer(&self) -> Option<Mac> {
        self.link_layer
    }

    /// The flags of an advertisement; none are set in a solicitation.
    #[must_use]
    pub fn flags(&self) -> Flags {
        let octet = match &self.message {
            Message::Solicitation(_) => 0,
            Message::Advertisement(message) => message.get_flags(),
        };
        Flags {
            router: octet & NeighborAdvertFlags::Router != 0,
            solicited: octet & NeighborAdvertFlags::Solicited != 0,
            overrides: octet & NeighborAdvertFlags::Override != 0,
        }
    }
}

/// The multicast group that hosts with `address` listen to (RFC 4291 section 2.7.1).
///
/// ```
/// use herald_layer2::frame::ndp::solicited_node;
/// assert_eq!(solicited_node("fd77::12:3456".parse().unwrap()), "ff02::1:ff12:3456".parse::<std::net::Ipv6Addr>().unwrap());
/// ```
#[must_use]
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (high & 0xff), low)
}

/// The Ethernet group that an IPv6 group maps to (RFC 2464 section 7).
#[must_use]
pub fn multicast_mac(group: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = group.octets();
    Mac([0x33, 0x33, a, b, c, d])
}

/// The answer to a host that asked: `address` is at `from`, unicast, solicited, overriding.
#[must_use]
pub fn solicited(from: Mac, address: Ipv6Addr, to: Mac, to_address: Ipv6Addr) -> Vec<u8> {
    let flags = NeighborAdvertFlags::Solicited | NeighborAdvertFlags::Override;
    advertisement(from, address, to, to_address, flags)
}

/// `address` is at `from`, to all nodes, overriding: the announcement, and the answer to duplicate address detection.
#[must_use]
pub fn unsolicited(from: Mac, address: Ipv6Addr) -> Vec<u8> {
    let to = multicast_mac(ALL_NODES);
    advertisement(from, address, to, ALL_NODES, NeighborAdvertFlags::Override)
}

/// An ordinary question, multicast: who has `target`? With the asker's hardware address.
#[must_use]
pub fn request(from: Mac, address: Ipv6Addr, target: Ipv6Addr) -> Vec<u8> {
    solicitation(from, address, target, Some(from))
}

/// The question whether `target` is free, as in duplicate address detection: no source, no option.
#[must_use]
pub fn probe(from: Mac, target: Ipv6Addr) -> Vec<u8> {
    solicitation(from, Ipv6Addr::UNSPECIFIED, target, None)
}

fn solicitation(from: Mac, source: Ipv6Addr, target: Ipv6Addr, link_layer: Option<Mac>) -> Vec<u8> {
    let group = solicited_node(target);
    let route = Route {
        from,
        to: multicast_mac(group),
        source,
        destination: group,
        hop_limit: HOP_LIMIT,
    };
    let option = link_layer.map_or(0, |_| LINK_LAYER_OPTION);
    datagram(&route, &[], MESSAGE + option, |icmp| {
        if let Some(mut message) = MutableNeighborSolicitPacket::new(icmp) {
            message.set_icmpv6_type(Icmpv6Types::NeighborSolicit);
            message.set_target_addr(target);
        }
        if let Some(mac) = link_layer {
            write_link_layer(icmp, NdpOptionTypes::SourceLLAddr, mac);
        }
    })
}

/// The source of the IPv6 header is the advertised address itself, as the Linux kernel does it, so that a link
/// without a link-local address can announce too.
fn advertisement(
    from: Mac,
    address: Ipv6Addr,
    to: Mac,
    destination: Ipv6Addr,
    flags: u8,
) -> Vec<u8> {
    let route = Route {
        from,
        to,
        source: address,
        destination,
        hop_limit: HOP_LIMIT,
    };
    datagram(&route, &[], MESSAGE + LINK_LAYER_OPTION, |icmp| {
        if let Some(mut message) = MutableNeighborAdvertPacket::new(icmp) {
            message.set_icmpv6_type(Icmpv6Types::NeighborAdvert);
            message.set_flags(flags);
            message.set_target_addr(address);
        }
        write_link_layer(icmp, NdpOptionTypes::TargetLLAddr, from);
    })
}

/// Writes the option right behind the message.
fn write_link_layer(icmp: &mut [u8], kind: NdpOptionType, mac: Mac) {
    let options = icmp.get_mut(MESSAGE..).unwrap_or_default();
    if let Some(mut option) = MutableNdpOptionPacket::new(options) {
        option.set_option_type(kind);
        option.set_length(1);
        option.set_data(&mac.0);
    }
}

/// The IPv6 header, and the ICMPv6 message right behind it.
fn network(bytes: &[u8]) -> Result<(Ipv6Packet<'_>, &[u8]), FrameError> {
    let datagram = payload(bytes);
    let short = |needed: usize| truncated(ETHERNET_HEADER + needed, bytes.len());
    let ip = Ipv6Packet::new(datagram).ok_or_else(|| short(IP_HEADER))?;
    if ip.get_version() != 6 {
        return Err(FrameError::Version(ip.get_version()));
    }
    if ip.get_next_header() != IpNextHeaderProtocols::Icmpv6 {
        return Err(FrameError::NextHeader(ip.get_next_header().0));
    }
    if ip.get_hop_limit() != HOP_LIMIT {
        return Err(FrameError::HopLimit(ip.get_hop_limit()));
    }
    let end = IP_HEADER + usize::from(ip.get_payload_length());
    let icmp = datagram.get(IP_HEADER..end).ok_or_else(|| short(end))?;
    Ok((ip, icmp))
}

/// The message without its options.
fn message<'a>(ip: &Ipv6Packet<'_>, icmp: &'a [u8]) -> Result<Message<'a>, FrameError> {
    let short = || {
        truncated(
            ETHERNET_HEADER + IP_HEADER + MESSAGE,
            ETHERNET_HEADER + IP_HEADER + icmp.len(),
        )
    };
    let header = Icmpv6Packet::new(icmp).ok_or_else(short)?;
    let message = match header.get_icmpv6_type() {
        Icmpv6Types::NeighborSolicit => {
            Message::Solicitation(NeighborSolicitPacket::new(icmp).ok_or_else(short)?)
        }
        Icmpv6Types::NeighborAdvert => {
            Message::Advertisement(NeighborAdvertPacket::new(icmp).ok_or_else(short)?)
        }
        Icmpv6Type(other) => return Err(FrameError::Type(other)),
    };
    if header.get_icmpv6_code().0 != 0 {
        return Err(FrameError::Code(header.get_icmpv6_code().0));
    }
    let right = icmpv6::checksum(&header, &ip.get_source(), &ip.get_destination());
    if right != header.get_checksum() {
        return Err(FrameError::Checksum);
    }
    debug_assert_eq!(
        header.packet().len(),
        icmp.len(),
        "the checksum covers it all"
    );
    Ok(message)
}

/// The hardware address in the first option of type `wanted`; all options must be well-formed. Read by hand,
/// because pnet multiplies an option's length in eight bits.
fn link_layer(
    mut options: &[u8],
    NdpOptionType(wanted): NdpOptionType,
) -> Result<Option<Mac>, FrameError> {
    let mut found = None;
    while let [kind, length, ..] = *options {
        let octets = usize::from(length) * 8;
        let (option, rest) = options
            .split_at_checked(octets)
            .ok_or(FrameError::Options)?;
        match option {
            [] => return Err(FrameError::Options),
            &[_, _, a, b, c, d, e, f, ..] if kind == wanted && found.is_none() => {
                // Ethernet's takes exactly one unit; more is another kind of link.
                if octets != LINK_LAYER_OPTION {
                    return Err(FrameError::Options);
                }
                found = Some(Mac([a, b, c, d, e, f]));
            }
            _ => {}
        }
        options = rest;
    }
    if options.is_empty() {
        Ok(found)
    } else {
        Err(FrameError::Options)
    }
}

#[cfg(test)]
mod tests;
