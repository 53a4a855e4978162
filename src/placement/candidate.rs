//! Who may announce an address on a segment, and why the others may not.
//!
//! A candidate passes every check below, for every Service that shares the address. Where no node suits all of
//! them, younger Services are left out until one does.
//!
//! ```text
//!   nodes × (rules, Service) ─▶ open set (shared by all addresses alike) ─∩ endpoints ─▶ the Service's set
//!   the Services' sets, oldest first ─∩─▶ CandidateSet      left out ─▶ Refusal
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use herald_spi::{NodeName, ServiceKey};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::facts::{AddressFacts, NodeFacts, PeerLink, Rule, ServiceFacts};

/// The candidates of an address on a segment, each with the sum of its preferences.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateSet(pub BTreeMap<NodeName, u32>);

/// Why a node is no candidate: the first check that it fails, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Unfit {
    /// The API server knows, or knew last, no such node.
    NodeUnknown,
    /// Its object is being deleted.
    NodeDeleting,
    /// It is tainted out-of-service.
    OutOfService,
    /// Its network is declared unavailable.
    NetworkUnavailable,
    /// Its label keeps it from external load balancers.
    ExcludedByLabel,
    /// No rule selects it.
    NodeNotSelected,
    /// This agent does not hear it on the segment.
    NotHeard,
    /// It is about to end.
    Leaving,
    /// No link of it on the segment may carry the address.
    NoInterface,
    /// `externalTrafficPolicy: Local`, and no endpoint of the Service serves there.
    NoEndpoint,
}

/// Why no node announces a Service's address for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Refusal {
    /// No node passes, or none that suits the older Services which share the address.
    NoCandidate,
    /// Nodes pass but for a link.
    NoInterface,
    /// Nodes pass but for an endpoint.
    NoEndpoint,
}

/// More than the preferences of a pool come to.
const ABOVE_PREFERENCES: u32 = 1 << 30;

/// The verdict on one address on one segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Who may announce it.
    pub candidates: Arc<CandidateSet>,
    /// The Services that have no part in it, with the reason. Usually empty.
    pub refused: Vec<(ServiceKey, Refusal)>,
}

/// The verdict with everything that led to it: for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Every node that is known or heard, with the first check that it fails.
    pub nodes: BTreeMap<NodeName, Option<Unfit>>,
    /// Every Service that has the address, with the reason why it is not announced.
    pub services: BTreeMap<ServiceKey, Option<Refusal>>,
}

/// A node on the segment, this one included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its links there that are up.
    pub links: Vec<PeerLink>,
    /// It is about to end.
    pub leaving: bool,
    /// Its kube-proxy is not healthy.
    pub impaired: bool,
}

/// Judges the addresses of one segment.
#[derive(Debug)]
pub struct Judge<'a> {
    nodes: &'a BTreeMap<NodeName, NodeFacts>,
    members: BTreeMap<&'a NodeName, Member>,
    /// The distinct subnets of all links, so that addresses in the same ones share their candidates.
    subnets: BTreeSet<IpNet>,
    open: Vec<OpenSet<'a>>,
}

/// Who passes for one set of rules, endpoints aside. Memory of [`Judge`], found again by its inputs.
#[derive(Debug)]
struct OpenSet<'a> {
    rules: &'a Arc<[Rule]>,
    serving: Vec<bool>,
    ignore_exclude_label: bool,
    subnets: Vec<IpNet>,
    nodes: Arc<CandidateSet>,
}

impl CandidateSet {
    /// Whether `node` is one.
    #[must_use]
    pub fn contains(&self, node: &NodeName) -> bool {
        self.0.contains_key(node)
    }

    /// The others, when these are gone.
    #[must_use]
    pub fn without(&self, gone: impl Fn(&NodeName) -> bool) -> Self {
        let left = self.0.iter().filter(|(node, _)| !gone(node));
        Self(left.map(|(node, weight)| (node.clone(), *weight)).collect())
    }

    /// Whether anyone but `me` is one.
    #[must_use]
    pub fn others(&self, me: &NodeName) -> bool {
        self.0.keys().any(|node| node != me)
    }
}

