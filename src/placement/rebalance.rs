//! Which address should move next, where somebody asked for a rebalance.
//!
//! Owners are sticky, so after a node's return it has nothing. A rebalance undoes that, one move at a time: first an
//! address whose owner is not among the most preferred candidates goes to the best of them; then one goes from the
//! node with the most addresses to the one with the fewest, while they differ by two or more. Every move brings the
//! segment nearer to rest, so it ends, and equal views name the same next move. Nothing here acts: the node that a
//! move leads to takes the address ([`super::claims`]), when the segment has been calm.
//!
//! ```text
//!   seats, the scope, who is steady ─▶ next_move() ─▶ Move ─▶ Outlook ─▶ Claims of the taker
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use herald_spi::NodeName;
use serde::{Deserialize, Serialize};

use super::{candidate::CandidateSet, owner::Seat, rendezvous};

/// How an address may move to a better place while its owner is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Pace {
    /// Its pool says so for always.
    Slow,
    /// Somebody asked for it now.
    Asked,
}

/// The addresses that may move, and how.
pub type Scope = BTreeMap<IpAddr, Pace>;

/// One address that should have another owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Which.
    pub address: IpAddr,
    /// Who owns it.
    pub from: NodeName,
    /// Who should take it.
    pub to: NodeName,
    /// Why it may.
    pub pace: Pace,
}

/// What a rebalance depends on and leads to, on one segment at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outlook {
    /// The next move, unless some address has two owners.
    pub next: Option<Move>,
    /// The addresses that wait for an owner and have candidates.
    pub vacant: BTreeSet<IpAddr>,
    /// Some address has two owners.
    pub contested: bool,
    /// Some address here is [`Pace::Asked`].
    pub asked: bool,
}

/// Who could take the addresses of one candidate set.
struct Field<'a> {
    most: u32,
    takers: Vec<&'a NodeName>,
}

/// The next move among the `seats`, those that were asked for before the others; `None` at rest. Only nodes that are
/// `steady` lose or get anything.
#[must_use]
pub fn next_move(seats: &[Seat<'_>], scope: &Scope, steady: &BTreeSet<&NodeName>) -> Option<Move> {
    let asked = scope.values().any(|pace| *pace == Pace::Asked);
    let first = asked.then(|| next_at_least(Pace::Asked, seats, scope, steady));
    first
        .flatten()
        .or_else(|| next_at_least(Pace::Slow, seats, scope, steady))
}

fn next_at_least(
    pace: Pace,
    seats: &[Seat<'_>],
    scope: &Scope,
    steady: &BTreeSet<&NodeName>,
) -> Option<Move> {
    let mut fields: BTreeMap<*const CandidateSet, Field<'_>> = BTreeMap::new();
    let mut loads: BTreeMap<&NodeName, usize> = BTreeMap::new();
    let mut misplaced = Vec::new();
    let mut placed = Vec::new();
    for seat in seats {
        let Some(holder) = seat.holder else { continue };
        let allowed = scope.get(&seat.address).filter(|own| **own >= pace);
        let candidacy = seat.candidates.0.get(holder);
        let movable = candidacy.zip(allowed).filter(|_| steady.contains(holder));
        let Some((weight, own)) = movable else {
            *loads.entry(holder).or_default() += 1;
            continue;
        };
        let key = std::ptr::from_ref(seat.candidates);
        let field = fields
            .entry(key)
            .or_insert_with(|| Field::of(seat.candidates, steady));
        if *weight < field.most && !field.takers.is_empty() {
            // It will leave: it does not count for whom it leaves, or others would make room for it in vain.
            misplaced.push((seat.address, holder, key, *own));
        } else {
            *loads.entry(holder).or_default() += 1;
            placed.push((seat.address, holder, key, *own));
        }
    }
    let load = |node: &NodeName| loads.get(node).copied().unwrap_or(0);
    let best = |address: IpAddr, key| {
        let takers: &Vec<&NodeName> = &fields.get(&key)?.takers;
        takers.iter().copied().min_by_key(|node| {
            let score = rendezvous::score(address, node);
            (load(node), std::cmp::Reverse(score), *node)
        })
    };
    if let Some((address, from, key, pace)) = misplaced.into_iter().next() {
        return best(address, key).map(|to| moving(address, from, to, pace));
    }
    let fewest: BTreeMap<_, _> = fields
        .iter()
        .filter_map(|(key, field)| Some((*key, field.takers.iter().map(|node| load(node)).min()?)))
        .collect();
    let gap = |(_, from, key, _): &(_, &NodeName, _, _)| {
        load(from).saturating_sub(fewest.get(key).copied().unwrap_or(usize::MAX))
    };
    // The first of the widest.
    let (address, from, key, pace) = placed
        .into_iter()
        .rev()
        .max_by_key(gap)
        .filter(|seat| gap(seat) >= 2)?;
    best(address, key).map(|to| moving(address, from, to, pace))
}

fn moving(address: IpAddr, from: &NodeName, to: &NodeName, pace: Pace) -> Move {
    Move {
        address,
        from: from.clone(),
        to: to.clone(),
        pace,
    }
}

impl<'a> Field<'a> {
    /// The most preferred of the candidates, if they are steady.
    fn of(candidates: &'a CandidateSet, steady: &BTreeSet<&NodeName>) -> Self {
        let most = candidates.0.values().copied().max().unwrap_or(0);
        let takers = candidates
            .0
            .iter()
            .filter(|(node, weight)| **weight == most && steady.contains(node));
        Self {
            most,
            takers: takers.map(|(node, _)| node).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
