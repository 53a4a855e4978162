//! Making memory agree with what locks and pools say.

use std::{collections::BTreeSet, net::IpAddr};

use herald_spi::{PoolName, ServiceKey};

use super::{Steward, foreign::heralds_word, holder};
use crate::{
    api,
    controller::request,
    ipam::{Family, Holder, Reservation},
    world::{AllocationRecord, LockKey, ServiceRecord},
};

impl Steward {
    /// Holds in memory what the Service's status says, of families of which it holds nothing yet: what somebody else
    /// wrote beside its lock is not its own.
    pub(super) fn adopt_status(&mut self, service: &ServiceRecord) {
        let holder = holder(service);
        let held: BTreeSet<_> = self.ipam.held_by_holder(&holder).map(Family::of).collect();
        for address in service.status_addresses() {
            if !held.contains(&Family::of(address)) && self.is_own(service, address) {
                let terms = request::recorded_terms(service);
                // Refused when another Service holds it and does not share it: that one was first.
                let _taken = self.ipam.adopt(address, holder.clone(), terms, None);
            }
        }
    }

    /// Whether an address in the status may be the Service's own: it is in a pool, or locked, or Herald once gave it from
    /// a pool, or the user wants it taken over. Any other is a node's that is gone, or was never Herald's.
    fn is_own(&self, service: &ServiceRecord, address: IpAddr) -> bool {
        // What stands beside a word of Herald's, and was from no pool, was a node's.
        let by_another = heralds_word(service).is_none();
        let is_known = || {
            self.ipam.pool_of(address).is_some()
                || self.allocations.get(&LockKey::Address(address)).is_some()
                || service
                    .annotations
                    .contains_key(api::ANNOTATION_ALLOCATED_FROM)
                || (by_another && request::may_adopt(service).unwrap_or(false))
        };
        let is_kept_for_another = || {
            let reservation = self.ipam.reservation(address);
            reservation.is_some_and(|kept| kept.awaited.as_ref() != Some(&service.key))
        };
        !self.is_of_nodes(service, address) && is_known() && !is_kept_for_another()
    }

    /// Follows a lock, or its absence. Returns whom that concerns.
    pub(super) fn heed_key(&mut self, key: LockKey) -> BTreeSet<ServiceKey> {
        if let Some(lock) = self.allocations.get(&key).cloned() {
            return self.heed_lock(&lock);
        }
        match key {
            LockKey::NodePort(port) => {
                let mut look: BTreeSet<_> = self.on_nodes.holder_of(port).into_iter().collect();
                // A Service that is being deleted locks nothing anew.
                if look.iter().any(|holder| self.goes_unpublished(holder)) {
                    self.on_nodes.forget_port(port);
                    look.extend(self.on_nodes.services().cloned());
                }
                look
            }
            LockKey::Address(address) => {
                let mut look: BTreeSet<_> = self
                    .ipam
                    .sharers(address)
                    .map(|share| share.holder.service.clone())
                    .collect();
                let before = self.ipam.stirs(address);
                let leavers: Vec<_> = self
                    .ipam
                    .sharers(address)
                    .filter(|share| self.goes_unpublished(&share.holder.service))
                    .map(|share| share.holder.uid.clone())
                    .collect();
                for uid in &leavers {
                    self.ipam.release(address, uid);
                }
                if self.ipam.unreserve(address) || !leavers.is_empty() {
                    self.stir(address, before, &mut look);
                }
                look
            }
        }
    }

    fn goes_unpublished(&self, key: &ServiceKey) -> bool {
        let service = self.services.get(key);
        service.is_some_and(|service| service.deleting && service.ingress.is_empty())
    }

