//! From what was watched and heard to what placement must be told. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use herald_spi::{IfIndex, Links, NodeName, PoolName, ServiceKey, Time};
use ipnet::IpNet;

use crate::{
    api::RebalancePolicy,
    ipam::Selector,
    membership::{NodeAddresses, View},
    placement::{
        AddressFacts, NodeFacts, Nodes, Pace, Peer, PeerLink, Policy, Preference, Rule, Scope,
        Segment, ServiceFacts,
    },
    world::{
        Change, Layer2Rule, LockKey, NodeRecord, PoolRecord, SliceRecord, Table, TrafficPolicy,
    },
};

use super::records::{Announced, Care, Lock, Shelf};

/// What a watch says.
#[derive(Debug)]
pub(crate) enum Watch {
    Services(Change<Announced>),
    /// Boxed: it is several times as large as the others, and rare.
    Pools(Box<Change<PoolRecord>>),
    Locks(Change<Lock>),
    Nodes(Change<NodeRecord>),
    Slices(Change<SliceRecord>),
}

/// What the agent watches, and `herald rebalance` reads to foresee what the agents will do.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(super) services: Table<Announced>,
    pub(crate) pools: Table<PoolRecord>,
    locks: Table<Lock>,
    pub(crate) nodes: Table<NodeRecord>,
    slices: Table<SliceRecord>,
    shelf: Shelf,
    /// How each address was announced when its pool or its lock last told: the objects may go, the address stays.
    remembered: BTreeMap<IpAddr, (Arc<[Layer2Rule]>, bool)>,
}

/// The rules, and whether excluded nodes announce too.
type Advertised<'a> = (&'a [Layer2Rule], bool);

/// Rules by what was written, so that selectors are applied, and candidates found, once for all addresses that are
/// announced alike: those of a pool, and those whose pool is gone too.
type Prepared<'a> = BTreeMap<&'a [Layer2Rule], (Arc<[Layer2Rule]>, Arc<[Rule]>)>;

impl Watched {
    /// Takes in what a watch says. Whether that changes anything.
    pub(crate) fn take(&mut self, watch: Watch) -> bool {
        let before = self.synced();
        let same = match watch {
            Watch::Services(change) => self.services.take(change).is_empty(),
            Watch::Pools(change) => self.pools.take(*change).is_empty(),
            Watch::Locks(change) => self.locks.take(self.shelf.sort(change)).is_empty(),
            Watch::Nodes(change) => self.nodes.take(change).is_empty(),
            Watch::Slices(change) => self.slices.take(change).is_empty(),
        };
        !same || self.synced() != before
    }

    /// Whether every list has been read at least once.
    pub(crate) fn synced(&self) -> bool {
        self.services.synced()
            && self.pools.synced()
            && self.locks.synced()
            && self.nodes.synced()
            && self.slices.synced()
    }

    /// The addresses that have a lock: each is somebody's, waits for somebody, or is known to be a stranger's.
    pub(super) fn locked(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.locks.iter().filter_map(|(key, _)| match key {
            LockKey::Address(address) => Some(*address),
            _ => None,
        })
    }

    /// The nodes, as placement sees them.
    pub(crate) fn node_facts(&self) -> BTreeMap<NodeName, NodeFacts> {
        let facts = self.nodes.iter().map(|(name, node)| {
            let facts = NodeFacts {
                excluded: node.excluded,
                out_of_service: node.out_of_service,
                network_unavailable: node.network_unavailable,
                deleting: node.deleting,
                unready: false,
            };
            (name.clone(), facts)
        });
        facts.collect()
    }

    /// Where the nodes are: the first InternalIP of each.
    pub(super) fn node_addresses(&self) -> NodeAddresses {
        let addresses = self.nodes.iter().filter_map(|(name, node)| {
            let address = node.internal_ips.first()?;
            Some((name.clone(), *address))
        });
        addresses.collect()
    }

    /// Every address that this cluster announces by layer 2: it stands in the status of a Service of Herald's, and a
    /// pool that is known, or that its lock remembers, advertises it.
    pub(crate) fn address_facts(&mut self) -> BTreeMap<IpAddr, AddressFacts> {
        let remembered = std::mem::take(&mut self.remembered);
        let endpoints = self.endpoints();
        let mut prepared = Prepared::new();
        let mut told = BTreeMap::new();
        let mut facts: BTreeMap<IpAddr, AddressFacts> = BTreeMap::new();
        for (key, service) in self.services.iter() {
            let addresses = service.addresses.iter().copied();
            for address in addresses.filter(|address| self.is_ours(service, *address)) {
                let Some((written, ignore_exclude_label)) =
                    self.advertised(address).or_else(|| {
                        remembered
                            .get(&address)
                            .map(|(rules, ignore)| (&**rules, *ignore))
                    })
                else {
                    continue;
                };
                let (written, rules) = prepared
                    .entry(written)
                    .or_insert_with(|| (written.into(), self.rules(written)));
                told.insert(address, (Arc::clone(written), ignore_exclude_label));
                let service = ServiceFacts {
                    key: key.clone(),
                    created: service.created,
                    policy: policy(service, endpoints.get(key)),
                };
                facts
                    .entry(address)
                    .or_insert_with(|| AddressFacts {
                        rules: Arc::clone(rules),
                        ignore_exclude_label,
                        // Most are not shared.
                        services: Vec::with_capacity(1),
                        fresh: false,
                        proxied: true,
                    })
                    .services
                    .push(service);
            }
        }
        self.remembered = told;
        facts
    }

