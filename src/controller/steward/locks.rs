//! Which locks to write and to give back.

use std::{collections::BTreeSet, net::IpAddr};

use herald_spi::ServiceKey;

use super::{Steward, replacing::QUARANTINE};
use crate::{
    api::{self, AddressAllocationSpec, Verdict},
    controller::{Letting, Lock, Unlock, Version},
    ipam::{Granted, Terms},
    world::{AllocationRecord, LockKey, ServiceRecord},
};

impl Steward {
    /// The lock to write for an address, if the one that is there does not say what it should. Before an address is
    /// published anew its lock is written in any case: what is known of it may be old, and then the write is refused;
    /// and another controller may be about to delete what it knows, which is refused after the write.
    pub(super) fn lock(
        &self,
        granted: &Granted,
        service: &ServiceRecord,
        announced: Option<&Verdict>,
    ) -> Option<Lock> {
        let key = LockKey::Address(granted.address);
        let existing = self.allocations.get(&key);
        // Of a shared address the pool is that of the lock, whatever each holder asks for.
        let holding = self.ipam.holding(granted.address)?;
        let home = &holding.pool;
        let record = home.as_ref().and_then(|name| self.pools.get(name));
        let (advertise, ignore_exclude_label) = match (record, existing) {
            (Some(pool), _) => (pool.advertise.clone(), pool.ignore_exclude_label),
            (None, Some(lock)) => (lock.advertise.clone(), lock.ignore_exclude_label),
            (None, None) => (None, false),
        };
        let own = holding.share(&service.uid)?;
        let is_published = service.status_addresses().any(|a| a == granted.address);
        let spec = AddressAllocationSpec {
            address: granted.address.to_string(),
            pool: home.as_ref().map(ToString::to_string).unwrap_or_default(),
            holders: self.holders(existing.map(|lock| &**lock), service, &own.terms),
            sharing_key: own.terms.key.clone(),
            reserved_for: None,
            reserved_until: None,
            unannounced_since: self
                .unannounced_since(granted.address, service, announced)
                .map(api::moment),
            foreign_use: None,
            publications: publications(existing.map(|lock| &**lock), is_published),
            advertise,
            ignore_exclude_label,
        };
        (!existing.is_some_and(|lock| lock.says(&spec))).then(|| Lock {
            key,
            spec,
            replaces: existing.map(|lock| lock.resource_version.clone()),
        })
    }

    /// Those who are in the lock stay in it, each with what is written there; the Service is brought up to date or
    /// comes last. Who shares in memory only will add himself.
    fn holders(
        &self,
        existing: Option<&AllocationRecord>,
        service: &ServiceRecord,
        terms: &Terms,
    ) -> Vec<api::Holder> {
        let own = api::Holder {
            namespace: service.key.namespace.clone(),
            name: service.key.name.clone(),
            uid: service.uid.clone(),
            ports: terms.ports.iter().map(ToString::to_string).collect(),
            local_selector: terms.local.clone(),
        };
        let mut holders = existing
            .map(|lock| lock.holders.clone())
            .unwrap_or_default();
        // Memory may know that an earlier Service of this name, or one that is gone, has let go; its errand strikes it
        // out of the lock. An earlier one of the same name is replaced here.
        holders.retain(|other| {
            other.uid == own.uid || (&other.namespace, &other.name) != (&own.namespace, &own.name)
        });
        match holders.iter_mut().find(|other| other.uid == own.uid) {
            Some(known) => *known = own,
            None => holders.push(own),
        }
        holders
    }

    /// Whether the lock is known to be held by the Service with this uid.
    pub(super) fn has_locked(&self, key: LockKey, uid: &str) -> bool {
        let lock = self.allocations.get(&key);
        lock.is_some_and(|lock| lock.is_held_by(uid))
    }

    /// The locks to give back of all that any Service of this name holds.
    pub(super) fn unlocks(&self, key: &ServiceKey, gone: impl Fn(IpAddr) -> bool) -> Vec<Unlock> {
        let held = self
            .ipam
            .held_by(key)
            .into_iter()
            .filter(|address| gone(*address));
        let mut unlocks = Vec::new();
        for address in held {
            let uids: BTreeSet<_> = self
                .ipam
                .sharers(address)
                .filter(|share| share.holder.service == *key)
                .map(|share| share.holder.uid.clone())
                .collect();
            unlocks.extend(uids.into_iter().map(|uid| self.unlock(address, uid)));
        }
        unlocks
    }

    /// How one holder lets an address go.
    pub(super) fn unlock(&self, address: IpAddr, uid: String) -> Unlock {
        let key = LockKey::Address(address);
        let lock = self
            .allocations
            .get(&key)
            .filter(|lock| lock.is_held_by(&uid));
        let letting = lock.map_or(Letting::Forget, |lock| self.let_go(lock, &uid));
        Unlock {
            key,
            holder: uid,
            letting,
        }
    }

    /// What becomes of a lock when one of its holders leaves it.
    fn let_go(&self, lock: &AllocationRecord, uid: &str) -> Letting {
        let mut spec = lock.spec();
        let leaver = spec.holders.iter().position(|holder| holder.uid == uid);
        let leaver = leaver.map(|at| spec.holders.remove(at));
        if !spec.holders.is_empty() {
            return Letting::Leave(Box::new(spec), version(lock));
        }
        spec.sharing_key = None;
        spec.unannounced_since = None;
        let until = |seconds| Some(api::moment(self.now.saturating_add(seconds)));
        if spec.foreign_use.is_some() {
            spec.reserved_until = until(QUARANTINE);
            return Letting::Quarantine(Box::new(spec), version(lock));
        }
        let pool = lock.pool.as_ref().and_then(|pool| self.pools.get(pool));
        let retention = pool.map_or(0, |pool| pool.retention);
        if retention <= 0 {
            return Letting::Delete(version(lock));
        }
        spec.reserved_for = leaver.map(|holder| api::Awaited {
            namespace: holder.namespace,
            name: holder.name,
        });
        spec.reserved_until = until(retention);
        Letting::Retain(Box::new(spec), version(lock))
    }
}

/// How often the address was about to be published, after what is planned now.
pub(super) fn publications(existing: Option<&AllocationRecord>, is_published: bool) -> i64 {
    let before = existing.map(|lock| lock.publications);
    let more = i64::from(!is_published);
    before.map_or(0, |before| before.saturating_add(more))
}

pub(super) fn version(lock: &AllocationRecord) -> Version {
    Version {
        uid: lock.uid.clone(),
        resource_version: lock.resource_version.clone(),
    }
}
