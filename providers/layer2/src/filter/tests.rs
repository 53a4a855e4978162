//! The programs, run by a small interpreter of classic BPF that refuses what the kernel's checker would.

use herald_spi::Mac;
use proptest::prelude::*;

use super::*;
use crate::frame::{
    arp as arp_frame,
    mld::{self, Standing, Station},
    ndp as ndp_frame,
};

const A: Mac = Mac([2, 0, 0, 0, 0, 0xa]);
const B: Mac = Mac([2, 0, 0, 0, 0, 0xb]);

// <linux/if_packet.h>
const HOST: u32 = 0;
const BROADCAST: u32 = 1;
const MULTICAST: u32 = 2;
const OTHER_HOST: u32 = 3;
const OUTGOING: u32 = 4;

/// Whether `program` passes the frame. Panics where the kernel would refuse the program.
fn passes(program: &Program, packet_type: u32, frame: &[u8]) -> bool {
    assert!(
        !program.is_empty() && program.len() <= 4096,
        "{} instructions",
        program.len()
    );
    assert_eq!(program.last().unwrap().code, RETURN);
    let load = |offset: u32, width: usize| -> Option<u32> {
        let at = usize::try_from(offset).ok()?;
        let octets = frame.get(at..at + width)?;
        Some(
            octets
                .iter()
                .fold(0, |word, &octet| word << 8 | u32::from(octet)),
        )
    };
    let (mut at, mut accumulator, mut index) = (0, 0u32, 0u32);
    loop {
        let Instruction { code, jt, jf, k } = program[at];
        let jump = |holds: bool| usize::from(if holds { jt } else { jf });
        at += 1;
        match code {
            LOAD_WORD if k == PACKET_TYPE => accumulator = packet_type,
            LOAD_WORD | LOAD_HALF | LOAD_BYTE => {
                let width = match code {
                    LOAD_WORD => 4,
                    LOAD_HALF => 2,
                    _ => 1,
                };
                // A load behind the end makes the program return 0.
                let Some(loaded) = load(k, width) else {
                    return false;
                };
                accumulator = loaded;
            }
            LOAD_HALF_INDEXED => {
                let Some(loaded) = load(index + k, 2) else {
                    return false;
                };
                accumulator = loaded;
            }
            LOAD_HEADER_LENGTH => {
                let Some(octet) = load(k, 1) else {
                    return false;
                };
                index = 4 * (octet & 0xf);
            }
            JUMP_SET => at += jump(accumulator & k != 0),
            AND => accumulator &= k,
            JUMP => at += usize::try_from(k).unwrap(),
            JUMP_EQUAL => at += jump(accumulator == k),
            JUMP_GREATER => at += jump(accumulator > k),
            RETURN => return k != 0,
            other => panic!("instruction {other:#x}"),
        }
    }
}

/// So many addresses in a row.
fn pool_v4(count: u32) -> Vec<IpAddr> {
    (0..count)
        .map(|n| Ipv4Addr::from_bits(0xc0a8_0000 + 200 + n).into())
        .collect()
}

/// So many addresses in a row, spread over `groups` prefixes of 96 bits.
fn pool_v6(count: u32, groups: u32) -> Vec<IpAddr> {
    (0..count)
        .map(|n| 0xfd77 << 112 | u128::from(n % groups) << 40 | u128::from(0x200 + n / groups))
        .map(|bits| Ipv6Addr::from_bits(bits).into())
        .collect()
}

fn as_v4(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(v4) => v4,
        IpAddr::V6(_) => panic!("{address}"),
    }
}

fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V6(v6) => v6,
        IpAddr::V4(_) => panic!("{address}"),
    }
}

