//! Frames by their octets, and queries that are none. The kernel's bridge and tcpdump read ours in `tests/netns`.

use proptest::prelude::*;

use super::*;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

fn station() -> Station {
    Station {
        mac: MAC,
        address: "fe80::1".parse().unwrap(),
    }
}

fn group() -> Ipv6Addr {
    "ff02::1:ff12:3456".parse().unwrap()
}

/// A query as a router sends it.
fn query(group: Ipv6Addr, code: u16, version: Version) -> Vec<u8> {
    let to = "ff02::1".parse().unwrap();
    let length = match version {
        Version::One => MESSAGE,
        Version::Two => QUERY_OF_VERSION_2,
    };
    datagram(&route(station(), to), &ROUTER_ALERT, length, |icmp| {
        write(icmp, 0, &[QUERY]);
        write(icmp, 4, &code.to_be_bytes());
        write(icmp, 8, &group.octets());
        write(icmp, MESSAGE, &[0b1011, 125]);
    })
}

/// The same with other octets at one place, and a right checksum again.
fn forged(bytes: &[u8], at: usize, octet: u8) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] = octet;
    let (source, destination): ([u8; 16], [u8; 16]) = (
        bytes[22..38].try_into().unwrap(),
        bytes[38..54].try_into().unwrap(),
    );
    let mut message = icmpv6::MutableIcmpv6Packet::new(&mut bytes[62..]).unwrap();
    let right = icmpv6::checksum(&message.to_immutable(), &source.into(), &destination.into());
    message.set_checksum(right);
    bytes
}

#[test]
fn a_query_says_of_what_within_how_long_and_in_which_version() {
    let any = Ipv6Addr::UNSPECIFIED;
    for (asked, code, version, within, robustness) in [
        (any, 10_000, Version::Two, 10_000, 3),
        (group(), 1_000, Version::Two, 1_000, 3),
        // The mantissa 0x1234 shifted by 0 + 3, and the longest.
        (any, 0x8234, Version::Two, 0x1234 << 3, 3),
        (any, 0xffff, Version::Two, 0x1fff << 10, 3),
        (any, 0x8234, Version::One, 0x8234, 0),
        (group(), 0, Version::One, 0, 0),
    ] {
        let expected = Query {
            group: (asked != any).then_some(asked),
            within: Duration::from_millis(within),
            version,
            robustness,
        };
        assert_eq!(Query::parse(&query(asked, code, version)), Some(expected));
    }
}

#[test]
fn what_no_listener_has_to_heed_is_no_query() {
    let right = query(group(), 1_000, Version::Two);
    assert!(Query::parse(&forged(&right, 21, 1)).is_some());
    for (what, at, octet) in [
        ("forwarded", 21, 2),
        ("not from this link", 22, 0x20),
        ("behind another header", 20, 58),
        ("not ICMPv6 behind the options", 54, 17),
        ("without a Router Alert", 56, 1),
        ("options over the end", 57, 200),
        ("more options than there are octets", 55, 9),
        ("a report", 62, 143),
        ("of no known length", 19, 8 + 26),
        ("shorter than it says", 19, 200),
    ] {
        assert_eq!(Query::parse(&forged(&right, at, octet)), None, "{what}");
    }
    let mut spoilt = right;
    spoilt[70] ^= 1;
    assert_eq!(Query::parse(&spoilt), None, "a wrong checksum");
}

#[test]
fn a_report_has_a_record_for_each_group() {
    let other: Ipv6Addr = "ff02::1:ff00:1".parse().unwrap();
    let bytes = report(
        station(),
        &[(Standing::Joined, group()), (Standing::Left, other)],
    );
    assert_eq!(bytes[..6], [0x33, 0x33, 0, 0, 0, 0x16]);
    assert_eq!(bytes[54..62], ROUTER_ALERT);
    assert_eq!(bytes[62..64], [143, 0]);
    assert_eq!(bytes[66..74], [0, 0, 0, 2, 4, 0, 0, 0]);
    assert_eq!(bytes[74..90], group().octets());
    assert_eq!(bytes[90..94], [3, 0, 0, 0]);
    assert_eq!(bytes[94..], other.octets());
    assert_eq!(forged(&bytes, 62, 143), bytes, "the checksum is right");
    let full = report(station(), &[(Standing::Listens, group()); RECORDS]);
    assert!(
        (1260..=1280).contains(&(full.len() - crate::frame::ETHERNET_HEADER)),
        "{}",
        full.len()
    );
}

#[test]
fn version_1_is_told_in_its_own_words() {
    for (standing, kind, to) in [
        (Standing::Listens, 131, "ff02::1:ff12:3456"),
        (Standing::Joined, 131, "ff02::1:ff12:3456"),
        (Standing::Left, 132, "ff02::2"),
    ] {
        let bytes = report_of_version_1(station(), (standing, group()));
        assert_eq!((bytes[62], bytes.len()), (kind, 54 + 8 + MESSAGE));
        assert_eq!(bytes[38..54], to.parse::<Ipv6Addr>().unwrap().octets());
        assert_eq!(bytes[70..86], group().octets());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(tail in prop::collection::vec(any::<u8>(), 0..100), options in 0u8..4, length in 0u8..90) {
        let mut bytes = query(group(), 7, Version::Two)[..54].to_vec();
        bytes[19] = length;
        bytes.extend([58, options, 5, 2, 0, 0]);
        bytes.extend(tail);
        let _ = Query::parse(&bytes);
    }
}
