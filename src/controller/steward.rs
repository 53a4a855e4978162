//! The controller's mind: what is known, who holds what, and what to do next. Pure.
//!
//! Invariants: nothing is given out before [`Steward::begin`], which adopts every recorded address; what a lock says
//! wins over what memory says; an address leaves memory only after its lock is gone.

mod serve;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use herald_spi::{PoolName, ServiceKey};

use super::Plan;
use crate::{
    cluster::Classes,
    ipam::{Holder, Ipam, PoolFault},
    world::{
        AllocationRecord, Change, NamespaceRecord, PoolRecord, PoolUnfit, ServiceRecord, Table,
    },
};

/// What a watch says.
#[expect(
    clippy::large_enum_variant,
    reason = "made, handed on and taken apart at once"
)]
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
}

/// What became of a step of a plan.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The lock is ours, in this state.
    Locked(AllocationRecord),
    /// The lock is another's.
    LockTaken {
        /// Who wanted it.
        service: ServiceKey,
        /// The lock as it is.
        existing: AllocationRecord,
    },
    /// The status is written; the Service as it is now.
    StatusWritten(ServiceRecord),
    /// The Service that was thought to be gone is there.
    Found(ServiceRecord),
    /// The lock is gone.
    Unlocked {
        /// Its address.
        address: IpAddr,
        /// The uid of the Service that held it.
        holder: String,
    },
}

/// See the module.
#[derive(Debug)]
pub struct Steward {
    classes: Classes,
    services: Table<ServiceRecord>,
    pools: Table<PoolRecord>,
    allocations: Table<AllocationRecord>,
    namespaces: Table<NamespaceRecord>,
    ipam: Ipam,
    faults: BTreeMap<PoolName, PoolFault>,
    /// Services that were refused an address and might get one when something changes.
    waiting: BTreeSet<ServiceKey>,
    leading: bool,
}

impl Steward {
    /// A steward that knows nothing yet.
    #[must_use]
    pub fn new(classes: Classes) -> Self {
        Self {
            classes,
            services: Table::default(),
            pools: Table::default(),
            allocations: Table::default(),
            namespaces: Table::default(),
            ipam: Ipam::new(),
            faults: BTreeMap::new(),
            waiting: BTreeSet::new(),
            leading: false,
        }
    }

    /// Whether every list that a decision needs has been read.
    #[must_use]
    pub fn synced(&self) -> bool {
        self.services.synced()
            && self.pools.synced()
            && self.allocations.synced()
            && self.namespaces.synced()
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

    /// Who holds what.
    #[must_use]
    pub fn ipam(&self) -> &Ipam {
        &self.ipam
    }

    /// The locks that came from a pool.
    pub fn locks_of<'a>(
        &'a self,
        pool: &'a PoolName,
    ) -> impl Iterator<Item = &'a Arc<AllocationRecord>> + 'a {
        self.allocations
            .iter()
            .map(|(_, lock)| lock)
            .filter(|lock| lock.pool.as_ref() == Some(pool))
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
        self.waiting.clear();
        self.configure_pools();
        let locks: Vec<_> = self
            .allocations
            .iter()
            .map(|(_, lock)| Arc::clone(lock))
            .collect();
        let mut look: BTreeSet<_> = self.services.iter().map(|(key, _)| key.clone()).collect();
        for lock in locks {
            look.extend(self.heed_lock(&lock));
        }
        let mut services: Vec<_> = self.services.iter().map(|(_, s)| Arc::clone(s)).collect();
        services.sort_by(|a, b| (a.created, &a.uid).cmp(&(b.created, &b.uid)));
        for service in &services {
            if self.is_ours(service) && self.foreign_evidence(service).is_none() {
                self.adopt_status(service);
            }
        }
        look
    }

    /// Stops deciding; goes on listening.
    pub fn rest(&mut self) {
        self.leading = false;
    }

    /// Takes in what a watch says and returns the Services that need a look.
    pub fn take(&mut self, input: Input) -> BTreeSet<ServiceKey> {
        match input {
            Input::Services(change) => self.services.take(change),
            Input::Namespaces(change) => {
                let names = self.namespaces.take(change);
                self.waiting
                    .iter()
                    .filter(|key| names.contains(&key.namespace))
                    .cloned()
                    .collect()
            }
            Input::Pools(change) => {
                let names = self.pools.take(change);
                if names.is_empty() || !self.leading {
                    return BTreeSet::new();
                }
                self.configure_pools();
                let held = names
                    .iter()
                    .flat_map(|name| self.locks_of(name))
                    .flat_map(|lock| holders(lock));
                held.chain(self.waiting.iter().cloned()).collect()
            }
            Input::Allocations(change) => {
                let addresses = self.allocations.take(change);
                if !self.leading {
                    return BTreeSet::new();
                }
                addresses
                    .into_iter()
                    .flat_map(|address| self.heed_address(address))
                    .collect()
            }
        }
    }

