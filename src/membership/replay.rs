//! Every datagram counts once: a sliding window over the sequence numbers of one sender on one interface.
//!
//! ```text
//!      refused, too old   |  128 numbers, one bit each: seen or not  | anything newer moves the window
//!   ──────────────────────┴──────────────────────────────────────────┴───────────────────────────────▶ seq
//!                                                              newest
//! ```

/// How far behind the newest a datagram may come.
const WIDTH: u64 = u128::BITS as u64;

/// The sequence numbers seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    /// The newest number seen.
    newest: u64,
    /// Bit n: `newest - n` was seen. All zero before anything was.
    seen: u128,
}

/// What a number is to a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freshness {
    /// Not seen before.
    Fresh,
    /// Seen before.
    Duplicate,
    /// Too old to tell.
    Stale,
}

impl Window {
    /// Judges a number and remembers it.
    pub(super) fn admit(&mut self, seq: u64) -> Freshness {
        if self.seen == 0 || seq > self.newest {
            let by = seq.saturating_sub(self.newest);
            let kept = u32::try_from(by)
                .ok()
                .and_then(|by| self.seen.checked_shl(by));
            self.seen = kept.unwrap_or(0) | 1;
            self.newest = seq;
            return Freshness::Fresh;
        }
        let behind = self.newest - seq;
        if behind >= WIDTH {
            return Freshness::Stale;
        }
        let bit = 1 << behind;
        if self.seen & bit != 0 {
            return Freshness::Duplicate;
        }
        self.seen |= bit;
        Freshness::Fresh
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::{Freshness::*, *};

    #[test]
    fn each_number_counts_once_and_old_ones_never() {
        let mut window = Window::default();
        for (seq, freshness) in [
            (1_000, Fresh),
            (1_000, Duplicate),
            (999, Fresh),
            (999, Duplicate),
            (873, Fresh),
            (872, Stale),
            (1_001, Fresh),
            (873, Stale),
            (874, Fresh),
            (1_000_000, Fresh),
            (1_001, Stale),
            (999_999, Fresh),
            (u64::MAX, Fresh),
            (u64::MAX, Duplicate),
            (0, Stale),
        ] {
            assert_eq!(window.admit(seq), freshness, "{seq}");
        }
    }

    proptest! {
        #[test]
        fn no_number_is_ever_fresh_twice(seqs in prop::collection::vec(0..400_u64, 1..300)) {
            let (mut window, mut seen, mut newest) = (Window::default(), BTreeSet::new(), 0);
            for seq in seqs {
                let fresh = window.admit(seq) == Fresh;
                prop_assert!(!fresh || !seen.contains(&seq));
                // And whatever is within the window and new counts.
                prop_assert!(fresh || seen.contains(&seq) || newest - seq >= WIDTH);
                seen.insert(seq);
                newest = newest.max(seq);
            }
        }
    }
}
