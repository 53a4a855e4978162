//! Frames as they are on the wire: checked views of received ones, builders of sent ones.
//!
//! Invariant: a view exists only for a frame that passed every check of its protocol (RFC 826 and 5227 for ARP,
//! RFC 4861 section 7.1 for NDP), so its accessors cannot fail. Whatever bytes come in, nothing here panics.
//!
//! ```text
//!   bytes ──decode──▶ Frame::Arp(ArpFrame)   who says what about which IPv4 address
//!                     Frame::Ndp(NdpFrame)   the same for IPv6
//!         mld::Query::parse ──▶ Query        who listens to which group of IPv6
//! ```

pub mod arp;
pub mod dhcp;
mod ipv6;
pub mod mld;
pub mod ndp;

use herald_spi::Mac;
use pnet_base::MacAddr;
use pnet_packet::ethernet::{EtherType, EtherTypes, EthernetPacket, MutableEthernetPacket};

pub use arp::ArpFrame;
pub use ndp::NdpFrame;

/// The longest frame that is looked at: an ordinary MTU plus the Ethernet header. ARP and NDP never need more.
pub const MAX_FRAME: usize = 1514;

/// Octets of an Ethernet header without a VLAN tag.
const ETHERNET_HEADER: usize = 14;

/// A received frame that passed all checks.
#[derive(Debug)]
pub enum Frame<'a> {
    /// ARP for IPv4 over Ethernet.
    Arp(ArpFrame<'a>),
    /// A Neighbor Solicitation or Advertisement.
    Ndp(NdpFrame<'a>),
}

/// Why a received frame is not looked at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It ends before its headers or its payload do.
    #[error("the frame ends early: {got} octets where {needed} are needed")]
    Truncated {
        /// How many octets there had to be.
        needed: usize,
        /// How many there are.
        got: usize,
    },
    /// It is longer than [`MAX_FRAME`].
    #[error("the frame is too long: {0} octets")]
    Oversized(usize),
    /// It carries a VLAN tag, so it belongs to another link.
    #[error("the frame carries a VLAN tag")]
    Tagged,
    /// Neither ARP nor IPv6.
    #[error("the ethertype is {0:#06x}")]
    EtherType(u16),
    /// ARP for something else than IPv4 over Ethernet.
    #[error("the ARP message is not for IPv4 over Ethernet")]
    ArpKind,
    /// An ARP operation that is neither request nor reply.
    #[error("the ARP operation is {0}")]
    Operation(u16),
    /// The sender's hardware address is a group address or zero.
    #[error("the sender's hardware address {0} is not one host's")]
    Sender(Mac),
    /// The IP version is not 6.
    #[error("the IP version is {0}")]
    Version(u8),
    /// IPv6, but not ICMPv6 right after the fixed header (RFC 6980 forbids NDP behind fragments).
    #[error("the next header is {0}")]
    NextHeader(u8),
    /// Forwarded by a router, so not from this segment (RFC 4861 section 7.1).
    #[error("the hop limit is {0}")]
    HopLimit(u8),
    /// The ICMPv6 checksum is wrong.
    #[error("the ICMPv6 checksum is wrong")]
    Checksum,
    /// The ICMPv6 code is not zero.
    #[error("the ICMPv6 code is {0}")]
    Code(u8),
    /// ICMPv6, but neither a Neighbor Solicitation nor a Neighbor Advertisement.
    #[error("the ICMPv6 type is {0}")]
    Type(u8),
    /// The target is not a unicast address.
    #[error("the target is not a unicast address")]
    Target,
    /// A rule about source and destination addresses is broken.
    #[error("the source or the destination does not fit the message")]
    Addresses,
    /// An NDP option has length zero or runs over the end.
    #[error("an NDP option is malformed")]
    Options,
}

