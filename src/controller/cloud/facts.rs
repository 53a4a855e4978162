//! What is known of the cluster, for the cloud. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use herald_aws::{Endpoint, Network, Node, Site, Sought};
use herald_spi::ServiceKey;

use super::Scene;
use crate::world::{AwsLeft, AwsNode, AwsService, AwsSlice, Change, Table};

/// What a watch says.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// Services of type LoadBalancer.
    Services(Box<Change<AwsService>>),
    /// Services of other types with Herald's finalizer.
    Left(Change<AwsLeft>),
    /// Endpoints.
    Slices(Change<AwsSlice>),
    /// Nodes.
    Nodes(Change<AwsNode>),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Facts {
    services: Table<AwsService>,
    left: Table<AwsLeft>,
    slices: Table<AwsSlice>,
    nodes: Table<AwsNode>,
    /// The slices of each Service.
    slices_of: BTreeMap<ServiceKey, BTreeSet<(String, String)>>,
}

/// What may need a look.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Dirty {
    /// These Services.
    Some(BTreeSet<ServiceKey>),
    /// Every Service: the nodes have changed.
    All,
}

impl Facts {
    /// Whether every list has been read.
    pub(super) fn synced(&self) -> bool {
        self.services.synced() && self.left.synced() && self.slices.synced() && self.nodes.synced()
    }

    pub(super) fn take(&mut self, input: Input) -> Dirty {
        match input {
            Input::Services(change) => Dirty::Some(self.services.take(*change)),
            Input::Left(change) => Dirty::Some(self.left.take(change)),
            Input::Slices(change) => Dirty::Some(self.take_slices(change)),
            Input::Nodes(change) => match self.nodes.take(change).is_empty() {
                true => Dirty::Some(BTreeSet::new()),
                false => Dirty::All,
            },
        }
    }

    fn take_slices(&mut self, change: Change<AwsSlice>) -> BTreeSet<ServiceKey> {
        // What a slice that went was of, the table will not tell.
        let before: BTreeMap<_, _> = match &change {
            Change::Delete(slice) => [(slice.key.clone(), slice.service.clone())].into(),
            Change::Reset(_) | Change::Complete => self
                .slices
                .iter()
                .map(|(key, slice)| (key.clone(), slice.service.clone()))
                .collect(),
            Change::Apply(_) | Change::Listed(_) | Change::Relisting => BTreeMap::new(),
        };
        let mut dirty = BTreeSet::new();
        for key in self.slices.take(change) {
            match self.slices.get(&key) {
                Some(slice) => {
                    let of = self.slices_of.entry(slice.service.clone()).or_default();
                    of.insert(key);
                    dirty.insert(slice.service.clone());
                }
                None => {
                    let Some(service) = before.get(&key) else {
                        continue;
                    };
                    if let Some(of) = self.slices_of.get_mut(service) {
                        of.remove(&key);
                    }
                    dirty.insert(service.clone());
                }
            }
        }
        self.slices_of.retain(|_, slices| !slices.is_empty());
        dirty
    }

    pub(super) fn services(&self) -> impl Iterator<Item = &Arc<AwsService>> {
        self.services.iter().map(|(_, service)| service)
    }

    pub(super) fn service(&self, key: &ServiceKey) -> Option<&Arc<AwsService>> {
        self.services.get(key)
    }

    pub(super) fn all_left(&self) -> impl Iterator<Item = &Arc<AwsLeft>> {
        self.left.iter().map(|(_, left)| left)
    }

    pub(super) fn left(&self, key: &ServiceKey) -> Option<&Arc<AwsLeft>> {
        self.left.get(key)
    }

    /// Those for whom something may be in AWS.
    pub(super) fn uids(&self) -> BTreeSet<String> {
        let services = self.services().map(|service| service.record.uid.clone());
        services
            .chain(self.all_left().map(|left| left.uid.clone()))
            .collect()
    }

    /// The nodes with what AWS tells of the instance of each.
    pub(super) fn nodes(&self, site: &Site) -> Vec<Node> {
        let placed = self.nodes.iter().map(|(_, known)| {
            let mut node = known.node.clone();
            if node.instance().is_none() {
                let found = known.address.and_then(|address| site.instance_at(address));
                // The zone is not needed, and nobody says it.
                node.provider_id = found.map(|id| format!("aws:///{id}")).or(node.provider_id);
            }
            site.place(&mut node);
            node
        });
        placed.collect()
    }

