//! Who has an address, or for whom it is kept back, as the locks say.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use kube::ResourceExt as _;

use super::{
    model::{Holder, KeptBack, Requested},
    scene::Scene,
};
use crate::api::{self, AddressAllocation};

/// The locks by address.
pub(super) struct Locks<'a> {
    scene: &'a Scene,
    by_address: BTreeMap<IpAddr, &'a AddressAllocation>,
}

impl<'a> Locks<'a> {
    pub(super) fn new(scene: &'a Scene) -> Self {
        let of_address = |lock: &'a AddressAllocation| {
            Some((api::address_of_object_name(&lock.name_any()).ok()?, lock))
        };
        Self {
            scene,
            by_address: scene.allocations.iter().filter_map(of_address).collect(),
        }
    }

    /// An address that the Service asks for; `pool` gives it out.
    pub(super) fn requested(&self, address: IpAddr, pool: Option<String>) -> Requested {
        let lock = self.by_address.get(&address).copied();
        Requested {
            address: address.to_string(),
            pool,
            holders: lock.map(|lock| self.holders(lock)).unwrap_or_default(),
            kept_back: lock.and_then(|lock| kept_back(address, lock)),
        }
    }

    /// What is kept back for this Service, or in one of these pools.
    pub(super) fn kept_back(&self, pools: &BTreeSet<&str>) -> Vec<KeptBack> {
        let itself = self.scene.key.to_string();
        let mut kept: Vec<_> = self
            .by_address
            .iter()
            .filter_map(|(address, lock)| kept_back(*address, lock))
            .filter(|kept| {
                kept.awaits.as_ref() == Some(&itself)
                    || kept
                        .pool
                        .as_deref()
                        .is_some_and(|pool| pools.contains(pool))
            })
            .collect();
        kept.sort_by_key(|kept| kept.awaits.as_ref() != Some(&itself));
        kept
    }

    fn holders(&self, lock: &AddressAllocation) -> Vec<Holder> {
        let uid = self.scene.service.uid();
        let holders = lock.spec.holders.iter();
        holders
            .map(|holder| Holder {
                service: format!("{}/{}", holder.namespace, holder.name),
                itself: Some(&holder.uid) == uid.as_ref(),
                ports: holder.ports.clone(),
            })
            .collect()
    }
}

fn kept_back(address: IpAddr, lock: &AddressAllocation) -> Option<KeptBack> {
    let spec = &lock.spec;
    let until = spec
        .reserved_until
        .clone()
        .filter(|_| spec.holders.is_empty())?;
    let awaited = spec.reserved_for.as_ref();
    Some(KeptBack {
        address: address.to_string(),
        pool: Some(spec.pool.clone()).filter(|pool| !pool.is_empty()),
        awaits: awaited.map(|awaited| format!("{}/{}", awaited.namespace, awaited.name)),
        used_by: spec.foreign_use.as_ref().map(|by| by.mac.clone()),
        until,
    })
}
