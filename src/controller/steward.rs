//! The controller's mind: what is known, who holds what, and what to do next. Pure.
//!
//! ```text
//!   take(Input) ──▶ tables ──▶ plan(Service) ──▶ Plan ──▶ (errand) ──▶ finish(Outcomes)
//!                               │    ▲
//!                     Ipam, node ports, who waits for what
//! ```
//!
//! Invariants: nothing is given out before [`Steward::begin`], which adopts every recorded address; what a lock says
//! wins over what memory says; an address leaves memory only after its lock is gone. The time is what [`Steward::tick`]
//! said last.

mod announced;
mod ending;
mod explain;
mod failing;
mod foreign;
mod heeding;
mod locks;
mod nodes;
mod replacing;
mod serve;
mod settle;
mod tell;
mod waking;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use herald_spi::{PoolName, ServiceKey};

use super::{Plan, charge, node_ports::Contest, plan::Lists, waiting::Waiting};
use crate::{
    api::NodePortPolicy,
    cluster::Classes,
    ipam::{Holder, Ipam, PoolFault, Wait},
    world::{
        AllocationRecord, Change, HostRecord, NamespaceRecord, NodeRecord, PoolRecord, PoolUnfit,
        ServiceRecord, SliceRecord, Table,
    },
};

pub(in crate::controller) use failing::CONDITIONS;

pub use explain::{Explained, Ownership};
pub use settle::Outcome;

/// What a watch says.
#[derive(Clone, Debug)]
pub enum Input {
    /// Services of type LoadBalancer.
    Services(Change<ServiceRecord>),
    /// Pools.
    Pools(Change<PoolRecord>),
    /// Locks.
    Allocations(Change<AllocationRecord>),
    /// Namespaces.
    Namespaces(Change<NamespaceRecord>),
    /// Nodes.
    Nodes(Change<NodeRecord>),
    /// What agents say of their hosts.
    Hosts(Change<HostRecord>),
    /// Endpoints, once [`Steward::needs_endpoints`].
    Slices(Change<SliceRecord>),
}

/// See the module.
#[derive(Debug)]
pub struct Steward {
    classes: Classes,
    node_ports: NodePortPolicy,
    /// Whether a cloud's part of this controller looks after Services of its own.
    serves_cloud: bool,
    services: Table<ServiceRecord>,
    pools: Table<PoolRecord>,
    allocations: Table<AllocationRecord>,
    namespaces: Table<NamespaceRecord>,
    ipam: Ipam,
    faults: BTreeMap<PoolName, PoolFault>,
    waiting: Waiting,
    /// Why a waiting Service was woken, and how old it was then: when its turn is over, the next one's may come.
    woken: BTreeMap<ServiceKey, BTreeMap<Wait, i64>>,
    /// Services whose turn has come.
    roused: BTreeSet<ServiceKey>,
    on_nodes: nodes::OnNodes,
    /// Addresses that their Services keep although their pools would not give them now, and why.
    flagged: BTreeMap<IpAddr, String>,
    /// Services that went with Herald's words on them.
    marked: BTreeSet<ServiceKey>,
    contest: Contest,
    /// Since when no node is known to announce what a Service has.
    unannounced: BTreeMap<ServiceKey, i64>,
    /// Services to look at again at some time though nothing happens.
    later: BTreeMap<ServiceKey, i64>,
    now: i64,
    /// When the first reservation ends.
    next_end: Option<i64>,
    leading: bool,
}

impl Steward {
    /// A steward that knows nothing yet.
    #[must_use]
    pub fn new(classes: Classes) -> Self {
        Self {
            classes,
            node_ports: NodePortPolicy::Keep,
            serves_cloud: false,
            services: Table::default(),
            pools: Table::default(),
            allocations: Table::default(),
            namespaces: Table::default(),
            ipam: Ipam::new(),
            faults: BTreeMap::new(),
            waiting: Waiting::default(),
            woken: BTreeMap::new(),
            roused: BTreeSet::new(),
            on_nodes: nodes::OnNodes::default(),
            flagged: BTreeMap::new(),
            marked: BTreeSet::new(),
            contest: Contest::default(),
            unannounced: BTreeMap::new(),
            later: BTreeMap::new(),
            now: 0,
            next_end: None,
            leading: false,
        }
    }

    /// The same, with a default for the node ports of all Services.
    #[must_use]
    pub fn with_node_ports(self, node_ports: NodePortPolicy) -> Self {
        Self { node_ports, ..self }
    }

    /// The same, beside a cloud's part that looks after Services of its own.
    #[must_use]
    pub fn beside_cloud(self, serves_cloud: bool) -> Self {
        Self {
            serves_cloud,
            ..self
        }
    }

