//! What is built, what is read, and what is refused.

use proptest::prelude::*;

use super::*;

const A: Mac = Mac([2, 0, 0, 0, 0, 0xa]);
const B: Mac = Mac([2, 0, 0, 0, 0, 0xb]);

fn vip() -> Ipv6Addr {
    "fd77::200".parse().unwrap()
}

fn host() -> Ipv6Addr {
    "fd77::9".parse().unwrap()
}

/// A solicitation as another host may send it, with any options.
fn solicitation(source: Ipv6Addr, destination: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    let route = Route {
        from: B,
        to: multicast_mac(destination),
        source,
        destination,
        hop_limit: HOP_LIMIT,
    };
    datagram(&route, &[], MESSAGE + options.len(), |icmp| {
        let mut message = MutableNeighborSolicitPacket::new(icmp).unwrap();
        message.set_icmpv6_type(Icmpv6Types::NeighborSolicit);
        message.set_target_addr(vip());
        icmp[MESSAGE..].copy_from_slice(options);
    })
}

/// Changes one octet and makes the checksum right again.
fn with(mut bytes: Vec<u8>, at: usize, octet: u8) -> Vec<u8> {
    bytes[at] = octet;
    let ip = Ipv6Packet::new(&bytes[14..]).unwrap();
    let (source, destination) = (ip.get_source(), ip.get_destination());
    let mut icmp = icmpv6::MutableIcmpv6Packet::new(&mut bytes[54..]).unwrap();
    let checksum = icmpv6::checksum(&icmp.to_immutable(), &source, &destination);
    icmp.set_checksum(checksum);
    bytes
}

#[test]
fn the_octets_are_those_of_the_rfc() {
    #[rustfmt::skip]
    let expected = [
        2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa, 0x86, 0xdd, // to B, from A, IPv6
        0x60, 0, 0, 0, 0, 32, 58, 255, // version 6, 32 octets of ICMPv6, hop limit 255
        0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, // from the address itself
        0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9,
        136, 0, 0x9a, 0x57, 0x60, 0, 0, 0, // advertisement, checksum, S and O
        0xfd, 0x77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0,
        2, 1, 2, 0, 0, 0, 0, 0xa, // target link-layer address
    ];
    let bytes = solicited(A, vip(), B, host());
    assert_eq!(bytes[..56], expected[..56]);
    assert_eq!(bytes[58..], expected[58..]);
    // The checksum, by another road: the sum over pseudo-header and message is all ones.
    let words = |octets: &[u8]| {
        octets
            .chunks(2)
            .map(|w| u32::from(w[0]) << 8 | u32::from(w[1]))
            .sum::<u32>()
    };
    let sum = words(&bytes[22..]) + 32 + 58;
    assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
}

#[test]
fn each_ill_field_is_refused() {
    let ask = || solicitation(host(), solicited_node(vip()), &[1, 1, 2, 0, 0, 0, 0, 0xb]);
    let tell = || unsolicited(A, vip());
    NdpFrame::parse(&ask()).unwrap();
    NdpFrame::parse(&tell()).unwrap();
    let table = [
        ("version", with(ask(), 14, 0x40), FrameError::Version(4)),
        (
            "next header",
            with(ask(), 20, 17),
            FrameError::NextHeader(17),
        ),
        ("hop-by-hop", with(ask(), 20, 0), FrameError::NextHeader(0)),
        ("hop limit", with(ask(), 21, 254), FrameError::HopLimit(254)),
        (
            "payload length",
            with(ask(), 19, 33),
            FrameError::Truncated {
                needed: 87,
                got: 86,
            },
        ),
        ("type", with(ask(), 54, 133), FrameError::Type(133)),
        ("code", with(ask(), 55, 1), FrameError::Code(1)),
        (
            "multicast target",
            with(ask(), 62, 0xff),
            FrameError::Target,
        ),
        ("option length 0", with(ask(), 79, 0), FrameError::Options),
        ("option too long", with(ask(), 79, 2), FrameError::Options),
        (
            "option of 255 units",
            with(ask(), 79, 255),
            FrameError::Options,
        ),
        (
            "group as own address",
            with(ask(), 80, 3),
            FrameError::Sender(Mac([3, 0, 0, 0, 0, 0xb])),
        ),
        (
            "group as source",
            with(ask(), 6, 3),
            FrameError::Sender(Mac([3, 0, 0, 0, 0, 0xb])),
        ),
        (
            "multicast source",
            with(ask(), 22, 0xff),
            FrameError::Addresses,
        ),
        (
            "solicited multicast",
            with(tell(), 58, 0x60),
            FrameError::Addresses,
        ),
    ];
    for (what, bytes, error) in table {
        assert_eq!(NdpFrame::parse(&bytes).unwrap_err(), error, "{what}");
    }
    let mut spoilt = ask();
    spoilt[85] ^= 1;
    assert_eq!(NdpFrame::parse(&spoilt).unwrap_err(), FrameError::Checksum);
    for length in 0..ask().len() {
        assert!(matches!(
            NdpFrame::parse(&ask()[..length]),
            Err(FrameError::Truncated { .. } | FrameError::Options)
        ));
    }
}

