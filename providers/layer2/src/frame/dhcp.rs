//! DHCP for IPv4 (RFC 2131, RFC 2132), as far as one may look without taking: DISCOVER is sent, OFFER is read. A REQUEST
//! is never built, so no lease is ever taken.

use std::net::Ipv4Addr;

use herald_spi::Mac;
use pnet_packet::{
    ethernet::{EtherType, EtherTypes},
    ip::IpNextHeaderProtocols,
    ipv4::{self, Ipv4Packet, MutableIpv4Packet},
    udp::{self, MutableUdpPacket, UdpPacket},
};

use super::{
    ETHERNET_HEADER, FrameError, envelope, ethernet, ethertype, from_pnet, payload, payload_mut,
    truncated,
};

const IP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;
/// The fixed part of a message, up to the options.
const FIXED: usize = 236;
/// What the options begin with (RFC 2131 section 3).
const COOKIE: [u8; 4] = [99, 130, 83, 99];
const CLIENT: u16 = 68;
const SERVER: u16 = 67;
const LIFE: u8 = 64;
/// "Answer by broadcast": the asker has no address to which a unicast answer could go.
const BROADCAST_FLAG: [u8; 2] = [0x80, 0];
/// Some relays drop messages that are shorter than BOOTP's.
const SHORTEST: usize = 300;

const REQUESTED_ADDRESS: u8 = 50;
const MESSAGE_TYPE: u8 = 53;
const SERVER_ID: u8 = 54;
const PARAMETERS: u8 = 55;
const CLIENT_ID: u8 = 61;
const PAD: u8 = 0;
const END: u8 = 255;
const DISCOVER: u8 = 1;
const OFFER: u8 = 2;

/// What a server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offer {
    /// The number of the question that it answers.
    pub transaction: u32,
    /// The address that the server would give out.
    pub address: Ipv4Addr,
    /// The server, as it names itself.
    pub server: Ipv4Addr,
    /// From whom the frame comes: the server or its relay.
    pub mac: Mac,
}

/// The question who gives out addresses, broadcast, and whether `wanted` is one of them.
///
/// It names a client of its own (option 61), so that no server takes it for the node's own lease, which it would offer
/// again whatever is wanted.
#[must_use]
pub fn discover(from: Mac, transaction: u32, wanted: Option<Ipv4Addr>) -> Vec<u8> {
    let mut message = vec![0; FIXED];
    // Request, Ethernet, 6 octets of hardware address, no hops.
    write(&mut message, 0, &[1, 1, 6, 0]);
    write(&mut message, 4, &transaction.to_be_bytes());
    write(&mut message, 10, &BROADCAST_FLAG);
    write(&mut message, 28, &from.0);
    message.extend(COOKIE);
    message.extend([MESSAGE_TYPE, 1, DISCOVER]);
    if let Some(wanted) = wanted {
        message.extend([REQUESTED_ADDRESS, 4]);
        message.extend(wanted.octets());
    }
    // Type 0: no hardware address.
    message.extend([CLIENT_ID, 13, 0]);
    message.extend(b"herald");
    message.extend(from.0);
    // Mask and router; some servers are silent to who asks for nothing.
    message.extend([PARAMETERS, 2, 1, 3, END]);
    message.resize(message.len().max(SHORTEST), PAD);
    datagram(from, &message)
}

/// Reads an OFFER to `client`. `None` for any other message of a server.
///
/// # Errors
/// When the frame is no whole message from a DHCP server to a client.
pub fn offer(bytes: &[u8], client: Mac) -> Result<Option<Offer>, FrameError> {
    let kind = ethertype(bytes)?;
    if kind != EtherTypes::Ipv4 {
        return Err(FrameError::EtherType(kind.0));
    }
    let mac = from_pnet(ethernet(bytes)?.get_source());
    let message = message(bytes)?;
    let (fixed, options) = message.split_at_checked(FIXED).ok_or_else(|| {
        truncated(
            ETHERNET_HEADER + IP_HEADER + UDP_HEADER + FIXED,
            bytes.len(),
        )
    })?;
    let field = |from: usize, length: usize| fixed.get(from..from + length).unwrap_or_default();
    let options = options.strip_prefix(&COOKIE).ok_or(FrameError::Options)?;
    let is_reply = field(0, 1) == [2] && field(28, 6) == client.0;
    let kind = option(options, MESSAGE_TYPE)?;
    if !is_reply || kind != Some(&[OFFER]) {
        return Ok(None);
    }
    let four = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).ok();
    let (Some(transaction), Some(address)) = (four(field(4, 4)), four(field(16, 4))) else {
        return Ok(None);
    };
    // A server must name itself (RFC 2131 table 3); what does not is known by its source.
    let named = option(options, SERVER_ID)?
        .and_then(four)
        .map(Ipv4Addr::from);
    let source = Ipv4Packet::new(payload(bytes)).map(|ip| ip.get_source());
    Ok(Some(Offer {
        transaction: u32::from_be_bytes(transaction),
        address: address.into(),
        server: named.or(source).unwrap_or(Ipv4Addr::UNSPECIFIED),
        mac,
    }))
}

