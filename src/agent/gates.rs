//! Which addresses are new, and which of them still wait for kube-proxy. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use herald_spi::Time;

use super::kube_proxy::{Gate, parse};
use crate::{ipam::Family, placement::AddressFacts};

/// The addresses that this agent has seen, and the waits for the new ones.
#[derive(Debug, Default)]
pub(super) struct Gates {
    seen: BTreeSet<IpAddr>,
    fresh: BTreeSet<IpAddr>,
    waiting: BTreeMap<IpAddr, Gate>,
}

impl Gates {
    /// Takes in the addresses there are now, and tells placement which are new. Those of the first complete view
    /// are not: other agents, or an earlier life of this one, may have announced them for long.
    pub(super) fn notice(
        &mut self,
        now: Time,
        unix: f64,
        addresses: &mut BTreeMap<IpAddr, AddressFacts>,
        first_view: bool,
    ) {
        self.seen.retain(|address| addresses.contains_key(address));
        self.fresh.retain(|address| addresses.contains_key(address));
        self.waiting
            .retain(|address, _| addresses.contains_key(address));
        for (address, facts) in addresses {
            if self.seen.insert(*address) && !first_view {
                self.fresh.insert(*address);
                self.waiting.insert(*address, Gate::new(now, unix));
            }
            facts.fresh = self.fresh.contains(address);
            facts.proxied = !self.waiting.contains_key(address);
        }
    }

    /// Whether some address waits.
    pub(super) fn any_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Takes in kube-proxy's metrics, or that it gives none. Whether a wait is over.
    pub(super) fn ask(&mut self, now: Time, metrics: Option<&str>) -> bool {
        let v4 = metrics.and_then(|text| parse(text, Family::V4));
        let v6 = metrics.and_then(|text| parse(text, Family::V6));
        let before = self.waiting.len();
        self.waiting.retain(|address, gate| {
            let syncs = match Family::of(*address) {
                Family::V4 => v4,
                Family::V6 => v6,
            };
            !gate.open(now, syncs)
        });
        self.waiting.len() < before
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;

    fn facts(addresses: &[&str]) -> BTreeMap<IpAddr, AddressFacts> {
        let facts = AddressFacts {
            rules: Arc::new([]),
            ignore_exclude_label: false,
            services: Vec::new(),
            fresh: false,
            proxied: true,
        };
        addresses
            .iter()
            .map(|a| (a.parse().unwrap(), facts.clone()))
            .collect()
    }

    #[test]
    fn only_addresses_that_appear_later_are_new_and_wait() {
        let mut gates = Gates::default();
        let mut first = facts(&["10.0.0.1"]);
        gates.notice(Time::ZERO, 0.0, &mut first, true);
        let mut second = facts(&["10.0.0.1", "10.0.0.2"]);
        gates.notice(Time::ZERO, 0.0, &mut second, false);
        let flags: Vec<_> = second.values().map(|f| (f.fresh, f.proxied)).collect();
        assert_eq!(flags, [(false, true), (true, false)]);
        assert!(gates.any_waiting());
        let later = Time::from_start(Duration::from_secs(1));
        assert!(gates.ask(later, None));
        gates.notice(later, 1.0, &mut second, false);
        let flags: Vec<_> = second.values().map(|f| (f.fresh, f.proxied)).collect();
        assert_eq!(flags, [(false, true), (true, true)]);
    }

    #[test]
    fn an_address_that_went_away_is_new_again() {
        let mut gates = Gates::default();
        gates.notice(Time::ZERO, 0.0, &mut facts(&["10.0.0.1"]), true);
        gates.notice(Time::ZERO, 0.0, &mut facts(&[]), false);
        let mut again = facts(&["10.0.0.1"]);
        gates.notice(Time::ZERO, 0.0, &mut again, false);
        assert!(again.values().all(|f| f.fresh));
    }
}
