//! Services that are served on addresses of nodes: because they want to be, or because no pool has an address.
//!
//! Several Services are served on the same node addresses, each on its own ports. What is locked is therefore the port
//! on all nodes, by an allocation object of its own; node addresses themselves are nobody's.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use herald_node::{
    Answer, Ask, DAMPING, Endpoints, Host, Mode, NodeFacts, Published, Refusal, Steady, Taken,
};
use herald_spi::{NodeName, Port, ServiceKey};

use super::{
    Steward,
    foreign::heralds_word,
    holder,
    locks::{publications, version},
    serve::Given,
};
use crate::{
    api::{self, AddressAllocationSpec, Provider, Reason, Verdict},
    controller::{Ingress, Letting, Lock, Unlock, node_ports::Need},
    ipam::Holder,
    world::{
        AllocationRecord, Announcements, Change, HostRecord, IpMode, LockKey, NodeRecord,
        ServiceRecord, SliceRecord, Table, TrafficPolicy,
    },
};

/// The error of a port that is served on its node port alone.
pub(super) const NODE_PORT_ONLY: &str = "herald.dev/NodePortOnly";

/// What is known of nodes, and who is served there.
#[derive(Debug, Default)]
pub(super) struct OnNodes {
    nodes: Table<NodeRecord>,
    hosts: Table<HostRecord>,
    slices: Table<SliceRecord>,
    steady: Steady,
    /// Nodes have changed since `steady` was brought up to date.
    dirty: bool,
    /// Who serves a port directly on the addresses of nodes.
    ports: BTreeMap<Port, Holder>,
    /// Whose last answer depended on nodes.
    services: BTreeSet<ServiceKey>,
    needs_endpoints: bool,
}

impl OnNodes {
    pub(super) fn synced(&self) -> bool {
        self.nodes.synced() && self.hosts.synced()
    }

    pub(super) fn next_due(&self) -> Option<i64> {
        self.steady.next_due()
    }

    pub(super) fn services(&self) -> impl Iterator<Item = &ServiceKey> {
        self.services.iter()
    }

    pub(super) fn take_nodes(&mut self, change: Change<NodeRecord>) {
        self.dirty |= !self.nodes.take(change).is_empty();
    }

