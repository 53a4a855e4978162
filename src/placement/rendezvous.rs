//! The hash by which all agents break ties alike.
//!
//! Frozen for ever: agents of different versions must agree on it, or two of them own one address. It is written
//! out here because `std`'s hashers promise nothing between releases, and pinned by the vectors in the tests.
//!
//! ```text
//!   node    ─ FNV-1a 64 over the UTF-8 name ────────────────────────────┐
//!                                                                       xor ─ SplitMix64 finaliser ─▶ score
//!   address ─ FNV-1a 64 over its 4 or 16 octets ─ SplitMix64 finaliser ─┘
//! ```
//!
//! FNV-1a: Fowler, Noll, Vo (draft-eastlake-fnv). SplitMix64's finaliser: Steele, Lea, Flood, OOPSLA 2014. Nobody
//! gains by forging a collision: who can name nodes can do worse, and names break what the hash does not.

use std::net::IpAddr;

use herald_spi::NodeName;

/// How well a node suits an address: the greatest score wins, equal scores go to the lesser name.
pub type Score = u64;

/// A node's half of the hash, for who asks about many addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeSeed(u64);

/// An address's half of the hash, for who asks about many nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressSeed(u64);

impl NodeSeed {
    /// The half of the node of this name.
    #[must_use]
    pub fn of(node: &NodeName) -> Self {
        Self(fnv1a(node.as_str().as_bytes()))
    }
}

impl AddressSeed {
    /// The half of this address. An IPv4 address mapped into IPv6 is another address than the bare one.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self(finalise(match address {
            IpAddr::V4(v4) => fnv1a(&v4.octets()),
            IpAddr::V6(v6) => fnv1a(&v6.octets()),
        }))
    }

    /// The score of a node for this address.
    #[must_use]
    pub const fn score(self, node: NodeSeed) -> Score {
        finalise(self.0 ^ node.0)
    }
}

/// The score of `node` for `address`.
#[must_use]
pub fn score(address: IpAddr, node: &NodeName) -> Score {
    AddressSeed::of(address).score(NodeSeed::of(node))
}

fn fnv1a(bytes: &[u8]) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    bytes.iter().fold(BASIS, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    })
}

const fn finalise(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_two_functions_are_the_published_ones() {
        for (text, hash) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            assert_eq!(fnv1a(text.as_bytes()), hash, "{text}");
        }
        // The first number of SplitMix64 with seed 0 is the finaliser of the golden gamma.
        assert_eq!(finalise(0x9e37_79b9_7f4a_7c15), 0xe220_a839_7b1d_cdaf);
    }

    /// Changing a line here splits every cluster during its next upgrade.
    #[test]
    fn scores_are_frozen() {
        for (address, node, expected) in [
            ("192.168.77.200", "node-a", 0xc842_0231_5f3f_80bd),
            ("192.168.77.200", "node-b", 0xa6b2_2e85_1c82_6841),
            ("192.168.77.201", "node-a", 0xd3c6_00ca_dadb_ca6b),
            (
                "10.0.0.1",
                "ip-10-0-0-1.eu-central-1.compute.internal",
                0x5c97_2835_b1a6_dd4a,
            ),
            ("fd77::200", "node-a", 0x37d9_74ee_99eb_2bac),
            ("::ffff:192.168.77.200", "node-a", 0x0987_b1bb_bcd1_b185),
            ("fd77::200", "", 0x8226_d387_c3e5_6183),
        ] {
            let score = score(address.parse().unwrap(), &NodeName::from(node));
            assert_eq!(score, expected, "{address} {node} {score:#018x}");
        }
    }

    #[test]
    fn every_node_wins_its_share() {
        let nodes: Vec<_> = (0..5).map(|n| NodeName::new(format!("node-{n}"))).collect();
        let mut wins = BTreeMap::new();
        for host in 0..=u8::MAX {
            for net in 0..4 {
                let address = IpAddr::from([10, 0, net, host]);
                let best = nodes
                    .iter()
                    .max_by_key(|node| score(address, node))
                    .unwrap();
                *wins.entry(best.clone()).or_insert(0) += 1;
            }
        }
        assert!(
            wins.values().all(|wins| (150..=260).contains(wins)),
            "{wins:?}"
        );
    }
}
