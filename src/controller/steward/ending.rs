//! What becomes of addresses that a Service has no more: given back, left to those who share, or kept for its return.

use std::{collections::BTreeSet, net::IpAddr};

use herald_spi::ServiceKey;

use super::{Steward, locks::version};
use crate::{
    controller::{Left, Letting, Plan, StatusWrite, Unlock, Version, charge},
    ipam::{Holder, Reservation},
    world::{LockKey, ServiceRecord},
};

/// The namespace of the keys under which quarantined addresses are looked at: no Service can be in it.
const NOWHERE: &str = "";

impl Steward {
    /// For a Service that is not there: deleted, or of another type.
    pub(super) fn plan_end(&mut self, key: &ServiceKey) -> Plan {
        self.waiting.clear(key);
        self.unannounced.remove(key);
        let mut plan = Plan::new(key.clone(), None);
        plan.unlocks = self.all_unlocks(key);
        plan.ask_first = !plan.unlocks.is_empty() || self.marked.contains(key);
        plan
    }

    /// For a Service that is being deleted: what it has stays until it is gone, but for what is only remembered and not
    /// published, which is locked no more.
    pub(super) fn plan_deletion(&self, service: &ServiceRecord) -> Plan {
        let mut plan = Plan::new(service.key.clone(), Some(Version::of(service)));
        plan.unlocks = self.all_unlocks(&service.key);
        plan.unlocks.retain(|unlock| {
            let is_published = unlock.holder == service.uid && !service.ingress.is_empty();
            matches!(unlock.letting, Letting::Forget) && !is_published
        });
        plan
    }

    /// For a Service that now belongs to another class: Herald's part goes.
    pub(super) fn plan_farewell(&mut self, service: &ServiceRecord) -> Plan {
        let mut plan = self.plan_release(service);
        plan.status = service
            .is_marked()
            .then(|| StatusWrite::nothing(service.resource_version.clone()));
        plan
    }

    /// For a Service that a cloud's part looks after: what it has from here goes first, and with it the words.
    pub(super) fn plan_leaving_to_cloud(&mut self, service: &ServiceRecord) -> Plan {
        let mut plan = self.plan_release(service);
        plan.status = charge::is_stewards_still(service)
            .then(|| StatusWrite::nothing(service.resource_version.clone()));
        plan
    }

    /// For a Service that is another's, or has become so: all that Herald holds for it is given back.
    pub(super) fn plan_release(&mut self, service: &ServiceRecord) -> Plan {
        let mut unlocks = self.all_unlocks(&service.key);
        unlocks.iter_mut().for_each(Unlock::at_once);
        self.plan_giving_back(service, unlocks)
    }

    /// For a Service that is another's: only what an earlier one of its name holds is given back.
    pub(super) fn plan_hands_off(&mut self, service: &ServiceRecord) -> Plan {
        let mut unlocks = self.all_unlocks(&service.key);
        unlocks.retain(|unlock| {
            unlock.holder != service.uid || matches!(unlock.letting, Letting::Forget)
        });
        self.plan_giving_back(service, unlocks)
    }

    /// For a Service that waits for nothing and gets nothing.
    fn plan_giving_back(&mut self, service: &ServiceRecord, unlocks: Vec<Unlock>) -> Plan {
        self.waiting.clear(&service.key);
        self.unannounced.remove(&service.key);
        self.leave_nodes(&service.key);
        let mut plan = Plan::new(service.key.clone(), Some(Version::of(service)));
        plan.ask_first = !unlocks.is_empty();
        plan.unlocks = unlocks;
        plan
    }

    /// Whether a Service of the same name, and another uid, holds anything.
    pub(super) fn has_predecessor(&self, service: &ServiceRecord) -> bool {
        let of_predecessor =
            |holder: &Holder| holder.service == service.key && holder.uid != service.uid;
        let mut held = self.ipam.held_by(&service.key).into_iter();
        held.any(|address| {
            let mut shares = self.ipam.sharers(address);
            shares.any(|share| of_predecessor(&share.holder))
        }) || self.on_nodes.holders().any(of_predecessor)
    }