    /// Returns the addresses of which something else is said now.
    pub(super) fn take_hosts(&mut self, change: Change<HostRecord>) -> BTreeSet<IpAddr> {
        let before: BTreeMap<_, _> = match &change {
            Change::Apply(host) | Change::Listed(host) | Change::Delete(host) => {
                let known = self.hosts.get(&host.name).cloned();
                known
                    .map(|known| (known.name.clone(), known))
                    .into_iter()
                    .collect()
            }
            Change::Reset(_) | Change::Complete => self
                .hosts
                .iter()
                .map(|(name, host)| (name.clone(), Arc::clone(host)))
                .collect(),
            Change::Relisting => BTreeMap::new(),
        };
        let mut addresses = BTreeSet::new();
        for name in self.hosts.take(change) {
            let (old, new) = (before.get(&name), self.hosts.get(&name));
            let (old, new) = (old.map(|host| &**host), new.map(|host| &**host));
            let [was, is] = [old, new].map(|host| host.and_then(|host| host.facts.as_ref()));
            self.dirty |= was != is;
            addresses.append(&mut differing(old, new));
        }
        addresses
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Arc<NodeRecord>> {
        self.nodes.iter().map(|(_, node)| node)
    }

    pub(super) fn node(&self, name: &NodeName) -> Option<&NodeRecord> {
        self.nodes.get(name).map(|node| &**node)
    }

    /// What each node says of its announcements.
    pub(super) fn announcements(&self) -> impl Iterator<Item = (&NodeName, &Announcements)> {
        self.hosts
            .iter()
            .filter_map(|(name, host)| Some((name, host.announcements.as_ref()?)))
    }

    /// Returns the Services whose endpoints changed, of those that are served on nodes.
    pub(super) fn take_slices(&mut self, change: Change<SliceRecord>) -> BTreeSet<ServiceKey> {
        let named = match &change {
            Change::Apply(slice) | Change::Listed(slice) | Change::Delete(slice) => {
                Some(slice.service.clone())
            }
            Change::Reset(_) | Change::Relisting | Change::Complete => None,
        };
        if self.slices.take(change).is_empty() {
            return BTreeSet::new();
        }
        let concerned = self
            .services
            .iter()
            .filter(|key| named.as_ref().is_none_or(|n| n == *key));
        concerned.cloned().collect()
    }

    /// As when another controller begins to lead: what is known of the world stays.
    pub(super) fn forget_services(&mut self) {
        self.ports.clear();
        self.services.clear();
    }

    pub(super) fn holder_of(&self, port: Port) -> Option<ServiceKey> {
        self.ports.get(&port).map(|holder| holder.service.clone())
    }

    pub(super) fn take_port(&mut self, port: Port, holder: Holder) {
        self.ports.insert(port, holder);
    }

    pub(super) fn forget_port(&mut self, port: Port) {
        self.ports.remove(&port);
    }

    pub(super) fn release(&mut self, port: Port, uid: &str) {
        if self
            .ports
            .get(&port)
            .is_some_and(|holder| holder.uid == uid)
        {
            self.ports.remove(&port);
        }
    }

    /// The ports to give back of all that any Service of this name serves on nodes.
    pub(super) fn unlocks(&self, key: &ServiceKey, locks: &Table<AllocationRecord>) -> Vec<Unlock> {
        let held = self
            .ports
            .iter()
            .filter(|(_, holder)| holder.service == *key);
        held.map(|(port, holder)| unlock(*port, &holder.uid, locks))
            .collect()
    }

    pub(super) fn holders(&self) -> impl Iterator<Item = &Holder> {
        self.ports.values()
    }

    fn holds_any(&self, uid: &str) -> bool {
        self.ports.values().any(|holder| holder.uid == uid)
    }

    fn has(&self, address: IpAddr) -> bool {
        self.nodes.iter().any(|(_, node)| {
            node.internal_ips.contains(&address) || node.external_ips.contains(&address)
        })
    }

    fn facts(&self) -> Vec<NodeFacts> {
        let facts = self.nodes.iter().map(|(name, node)| NodeFacts {
            name: name.clone(),
            external_ips: node.external_ips.clone(),
            internal_ips: node.internal_ips.clone(),
            excluded: node.excluded,
            out_of_service: node.out_of_service,
            deleting: node.deleting,
            being_scaled_down: node.being_scaled_down,
            ready: node.ready,
            host: self
                .hosts
                .get(name)
                .and_then(|host| host.facts.as_ref())
                .map(|host| Host {
                    kube_proxy_mode: host.kube_proxy_mode.clone(),
                    addresses: host.addresses.clone(),
                    listening: host.listening.clone(),
                }),
        });
        facts.collect()
    }

    fn endpoints(&self, service: &ServiceKey) -> Endpoints {
        let mut ready: BTreeSet<NodeName> = BTreeSet::new();
        let mut terminating = BTreeSet::new();
        let first = (service.namespace.clone(), String::new());
        let in_namespace = self
            .slices
            .range(first..)
            .take_while(|((namespace, _), _)| *namespace == service.namespace);
        for (_, slice) in in_namespace.filter(|(_, slice)| slice.service == *service) {
            ready.extend(slice.ready.iter().cloned());
            terminating.extend(slice.terminating.iter().cloned());
        }
        Endpoints { ready, terminating }
    }
}

impl Steward {
    /// Whether some Service is served on those nodes only that have an endpoint of it: then [`super::Input::Slices`]
    /// are needed.
    #[must_use]
    pub fn needs_endpoints(&self) -> bool {
        self.on_nodes.needs_endpoints
    }

    /// Services to look at because nodes changed.
    pub(super) fn look_at_nodes(&mut self) -> BTreeSet<ServiceKey> {
        // A clock that was set back leaves a due far ahead.
        let is_near = |due: i64| due <= self.now || due > self.now.saturating_add(DAMPING);
        let is_due = self.on_nodes.next_due().is_some_and(is_near);
        if !std::mem::take(&mut self.on_nodes.dirty) && !is_due {
            return BTreeSet::new();
        }
        let facts = self.on_nodes.facts();
        if self.on_nodes.steady.update(self.now, facts) && self.leading {
            self.on_nodes.services.clone()
        } else {
            BTreeSet::new()
        }
    }

    /// Whether an address in a Service's status is that of a node, now or once, and not the Service's own.
    pub(super) fn is_of_nodes(&self, service: &ServiceRecord, address: IpAddr) -> bool {
        let locked = self.allocations.get(&LockKey::Address(address));
        if locked.is_some() || self.ipam.pool_of(address).is_some() {
            return false;
        }
        let fell_back = service
            .allocated
            .as_ref()
            .is_some_and(|c| c.reason == Reason::FELL_BACK_TO_NODES.as_str());
        let mut entries = service.ingress.iter();
        let by_proxy = entries.any(|entry| {
            entry.ip == Some(address) && entry.ip_mode.as_deref() == Some(IpMode::Proxy.as_str())
        });
        fell_back || by_proxy || self.on_nodes.has(address) || self.on_nodes.holds_any(&service.uid)
    }

