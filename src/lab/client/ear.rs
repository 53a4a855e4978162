//! Hears who claims an address on the wire: ARP frames with it as sender, neighbour advertisements with it as target.
//!
//! The kernel's neighbour table keeps one answer; two hosts that both answer show only here.

use std::{collections::BTreeSet, io, io::Read as _, net::IpAddr};

use anyhow::Context as _;
use herald_spi::Mac;
use socket2::{Domain, Protocol, Socket, Type};

const ETHERTYPE_ARP: u16 = 0x0806;
const ARP_REPLY: [u8; 2] = [0, 2];
/// RFC 4861, section 4.4.
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const TARGET_LINK_LAYER_ADDRESS: u8 = 2;

/// A socket that has been listening since it was opened.
#[derive(Debug)]
pub(super) struct Ear(Socket);

impl Ear {
    /// Listens for claims of addresses of that family, on every link.
    pub(super) fn open(address: IpAddr) -> anyhow::Result<Self> {
        let (domain, protocol) = match address {
            IpAddr::V4(_) => (
                Domain::PACKET,
                Protocol::from(i32::from(ETHERTYPE_ARP.to_be())),
            ),
            IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
        };
        let socket = Socket::new(domain, Type::RAW.nonblocking().cloexec(), Some(protocol));
        socket
            .map(Self)
            .context("the client cannot listen on the wire")
    }

    /// Who has claimed the address since the last call.
    pub(super) fn heard(&self, address: IpAddr) -> anyhow::Result<BTreeSet<Mac>> {
        let mut macs = BTreeSet::new();
        let mut packet = [0; 2048];
        loop {
            match (&self.0).read(&mut packet) {
                Ok(length) => {
                    let packet = packet.get(..length).unwrap_or_default();
                    macs.extend(match address {
                        IpAddr::V4(ipv4) => arp_sender(packet, ipv4.octets()),
                        IpAddr::V6(ipv6) => advertiser(packet, ipv6.octets()),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(macs),
                Err(error) => return Err(error).context("the client cannot hear the wire"),
            }
        }
    }
}

/// The sender's hardware address in an ARP reply (RFC 826) that comes from that protocol address.
fn arp_sender(frame: &[u8], address: [u8; 4]) -> Option<Mac> {
    let arp = frame.get(14..42)?;
    let claims = arp.get(6..8)? == ARP_REPLY && arp.get(14..18)? == address;
    claims
        .then(|| arp.get(8..14)?.try_into().ok().map(Mac))
        .flatten()
}

/// The target's hardware address in a neighbour advertisement for that target.
fn advertiser(message: &[u8], address: [u8; 16]) -> Option<Mac> {
    let (header, mut options) = message.split_at_checked(24)?;
    if *header.first()? != NEIGHBOUR_ADVERTISEMENT || header.get(8..24)? != address {
        return None;
    }
    loop {
        let [kind, units, rest @ ..] = options else {
            return None;
        };
        if *kind == TARGET_LINK_LAYER_ADDRESS {
            return rest.get(..6)?.try_into().ok().map(Mac);
        }
        options = options.get(usize::from(*units).max(1) * 8..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0x77, 1];

    fn arp(operation: u8, sender: [u8; 4]) -> Vec<u8> {
        let ethernet = [&[0xff; 6][..], &MAC, &[8, 6]].concat();
        let arp = [
            &[0, 1, 8, 0, 6, 4, 0, operation][..],
            &MAC,
            &sender,
            &[0; 6],
            &[10, 0, 0, 2],
        ];
        [ethernet, arp.concat()].concat()
    }

    #[test]
    fn only_replies_from_the_address_are_claims() {
        let address = [192, 168, 77, 200];
        assert_eq!(arp_sender(&arp(2, address), address), Some(Mac(MAC)));
        assert_eq!(arp_sender(&arp(1, address), address), None);
        assert_eq!(arp_sender(&arp(2, [192, 168, 77, 1]), address), None);
        assert_eq!(arp_sender(&arp(2, address)[..41], address), None);
    }

    #[test]
    fn the_option_is_found_behind_others_and_nonsense_is_passed_over() {
        let target = [0xfd; 16];
        let header = [&[136, 0, 0, 0, 0x20, 0, 0, 0][..], &target].concat();
        let option = [&[2, 1][..], &MAC].concat();
        let other = [14, 1, 0, 0, 0, 0, 0, 0];
        let message = [&header[..], &other, &option].concat();
        assert_eq!(advertiser(&message, target), Some(Mac(MAC)));
        assert_eq!(advertiser(&message, [0xfe; 16]), None);
        assert_eq!(
            advertiser(&[&header[..], &[1, 0, 0, 0, 0, 0, 0, 0]].concat(), target),
            None
        );
        assert_eq!(advertiser(&header[..20], target), None);
    }
}
