//! What a cluster is asked from outside, and what it must answer.

use std::{collections::BTreeMap, net::IpAddr};

use herald::placement::Event;
use herald_spi::Place;

use crate::{
    agent::{Agent, LAN},
    cluster::Cluster,
};

impl Cluster {
    /// The owner of each address; fails unless there is exactly one.
    pub(crate) fn owners(&self) -> BTreeMap<IpAddr, usize> {
        let mut owners = BTreeMap::new();
        for (node, agent) in self
            .agents
            .iter()
            .enumerate()
            .filter(|(_, agent)| agent.reachable())
        {
            for place in agent.out.claims.keys() {
                let other = owners.insert(place.address, node);
                assert_eq!(other, None, "{} has two owners, {node} too", place.address);
            }
        }
        owners
    }

    /// How many living nodes claim an address.
    pub(crate) fn owners_of(&self, address: IpAddr) -> usize {
        let place = Place {
            address,
            interface: LAN,
        };
        let owning = |agent: &&Agent| agent.reachable() && agent.out.claims.contains_key(&place);
        self.agents.iter().filter(owning).count()
    }

    /// Fails unless each address has exactly one owner.
    pub(crate) fn expect_owned(&self) {
        let owners = self.owners();
        for address in self.api.addresses.keys() {
            assert!(
                owners.contains_key(address),
                "{address} has no owner: {:?}",
                self.stands(*address)
            );
        }
    }

    /// How the agents stand to an address, for messages.
    pub(crate) fn stands(&self, address: IpAddr) -> Vec<(usize, String)> {
        let place = Place {
            address,
            interface: LAN,
        };
        let agents = self.agents.iter().enumerate();
        agents
            .map(|(node, agent)| (node, format!("{:?}", agent.out.states.get(&place))))
            .collect()
    }

    /// Fails unless the owners among the living nodes are even within one.
    pub(crate) fn expect_even(&self) {
        let mut loads: BTreeMap<usize, usize> = (0..self.agents.len())
            .filter(|node| self.agents[*node].alive)
            .map(|node| (node, 0))
            .collect();
        for owner in self.owners().into_values() {
            *loads.entry(owner).or_default() += 1;
        }
        let (least, most) = (loads.values().min().unwrap(), loads.values().max().unwrap());
        assert!(most - least <= 1, "uneven: {loads:?}");
    }

    /// Who gained what since the log was cleared last.
    pub(crate) fn gains(&self) -> Vec<(u64, usize, IpAddr)> {
        let gains = self.told.iter().filter_map(|told| match &told.event {
            Event::Gained { place, .. } => Some((told.at, told.node, place.address)),
            _ => None,
        });
        gains.collect()
    }
}