/// The payload of a whole, unfragmented UDP datagram from a server to a client.
fn message(bytes: &[u8]) -> Result<&[u8], FrameError> {
    let datagram = payload(bytes);
    let short = |needed: usize| truncated(ETHERNET_HEADER + needed, bytes.len());
    let ip = Ipv4Packet::new(datagram).ok_or_else(|| short(IP_HEADER))?;
    if ip.get_version() != 4 {
        return Err(FrameError::Version(ip.get_version()));
    }
    if ip.get_next_level_protocol() != IpNextHeaderProtocols::Udp {
        return Err(FrameError::NextHeader(ip.get_next_level_protocol().0));
    }
    let header = usize::from(ip.get_header_length()) * 4;
    let total = usize::from(ip.get_total_length());
    let fragment =
        ip.get_fragment_offset() != 0 || ip.get_flags() & ipv4::Ipv4Flags::MoreFragments != 0;
    if header < IP_HEADER || fragment {
        return Err(FrameError::Addresses);
    }
    let udp = datagram
        .get(header..total)
        .ok_or_else(|| short(total.max(header)))?;
    let head = UdpPacket::new(udp).ok_or_else(|| short(header + UDP_HEADER))?;
    if (head.get_source(), head.get_destination()) != (SERVER, CLIENT) {
        return Err(FrameError::Addresses);
    }
    // The checksum is not looked at: from another namespace or guest of the same machine it comes unfinished, as the
    // network card would have finished it, and the link's own check has passed.
    let length = usize::from(head.get_length());
    udp.get(UDP_HEADER..length)
        .ok_or_else(|| short(header + length))
}

/// The first option of this kind.
fn option(mut options: &[u8], wanted: u8) -> Result<Option<&[u8]>, FrameError> {
    loop {
        options = match *options {
            [] | [END, ..] => return Ok(None),
            [PAD, ref rest @ ..] => rest,
            [kind, length, ref rest @ ..] => {
                let (value, rest) = rest
                    .split_at_checked(usize::from(length))
                    .ok_or(FrameError::Options)?;
                if kind == wanted {
                    return Ok(Some(value));
                }
                rest
            }
            [_] => return Err(FrameError::Options),
        };
    }
}

fn write(bytes: &mut [u8], at: usize, what: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(what) {
        *to = *from;
    }
}