    /// Takes in what became of a step and returns the Services that need a look.
    pub fn settle(&mut self, outcome: Outcome) -> BTreeSet<ServiceKey> {
        match outcome {
            Outcome::Locked(lock) => {
                self.allocations.apply(lock);
                BTreeSet::new()
            }
            Outcome::LockTaken { service, existing } => {
                self.allocations.apply(existing.clone());
                let mut look = self.heed_lock(&existing);
                look.insert(service);
                look
            }
            Outcome::StatusWritten(service) => {
                self.services.apply(service);
                BTreeSet::new()
            }
            Outcome::Found(service) => self.services.apply(service).into_iter().collect(),
            Outcome::Unlocked { address, holder } => {
                if self
                    .allocations
                    .get(&address)
                    .is_some_and(|lock| held_by(lock, &holder))
                {
                    self.allocations.remove(&address);
                }
                self.ipam.release(address, &holder);
                self.waiting.clone()
            }
        }
    }

    /// What to do for a Service now. Takes addresses in memory; doing nothing with the plan is safe, asking again
    /// yields the same.
    pub fn plan(&mut self, key: &ServiceKey) -> Plan {
        let Some(service) = self.services.get(key).cloned() else {
            self.waiting.remove(key);
            let mut plan = Plan::new(key.clone());
            plan.unlocks = self.unlocks(key, |_| true);
            plan.ask_first = !plan.unlocks.is_empty();
            return plan;
        };
        if service.deleting || (!self.is_ours(&service) && service.class.is_none()) {
            return Plan::new(key.clone());
        }
        if self.is_ours(&service) {
            self.serve(&service)
        } else {
            self.let_go(&service)
        }
    }

    fn is_ours(&self, service: &ServiceRecord) -> bool {
        self.classes.include(service.class.as_deref())
    }

    /// Holds in memory what the Service's status already says.
    fn adopt_status(&mut self, service: &ServiceRecord) {
        for address in service.status_addresses() {
            // Refused when another Service holds it: that one was first.
            let _taken = self.ipam.adopt(address, holder(service), None);
        }
    }

    /// Follows the lock of an address, or its absence.
    fn heed_address(&mut self, address: IpAddr) -> BTreeSet<ServiceKey> {
        match self.allocations.get(&address).cloned() {
            Some(lock) => self.heed_lock(&lock),
            None => self
                .ipam
                .holding(address)
                .map(|h| h.holder.service.clone())
                .into_iter()
                .collect(),
        }
    }

    /// Makes memory agree with a lock. Returns whom that concerns.
    fn heed_lock(&mut self, lock: &AllocationRecord) -> BTreeSet<ServiceKey> {
        let mut concerned: BTreeSet<_> = holders(lock).collect();
        if let Some(holding) = self.ipam.holding(lock.address).cloned()
            && !held_by(lock, &holding.holder.uid)
        {
            self.ipam.release(lock.address, &holding.holder.uid);
            concerned.insert(holding.holder.service.clone());
        }
        if let Some(first) = lock.holders.first() {
            let holder = Holder {
                service: ServiceKey::new(&first.namespace, &first.name),
                uid: first.uid.clone(),
            };
            let _known = self.ipam.adopt(lock.address, holder, lock.pool.clone());
        }
        concerned
    }

    fn configure_pools(&mut self) {
        let pools = self
            .pools
            .iter()
            .filter_map(|(_, record)| record.pool.as_ref().ok().cloned());
        let verdicts = self.ipam.set_pools(pools.collect());
        let unfit = self.pools.iter().filter_map(|(name, record)| {
            record
                .pool
                .as_ref()
                .err()
                .map(|unfit| (name.clone(), unfit.reason))
        });
        self.ipam.set_unfit_pools(unfit.collect());
        self.faults = verdicts
            .into_iter()
            .filter_map(|(name, verdict)| verdict.err().map(|fault| (name, fault)))
            .collect();
    }
}

fn holder(service: &ServiceRecord) -> Holder {
    Holder {
        service: service.key.clone(),
        uid: service.uid.clone(),
    }
}

fn holders(lock: &AllocationRecord) -> impl Iterator<Item = ServiceKey> + '_ {
    lock.holders
        .iter()
        .map(|holder| ServiceKey::new(&holder.namespace, &holder.name))
}

fn held_by(lock: &AllocationRecord, uid: &str) -> bool {
    lock.holders.iter().any(|holder| holder.uid == uid)
}

#[cfg(test)]
pub(super) mod tests;
