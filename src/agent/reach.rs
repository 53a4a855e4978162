//! Where this node speaks with its peers: on the links where something may be announced. Pure.
//!
//! Heartbeats test the segment that addresses live on; on a link that none can be announced on they would only cost
//! something. Once a link may announce it stays, whatever becomes of pools and subnets: an owner that is no longer to
//! have an address hands it over, and who falls silent is dead to the others.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use herald_spi::{IfIndex, Links};
use ipnet::IpNet;

use crate::{placement::AddressFacts, world::PoolRecord};

/// The links that may announce, or once could.
#[derive(Debug, Default)]
pub(super) struct Reach(BTreeSet<IfIndex>);

impl Reach {
    /// Takes in the pools and addresses of the cluster.
    pub(super) fn learn<'a>(
        &mut self,
        links: &Links,
        pools: impl Iterator<Item = &'a PoolRecord>,
        addresses: &BTreeMap<IpAddr, AddressFacts>,
    ) {
        let pools: Vec<&PoolRecord> = pools.collect();
        let mut found = Vec::new();
        for link in links.values().filter(|link| !self.0.contains(&link.index)) {
            let subnets: Vec<IpNet> = link.subnets().collect();
            let mut pools = pools.iter();
            if pools.any(|pool| pool.reaches(&link.name, &subnets))
                || carries_any(&link.name, &subnets, addresses)
            {
                found.push(link.index);
            }
        }
        self.0.extend(found);
    }

    /// The links on which there is nobody to speak with. None while nothing can be announced anywhere: what comes
    /// first may come on any of them.
    pub(super) fn silent(&self, links: &Links) -> BTreeSet<IfIndex> {
        if !links.keys().any(|interface| self.0.contains(interface)) {
            return BTreeSet::new();
        }
        let silent = links.keys().filter(|interface| !self.0.contains(interface));
        silent.copied().collect()
    }
}

fn carries_any(link: &str, subnets: &[IpNet], addresses: &BTreeMap<IpAddr, AddressFacts>) -> bool {
    addresses.iter().any(|(address, facts)| {
        let mut rules = facts.rules.iter();
        rules.any(|rule| rule.uses(*address, link, subnets.iter().copied()))
    })
}

#[cfg(test)]
mod tests {
    use herald_spi::{Link, Mac};

    use super::*;
    use crate::world::{Layer2Rule, samples};

    fn links(links: &[(u32, &str, &str)]) -> Links {
        let link = |(index, name, subnet): &(u32, &str, &str)| {
            let link = Link {
                index: IfIndex(*index),
                name: (*name).into(),
                mac: Mac::ZERO,
                up: true,
                addresses: vec![subnet.parse().unwrap()],
            };
            (link.index, link)
        };
        links.iter().map(link).collect()
    }

    fn two() -> Links {
        links(&[(2, "eth0", "192.168.77.1/24"), (3, "eth1", "10.0.0.1/24")])
    }

    fn silent(pools: &[PoolRecord]) -> Vec<u32> {
        let mut reach = Reach::default();
        reach.learn(&two(), pools.iter(), &BTreeMap::new());
        reach.silent(&two()).into_iter().map(|i| i.0).collect()
    }

    fn by_name(addresses: &str, interface: &str) -> PoolRecord {
        let rule = Layer2Rule {
            interfaces: Some([interface.to_owned()].into()),
            ..Layer2Rule::default()
        };
        PoolRecord {
            rules: vec![rule],
            ..samples::pool("lan", &[addresses])
        }
    }

    #[test]
    fn where_no_pool_reaches_nobody_speaks() {
        let by_subnet = |addresses: &str| PoolRecord {
            rules: vec![Layer2Rule::default()],
            ..samples::pool("lan", &[addresses])
        };
        assert_eq!(silent(&[by_subnet("192.168.77.200-192.168.77.210")]), [3]);
        assert_eq!(silent(&[by_subnet("192.168.0.0/16")]), [3], "larger");
        assert_eq!(silent(&[by_subnet("10.0.0.200")]), [2]);
        assert_eq!(silent(&[by_name("172.16.0.1", "eth1")]), [2]);
        assert!(silent(&[by_subnet("10.0.0.200"), by_name("172.16.0.1", "eth0")]).is_empty());
    }

    #[test]
    fn everywhere_while_nothing_can_be_announced() {
        assert!(silent(&[]).is_empty());
        assert!(silent(&[by_name("172.16.0.1", "eth7")]).is_empty());
    }

    #[test]
    fn a_link_that_could_announce_stays_when_it_loses_its_subnet_and_the_pool_its_range() {
        let mut reach = Reach::default();
        let pools = [by_name("172.16.0.1", "eth1")];
        reach.learn(&two(), pools.iter(), &BTreeMap::new());
        reach.learn(&two(), [].iter(), &BTreeMap::new());
        assert_eq!(reach.silent(&two()), [IfIndex(2)].into());
        assert!(
            reach
                .silent(&links(&[(2, "eth0", "192.168.77.1/24")]))
                .is_empty()
        );
    }
}