/// From a client without an address to every server.
fn datagram(from: Mac, message: &[u8]) -> Vec<u8> {
    let length = UDP_HEADER + message.len();
    let ethertype: EtherType = EtherTypes::Ipv4;
    let mut bytes = envelope(Mac::BROADCAST, from, ethertype, IP_HEADER + length);
    let datagram = payload_mut(&mut bytes);
    if let Some(mut ip) = MutableIpv4Packet::new(datagram) {
        ip.set_version(4);
        ip.set_header_length(5);
        ip.set_total_length(u16::try_from(IP_HEADER + length).unwrap_or_default());
        ip.set_ttl(LIFE);
        ip.set_next_level_protocol(IpNextHeaderProtocols::Udp);
        ip.set_source(Ipv4Addr::UNSPECIFIED);
        ip.set_destination(Ipv4Addr::BROADCAST);
        let checksum = ipv4::checksum(&ip.to_immutable());
        ip.set_checksum(checksum);
    }
    let part = datagram.get_mut(IP_HEADER..).unwrap_or_default();
    if let Some(mut udp) = MutableUdpPacket::new(part) {
        udp.set_source(CLIENT);
        udp.set_destination(SERVER);
        udp.set_length(u16::try_from(length).unwrap_or_default());
        udp.set_payload(message);
        let checksum = udp::ipv4_checksum(
            &udp.to_immutable(),
            &Ipv4Addr::UNSPECIFIED,
            &Ipv4Addr::BROADCAST,
        );
        udp.set_checksum(checksum);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Mac = Mac([2, 0, 0, 0, 0, 0xa]);
    const SERVER_MAC: Mac = Mac([2, 0, 0, 0, 0, 0xd]);
    const WANTED: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 230);

    /// A server's answer, made of the question as RFC 2131 table 3 says.
    fn answer(question: &[u8], kind: u8) -> Vec<u8> {
        let message = &question[ETHERNET_HEADER + IP_HEADER + UDP_HEADER..];
        let mut reply = message[..FIXED].to_vec();
        reply[0] = 2;
        write(&mut reply, 16, &WANTED.octets());
        reply.extend(COOKIE);
        reply.extend([
            PAD,
            MESSAGE_TYPE,
            1,
            kind,
            SERVER_ID,
            4,
            192,
            168,
            77,
            2,
            END,
        ]);
        let mut bytes = datagram(SERVER_MAC, &reply);
        let udp = ETHERNET_HEADER + IP_HEADER;
        write(&mut bytes, udp, &[0, 67, 0, 68, 0, 0, 0, 0]);
        let length = u16::try_from(bytes.len() - udp).unwrap();
        write(&mut bytes, udp + 4, &length.to_be_bytes());
        bytes
    }

    #[test]
    fn the_octets_of_a_discover_are_those_of_the_rfc() {
        let bytes = discover(A, 0x0102_0304, Some(WANTED));
        #[rustfmt::skip]
        let expected = [
            255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 0xa, 8, 0, // broadcast, from A, IPv4
            0x45, 0, 1, 72, 0, 0, 0, 0, 64, 17, 0x79, 0xa6, // 328 octets, UDP
            0, 0, 0, 0, 255, 255, 255, 255,
            0, 68, 0, 67, 1, 52, // from 68 to 67, 308 octets
        ];
        assert_eq!(bytes[..40], expected);
        let message = &bytes[42..];
        #[rustfmt::skip]
        assert_eq!(message[..34], [
            1, 1, 6, 0, 1, 2, 3, 4, // a request over Ethernet, the transaction
            0, 0, 0x80, 0, // answer by broadcast
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // no address of the client, server or relay
            2, 0, 0, 0, 0, 0xa,
        ]);
        #[rustfmt::skip]
        assert_eq!(message[236..271], [
            99, 130, 83, 99, 53, 1, 1, 50, 4, 192, 168, 77, 230,
            61, 13, 0, b'h', b'e', b'r', b'a', b'l', b'd', 2, 0, 0, 0, 0, 0xa, 55, 2, 1, 3, 255, 0, 0,
        ]);
        assert_eq!(message.len(), 300);
        let udp = UdpPacket::new(&bytes[34..]).unwrap();
        let sum = udp::ipv4_checksum(&udp, &Ipv4Addr::UNSPECIFIED, &Ipv4Addr::BROADCAST);
        assert_eq!(udp.get_checksum(), sum);
    }

    #[test]
    fn an_offer_is_read_and_nothing_else_is_one() {
        let question = discover(A, 7, Some(WANTED));
        let good = answer(&question, OFFER);
        let offered = Offer {
            transaction: 7,
            address: WANTED,
            server: [192, 168, 77, 2].into(),
            mac: SERVER_MAC,
        };
        assert_eq!(offer(&good, A), Ok(Some(offered)));
        // To another client, an acknowledgement, and the question itself.
        assert_eq!(offer(&good, SERVER_MAC), Ok(None));
        assert_eq!(offer(&answer(&question, 5), A), Ok(None));
        assert_eq!(offer(&question, A), Err(FrameError::Addresses));
        for end in 0..good.len() {
            assert_ne!(offer(&good[..end], A), Ok(Some(offered)), "{end} octets");
        }
        let options = ETHERNET_HEADER + IP_HEADER + UDP_HEADER + FIXED + COOKIE.len();
        for (at, octet, error) in [
            (14, 0x65, FrameError::Version(6)),
            (20, 0x20, FrameError::Addresses),
            (23, 6, FrameError::NextHeader(6)),
            (options - 1, 0, FrameError::Options),
            (options + 2, 200, FrameError::Options),
        ] {
            let mut ill = good.clone();
            ill[at] = octet;
            assert_eq!(offer(&ill, A), Err(error), "octet {at}");
        }
    }
}
