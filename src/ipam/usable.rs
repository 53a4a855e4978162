//! The addresses that a pool may give out: its ranges without exclusions and edges.

use std::net::IpAddr;

use super::{Family, FreeRanges, PerFamily, Pool, Range, family::number};

impl Pool {
    /// The runs of addresses that it may give out, IPv4 first, whoever holds them.
    #[must_use]
    pub fn usable(&self) -> Vec<Range> {
        let usable = usable(self);
        let of = |family: Family| {
            let runs = usable.get(family).runs();
            let range = |(first, last)| Range::part(family.address(first), family.address(last));
            runs.map(range).collect::<Vec<_>>()
        };
        [of(Family::V4), of(Family::V6)].concat()
    }
}

/// The addresses of each family that the pool may give out.
pub(super) fn usable(pool: &Pool) -> PerFamily<FreeRanges> {
    let mut usable = PerFamily::<FreeRanges>::default();
    for range in &pool.ranges {
        let (first, last) = range.numbers();
        usable.get_mut(range.family()).insert(first, last);
    }
    if pool.avoid_edge_addresses {
        for range in &pool.ranges {
            remove_edges(&mut usable, range);
        }
    }
    for range in &pool.exclude {
        let (first, last) = range.numbers();
        usable.get_mut(range.family()).remove(first, last);
    }
    usable
}

/// Whether the pool leaves the address out as an edge.
pub(super) fn is_edge(pool: &Pool, address: IpAddr) -> bool {
    pool.avoid_edge_addresses
        && (matches!(address, IpAddr::V4(v4) if matches!(v4.octets(), [.., 0 | 255]))
            || pool
                .ranges
                .iter()
                .flat_map(ends_of_cidr)
                .any(|edge| edge == address))
}

fn remove_edges(usable: &mut PerFamily<FreeRanges>, range: &Range) {
    for edge in ends_of_cidr(range) {
        usable.get_mut(range.family()).take(number(edge));
    }
    if range.family() == Family::V4 {
        let (first, last) = range.numbers();
        // Every block of 256 that the range touches, the edges of its ends included; what is not in is not taken.
        for block in first >> 8..=last >> 8 {
            usable.v4.remove(block << 8, block << 8);
            usable.v4.remove(block << 8 | 255, block << 8 | 255);
        }
    }
}

/// The network address of a CIDR (for IPv6 the subnet-router anycast address, RFC 4291 section 2.6.1) and the broadcast
/// address of an IPv4 one. A pair has neither: RFC 3021 (/31), RFC 6164 (/127).
fn ends_of_cidr(range: &Range) -> impl Iterator<Item = IpAddr> {
    let longest = match range.family() {
        Family::V4 => 30,
        Family::V6 => 126,
    };
    let is_network = range.prefix().is_some_and(|prefix| prefix <= longest);
    let broadcast = Some(range.last()).filter(IpAddr::is_ipv4);
    [Some(range.first()), broadcast]
        .into_iter()
        .flatten()
        .filter(move |_| is_network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(ranges: &[&str], exclude: &[&str], avoid_edge_addresses: bool) -> Vec<String> {
        let pool = Pool::parse("lan".into(), 0, ranges, exclude).unwrap();
        let pool = Pool {
            avoid_edge_addresses,
            ..pool
        };
        pool.usable().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn exclusions_and_edges_are_left_out() {
        for (ranges, exclude, avoid, left) in [
            (
                &["10.0.0.0/30"][..],
                &[][..],
                false,
                &["10.0.0.0-10.0.0.3"][..],
            ),
            (&["10.0.0.0/30"], &[], true, &["10.0.0.1-10.0.0.2"]),
            (&["10.0.0.8/30"], &[], true, &["10.0.0.9-10.0.0.10"]),
            (
                &["10.0.0.8/31", "10.0.0.12/32"],
                &[],
                true,
                &["10.0.0.8-10.0.0.9", "10.0.0.12"],
            ),
            (
                &["10.0.0.254-10.0.1.1"],
                &[],
                true,
                &["10.0.0.254", "10.0.1.1"],
            ),
            (&["10.0.0.0-10.0.0.3"], &[], true, &["10.0.0.1-10.0.0.3"]),
            (&["10.0.0.0"], &[], true, &[]),
            (
                &["10.0.0.1-10.0.0.9"],
                &["10.0.0.3", "10.0.0.8/29"],
                false,
                &["10.0.0.1-10.0.0.2", "10.0.0.4-10.0.0.7"],
            ),
            (
                &["10.0.0.1-10.0.0.4", "10.0.0.3-10.0.0.6"],
                &[],
                false,
                &["10.0.0.1-10.0.0.6"],
            ),
            (&["fd77::/126"], &[], true, &["fd77::1-fd77::3"]),
            (&["fd77::/127"], &[], true, &["fd77::-fd77::1"]),
            (
                &["fd77::ff", "10.0.0.1"],
                &[],
                true,
                &["10.0.0.1", "fd77::ff"],
            ),
        ] {
            assert_eq!(
                shown(ranges, exclude, avoid),
                left,
                "{ranges:?} without {exclude:?}"
            );
        }
    }

    #[test]
    fn an_edge_is_told_from_an_exclusion() {
        let pool = Pool::parse("lan".into(), 0, &["10.0.0.8/29"], &["10.0.0.9"]).unwrap();
        let avoiding = Pool {
            avoid_edge_addresses: true,
            ..pool.clone()
        };
        for (address, edge) in [
            ("10.0.0.8", true),
            ("10.0.0.9", false),
            ("10.0.0.15", true),
            ("10.0.0.255", true),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(is_edge(&avoiding, address), edge, "{address}");
            assert!(!is_edge(&pool, address));
        }
    }
}
