//! Whom all agents agree upon when an address needs an owner.
//!
//! A holder that is a candidate keeps its seat; nothing here pulls it away. Every other address, in order, goes to
//! the candidate that is preferred most, then to the one with the fewest addresses, held and planned so far, then to
//! the one with the best rendezvous score. Equal views give equal plans. The plan is also stable while it comes
//! true: if a node has claimed what was planned for it, or the first so many of it in order, the others' plans stay.
//!
//! The cost is one pass over the candidates of each address that *needs* an owner, two machine words a step, and
//! nothing for the rest: 10,000 addresses without owners among 300 nodes take 11 ms (release build, one core; the
//! test of that name in `tests/placement_sim` prints it).

use std::{cmp::Reverse, collections::BTreeMap, net::IpAddr};

use herald_spi::NodeName;

use super::{
    candidate::CandidateSet,
    rendezvous::{self, AddressSeed, NodeSeed},
};

/// One address of a segment.
#[derive(Clone, Copy, Debug)]
pub struct Seat<'a> {
    /// The address.
    pub address: IpAddr,
    /// Who may own it.
    pub candidates: &'a CandidateSet,
    /// Whose claim on it stands: that of a live node, candidate or not.
    pub holder: Option<&'a NodeName>,
}

/// A candidate as the inner loop wants it.
#[derive(Clone, Copy)]
struct Runner<'a> {
    name: &'a NodeName,
    seed: NodeSeed,
    load: usize,
}

#[derive(Default)]
struct Loads<'a> {
    index: BTreeMap<&'a NodeName, usize>,
    counts: Vec<u32>,
}

impl Seat<'_> {
    /// Whether its holder stays.
    #[must_use]
    pub fn taken(&self) -> bool {
        self.holder
            .is_some_and(|holder| self.candidates.contains(holder))
    }
}

/// Chooses an owner for each of the `seats`, given in the order of their addresses, that needs one and can have one.
#[must_use]
pub fn plan<'a>(seats: &[Seat<'a>]) -> BTreeMap<IpAddr, &'a NodeName> {
    let mut loads = Loads::default();
    // Who is about to be relieved of an address does not count it: the plan would change as it comes true.
    let staying = seats
        .iter()
        .filter(|seat| seat.taken() || seat.candidates.0.is_empty());
    for holder in staying.filter_map(|seat| seat.holder) {
        loads.add(holder);
    }
    // Addresses of one pool point at one set: it is unrolled once.
    let mut fields: BTreeMap<*const CandidateSet, Vec<Runner<'a>>> = BTreeMap::new();
    let mut chosen = BTreeMap::new();
    for seat in seats.iter().filter(|seat| !seat.taken()) {
        let field = fields
            .entry(std::ptr::from_ref(seat.candidates))
            .or_insert_with(|| preferred(seat.candidates, &mut loads));
        let seed = AddressSeed::of(seat.address);
        // Only those with the fewest addresses need the hash.
        let fewest = field.iter().map(|runner| loads.at(runner.load)).min();
        let tied = field
            .iter()
            .filter(|runner| Some(loads.at(runner.load)) == fewest);
        let best = tied.min_by_key(|runner| (Reverse(seed.score(runner.seed)), runner.name));
        if let Some(best) = best {
            loads.add(best.name);
            chosen.insert(seat.address, best.name);
        }
    }
    chosen
}

/// How many candidates claim before `me` does if nobody claims: the chosen one, then the others by score. `None` if
/// `me` is no candidate.
#[must_use]
pub fn rank(
    address: IpAddr,
    candidates: &CandidateSet,
    chosen: Option<&NodeName>,
    me: &NodeName,
) -> Option<u32> {
    if !candidates.contains(me) {
        return None;
    }
    let standing = |node| {
        (
            chosen == Some(node),
            rendezvous::score(address, node),
            Reverse(node),
        )
    };
    let mine = standing(me);
    u32::try_from(
        candidates
            .0
            .keys()
            .filter(|node| standing(node) > mine)
            .count(),
    )
    .ok()
}

fn preferred<'a>(candidates: &'a CandidateSet, loads: &mut Loads<'a>) -> Vec<Runner<'a>> {
    let most = candidates.0.values().max();
    let field = candidates
        .0
        .iter()
        .filter(|(_, weight)| Some(*weight) == most);
    field
        .map(|(name, _)| Runner {
            name,
            seed: NodeSeed::of(name),
            load: loads.slot(name),
        })
        .collect()
}

impl<'a> Loads<'a> {
    fn slot(&mut self, node: &'a NodeName) -> usize {
        *self.index.entry(node).or_insert_with(|| {
            self.counts.push(0);
            self.counts.len() - 1
        })
    }

    fn add(&mut self, node: &'a NodeName) {
        let slot = self.slot(node);
        if let Some(count) = self.counts.get_mut(slot) {
            *count = count.saturating_add(1);
        }
    }

    fn at(&self, slot: usize) -> u32 {
        self.counts.get(slot).copied().unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests;
