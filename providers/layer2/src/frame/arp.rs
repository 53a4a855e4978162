//! ARP for IPv4 over Ethernet: RFC 826, and RFC 5227 for probes and announcements.

use std::net::Ipv4Addr;

use herald_spi::Mac;
use pnet_packet::{
    arp::{ArpHardwareTypes, ArpOperation, ArpOperations, ArpPacket, MutableArpPacket},
    ethernet::{EtherTypes, EthernetPacket},
};

use super::{
    ETHERNET_HEADER, FrameError, envelope, ethernet, ethertype, from_pnet, payload, payload_mut,
    to_pnet, truncated,
};

/// Octets of an ARP message for IPv4 over Ethernet.
const MESSAGE: usize = 28;

/// A view of a received ARP request or reply.
#[derive(Debug)]
pub struct ArpFrame<'a> {
    ethernet: EthernetPacket<'a>,
    arp: ArpPacket<'a>,
}

impl<'a> ArpFrame<'a> {
    /// Checks one Ethernet frame. Octets behind the message are Ethernet padding and are ignored.
    ///
    /// # Errors
    /// When it is no ARP request or reply for IPv4 over Ethernet from one host's hardware address.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, FrameError> {
        let ethertype = ethertype(bytes)?;
        if ethertype != EtherTypes::Arp {
            return Err(FrameError::EtherType(ethertype.0));
        }
        let arp = ArpPacket::new(payload(bytes))
            .ok_or_else(|| truncated(ETHERNET_HEADER + MESSAGE, bytes.len()))?;
        let kind = (
            arp.get_hardware_type(),
            arp.get_protocol_type(),
            arp.get_hw_addr_len(),
            arp.get_proto_addr_len(),
        );
        if kind != (ArpHardwareTypes::Ethernet, EtherTypes::Ipv4, 6, 4) {
            return Err(FrameError::ArpKind);
        }
        match arp.get_operation() {
            ArpOperations::Request | ArpOperations::Reply => {}
            ArpOperation(other) => return Err(FrameError::Operation(other)),
        }
        let frame = Self {
            ethernet: ethernet(bytes)?,
            arp,
        };
        match frame.sender_mac() {
            mac if mac.is_unicast() => Ok(frame),
            mac => Err(FrameError::Sender(mac)),
        }
    }

    /// To whom the Ethernet header says it goes.
    #[must_use]
    pub fn destination(&self) -> Mac {
        from_pnet(self.ethernet.get_destination())
    }

    /// Whether it asks; otherwise it replies.
    #[must_use]
    pub fn is_request(&self) -> bool {
        self.arp.get_operation() == ArpOperations::Request
    }

    /// Whether it asks if an address is free (RFC 5227 section 1.1): a request without a sender address.
    #[must_use]
    pub fn is_probe(&self) -> bool {
        self.is_request() && self.sender().is_unspecified()
    }

    /// Whether it tells instead of asking: sender and target are the same address.
    #[must_use]
    pub fn is_announcement(&self) -> bool {
        self.sender() == self.target()
    }

    /// The hardware address that the message names as its sender's.
    #[must_use]
    pub fn sender_mac(&self) -> Mac {
        from_pnet(self.arp.get_sender_hw_addr())
    }

    /// The address that the sender says it has.
    #[must_use]
    pub fn sender(&self) -> Ipv4Addr {
        self.arp.get_sender_proto_addr()
    }

    /// The hardware address that the message names as the target's.
    #[must_use]
    pub fn target_mac(&self) -> Mac {
        from_pnet(self.arp.get_target_hw_addr())
    }

    /// The address that is asked for, or to which is replied.
    #[must_use]
    pub fn target(&self) -> Ipv4Addr {
        self.arp.get_target_proto_addr()
    }
}

/// The answer, unicast: `address` is at `from`. `to` and `to_address` are the asker's.
#[must_use]
pub fn reply(from: Mac, address: Ipv4Addr, to: Mac, to_address: Ipv4Addr) -> Vec<u8> {
    message(to, ArpOperations::Reply, (from, address), (to, to_address))
}

/// An ordinary question, broadcast: who has `target`?
#[must_use]
pub fn request(from: Mac, address: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    message(
        Mac::BROADCAST,
        ArpOperations::Request,
        (from, address),
        (Mac::ZERO, target),
    )
}

/// The question whether `target` is free: no sender address, so that nobody's cache changes.
#[must_use]
pub fn probe(from: Mac, target: Ipv4Addr) -> Vec<u8> {
    request(from, Ipv4Addr::UNSPECIFIED, target)
}

/// `address` is at `from`, broadcast as a request (RFC 5227 section 3).
#[must_use]
pub fn announcement_request(from: Mac, address: Ipv4Addr) -> Vec<u8> {
    request(from, address, address)
}