    /// Makes memory agree with a lock. Returns whom that concerns.
    pub(super) fn heed_lock(&mut self, lock: &AllocationRecord) -> BTreeSet<ServiceKey> {
        let mut concerned: BTreeSet<_> = lock.holders.iter().map(key_of).collect();
        match lock.key {
            LockKey::NodePort(port) => {
                concerned.extend(self.on_nodes.holder_of(port));
                if let Some(first) = lock.holders.first() {
                    self.on_nodes.take_port(port, holder_of(first));
                }
            }
            LockKey::Address(address) => self.heed_address(address, lock, &mut concerned),
        }
        concerned
    }

    fn heed_address(
        &mut self,
        address: IpAddr,
        lock: &AllocationRecord,
        concerned: &mut BTreeSet<ServiceKey>,
    ) {
        let before = self.ipam.stirs(address);
        let strangers: Vec<_> = self
            .ipam
            .sharers(address)
            .filter(|share| !lock.is_held_by(&share.holder.uid))
            .map(|share| share.holder.clone())
            .collect();
        let fewer = !strangers.is_empty();
        for stranger in strangers {
            self.ipam.release(address, &stranger.uid);
            concerned.insert(stranger.service.clone());
        }
        for first in &lock.holders {
            self.ipam.adopt_recorded(
                address,
                holder_of(first),
                lock.terms(first),
                lock.pool.clone(),
            );
        }
        match lock.reserved_until {
            Some(until) if lock.holders.is_empty() => {
                let reservation = Reservation {
                    awaited: lock.awaited.clone(),
                    until,
                    pool: lock.pool.clone(),
                };
                self.ipam.reserve(address, reservation);
                self.next_end = Some(self.next_end.map_or(until, |end| end.min(until)));
                concerned.extend(lock.awaited.clone());
            }
            // A lock without holder and without end is a leftover: it ends now.
            None if lock.holders.is_empty() => {
                let reservation = Reservation {
                    awaited: None,
                    until: 0,
                    pool: lock.pool.clone(),
                };
                self.ipam.reserve(address, reservation);
                self.next_end = Some(0);
            }
            _ => {
                self.ipam.unreserve(address);
            }
        }
        if fewer {
            self.stir(address, before, concerned);
        }
    }

    /// Reconfigures the allocator after pools changed. Returns whom that concerns.
    pub(super) fn heed_pools(&mut self, names: &BTreeSet<PoolName>) -> BTreeSet<ServiceKey> {
        let homes = |steward: &Self| -> Vec<Option<PoolName>> {
            let held = steward.ipam.holdings();
            held.map(|(address, _)| steward.ipam.pool_of(address).cloned())
                .collect()
        };
        let before = homes(self);
        let faults_before = std::mem::take(&mut self.faults);
        self.configure_pools();
        let after = homes(self);
        // An edit of one pool may make another unfit, or fit again.
        let judged = faults_before.keys().chain(self.faults.keys());
        let rejudged = judged.filter(|name| faults_before.get(*name) != self.faults.get(*name));
        let names: BTreeSet<_> = names.iter().chain(rejudged).cloned().collect();
        let mut look = self.wake_for_pools(&names);
        // By memory and not by locks: one may be on its way.
        for ((_, holding), (before, after)) in self.ipam.holdings().zip(before.iter().zip(&after)) {
            // Another pool may have become Ready by the edit of this one.
            let mut pools = holding.pool.iter().chain(after);
            if before != after || pools.any(|pool| names.contains(pool)) {
                look.extend(
                    holding
                        .shares
                        .iter()
                        .map(|share| share.holder.service.clone()),
                );
            }
        }
        // The reservations of a pool die with it.
        if names.iter().any(|name| self.pools.get(name).is_none()) {
            self.next_end = Some(self.now);
            look.extend(self.ended_reservations());
        }
        look
    }

    pub(super) fn configure_pools(&mut self) {
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

pub(super) fn key_of(holder: &api::Holder) -> ServiceKey {
    ServiceKey::new(&holder.namespace, &holder.name)
}

pub(super) fn holder_of(holder: &api::Holder) -> Holder {
    Holder {
        service: key_of(holder),
        uid: holder.uid.clone(),
    }
}