    /// Which of the addresses may move while their owners are well: those of pools that say so for always, and those
    /// of pools for which somebody has `asked`.
    pub(crate) fn rebalance<'a>(
        &self,
        addresses: impl Iterator<Item = &'a IpAddr>,
        asked: impl Fn(&PoolName) -> bool,
    ) -> Scope {
        let pace = |pool: &PoolRecord| match pool.rebalance {
            _ if asked(&pool.name) => Some(Pace::Asked),
            RebalancePolicy::Automatic => Some(Pace::Slow),
            RebalancePolicy::Manual => None,
        };
        let paces: BTreeMap<_, _> = self
            .pools
            .iter()
            .filter_map(|(name, pool)| Some((name, pace(pool)?)))
            .collect();
        if paces.is_empty() {
            return Scope::new();
        }
        let of = |address: &IpAddr| paces.get(&self.pool_of(*address)?.name).copied();
        addresses
            .filter_map(|address| Some((*address, of(address)?)))
            .collect()
    }

    fn endpoints(&self) -> BTreeMap<ServiceKey, (BTreeSet<NodeName>, BTreeSet<NodeName>)> {
        let mut endpoints: BTreeMap<ServiceKey, (BTreeSet<_>, BTreeSet<_>)> = BTreeMap::new();
        for (_, slice) in self.slices.iter() {
            let (ready, terminating) = endpoints.entry(slice.service.clone()).or_default();
            ready.extend(slice.ready.iter().cloned());
            terminating.extend(slice.terminating.iter().cloned());
        }
        endpoints
    }

    /// How an address is announced: by its pool as it is now, else as its lock remembers.
    fn advertised(&self, address: IpAddr) -> Option<Advertised<'_>> {
        if let Some(pool) = self.pool_of(address) {
            return Some((&pool.rules, pool.ignore_exclude_label));
        }
        let lock = self.locks.get(&LockKey::Address(address))?;
        Some((&lock.rules, lock.ignore_exclude_label))
    }

    /// The pool that an address came from, or that has it now.
    fn pool_of(&self, address: IpAddr) -> Option<&Arc<PoolRecord>> {
        let lock = self.locks.get(&LockKey::Address(address));
        let contains = |pool: &PoolRecord| {
            pool.pool
                .as_ref()
                .is_ok_and(|p| p.ranges.iter().any(|range| range.contains(address)))
        };
        lock.and_then(|lock| self.pools.get(lock.pool.as_ref()?))
            .or_else(|| {
                self.pools
                    .iter()
                    .map(|(_, pool)| pool)
                    .find(|pool| contains(pool))
            })
    }

    fn is_ours(&self, service: &Announced, address: IpAddr) -> bool {
        match service.care {
            Care::Ours => true,
            Care::Others => false,
            Care::ByLock => {
                let lock = self.locks.get(&LockKey::Address(address));
                lock.is_some_and(|lock| lock.holders.contains(&service.uid))
            }
        }
    }

    fn rules(&self, rules: &[Layer2Rule]) -> Arc<[Rule]> {
        let rules = rules.iter().map(|rule| Rule {
            interfaces: rule.interfaces.clone(),
            nodes: match &rule.nodes {
                None => Nodes::Every,
                Some(selector) => self.selected_nodes(selector),
            },
            services: rule
                .services
                .as_ref()
                .map(|selector| self.selected_services(selector)),
            preferred: rule
                .preferred
                .iter()
                .map(|(weight, selector)| Preference {
                    weight: u32::from(*weight),
                    nodes: self.selected_nodes(selector),
                })
                .collect(),
        });
        rules.collect()
    }

    fn selected_nodes(&self, selector: &Selector) -> Nodes {
        let nodes = self.nodes.iter();
        let picked = nodes.filter(|(_, node)| selector.matches(&node.labels));
        Nodes::Only(Arc::new(picked.map(|(name, _)| name.clone()).collect()))
    }

    fn selected_services(&self, selector: &Selector) -> BTreeSet<ServiceKey> {
        let services = self.services.iter();
        let picked = services.filter(|(_, service)| selector.matches(&service.labels.to_map()));
        picked.map(|(key, _)| key.clone()).collect()
    }
}

/// The segments that this agent listens on. Of several own links on one segment the first one serves.
pub(super) fn segments(links: &Links, view: &View) -> BTreeMap<IfIndex, Segment> {
    let mut segments = BTreeMap::new();
    for (interface, heard) in &view.segments {
        let Some(link) = links.get(interface) else {
            continue;
        };
        if heard.same_segment.iter().any(|other| other < interface) {
            continue;
        }
        let peers = heard.peers.iter().map(|(name, peer)| {
            let link = PeerLink {
                name: peer.interface.to_string(),
                subnets: peer.subnets.iter().copied().collect::<Vec<IpNet>>(),
            };
            let peer = Peer {
                links: vec![link],
                macs: Arc::clone(&peer.macs),
                leaving: peer.leaving,
                quiet: peer.quiet,
                impaired: peer.impaired,
                claims: Arc::clone(&peer.claims),
            };
            (name.clone(), peer)
        });
        // Until all of a peer's claims are known, what it does not claim is unknown, not unclaimed: as if this agent
        // had begun to listen when the peer was first heard.
        let unsynced = heard
            .peers
            .values()
            .filter(|peer| !peer.synced)
            .map(|peer| peer.since);
        let segment = Segment {
            link: link.clone(),
            listening_since: unsynced.fold(heard.listening_since, Time::max),
            peers: peers.collect(),
        };
        segments.insert(*interface, segment);
    }
    segments
}

fn policy(
    service: &Announced,
    endpoints: Option<&(BTreeSet<NodeName>, BTreeSet<NodeName>)>,
) -> Policy {
    match service.policy {
        TrafficPolicy::Cluster => Policy::Cluster,
        TrafficPolicy::Local => {
            let (ready, terminating) = endpoints.cloned().unwrap_or_default();
            Policy::Local { ready, terminating }
        }
    }
}

#[cfg(test)]
mod tests;