    /// Whether every list that a decision needs has been read.
    #[must_use]
    pub fn synced(&self) -> bool {
        self.services.synced()
            && self.pools.synced()
            && self.allocations.synced()
            && self.namespaces.synced()
            && self.on_nodes.synced()
    }

    /// How many Services wait for an address.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many locks there are.
    #[must_use]
    pub fn locks(&self) -> usize {
        self.allocations.len()
    }

    /// All pools, with what the allocator thinks of each.
    pub fn pools(&self) -> impl Iterator<Item = (&Arc<PoolRecord>, Option<PoolUnfit>)> {
        self.pools.iter().map(|(name, pool)| {
            let fault = self.faults.get(name).map(|fault| PoolUnfit {
                reason: fault.reason(),
                message: fault.to_string(),
            });
            (pool, pool.pool.as_ref().err().cloned().or(fault))
        })
    }

    /// All Services of type LoadBalancer, whoever looks after them.
    pub fn services(&self) -> impl Iterator<Item = &Arc<ServiceRecord>> {
        self.services.iter().map(|(_, service)| service)
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<NodeRecord>> {
        self.on_nodes.nodes()
    }

    /// The locks of addresses that another host was found to use.
    pub fn foreign_locks(&self) -> impl Iterator<Item = &Arc<AllocationRecord>> {
        let locks = self.allocations.iter().map(|(_, lock)| lock);
        locks.filter(|lock| lock.foreign_use.is_some())
    }

    /// Who holds what.
    #[must_use]
    pub fn ipam(&self) -> &Ipam {
        &self.ipam
    }

    /// The locks of addresses, each with the pool that it came from.
    pub fn locks_of_pools(&self) -> impl Iterator<Item = (&PoolName, IpAddr, &AllocationRecord)> {
        self.allocations
            .iter()
            .filter_map(|(key, lock)| Some((lock.pool.as_ref()?, key.address()?, &**lock)))
    }

    /// Why the address would not be given to its holder now.
    #[must_use]
    pub fn flag(&self, address: IpAddr) -> Option<&str> {
        self.flagged.get(&address).map(String::as_str)
    }

    /// The age order in which Services are served.
    #[must_use]
    pub fn seniority(&self, service: &ServiceKey) -> i64 {
        self.services.get(service).map_or(i64::MIN, |s| s.created)
    }

    /// Starts to decide: re-reads every lock and every recorded address, the oldest Service first. Returns all
    /// Services that need a look.
    pub fn begin(&mut self) -> BTreeSet<ServiceKey> {
        self.leading = true;
        self.ipam = Ipam::new();
        self.waiting = Waiting::default();
        self.woken.clear();
        self.roused.clear();
        self.flagged.clear();
        self.unannounced.clear();
        self.later.clear();
        self.next_end = None;
        self.on_nodes.forget_services();
        self.configure_pools();
        let locks: Vec<_> = self
            .allocations
            .iter()
            .map(|(_, lock)| Arc::clone(lock))
            .collect();
        let mut look: BTreeSet<_> = self.services.iter().map(|(key, _)| key.clone()).collect();
        look.extend(self.marked.iter().cloned());
        for lock in locks {
            look.extend(self.heed_lock(&lock));
        }
        let mut services: Vec<_> = self.services.iter().map(|(_, s)| Arc::clone(s)).collect();
        services.sort_by(|a, b| (a.created, &a.uid).cmp(&(b.created, &b.uid)));
        for service in &services {
            if self.is_ours(service)
                && !self.is_clouds(service)
                && self.foreign_evidence(service).is_none()
            {
                self.adopt_status(service);
            }
        }
        // The pool of a reservation may be gone.
        self.next_end = self.next_end.map(|_| self.now);
        look
    }

    /// Stops deciding; goes on listening.
    pub fn rest(&mut self) {
        self.leading = false;
    }

    /// Says what time it is, in seconds of Unix time, and returns the Services that need a look because of it.
    pub fn tick(&mut self, now: i64) -> BTreeSet<ServiceKey> {
        if now < self.now {
            // What had ended may end again.
            self.next_end = self.next_end.or(Some(now)).map(|end| end.min(now));
        }
        self.now = now;
        let mut look = BTreeSet::new();
        if self.leading {
            look.extend(self.ended_reservations());
            look.extend(self.look_at_nodes());
            look.extend(
                self.later
                    .iter()
                    .filter(|(_, at)| **at <= now)
                    .map(|(key, _)| key.clone()),
            );
        }
        look
    }

    /// When [`Self::tick`] may have something to say.
    #[must_use]
    pub fn next_due(&self) -> Option<i64> {
        let later = self.later.values().min().copied();
        let dues = [self.next_end, self.on_nodes.next_due(), later];
        dues.into_iter().flatten().min()
    }

    /// Takes in what a watch says and returns the Services that need a look.
    pub fn take(&mut self, input: Input) -> BTreeSet<ServiceKey> {
        match input {
            Input::Services(change) => self.take_services(change),
            Input::Namespaces(change) => {
                let names = self.namespaces.take(change);
                let of = |name: String| {
                    let first = ServiceKey::new(&name, "");
                    let from_first = self.services.range(first..);
                    from_first
                        .take_while(move |(key, _)| key.namespace == name)
                        .map(|(key, _)| key.clone())
                };
                names.into_iter().flat_map(of).collect()
            }
            Input::Pools(change) => {
                let names = self.pools.take(change);
                if names.is_empty() || !self.leading {
                    return BTreeSet::new();
                }
                self.heed_pools(&names)
            }
            Input::Allocations(change) => {
                let keys = self.allocations.take(change);
                if !self.leading {
                    return BTreeSet::new();
                }
                let mut look = BTreeSet::new();
                for key in keys {
                    look.extend(self.heed_key(key));
                    // Who holds it may have come to need less of it.
                    if let Some(address) = key.address() {
                        self.stir(address, BTreeSet::new(), &mut look);
                    }
                }
                look
            }
            Input::Nodes(change) => {
                self.on_nodes.take_nodes(change);
                self.look_at_nodes()
            }
            Input::Hosts(change) => {
                let addresses = self.on_nodes.take_hosts(change);
                let mut look = self.look_at_nodes();
                look.extend(self.holders_of(&addresses));
                look
            }
            Input::Slices(change) => self.on_nodes.take_slices(change),
        }
    }

    /// What to do for a Service now. Takes addresses in memory; doing nothing with the plan is safe, asking again
    /// yields the same.
    pub fn plan(&mut self, key: &ServiceKey) -> Plan {
        self.later.remove(key);
        if self.services.get(key).is_some() {
            self.marked.remove(key);
        }
        let mut plan = match self.services.get(key).cloned() {
            None => self.plan_end(key),
            Some(service) if service.deleting => self.plan_deletion(&service),
            Some(service) if self.is_clouds(&service) => self.plan_leaving_to_cloud(&service),
            Some(service) if self.is_ours(&service) => self.serve(&service),
            Some(service) if service.class.is_none() => self.plan_hands_off(&service),
            Some(service) => self.plan_farewell(&service),
        };
        plan.lists = Lists {
            services: self.services.lists(),
            locks: self.allocations.lists(),
        };
        plan.unlocks.extend(self.ended_for(key));
        self.pass_turn(key);
        plan
    }

    /// Services whose turn came while others were planned for.
    pub fn roused(&mut self) -> BTreeSet<ServiceKey> {
        std::mem::take(&mut self.roused)
    }

    /// Remembers which of the Services that go carry Herald's words: if one did not go but changed its type, they must
    /// be taken off.
    fn take_services(&mut self, change: Change<ServiceRecord>) -> BTreeSet<ServiceKey> {
        if let Change::Delete(service) = &change {
            self.contest.forget(&service.uid);
        }
        let known: Vec<_> = match &change {
            Change::Apply(_) | Change::Listed(_) | Change::Relisting => Vec::new(),
            // The event may tell of words that this table has not heard of.
            Change::Delete(service) => {
                let known = self.services.get(&service.key).cloned();
                [Arc::new(service.clone())]
                    .into_iter()
                    .chain(known)
                    .collect()
            }
            Change::Reset(_) | Change::Complete => {
                let all = self.services.iter().map(|(_, service)| service);
                all.cloned().collect()
            }
        };
        // A list does not tell of the words that were written between the last event and the end.
        let is_list = !matches!(change, Change::Delete(_));
        let look = self.services.take(change);
        for service in known {
            if (is_list || service.is_marked()) && self.services.get(&service.key).is_none() {
                self.marked.insert(service.key.clone());
            }
        }
        look
    }

    /// Whether the cloud's part looks after it: by its provider, or because something there may be left of it.
    fn is_clouds(&self, service: &ServiceRecord) -> bool {
        service.kept_by_aws || self.serves_cloud && charge::is_clouds(service, self.classes)
    }

    fn is_ours(&self, service: &ServiceRecord) -> bool {
        self.classes.include(service.class.as_deref())
    }
}

fn holder(service: &ServiceRecord) -> Holder {
    Holder {
        service: service.key.clone(),
        uid: service.uid.clone(),
    }
}

#[cfg(test)]
mod tests;
