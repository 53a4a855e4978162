//! Looks at every moment of the simulation and holds it against promise 3.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use herald::placement::Policy;

use crate::agent::{Agent, DETECTION, View};

/// Two owners on one side of the segment, as long as they hear each other.
const OVERLAP: u64 = 200;
/// No owner after a fault: the silence until it is noticed (a heartbeat before it may have been the last), and 1 s.
const GAP: u64 = DETECTION + 1_000;
/// One owner again after sides of the segment have met.
const HEAL: u64 = 1_000;

/// Keeps count of what should not be.
#[derive(Default)]
pub(crate) struct Watch {
    /// Something changed since it looked last.
    pub(crate) changed: bool,
    /// It fails at once when a promise is broken.
    pub(crate) strict: bool,
    /// A side without an owner fails at once, as in planned moves.
    pub(crate) gapless: bool,
    healed_at: u64,
    overlaps: BTreeMap<(u8, IpAddr), u64>,
    gaps: BTreeMap<(u8, IpAddr), u64>,
    pub(crate) longest_overlap: u64,
    pub(crate) longest_gap: u64,
}

impl Watch {
    /// Sides have changed: what overlaps now may do so for the time of a heal.
    pub(crate) fn healed(&mut self, now: u64) {
        self.healed_at = now;
        self.changed = true;
    }

    pub(crate) fn look(&mut self, now: u64, api: &View, agents: &[Agent], side: &[u8]) {
        if std::mem::take(&mut self.changed) {
            self.count(now, api, agents, side);
        }
        for ((side, address), since) in &self.overlaps {
            let length = now - since;
            self.longest_overlap = self.longest_overlap.max(length);
            let excused = now <= self.healed_at + HEAL;
            assert!(
                !self.strict || excused || length <= OVERLAP,
                "{address} has two owners on side {side} for {length} ms: {}",
                tell(agents, *address)
            );
        }
        for ((side, address), since) in &self.gaps {
            let length = now - since;
            self.longest_gap = self.longest_gap.max(length);
            assert!(
                !self.strict || length <= if self.gapless { 0 } else { GAP },
                "{address} has no owner on side {side} for {length} ms: {}",
                tell(agents, *address)
            );
        }
    }

    fn count(&mut self, now: u64, api: &View, agents: &[Agent], side: &[u8]) {
        let mut owners: BTreeMap<(u8, IpAddr), u32> = BTreeMap::new();
        let mut able: BTreeMap<u8, BTreeSet<_>> = BTreeMap::new();
        for (agent, side) in agents
            .iter()
            .zip(side)
            .filter(|(agent, _)| agent.reachable())
        {
            for place in agent.out.claims.keys() {
                *owners.entry((*side, place.address)).or_default() += 1;
            }
            let healthy = api
                .nodes
                .get(&agent.name)
                .is_some_and(|node| !node.excluded && !node.out_of_service);
            if healthy && !agent.out.leaving {
                able.entry(*side).or_default().insert(&agent.name);
            }
        }
        let overlapping = owners
            .iter()
            .filter(|(_, count)| **count > 1)
            .map(|(key, _)| *key);
        let overlapping: BTreeSet<_> = overlapping.collect();
        let mut orphaned = BTreeSet::new();
        for (side, able) in able {
            for (address, facts) in &api.addresses {
                let policy = facts.services.first().map(|service| &service.policy);
                let able = match policy.and_then(Policy::endpoints) {
                    Some(endpoints) => able.iter().any(|node| endpoints.contains(*node)),
                    None => true,
                };
                if able && !owners.contains_key(&(side, *address)) {
                    orphaned.insert((side, *address));
                }
            }
        }
        renew(&mut self.overlaps, overlapping, now);
        renew(&mut self.gaps, orphaned, now);
    }
}

fn renew(since: &mut BTreeMap<(u8, IpAddr), u64>, present: BTreeSet<(u8, IpAddr)>, now: u64) {
    since.retain(|key, _| present.contains(key));
    for key in present {
        since.entry(key).or_insert(now);
    }
}

fn tell(agents: &[Agent], address: IpAddr) -> String {
    let place = herald_spi::Place {
        address,
        interface: crate::agent::LAN,
    };
    let tell = |agent: &Agent| {
        let state = agent.out.states.get(&place);
        let claim = agent.out.claims.get(&place);
        format!(
            "{} up={} {state:?} {claim:?}",
            agent.name,
            agent.reachable()
        )
    };
    agents.iter().map(tell).collect::<Vec<_>>().join("; ")
}