impl Unfit {
    /// The one word for it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NodeUnknown => "NodeUnknown",
            Self::NodeDeleting => "NodeDeleting",
            Self::OutOfService => "OutOfService",
            Self::NetworkUnavailable => "NetworkUnavailable",
            Self::ExcludedByLabel => "ExcludedByLabel",
            Self::NodeNotSelected => "NodeNotSelected",
            Self::NotHeard => "NotHeard",
            Self::Leaving => "Leaving",
            Self::NoInterface => "NoInterface",
            Self::NoEndpoint => "NoEndpoint",
        }
    }

    /// What people are told of a node that hands an address over.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NodeUnknown => "there is no such Node any more",
            Self::NodeDeleting => "its Node is being deleted",
            Self::OutOfService => "it is tainted out-of-service",
            Self::NetworkUnavailable => "its network is unavailable",
            Self::ExcludedByLabel => "its label excludes it from external load balancers",
            Self::NodeNotSelected => "the pool does not select it any more",
            Self::NotHeard => "it is not heard on this segment",
            Self::Leaving => "its agent ends",
            Self::NoInterface => "it has no interface for the address",
            Self::NoEndpoint => "no endpoint of the Service serves there",
        }
    }
}

impl Refusal {
    /// The one word for it.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoCandidate => "NoCandidate",
            Self::NoInterface => "NoInterface",
            Self::NoEndpoint => "NoEndpoint",
        }
    }
}

impl<'a> Judge<'a> {
    /// A judge of the segment with these members.
    #[must_use]
    pub fn new(
        nodes: &'a BTreeMap<NodeName, NodeFacts>,
        members: BTreeMap<&'a NodeName, Member>,
    ) -> Self {
        let links = members.values().flat_map(|member| &member.links);
        let subnets = links.flat_map(|link| &link.subnets).copied().collect();
        Self {
            nodes,
            members,
            subnets,
            open: Vec::new(),
        }
    }

    /// Who may announce the address.
    pub fn verdict(&mut self, address: IpAddr, facts: &'a AddressFacts) -> Verdict {
        let mut services: Vec<_> = facts.services.iter().collect();
        services.sort_by_key(|service| service.age());
        let mut candidates: Option<Arc<CandidateSet>> = None;
        let mut refused = Vec::new();
        for service in services {
            let own = self.set(address, facts, service);
            if own.0.is_empty() {
                refused.push((service.key.clone(), self.refusal(address, facts, service)));
                continue;
            }
            let Some(older) = &candidates else {
                candidates = Some(own);
                continue;
            };
            let both = older.without(|node| !own.contains(node));
            if both.0.is_empty() {
                refused.push((service.key.clone(), Refusal::NoCandidate));
            } else {
                candidates = Some(Arc::new(both));
            }
        }
        Verdict {
            candidates: candidates.unwrap_or_default(),
            refused,
        }
    }

    /// Why `node` may not announce the address; `None` if it may. `verdict` is that of [`Self::verdict`].
    #[must_use]
    pub fn unfit(
        &self,
        address: IpAddr,
        facts: &AddressFacts,
        verdict: &Verdict,
        node: &NodeName,
    ) -> Option<Unfit> {
        if verdict.candidates.contains(node) {
            return None;
        }
        // With no candidate at all nobody was left out for the others' sake: then all the Services are asked.
        let nobody = verdict.candidates.0.is_empty();
        let refused = |key| !nobody && verdict.refused.iter().any(|(other, _)| other == key);
        let mut services: Vec<_> = facts
            .services
            .iter()
            .filter(|service| !refused(&service.key))
            .collect();
        services.sort_by_key(|service| service.age());
        let mut failures = services
            .into_iter()
            .filter_map(|service| self.check(address, facts, service, node).err());
        Some(failures.next().unwrap_or(Unfit::NodeNotSelected))
    }

    /// The verdict, spelt out for every node and Service.
    pub fn explain(&mut self, address: IpAddr, facts: &'a AddressFacts) -> Explanation {
        let verdict = self.verdict(address, facts);
        let nodes: BTreeSet<&NodeName> = self
            .nodes
            .keys()
            .chain(self.members.keys().copied())
            .collect();
        let refusal = |key| {
            verdict
                .refused
                .iter()
                .find(|(other, _)| other == key)
                .map(|(_, why)| *why)
        };
        Explanation {
            nodes: nodes
                .into_iter()
                .map(|node| (node.clone(), self.unfit(address, facts, &verdict, node)))
                .collect(),
            services: facts
                .services
                .iter()
                .map(|service| (service.key.clone(), refusal(&service.key)))
                .collect(),
        }
    }

    fn set(
        &mut self,
        address: IpAddr,
        facts: &'a AddressFacts,
        service: &ServiceFacts,
    ) -> Arc<CandidateSet> {
        let open = self.open_set(address, facts, service);
        match service.policy.endpoints() {
            None => open,
            // Endpoints are few, nodes may be many.
            Some(nodes) => {
                let fit = nodes.iter().filter_map(|node| open.0.get_key_value(node));
                Arc::new(CandidateSet(
                    fit.map(|(node, weight)| (node.clone(), *weight)).collect(),
                ))
            }
        }
    }