#[test]
fn arp_passes_what_concerns_us_whatever_the_number_of_addresses() {
    let host = Ipv4Addr::new(10, 0, 0, 9);
    let stranger = Ipv4Addr::new(10, 0, 0, 10);
    for count in [1, 2, 99, 100, 101, 1000, 10_000] {
        let pool = pool_v4(count);
        let program = arp(&pool);
        assert!(
            program.len() < 600,
            "{count} addresses: {} instructions",
            program.len()
        );
        for &ours in [&pool[0], &pool[pool.len() / 2], &pool[pool.len() - 1]] {
            let ours = as_v4(ours);
            let table = [
                (
                    "request",
                    BROADCAST,
                    arp_frame::request(B, host, ours),
                    true,
                ),
                (
                    "unicast request",
                    HOST,
                    arp_frame::request(B, host, ours),
                    true,
                ),
                ("probe", BROADCAST, arp_frame::probe(B, ours), true),
                (
                    "reply from ours",
                    HOST,
                    arp_frame::reply(B, ours, A, host),
                    true,
                ),
                (
                    "announcement",
                    BROADCAST,
                    arp_frame::announcement_request(B, ours),
                    true,
                ),
                (
                    "announcing reply",
                    BROADCAST,
                    arp_frame::announcement_reply(B, ours),
                    true,
                ),
                (
                    "question from ours",
                    BROADCAST,
                    arp_frame::request(B, ours, host),
                    true,
                ),
                (
                    "our own frame",
                    OUTGOING,
                    arp_frame::request(A, host, ours),
                    false,
                ),
                (
                    "to another host",
                    OTHER_HOST,
                    arp_frame::request(B, host, ours),
                    false,
                ),
                (
                    "of no concern",
                    BROADCAST,
                    arp_frame::request(B, host, stranger),
                    false,
                ),
                (
                    "truncated",
                    BROADCAST,
                    arp_frame::request(B, host, ours)[..40].to_vec(),
                    false,
                ),
            ];
            for (what, packet_type, frame, expected) in table {
                assert_eq!(
                    passes(&program, packet_type, &frame),
                    expected,
                    "{what}, {count} addresses"
                );
            }
            let mut reverse = arp_frame::request(B, host, ours);
            reverse[21] = 3;
            assert!(!passes(&program, BROADCAST, &reverse));
            let mut tagged = arp_frame::request(B, host, ours);
            tagged[12..14].copy_from_slice(&[0x81, 0]);
            assert!(!passes(&program, BROADCAST, &tagged));
        }
    }
}

#[test]
fn ndp_passes_what_concerns_us_whatever_the_number_of_addresses() {
    let host: Ipv6Addr = "fd77::9".parse().unwrap();
    let stranger: Ipv6Addr = "fd88::9".parse().unwrap();
    for (count, groups) in [
        (1, 1),
        (100, 1),
        (100, 7),
        (100, 100),
        (101, 1),
        (1000, 1),
        (1000, 5),
        (10_000, 1),
        (10_000, 300),
    ] {
        let pool = pool_v6(count, groups);
        let program = ndp(&pool);
        assert!(
            program.len() < 500,
            "{count} addresses: {} instructions",
            program.len()
        );
        for &ours in [&pool[0], &pool[pool.len() / 2], &pool[pool.len() - 1]] {
            let ours = as_v6(ours);
            let table = [
                ("probe", MULTICAST, ndp_frame::probe(B, ours), true),
                (
                    "advertisement",
                    MULTICAST,
                    ndp_frame::unsolicited(B, ours),
                    true,
                ),
                (
                    "unicast advertisement",
                    HOST,
                    ndp_frame::solicited(B, ours, A, host),
                    true,
                ),
                (
                    "our own frame",
                    OUTGOING,
                    ndp_frame::unsolicited(A, ours),
                    false,
                ),
                (
                    "to another host",
                    OTHER_HOST,
                    ndp_frame::solicited(B, ours, A, host),
                    false,
                ),
                (
                    "of no concern",
                    MULTICAST,
                    ndp_frame::probe(B, stranger),
                    false,
                ),
                (
                    "truncated",
                    MULTICAST,
                    ndp_frame::probe(B, ours)[..64].to_vec(),
                    false,
                ),
            ];
            for (what, packet_type, frame, expected) in table {
                assert_eq!(
                    passes(&program, packet_type, &frame),
                    expected,
                    "{what}, {count} addresses"
                );
            }
            for (what, at, octet) in [
                ("UDP", 20, 17),
                ("echo request", 54, 128),
                ("redirect", 54, 137),
                ("IPv4", 12, 8),
            ] {
                let mut other = ndp_frame::probe(B, ours);
                other[at] = octet;
                assert!(!passes(&program, MULTICAST, &other), "{what}");
            }
        }
    }
}