    fn all_unlocks(&self, key: &ServiceKey) -> Vec<Unlock> {
        let mut unlocks = self.unlocks(key, |_| true);
        unlocks.extend(self.on_nodes.unlocks(key, &self.allocations));
        unlocks
    }

    /// The locks that were kept for this Service and are so no longer.
    pub(super) fn ended_for(&mut self, key: &ServiceKey) -> Vec<Unlock> {
        let quarantined = (key.namespace == NOWHERE).then(|| key.name.parse().ok());
        let kept: Vec<_> = self
            .ipam
            .awaiting(key)
            .chain(quarantined.flatten())
            .collect();
        let mut ended = Vec::new();
        for address in kept {
            let Some(reservation) = self.ipam.reservation(address) else {
                continue;
            };
            let until = reservation.until;
            if !self.has_ended(reservation) {
                // The clock may have been set back since its end was noticed.
                self.next_end = Some(self.next_end.map_or(until, |end| end.min(until)));
                continue;
            }
            let key = LockKey::Address(address);
            let lock = self.allocations.get(&key);
            let lock = lock.filter(|lock| lock.holders.is_empty());
            ended.push(Unlock {
                key,
                holder: String::new(),
                letting: lock.map_or(Letting::Forget, |lock| Letting::Delete(version(lock))),
            });
        }
        ended
    }

    /// Whose reservations have ended, once one may have.
    pub(super) fn ended_reservations(&mut self) -> BTreeSet<ServiceKey> {
        if self.next_end.is_none_or(|end| end > self.now) {
            return BTreeSet::new();
        }
        self.next_end = self
            .ipam
            .reservations()
            .map(|(_, reservation)| reservation.until)
            .filter(|until| *until > self.now)
            .min();
        self.ipam
            .reservations()
            .filter(|(_, reservation)| self.has_ended(reservation))
            .map(|(address, reservation)| self.waiter(address, reservation))
            .collect()
    }

    /// After a holder's part of a lock is gone from the API server. Returns whom that may help.
    pub(super) fn let_go_of(
        &mut self,
        plan: &Plan,
        key: LockKey,
        holder: &str,
        left: Left,
    ) -> BTreeSet<ServiceKey> {
        let mut look = BTreeSet::new();
        match left {
            Left::Remains(lock) => self.hear_of_lock(plan, *lock),
            // Somebody may have made it again since.
            Left::Deleted(version) => self.forget_lock(key, Some(&version.resource_version)),
            Left::Memory => {}
        }
        // Memory may have known of a claim that never came to be a lock, and so forgotten whose the lock is.
        let remaining = self.allocations.get(&key).cloned();
        match key {
            LockKey::NodePort(port) => {
                self.on_nodes.release(port, holder);
                look.extend(remaining.iter().flat_map(|lock| self.heed_lock(lock)));
                look.extend(self.on_nodes.services().cloned());
            }
            LockKey::Address(address) => {
                let before = self.ipam.stirs(address);
                if holder.is_empty() {
                    self.ipam.unreserve(address);
                } else {
                    self.ipam.release(address, holder);
                }
                look.extend(remaining.iter().flat_map(|lock| self.heed_lock(lock)));
                if self.ipam.holding(address).is_none() {
                    self.flagged.remove(&address);
                }
                self.stir(address, before, &mut look);
            }
        }
        look
    }

    /// Ended by time, or with its pool.
    fn has_ended(&self, reservation: &Reservation) -> bool {
        let pool_is_gone = || {
            let pool = reservation.pool.as_ref();
            pool.is_some_and(|pool| self.pools.get(pool).is_none())
        };
        reservation.until <= self.now || pool_is_gone()
    }

    /// Under which key a kept address is looked at.
    fn waiter(&self, address: IpAddr, reservation: &Reservation) -> ServiceKey {
        let nobody = || ServiceKey::new(NOWHERE, address.to_string());
        reservation.awaited.clone().unwrap_or_else(nobody)
    }
}

impl Unlock {
    /// Not kept for anybody's return: the user gave it up.
    pub(super) fn at_once(&mut self) {
        if let Letting::Retain(_, version) = &self.letting {
            self.letting = Letting::Delete(version.clone());
        }
    }
}