    /// Whether the Service is known to be served on nodes by Herald, or about to be.
    pub(super) fn serves_on_nodes(&self, service: &ServiceRecord) -> bool {
        self.locks_a_port(service) || self.says_nodes(service)
    }

    /// Whether the status shows that it is.
    pub(super) fn shows_nodes(&self, service: &ServiceRecord) -> bool {
        let mut shown = service.status_addresses();
        self.says_nodes(service)
            || self.locks_a_port(service) && shown.any(|address| self.on_nodes.has(address))
    }

    fn locks_a_port(&self, service: &ServiceRecord) -> bool {
        // What memory holds without a lock was perhaps deleted by somebody who now serves the Service.
        let is_locked = |(port, holder): (&Port, &Holder)| {
            let key = LockKey::NodePort(*port);
            holder.uid == service.uid && self.has_locked(key, &service.uid)
        };
        self.on_nodes.ports.iter().any(is_locked)
    }

    fn says_nodes(&self, service: &ServiceRecord) -> bool {
        let mut shown = service.status_addresses().peekable();
        shown.peek().is_some()
            && heralds_word(service).is_some()
            && shown.all(|address| self.is_of_nodes(service, address))
    }

    /// Serves a Service on nodes; `instead_of` says why it has no address of its own.
    pub(super) fn give_nodes(
        &mut self,
        service: &ServiceRecord,
        instead_of: Option<&str>,
    ) -> Given {
        self.on_nodes.services.insert(service.key.clone());
        let local = service.policy == TrafficPolicy::Local;
        if local && !self.on_nodes.slices.synced() {
            self.on_nodes.needs_endpoints = true;
        }
        let ask = Ask {
            families: service.families.wanted().map(family).collect(),
            ports: service.ports.iter().map(|port| port.port).collect(),
            node_ports: service.ports.iter().all(|port| port.node_port.is_some()),
            endpoints: local.then(|| self.on_nodes.endpoints(&service.key)),
        };
        let others = self
            .on_nodes
            .ports
            .iter()
            .filter(|(_, holder)| holder.uid != service.uid);
        let others = others.map(|(port, holder)| (*port, holder.service.clone()));
        let taken: Taken = others.collect();
        match herald_node::choose(&self.on_nodes.steady, &taken, &service.key, &ask) {
            Ok(answer) => self.publish_nodes(service, &ask, answer, instead_of),
            Err(refusal) => refused(&refusal, instead_of),
        }
    }

    fn publish_nodes(
        &mut self,
        service: &ServiceRecord,
        ask: &Ask,
        answer: Answer,
        instead_of: Option<&str>,
    ) -> Given {
        let direct = answer.published.iter().any(|p| p.mode == Mode::Direct);
        let only_node_ports = answer
            .published
            .iter()
            .any(|p| p.mode == Mode::NodePortOnly);
        let mut words = vec![match answer.nodes.len() {
            1 => "served on 1 node".to_owned(),
            n => format!("served on {n} nodes"),
        }];
        if only_node_ports {
            words.push(node_ports_of(service, answer.why_not_direct.as_deref()));
        }
        words.extend(instead_of.map(|why| format!("instead of an address of its own: {why}")));
        let reason = match instead_of {
            Some(_) => Reason::FELL_BACK_TO_NODES,
            None => Reason::ALLOCATED,
        };
        let mut port_locks = Vec::new();
        if direct {
            for port in &ask.ports {
                self.on_nodes.take_port(*port, holder(service));
                port_locks.extend(self.port_lock(*port, service, &answer.published));
            }
        }
        Given {
            ingress: answer
                .published
                .iter()
                .map(|p| ingress(service, p))
                .collect(),
            port_locks,
            serves_ports: direct,
            need: if only_node_ports {
                Need::Because("it is served on node ports".to_owned())
            } else {
                Need::None
            },
            ..Given::of(Verdict::yes(reason, words.join("; ")))
        }
    }