/// Reads one received Ethernet frame.
///
/// # Errors
/// Says which check the frame failed; such a frame is dropped and counted.
///
/// ```
/// use herald_layer2::frame::{Frame, arp, decode};
/// let bytes = arp::probe("02:00:00:00:00:01".parse().unwrap(), [192, 0, 2, 1].into());
/// assert!(matches!(decode(&bytes), Ok(Frame::Arp(frame)) if frame.is_probe()));
/// ```
pub fn decode(bytes: &[u8]) -> Result<Frame<'_>, FrameError> {
    match ethertype(bytes)? {
        EtherTypes::Arp => ArpFrame::parse(bytes).map(Frame::Arp),
        EtherTypes::Ipv6 => NdpFrame::parse(bytes).map(Frame::Ndp),
        other => Err(FrameError::EtherType(other.0)),
    }
}

/// The ethertype of an untagged frame of acceptable length.
fn ethertype(bytes: &[u8]) -> Result<EtherType, FrameError> {
    if bytes.len() > MAX_FRAME {
        return Err(FrameError::Oversized(bytes.len()));
    }
    match ethernet(bytes)?.get_ethertype() {
        EtherTypes::Vlan | EtherTypes::PBridge | EtherTypes::QinQ => Err(FrameError::Tagged),
        other => Ok(other),
    }
}

fn ethernet(bytes: &[u8]) -> Result<EthernetPacket<'_>, FrameError> {
    EthernetPacket::new(bytes).ok_or_else(|| truncated(ETHERNET_HEADER, bytes.len()))
}

fn payload(bytes: &[u8]) -> &[u8] {
    bytes.get(ETHERNET_HEADER..).unwrap_or_default()
}

const fn truncated(needed: usize, got: usize) -> FrameError {
    FrameError::Truncated { needed, got }
}

/// An empty frame of the given payload length with its Ethernet header filled in.
fn envelope(to: Mac, from: Mac, ethertype: EtherType, payload: usize) -> Vec<u8> {
    let mut bytes = vec![0; ETHERNET_HEADER + payload];
    if let Some(mut ethernet) = MutableEthernetPacket::new(&mut bytes) {
        ethernet.set_destination(to_pnet(to));
        ethernet.set_source(to_pnet(from));
        ethernet.set_ethertype(ethertype);
    }
    bytes
}

fn payload_mut(bytes: &mut [u8]) -> &mut [u8] {
    bytes.get_mut(ETHERNET_HEADER..).unwrap_or_default()
}

fn to_pnet(Mac(octets): Mac) -> MacAddr {
    octets.into()
}

fn from_pnet(mac: MacAddr) -> Mac {
    Mac(mac.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_envelope_is_checked_first() {
        let arp = arp::probe(Mac([2, 0, 0, 0, 0, 1]), [192, 0, 2, 1].into());
        let with_type = |ethertype: u16| {
            let mut bytes = arp.clone();
            bytes[12..14].copy_from_slice(&ethertype.to_be_bytes());
            bytes
        };
        let table = [
            (vec![], FrameError::Truncated { needed: 14, got: 0 }),
            (
                arp[..13].to_vec(),
                FrameError::Truncated {
                    needed: 14,
                    got: 13,
                },
            ),
            (
                arp[..41].to_vec(),
                FrameError::Truncated {
                    needed: 42,
                    got: 41,
                },
            ),
            (vec![0; 1515], FrameError::Oversized(1515)),
            (with_type(0x8100), FrameError::Tagged),
            (with_type(0x88a8), FrameError::Tagged),
            (with_type(0x9100), FrameError::Tagged),
            (with_type(0x0800), FrameError::EtherType(0x0800)),
        ];
        for (bytes, error) in table {
            assert_eq!(decode(&bytes).unwrap_err(), error);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..1600)) {
            let _ = decode(&bytes);
        }

        /// Random bytes rarely get past the ethertype; these do.
        #[test]
        fn no_bytes_behind_a_good_start_make_it_panic(
            ipv6 in any::<bool>(),
            tail in prop::collection::vec(any::<u8>(), 0..200),
            length in any::<u16>(),
            kind in 134u8..138,
        ) {
            let mut bytes = vec![2; 12];
            if ipv6 {
                bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
                bytes.extend(length.to_be_bytes());
                bytes.extend([58, 255]);
                bytes.extend([0xfe; 32]);
                bytes.push(kind);
            } else {
                bytes.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, kind]);
            }
            bytes.extend(tail);
            let _ = decode(&bytes);
        }
    }
}