#[test]
fn duplicate_address_detection_has_rules_of_its_own() {
    let nobody = Ipv6Addr::UNSPECIFIED;
    let probe = solicitation(nobody, solicited_node(vip()), &[]);
    assert!(NdpFrame::parse(&probe).unwrap().is_probe());
    let nonce = solicitation(nobody, solicited_node(vip()), &[14, 1, 1, 2, 3, 4, 5, 6]);
    assert!(NdpFrame::parse(&nonce).unwrap().is_probe(), "RFC 7527");
    for ill in [
        solicitation(nobody, solicited_node(vip()), &[1, 1, 2, 0, 0, 0, 0, 0xb]),
        solicitation(nobody, vip(), &[]),
        solicitation(nobody, ALL_NODES, &[]),
    ] {
        assert_eq!(NdpFrame::parse(&ill).unwrap_err(), FrameError::Addresses);
    }
}

#[test]
fn options_of_other_kinds_are_passed_over() {
    let options = [&[3, 4][..], &[7; 30], &[1, 1, 2, 0, 0, 0, 0, 0xb]].concat();
    let bytes = solicitation(host(), vip(), &options);
    assert_eq!(NdpFrame::parse(&bytes).unwrap().link_layer(), Some(B));
    let bytes = solicitation(host(), vip(), &[]);
    assert_eq!(NdpFrame::parse(&bytes).unwrap().link_layer(), None);
}

proptest! {
    #[test]
    fn what_is_built_is_read(
        from in any::<[u8; 6]>().prop_map(Mac).prop_filter("one host's", |mac| mac.is_unicast()),
        to in any::<[u8; 6]>().prop_map(Mac),
        address in any::<[u8; 16]>().prop_map(Ipv6Addr::from).prop_filter("a host's", |a| !a.is_multicast() && !a.is_unspecified()),
        asker in any::<[u8; 16]>().prop_map(Ipv6Addr::from).prop_filter("a host's", |a| !a.is_multicast()),
    ) {
        let bytes = solicited(from, address, to, asker);
        let frame = NdpFrame::parse(&bytes).unwrap();
        prop_assert_eq!(
            (frame.destination(), frame.source_mac(), frame.target(), frame.link_layer(), frame.ip_destination()),
            (to, from, address, Some(from), asker)
        );
        prop_assert_eq!(frame.flags(), Flags { router: false, solicited: true, overrides: true });

        let bytes = unsolicited(from, address);
        let frame = NdpFrame::parse(&bytes).unwrap();
        prop_assert_eq!(frame.destination(), Mac([0x33, 0x33, 0, 0, 0, 1]));
        prop_assert_eq!(frame.flags(), Flags { router: false, solicited: false, overrides: true });

        let bytes = probe(from, address);
        let frame = NdpFrame::parse(&bytes).unwrap();
        prop_assert!(frame.is_probe());
        prop_assert_eq!((frame.target(), frame.ip_destination()), (address, solicited_node(address)));
    }
}