    fn port_lock(&self, port: Port, service: &ServiceRecord, shown: &[Published]) -> Option<Lock> {
        let key = LockKey::NodePort(port);
        let existing = self.allocations.get(&key);
        let mut entries = service.ingress.iter();
        // Another address, of a pool or another's, says nothing of ports on nodes.
        let is_published = entries.any(|entry| {
            entry.ip_mode.as_deref() == Some(IpMode::Vip.as_str())
                && shown.iter().any(|shown| entry.ip == Some(shown.address))
        });
        let spec = AddressAllocationSpec {
            address: key.to_string(),
            holders: vec![api::Holder {
                namespace: service.key.namespace.clone(),
                name: service.key.name.clone(),
                uid: service.uid.clone(),
                ports: vec![port.to_string()],
                local_selector: None,
            }],
            publications: publications(existing.map(|lock| &**lock), is_published),
            ..AddressAllocationSpec::default()
        };
        (!existing.is_some_and(|lock| lock.says(&spec))).then(|| Lock {
            key,
            spec,
            replaces: existing.map(|lock| lock.resource_version.clone()),
        })
    }

    /// The ports that a Service serves on nodes no longer.
    pub(super) fn port_unlocks(&self, service: &ServiceRecord, given: &Given) -> Vec<Unlock> {
        let held = self.on_nodes.ports.iter().filter(|(port, holder)| {
            let wanted = || service.ports.iter().any(|own| own.port == **port);
            // As with addresses: what is locked stays, even while nodes cannot serve it. A controller that was paused
            // may still publish it.
            let stays = || {
                given.kept.is_empty()
                    && self.on_nodes.services.contains(&service.key)
                    && self.has_locked(LockKey::NodePort(**port), &service.uid)
            };
            let is_own = holder.service == service.key && holder.uid == service.uid;
            holder.service == service.key
                && !(is_own && wanted() && (given.serves_ports || stays()))
        });
        held.map(|(port, holder)| unlock(*port, &holder.uid, &self.allocations))
            .collect()
    }

    /// The Service has no business with nodes any more.
    pub(super) fn leave_nodes(&mut self, service: &ServiceKey) {
        self.on_nodes.services.remove(service);
    }

    /// Who serves a Service that names no provider.
    pub(super) fn default_provider(&self) -> Provider {
        self.classes.provider()
    }
}

/// The addresses of which two records of a node say different things.
fn differing<'a>(old: Option<&'a HostRecord>, new: Option<&'a HostRecord>) -> BTreeSet<IpAddr> {
    let said = |host: Option<&'a HostRecord>| Some(&host?.announcements.as_ref()?.said);
    let (old, new) = (said(old), said(new));
    let all = old.into_iter().chain(new).flat_map(BTreeMap::keys);
    all.filter(|address| {
        old.and_then(|said| said.get(address)) != new.and_then(|said| said.get(address))
    })
    .copied()
    .collect()
}

fn unlock(port: Port, uid: &str, locks: &Table<AllocationRecord>) -> Unlock {
    let key = LockKey::NodePort(port);
    let lock = locks.get(&key).filter(|lock| lock.is_held_by(uid));
    Unlock {
        key,
        holder: uid.to_owned(),
        letting: lock.map_or(Letting::Forget, |lock| Letting::Delete(version(lock))),
    }
}

fn ingress(service: &ServiceRecord, published: &Published) -> Ingress {
    match published.mode {
        Mode::Direct => Ingress {
            address: published.address,
            mode: IpMode::Vip,
            ports: Vec::new(),
        },
        Mode::NodePortOnly => Ingress {
            address: published.address,
            mode: IpMode::Proxy,
            ports: service
                .ports
                .iter()
                .map(|p| (p.port, Some(NODE_PORT_ONLY)))
                .collect(),
        },
    }
}

fn node_ports_of(service: &ServiceRecord, why: Option<&str>) -> String {
    let ports: Vec<_> = service
        .ports
        .iter()
        .filter_map(|port| Some(format!("{} on node port {}", port.port, port.node_port?)))
        .collect();
    let why = why.map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{}{why}", ports.join(", "))
}

fn refused(refusal: &Refusal, instead_of: Option<&str>) -> Given {
    let message = match instead_of {
        Some(why) => format!("{why}; and no addresses of nodes either: {refusal}"),
        None => refusal.to_string(),
    };
    Given::of(Verdict::no(Reason::of(refusal.reason()), message))
}

fn family(family: crate::ipam::Family) -> herald_node::Family {
    match family {
        crate::ipam::Family::V4 => herald_node::Family::V4,
        crate::ipam::Family::V6 => herald_node::Family::V6,
    }
}
