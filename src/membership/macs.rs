//! The hardware addresses of every Herald node ever heard: they are never foreign.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use herald_spi::Mac;

/// How many addresses are remembered.
const MOST: usize = 4_096;

/// A bounded set of addresses; the one that was named the longest ago is forgotten first.
#[derive(Debug, Default)]
pub(super) struct KnownMacs {
    /// Address to the round in which it was last named.
    named: BTreeMap<Mac, u64>,
    round: u64,
    all: Arc<BTreeSet<Mac>>,
}

impl KnownMacs {
    /// Adds addresses; says whether the set changed.
    pub(super) fn add(&mut self, macs: impl IntoIterator<Item = Mac>) -> bool {
        self.round += 1;
        let mut changed = false;
        for mac in macs.into_iter().filter(|mac| mac.is_unicast()) {
            if self.named.insert(mac, self.round).is_none() {
                changed = true;
                self.forget_one();
            }
        }
        if changed {
            self.all = Arc::new(self.named.keys().copied().collect());
        }
        changed
    }

    /// The set.
    pub(super) fn all(&self) -> &Arc<BTreeSet<Mac>> {
        &self.all
    }

    fn forget_one(&mut self) {
        if self.named.len() > MOST {
            let oldest = self
                .named
                .iter()
                .min_by_key(|(_, round)| **round)
                .map(|(mac, _)| *mac);
            if let Some(oldest) = oldest {
                self.named.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(n: u32) -> Mac {
        let [a, b, c, d] = n.to_be_bytes();
        Mac([2, 0, a, b, c, d])
    }

    #[test]
    fn the_set_is_bounded_and_forgets_the_longest_unnamed() {
        let mut known = KnownMacs::default();
        assert!(known.add([mac(0), Mac::BROADCAST]));
        assert!(!known.add([mac(0)]));
        for n in 1..4_096 {
            assert!(known.add([mac(n)]));
        }
        known.add([mac(0)]);
        assert!(known.add([mac(9_999)]));
        assert_eq!(known.all().len(), 4_096);
        assert!(known.all().contains(&mac(0)), "named again of late");
        assert!(!known.all().contains(&mac(1)), "the longest unnamed");
        assert!(!known.all().contains(&Mac::BROADCAST));
    }
}
