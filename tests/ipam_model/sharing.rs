//! The naive allocator's idea of sharing, quotas and reservations.

use std::{collections::BTreeSet, net::IpAddr};

use herald::ipam::{Family, Holding, Request, Reservation, Share};
use herald_spi::PoolName;

use crate::{
    naive::{Chosen, Naive, admits},
    script::PoolScript,
};

impl Naive {
    /// Whether a Service that has the address may have it on the terms of its request.
    pub fn stays(&self, request: &Request, address: IpAddr) -> Result<(), &'static str> {
        let shares = &self.held[&address].shares;
        let (mine, others): (Vec<Share>, Vec<Share>) = shares
            .iter()
            .cloned()
            .partition(|share| share.holder.uid == request.uid);
        if mine[0].terms == request.terms {
            return Ok(());
        }
        goes_with(request, &others, None)
    }

    pub fn awaited(
        &self,
        request: &Request,
        family: Family,
        _: &Chosen,
    ) -> Option<(IpAddr, Option<PoolName>)> {
        let awaited = |kept: &Reservation| kept.awaited.as_ref() == Some(&request.service);
        self.kept
            .iter()
            .filter(|(address, kept)| Family::of(**address) == family && awaited(kept))
            .find_map(|(address, _)| {
                let (pool, _) = self.ready.iter().find(|(_, all)| all.contains(address))?;
                let name = PoolName::from(pool.name);
                let asked = request.pools.is_empty() || request.pools.contains(&name);
                (asked && admits(pool, request)).then_some((*address, Some(name)))
            })
    }

    pub fn joined(
        &self,
        request: &Request,
        family: Family,
        chosen: &Chosen,
    ) -> Option<(IpAddr, Option<PoolName>)> {
        request.terms.key.as_ref()?;
        let mine = self.of(&request.holder());
        self.held
            .iter()
            .filter(|(address, _)| Family::of(**address) == family && !mine.contains(address))
            .find_map(|(address, holding)| {
                let pools = self.tried(request);
                let (pool, all) = pools.into_iter().find(|(_, all)| all.contains(address))?;
                goes_with(request, &holding.shares, Some(pool.shared_widely)).ok()?;
                if is_from_another_pool(request, holding) {
                    return None;
                }
                self.is_affordable(request, *address, (pool, all), chosen)
                    .then(|| (*address, Some(PoolName::from(pool.name))))
            })
    }

    /// Whether the namespace has the address, in any way.
    pub fn is_of(&self, namespace: &str, address: &IpAddr) -> bool {
        let held = self.held.get(address).map_or(&[][..], |h| &h.shares[..]);
        let kept = self
            .kept
            .get(address)
            .and_then(|kept| kept.awaited.as_ref());
        let services = held.iter().map(|share| &share.holder.service).chain(kept);
        services
            .into_iter()
            .any(|service| service.namespace == namespace)
    }

    pub fn quota_used(&self, namespace: &str, all: &BTreeSet<IpAddr>) -> usize {
        all.iter()
            .filter(|address| self.is_of(namespace, address))
            .count()
    }

    pub fn room(
        &self,
        request: &Request,
        (pool, all): (&PoolScript, &BTreeSet<IpAddr>),
        chosen: &Chosen,
    ) -> usize {
        let namespace = &request.service.namespace;
        let Some(quota) = pool.quota else {
            return usize::MAX;
        };
        let new = chosen
            .values()
            .filter(|(address, _)| all.contains(address) && !self.is_of(namespace, address));
        (quota as usize).saturating_sub(self.quota_used(namespace, all) + new.count())
    }

    pub fn is_affordable(
        &self,
        request: &Request,
        address: IpAddr,
        pool: (&PoolScript, &BTreeSet<IpAddr>),
        chosen: &Chosen,
    ) -> bool {
        self.is_of(&request.service.namespace, &address) || self.room(request, pool, chosen) > 0
    }
}

/// Whether the record of an address names a pool that the Service does not ask for.
pub fn is_from_another_pool(request: &Request, holding: &Holding) -> bool {
    let asked = |pool: &PoolName| request.pools.is_empty() || request.pools.contains(pool);
    holding.pool.as_ref().is_some_and(|pool| !asked(pool))
}

/// Whether a Service goes with those who have an address; `wide`: `None` for one that is among them, else whether the
/// pool lets the whole cluster share.
pub fn goes_with(
    request: &Request,
    others: &[Share],
    wide: Option<bool>,
) -> Result<(), &'static str> {
    let apart = |other: &Share| {
        wide == Some(false) && other.holder.service.namespace != request.service.namespace
    };
    let mine = &request.terms;
    let differ = |other: &Share| mine.key.is_none() || mine.key != other.terms.key;
    if others.iter().any(|other| apart(other) || differ(other)) {
        return Err("SharingKeyMismatch");
    }
    if others
        .iter()
        .any(|other| !other.terms.ports.is_disjoint(&mine.ports))
    {
        return Err("PortInUse");
    }
    let locals = others.iter().filter_map(|other| other.terms.local.as_ref());
    match &mine.local {
        Some(local) if locals.into_iter().any(|other| other != local) => Err("SharingKeyMismatch"),
        _ => Ok(()),
    }
}
