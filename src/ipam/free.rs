//! A set of numbers as ordered runs: what is free in a pool.
//!
//! Cost is O(log runs) whatever the size of a run, so that a /16 and an IPv6 /64 are alike, and a full set is an empty
//! map.

use std::collections::BTreeMap;

/// A set of numbers, kept as runs that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FreeRanges {
    /// First to last number of each run.
    runs: BTreeMap<u128, u128>,
    /// How many numbers there are in all runs.
    len: u128,
}

impl FreeRanges {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            runs: BTreeMap::new(),
            len: 0,
        }
    }

    /// How many numbers there are; the whole of `u128` counts one less.
    #[must_use]
    pub const fn len(&self) -> u128 {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The lowest number.
    #[must_use]
    pub fn first(&self) -> Option<u128> {
        self.runs.first_key_value().map(|(first, _)| *first)
    }

    /// Whether the number is in the set.
    #[must_use]
    pub fn contains(&self, number: u128) -> bool {
        self.run_of(number).is_some()
    }

    /// The runs, lowest first, both ends included.
    pub fn runs(&self) -> impl Iterator<Item = (u128, u128)> + '_ {
        self.runs.iter().map(|(first, last)| (*first, *last))
    }

    /// Takes one number out; `false` if it was not in.
    pub fn take(&mut self, number: u128) -> bool {
        let Some((first, last)) = self.run_of(number) else {
            return false;
        };
        self.cut(first, last, number, number);
        true
    }

    /// Takes the lowest number out.
    pub fn take_first(&mut self) -> Option<u128> {
        let (first, last) = self
            .runs
            .first_key_value()
            .map(|(first, last)| (*first, *last))?;
        self.cut(first, last, first, first);
        Some(first)
    }

    /// Puts one number back and joins it with its neighbours; `false` if it was in already.
    pub fn give_back(&mut self, number: u128) -> bool {
        if self.contains(number) {
            return false;
        }
        self.insert(number, number);
        true
    }

    /// Puts in all numbers from `first` to `last`, whether or not some are in already.
    pub fn insert(&mut self, first: u128, last: u128) {
        if last < first {
            return;
        }
        let (mut first, mut last) = (first, last);
        // Every run that overlaps or touches is joined, from the right to the left.
        while let Some((run_first, run_last)) = self.last_run_until(last.saturating_add(1)) {
            if run_last.saturating_add(1) < first {
                break;
            }
            self.forget(run_first, run_last);
            first = first.min(run_first);
            last = last.max(run_last);
        }
        self.keep(first, last);
    }

    /// Takes out all numbers from `first` to `last`, whether or not all are in.
    pub fn remove(&mut self, first: u128, last: u128) {
        while let Some((run_first, run_last)) = self.last_run_until(last) {
            if run_last < first {
                break;
            }
            self.cut(
                run_first,
                run_last,
                first.max(run_first),
                last.min(run_last),
            );
        }
    }

    fn run_of(&self, number: u128) -> Option<(u128, u128)> {
        self.last_run_until(number)
            .filter(|(_, last)| number <= *last)
    }

    /// The last run that begins at `number` or before.
    fn last_run_until(&self, number: u128) -> Option<(u128, u128)> {
        self.runs
            .range(..=number)
            .next_back()
            .map(|(first, last)| (*first, *last))
    }

    /// Takes `from` to `to` out of the run that holds them.
    fn cut(&mut self, first: u128, last: u128, from: u128, to: u128) {
        self.forget(first, last);
        if first < from {
            self.keep(first, from - 1);
        }
        if to < last {
            self.keep(to + 1, last);
        }
    }

    fn keep(&mut self, first: u128, last: u128) {
        self.runs.insert(first, last);
        self.len = self.len.saturating_add((last - first).saturating_add(1));
    }

    fn forget(&mut self, first: u128, last: u128) {
        self.runs.remove(&first);
        self.len = self.len.saturating_sub((last - first).saturating_add(1));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn of(runs: &[(u128, u128)]) -> FreeRanges {
        let mut free = FreeRanges::new();
        for (first, last) in runs {
            free.insert(*first, *last);
        }
        free
    }

    #[test]
    fn what_is_given_back_joins_its_neighbours() {
        let mut free = of(&[(1, 9)]);
        assert!(free.take(5));
        assert!(!free.take(5));
        assert_eq!(free.runs().collect::<Vec<_>>(), [(1, 4), (6, 9)]);
        assert!(free.give_back(5));
        assert!(!free.give_back(5));
        assert_eq!(free, of(&[(1, 9)]));
    }

    #[test]
    fn the_lowest_goes_first_until_nothing_is_left() {
        let mut free = of(&[(7, 8), (1, 2)]);
        let order: Vec<_> = std::iter::from_fn(|| free.take_first()).collect();
        assert_eq!(order, [1, 2, 7, 8]);
        assert!(free.is_empty());
        assert_eq!(free, FreeRanges::new());
    }

    #[test]
    fn the_ends_of_the_number_line_hold() {
        let mut free = of(&[(0, 0), (u128::MAX, u128::MAX)]);
        assert_eq!(free.len(), 2);
        free.insert(0, u128::MAX);
        assert_eq!(free.runs().collect::<Vec<_>>(), [(0, u128::MAX)]);
        free.remove(0, u128::MAX);
        assert_eq!(free, FreeRanges::new());
    }

    proptest! {
        #[test]
        fn runs_behave_as_a_plain_set(
            steps in prop::collection::vec((0..5u8, 0..40u128, 0..8u128), 0..60)
        ) {
            let mut free = FreeRanges::new();
            let mut plain = BTreeSet::new();
            for (step, number, more) in steps {
                let all = number..=number + more;
                match step {
                    0 => {
                        free.insert(number, number + more);
                        plain.extend(all);
                    }
                    1 => {
                        free.remove(number, number + more);
                        plain.retain(|n| !all.contains(n));
                    }
                    2 => prop_assert_eq!(free.take(number), plain.remove(&number)),
                    3 => prop_assert_eq!(free.give_back(number), plain.insert(number)),
                    _ => prop_assert_eq!(free.take_first(), plain.pop_first()),
                }
                prop_assert_eq!(free.len(), plain.len() as u128);
                prop_assert_eq!(free.first(), plain.first().copied());
                let numbers: BTreeSet<_> = free.runs().flat_map(|(a, b)| a..=b).collect();
                prop_assert_eq!(&numbers, &plain);
                let runs: Vec<_> = free.runs().collect();
                prop_assert!(runs.windows(2).all(|w| w[0].1 + 1 < w[1].0), "{:?} touch", runs);
            }
        }
    }
}