    fn open_set(
        &mut self,
        address: IpAddr,
        facts: &'a AddressFacts,
        service: &ServiceFacts,
    ) -> Arc<CandidateSet> {
        let serving: Vec<_> = facts
            .rules
            .iter()
            .map(|rule| rule.serves(&service.key))
            .collect();
        let subnets: Vec<_> = self
            .subnets
            .iter()
            .copied()
            .filter(|subnet| subnet.contains(&address))
            .collect();
        let known = self.open.iter().find(|open| {
            Arc::ptr_eq(open.rules, &facts.rules)
                && open.ignore_exclude_label == facts.ignore_exclude_label
                && open.serving == serving
                && open.subnets == subnets
        });
        if let Some(open) = known {
            return Arc::clone(&open.nodes);
        }
        let fit = self.members.keys().filter_map(|&node| {
            let weight = self.check_open(address, facts, service, node).ok()?;
            Some((node, weight))
        });
        let nodes = Arc::new(self.prefer_the_sound(fit.collect()));
        self.open.push(OpenSet {
            rules: &facts.rules,
            serving,
            ignore_exclude_label: facts.ignore_exclude_label,
            subnets,
            nodes: Arc::clone(&nodes),
        });
        nodes
    }

    /// Puts nodes that work above those of which something on the node or the API server says that they do not. Where
    /// none or all of them work nothing changes.
    fn prefer_the_sound(&self, fit: Vec<(&NodeName, u32)>) -> CandidateSet {
        let sound = |node: &NodeName| {
            let unready = self.nodes.get(node).is_some_and(|facts| facts.unready);
            let impaired = self.members.get(node).is_some_and(|member| member.impaired);
            !unready && !impaired
        };
        let bonus = if fit.iter().all(|(node, _)| sound(node)) {
            0
        } else {
            ABOVE_PREFERENCES
        };
        let weighed = fit.into_iter().map(|(node, weight)| {
            let bonus = if sound(node) { bonus } else { 0 };
            (node.clone(), weight.saturating_add(bonus))
        });
        CandidateSet(weighed.collect())
    }

    /// How far the best node came: what is missing there is what people should look at.
    fn refusal(&self, address: IpAddr, facts: &AddressFacts, service: &ServiceFacts) -> Refusal {
        let failures = self
            .members
            .keys()
            .filter_map(|node| self.check(address, facts, service, node).err());
        match failures.max() {
            Some(Unfit::NoEndpoint) => Refusal::NoEndpoint,
            Some(Unfit::NoInterface) => Refusal::NoInterface,
            _ => Refusal::NoCandidate,
        }
    }

    fn check(
        &self,
        address: IpAddr,
        facts: &AddressFacts,
        service: &ServiceFacts,
        node: &NodeName,
    ) -> Result<(), Unfit> {
        self.check_open(address, facts, service, node)?;
        match service.policy.endpoints() {
            Some(nodes) if !nodes.contains(node) => Err(Unfit::NoEndpoint),
            _ => Ok(()),
        }
    }

    /// Every check but that of endpoints; the node's preference if it passes.
    fn check_open(
        &self,
        address: IpAddr,
        facts: &AddressFacts,
        service: &ServiceFacts,
        node: &NodeName,
    ) -> Result<u32, Unfit> {
        let known = self.nodes.get(node).ok_or(Unfit::NodeUnknown)?;
        let healthy = [
            (known.deleting, Unfit::NodeDeleting),
            (known.out_of_service, Unfit::OutOfService),
            (known.network_unavailable, Unfit::NetworkUnavailable),
            (
                known.excluded && !facts.ignore_exclude_label,
                Unfit::ExcludedByLabel,
            ),
        ];
        if let Some((_, unfit)) = healthy.into_iter().find(|(fails, _)| *fails) {
            return Err(unfit);
        }
        let rules: Vec<_> = facts
            .rules
            .iter()
            .filter(|rule| rule.serves(&service.key))
            .collect();
        if !rules.iter().any(|rule| rule.nodes.contain(node)) {
            return Err(Unfit::NodeNotSelected);
        }
        let member = self.members.get(node).ok_or(Unfit::NotHeard)?;
        if member.leaving {
            return Err(Unfit::Leaving);
        }
        let usable = rules.into_iter().filter(|rule| {
            let mut links = member.links.iter();
            rule.nodes.contain(node)
                && links.any(|link| rule.uses(address, &link.name, link.subnets.iter().copied()))
        });
        let weights = usable.map(|rule| rule.preference(node));
        weights
            .reduce(u32::saturating_add)
            .ok_or(Unfit::NoInterface)
    }
}

#[cfg(test)]
mod tests;