#[test]
fn a_program_without_addresses_passes_nothing_and_a_general_one_all_of_its_kind() {
    let ask = arp_frame::probe(B, [192, 0, 2, 1].into());
    let solicit = ndp_frame::probe(B, "fd77::1".parse().unwrap());
    assert!(!passes(&arp(&[]), BROADCAST, &ask));
    assert!(!passes(&ndp(&[]), MULTICAST, &solicit));
    assert!(passes(&any_arp(), BROADCAST, &ask) && !passes(&any_arp(), MULTICAST, &solicit));
    assert!(passes(&any_ndp(), MULTICAST, &solicit) && !passes(&any_ndp(), BROADCAST, &ask));
    assert!(!passes(&any_arp(), OUTGOING, &ask));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Exact up to the limit; above it never too little.
    #[test]
    fn no_address_is_missed(
        fours in prop::collection::vec(any::<u32>(), 1..250),
        sixes in prop::collection::vec(any::<u128>(), 1..250),
        stranger in any::<u32>(),
        few in any::<bool>(),
    ) {
        let sixes = if few { sixes.iter().map(|bits| bits % 200).collect() } else { sixes };
        let pool: Vec<IpAddr> = fours.iter().map(|&bits| Ipv4Addr::from_bits(bits).into())
            .chain(sixes.iter().map(|&bits| Ipv6Addr::from_bits(bits).into()))
            .collect();
        let (arp, ndp) = (arp(&pool), ndp(&pool));
        for &bits in &fours {
            prop_assert!(passes(&arp, BROADCAST, &arp_frame::probe(B, Ipv4Addr::from_bits(bits))));
        }
        for &bits in &sixes {
            prop_assert!(passes(&ndp, MULTICAST, &ndp_frame::probe(B, Ipv6Addr::from_bits(bits))));
        }
        if fours.len() <= EXACT && !fours.contains(&stranger) && !fours.contains(&0) {
            prop_assert!(!passes(&arp, BROADCAST, &arp_frame::probe(B, Ipv4Addr::from_bits(stranger))));
        }
    }
}

#[test]
fn only_datagrams_to_dhcp_clients_pass_whatever_the_length_of_their_header() {
    let program = to_dhcp_clients();
    let datagram = |header: u8, protocol: u8, fragment: u16, port: u8| {
        let mut frame = vec![0; 14 + usize::from(header) * 4 + 8];
        frame[12..14].copy_from_slice(&[8, 0]);
        frame[14] = 0x40 | header;
        frame[20..22].copy_from_slice(&fragment.to_be_bytes());
        frame[23] = protocol;
        frame[14 + usize::from(header) * 4 + 3] = port;
        frame
    };
    for (frame, kind, passed) in [
        (datagram(5, 17, 0, 68), BROADCAST, true),
        (datagram(15, 17, 0x4000, 68), HOST, true),
        (datagram(5, 17, 0, 67), BROADCAST, false),
        (datagram(5, 6, 0, 68), BROADCAST, false),
        (datagram(5, 17, 1, 68), BROADCAST, false),
        (datagram(5, 17, 0, 68), OUTGOING, false),
        (datagram(5, 17, 0, 68)[..36].to_vec(), BROADCAST, false),
    ] {
        assert_eq!(passes(&program, kind, &frame), passed, "{frame:?}");
    }
}

/// They ask who listens to multicast groups.
#[test]
fn queries_of_multicast_listeners_pass_and_their_reports_do_not() {
    let group: Ipv6Addr = "ff02::1:ff00:1".parse().unwrap();
    let from = Station {
        mac: B,
        address: "fe80::b".parse().unwrap(),
    };
    let report = mld::report(from, &[(Standing::Joined, group)]);
    let mut query = report.clone();
    query[62] = 130;
    let mut routed = query.clone();
    routed[54] = 6;
    let ours: IpAddr = "fd77::1".parse().unwrap();
    for program in [ndp(&[ours]), any_ndp()] {
        assert!(passes(&program, MULTICAST, &query));
        assert!(!passes(&program, OUTGOING, &query));
        assert!(!passes(&program, MULTICAST, &report));
        assert!(!passes(&program, MULTICAST, &routed));
    }
}
