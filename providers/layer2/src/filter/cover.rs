//! A few prefixes that cover many addresses.

/// The numbers that share their first `length` bits; `bits` is the width of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    value: u128,
    length: u32,
    bits: u32,
}

impl Prefix {
    /// One number.
    pub(super) fn host(value: u128, bits: u32) -> Self {
        Self {
            value,
            length: bits,
            bits,
        }
    }

    /// The mask of the 32-bit word that ends at bit `end`, counted from the front.
    pub(super) fn mask(self, end: u32) -> u32 {
        let set = (self.length + 32).saturating_sub(end).min(32);
        u32::MAX.checked_shl(32 - set).unwrap_or_default()
    }

    /// The value of the 32-bit word that ends at bit `end`, masked.
    pub(super) fn word(self, end: u32) -> u32 {
        let shifted = self.value >> (self.bits - end) & u128::from(u32::MAX);
        u32::try_from(shifted).unwrap_or_default() & self.mask(end)
    }
}

/// At most `limit` prefixes that hold all `numbers`, and as little else as possible: neighbours with the most
/// bits in common share one.
pub(super) fn cover(numbers: &[u128], bits: u32, limit: usize) -> Vec<Prefix> {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    // The cuts between neighbours, those with the least in common first.
    let mut cuts: Vec<(u32, usize)> = sorted
        .iter()
        .zip(sorted.iter().skip(1))
        .enumerate()
        .map(|(at, (&left, &right))| (in_common(left, right, bits), at + 1))
        .collect();
    cuts.sort_unstable();
    cuts.truncate(limit.saturating_sub(1));
    let mut ends: Vec<usize> = cuts.into_iter().map(|(_, at)| at).collect();
    ends.push(sorted.len());
    ends.sort_unstable();

    let mut start = 0;
    ends.into_iter()
        .filter_map(|end| {
            let cluster = sorted.get(start..end)?;
            start = end;
            let (&first, &last) = (cluster.first()?, cluster.last()?);
            Some(Prefix {
                value: first,
                length: in_common(first, last, bits),
                bits,
            })
        })
        .collect()
}

/// How many leading bits are equal.
fn in_common(left: u128, right: u128, bits: u32) -> u32 {
    (left ^ right)
        .leading_zeros()
        .saturating_sub(128 - bits)
        .min(bits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn holds(prefix: Prefix, number: u128) -> bool {
        in_common(prefix.value, number, prefix.bits) >= prefix.length
    }

    #[test]
    fn masks_and_words_are_cut_at_the_length() {
        let prefix = Prefix {
            value: 0xfd77_0000_1234_5678 << 64,
            length: 52,
            bits: 128,
        };
        assert_eq!(
            [32, 64, 96, 128].map(|end| prefix.mask(end)),
            [u32::MAX, 0xffff_f000, 0, 0]
        );
        assert_eq!(
            [32, 64, 96, 128].map(|end| prefix.word(end)),
            [0xfd77_0000, 0x1234_5000, 0, 0]
        );
        assert_eq!(Prefix::host(0xc000_0201, 32).word(32), 0xc000_0201);
        assert_eq!(
            Prefix {
                value: 9,
                length: 0,
                bits: 32
            }
            .mask(32),
            0
        );
    }

    #[test]
    fn an_outlier_does_not_coarsen_the_rest() {
        let mut numbers: Vec<u128> = (0..256).collect();
        numbers.push(0x8000_0000);
        let prefixes = cover(&numbers, 32, 2);
        assert_eq!(prefixes.len(), 2);
        assert_eq!(prefixes[0].length, 24);
        assert_eq!(prefixes[1].length, 32);
    }

    proptest! {
        #[test]
        fn every_number_is_covered(
            numbers in prop::collection::vec(any::<u32>().prop_map(u128::from), 0..300),
            limit in 1usize..64,
        ) {
            let prefixes = cover(&numbers, 32, limit);
            prop_assert!(prefixes.len() <= limit);
            for number in &numbers {
                prop_assert!(prefixes.iter().any(|&prefix| holds(prefix, *number)));
            }
            let distinct: std::collections::BTreeSet<_> = numbers.iter().collect();
            if distinct.len() <= limit {
                prop_assert!(prefixes.iter().all(|prefix| prefix.length == 32), "exact while it fits");
            }
        }
    }
}