/// `address` is at `from`, broadcast as a reply, for hosts that ignore the other form (RFC 5944 section 4.6).
#[must_use]
pub fn announcement_reply(from: Mac, address: Ipv4Addr) -> Vec<u8> {
    message(
        Mac::BROADCAST,
        ArpOperations::Reply,
        (from, address),
        (from, address),
    )
}

fn message(
    to: Mac,
    operation: ArpOperation,
    sender: (Mac, Ipv4Addr),
    target: (Mac, Ipv4Addr),
) -> Vec<u8> {
    let mut bytes = envelope(to, sender.0, EtherTypes::Arp, MESSAGE);
    if let Some(mut arp) = MutableArpPacket::new(payload_mut(&mut bytes)) {
        arp.set_hardware_type(ArpHardwareTypes::Ethernet);
        arp.set_protocol_type(EtherTypes::Ipv4);
        arp.set_hw_addr_len(6);
        arp.set_proto_addr_len(4);
        arp.set_operation(operation);
        arp.set_sender_hw_addr(to_pnet(sender.0));
        arp.set_sender_proto_addr(sender.1);
        arp.set_target_hw_addr(to_pnet(target.0));
        arp.set_target_proto_addr(target.1);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: Mac = Mac([2, 0, 0, 0, 0, 0xa]);
    const B: Mac = Mac([2, 0, 0, 0, 0, 0xb]);

    #[test]
    fn the_octets_are_those_of_the_rfc() {
        #[rustfmt::skip]
        let expected = [
            2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa, 8, 6, // to B, from A, ARP
            0, 1, 8, 0, 6, 4, 0, 2, // Ethernet, IPv4, 6, 4, reply
            2, 0, 0, 0, 0, 0xa, 192, 0, 2, 1, // A has 192.0.2.1
            2, 0, 0, 0, 0, 0xb, 192, 0, 2, 9,
        ];
        assert_eq!(
            reply(A, [192, 0, 2, 1].into(), B, [192, 0, 2, 9].into()),
            expected
        );
    }

    #[test]
    fn each_ill_field_is_refused() {
        let good = request(A, [192, 0, 2, 9].into(), [192, 0, 2, 1].into());
        let table: [(usize, u8, FrameError); 9] = [
            (15, 6, FrameError::ArpKind),      // hardware type
            (16, 0x86, FrameError::ArpKind),   // protocol type
            (18, 8, FrameError::ArpKind),      // hardware address length
            (19, 16, FrameError::ArpKind),     // protocol address length
            (21, 0, FrameError::Operation(0)), // operation
            (21, 3, FrameError::Operation(3)), // reverse ARP
            (20, 1, FrameError::Operation(0x101)),
            (22, 3, FrameError::Sender(Mac([3, 0, 0, 0, 0, 0xa]))),
            (12, 0x86, FrameError::EtherType(0x8606)),
        ];
        for (at, octet, error) in table {
            let mut bytes = good.clone();
            bytes[at] = octet;
            assert_eq!(ArpFrame::parse(&bytes).unwrap_err(), error, "octet {at}");
        }
        let mut nobody = good.clone();
        nobody[22..28].fill(0);
        assert_eq!(
            ArpFrame::parse(&nobody).unwrap_err(),
            FrameError::Sender(Mac::ZERO)
        );
    }

    #[test]
    fn padding_is_ignored() {
        let mut bytes = probe(A, [192, 0, 2, 1].into());
        bytes.resize(60, 0xee);
        assert!(ArpFrame::parse(&bytes).unwrap().is_probe());
    }

    fn mac() -> impl Strategy<Value = Mac> {
        any::<[u8; 6]>()
            .prop_map(Mac)
            .prop_filter("one host's", |mac| mac.is_unicast())
    }

    proptest! {
        #[test]
        fn what_is_built_is_read(from in mac(), to in mac(), a in any::<[u8; 4]>(), b in any::<[u8; 4]>()) {
            let (a, b) = (Ipv4Addr::from(a), Ipv4Addr::from(b));
            let bytes = reply(from, a, to, b);
            let frame = ArpFrame::parse(&bytes).unwrap();
            prop_assert!(!frame.is_request());
            prop_assert_eq!(
                (frame.destination(), frame.sender_mac(), frame.sender(), frame.target_mac(), frame.target()),
                (to, from, a, to, b)
            );

            let bytes = probe(from, a);
            let frame = ArpFrame::parse(&bytes).unwrap();
            prop_assert!(frame.is_probe());
            prop_assert_eq!((frame.destination(), frame.target()), (Mac::BROADCAST, a));

            for (bytes, asks) in [(announcement_request(from, a), true), (announcement_reply(from, a), false)] {
                let frame = ArpFrame::parse(&bytes).unwrap();
                prop_assert!(frame.is_announcement());
                prop_assert_eq!((frame.is_request(), frame.sender_mac(), frame.sender()), (asks, from, a));
                prop_assert_eq!(frame.destination(), Mac::BROADCAST);
            }
        }
    }
}
