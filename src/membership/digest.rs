//! A fingerprint of a set of claims that does not depend on their order and is cheap to keep up to date.
//!
//! The sum (modulo 2^64) of one 64-bit mix per claim, and their number. Two different sets of 10,000 claims have the
//! same fingerprint with a probability of about 2^-64. The mix is part of the protocol: it must never change within
//! a version of the envelope. It need not resist an attacker, since who can send a digest can send claims.

use std::net::IpAddr;

use super::Claims;

/// The fingerprint of a set of claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest {
    pub(super) sum: u64,
    pub(super) count: u64,
}

impl Digest {
    /// The fingerprint of a whole set.
    pub(super) fn of(claims: &Claims) -> Self {
        let mut digest = Self::default();
        for (address, epoch) in claims {
            digest.add(*address, *epoch);
        }
        digest
    }

    /// A claim that was not in the set joins it.
    pub(super) fn add(&mut self, address: IpAddr, epoch: u64) {
        self.sum = self.sum.wrapping_add(mix_claim(address, epoch));
        self.count = self.count.wrapping_add(1);
    }

    /// A claim that was in the set leaves it.
    pub(super) fn remove(&mut self, address: IpAddr, epoch: u64) {
        self.sum = self.sum.wrapping_sub(mix_claim(address, epoch));
        self.count = self.count.wrapping_sub(1);
    }
}

/// Changes one claim in a set and its fingerprint; `None` removes it. Says whether anything changed.
pub(super) fn change(
    claims: &mut Claims,
    digest: &mut Digest,
    address: IpAddr,
    epoch: Option<u64>,
) -> bool {
    let before = match epoch {
        Some(epoch) => claims.insert(address, epoch),
        None => claims.remove(&address),
    };
    if before == epoch {
        return false;
    }
    if let Some(before) = before {
        digest.remove(address, before);
    }
    if let Some(epoch) = epoch {
        digest.add(address, epoch);
    }
    true
}

fn mix_claim(address: IpAddr, epoch: u64) -> u64 {
    let (family, high, low) = match address {
        IpAddr::V4(v4) => (4, 0, u64::from(v4.to_bits())),
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h] = v6.segments().map(u64::from);
            (
                6,
                a << 48 | b << 32 | c << 16 | d,
                e << 48 | f << 32 | g << 16 | h,
            )
        }
    };
    [high, low, epoch]
        .into_iter()
        .fold(family, |hash, word| mix(hash ^ word))
}

/// The finalizer of splitmix64.
pub(super) fn mix(word: u64) -> u64 {
    let word = word.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(list: &[(&str, u64)]) -> Claims {
        list.iter()
            .map(|(address, epoch)| (address.parse().unwrap(), *epoch))
            .collect()
    }

    #[test]
    fn the_fingerprint_is_part_of_the_protocol() {
        // Computed by another program; a change here breaks a rolling upgrade.
        let set = claims(&[("192.168.77.200", 1), ("fd77::200", 7)]);
        let digest = Digest::of(&set);
        assert_eq!((digest.sum, digest.count), (9_380_601_461_015_514_395, 2));
    }

    #[test]
    fn keeping_it_up_to_date_equals_computing_it() {
        let (mut set, mut digest) = (Claims::new(), Digest::default());
        for (address, epoch, changed) in [
            ("10.0.0.1", Some(1), true),
            ("10.0.0.2", Some(1), true),
            ("10.0.0.1", Some(1), false),
            ("10.0.0.1", Some(2), true),
            ("10.0.0.3", None, false),
            ("10.0.0.2", None, true),
            ("::a00:1", Some(2), true),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(
                change(&mut set, &mut digest, address, epoch),
                changed,
                "{address}"
            );
            assert_eq!(digest, Digest::of(&set));
        }
    }

    #[test]
    fn different_sets_differ() {
        let sets = [
            claims(&[]),
            claims(&[("10.0.0.1", 1)]),
            claims(&[("10.0.0.1", 2)]),
            claims(&[("10.0.0.2", 1)]),
            claims(&[("::a00:1", 1)]),
            claims(&[("10.0.0.1", 2), ("10.0.0.2", 1)]),
            claims(&[("10.0.0.1", 1), ("10.0.0.2", 2)]),
        ];
        for (i, a) in sets.iter().enumerate() {
            for b in sets.iter().skip(i + 1) {
                assert_ne!(Digest::of(a), Digest::of(b), "{a:?} {b:?}");
            }
        }
    }
}