    /// Everything that decides what a Service shall have.
    pub(super) fn scene(
        &self,
        service: &AwsService,
        nodes: &Arc<Vec<Node>>,
        network: &Arc<Network>,
        refused: Option<String>,
        adopts: bool,
    ) -> Scene {
        Scene {
            service: service.wanted.clone(),
            endpoints: self.endpoints(&service.record.key),
            nodes: Arc::clone(nodes),
            network: Arc::clone(network),
            refused,
            adopts,
        }
    }

    /// The instances of the nodes, as far as the nodes tell.
    pub(super) fn sought(&self) -> Sought {
        let mut sought = Sought::default();
        for (_, known) in self.nodes.iter() {
            match known.node.instance() {
                Some(id) => drop(sought.instances.insert(id.to_owned())),
                None => sought.addresses.extend(known.address),
            }
        }
        sought
    }

    /// The endpoints of a Service. Those that are ending take traffic while there is no other.
    pub(super) fn endpoints(&self, service: &ServiceKey) -> Vec<Endpoint> {
        let slices = self.slices_of.get(service).into_iter().flatten();
        let all: Vec<_> = slices
            .filter_map(|key| self.slices.get(key))
            .flat_map(|slice| &slice.endpoints)
            .collect();
        let none_ready = !all.iter().any(|found| found.endpoint.ready);
        let mut by_address: BTreeMap<IpAddr, Endpoint> = BTreeMap::new();
        for found in all {
            let mut endpoint = found.endpoint.clone();
            endpoint.ready |= found.ending && none_ready;
            // A slice for each set of ports: an endpoint may be in several.
            by_address
                .entry(endpoint.address)
                .and_modify(|known| {
                    known.ready |= endpoint.ready;
                    known.ports.extend(endpoint.ports.clone());
                })
                .or_insert(endpoint);
        }
        by_address.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::AwsEndpoint;

    fn slice(name: &str, endpoints: &[(&str, bool, bool)]) -> AwsSlice {
        let endpoint = |(address, ready, ending): &(&str, bool, bool)| AwsEndpoint {
            endpoint: Endpoint {
                address: address.parse().unwrap(),
                ports: [(name.to_owned(), 8080)].into(),
                ready: *ready,
            },
            ending: *ending,
        };
        AwsSlice {
            key: ("shop".to_owned(), name.to_owned()),
            service: ServiceKey::new("shop", "web"),
            endpoints: endpoints.iter().map(endpoint).collect(),
        }
    }

    fn ready(facts: &Facts) -> Vec<String> {
        let endpoints = facts.endpoints(&ServiceKey::new("shop", "web"));
        let ready = endpoints.iter().filter(|endpoint| endpoint.ready);
        ready.map(|endpoint| endpoint.address.to_string()).collect()
    }

    #[test]
    fn endpoints_of_all_slices_count_and_ending_ones_where_no_other_is_ready() {
        let mut facts = Facts::default();
        let one = slice("a", &[("10.0.0.1", true, false), ("10.0.0.2", false, true)]);
        let two = slice("b", &[("10.0.0.1", true, false), ("10.0.0.3", true, false)]);
        facts.take(Input::Slices(Change::Reset(vec![one.clone(), two.clone()])));
        assert_eq!(ready(&facts), ["10.0.0.1", "10.0.0.3"]);
        let both = &facts.endpoints(&ServiceKey::new("shop", "web"))[0];
        assert_eq!(both.ports.len(), 2);
        let dirty = facts.take(Input::Slices(Change::Delete(two)));
        assert_eq!(dirty, Dirty::Some([ServiceKey::new("shop", "web")].into()));
        facts.take(Input::Slices(Change::Apply(slice(
            "a",
            &[("10.0.0.2", false, true), ("10.0.0.9", false, false)],
        ))));
        assert_eq!(ready(&facts), ["10.0.0.2"]);
        facts.take(Input::Slices(Change::Reset(Vec::new())));
        assert!(ready(&facts).is_empty() && facts.slices_of.is_empty());
    }
}
