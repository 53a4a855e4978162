//! What can be asked without a request.

use std::{collections::BTreeSet, net::IpAddr};

use herald_spi::{PoolName, ServiceKey};

use super::{
    super::{Counts, Family, Holder, Holding, Reservation, Share, Wait},
    Ipam,
};

impl Ipam {
    /// Who has the address; of those who share it the first.
    #[must_use]
    pub fn holder(&self, address: IpAddr) -> Option<&Holder> {
        self.ledger.get(address)?.holder().map(|holder| &**holder)
    }

    /// Everybody who has the address, in the order in which they came.
    pub fn sharers(&self, address: IpAddr) -> impl Iterator<Item = &Share> {
        let holding = self.ledger.get(address);
        holding.into_iter().flat_map(|holding| &holding.shares)
    }

    /// Who has the address, and where it came from.
    #[must_use]
    pub fn holding(&self, address: IpAddr) -> Option<&Holding> {
        self.ledger.get(address)
    }

    /// Every address in use, in order.
    pub fn holdings(&self) -> impl Iterator<Item = (IpAddr, &Holding)> {
        self.ledger.iter()
    }

    /// The addresses of a Service, in order: also those of earlier Services of the same name.
    #[must_use]
    pub fn held_by(&self, service: &ServiceKey) -> BTreeSet<IpAddr> {
        self.ledger.of_service(service)
    }

    /// The addresses of exactly this holder, in order.
    pub fn held_by_holder(&self, holder: &Holder) -> impl Iterator<Item = IpAddr> {
        self.ledger
            .of_holder(&holder.service, &holder.uid)
            .iter()
            .copied()
    }

    /// Why the address is kept back.
    #[must_use]
    pub fn reservation(&self, address: IpAddr) -> Option<&Reservation> {
        self.reservations.get(address)
    }

    /// The addresses that wait for a Service, in order.
    pub fn awaiting(&self, service: &ServiceKey) -> impl Iterator<Item = IpAddr> {
        self.reservations.awaiting(service)
    }

    /// Every address that is kept back, in order.
    pub fn reservations(&self) -> impl Iterator<Item = (IpAddr, &Reservation)> {
        self.reservations.iter()
    }

    /// The Ready pool that gives the address out, held or not.
    #[must_use]
    pub fn pool_of(&self, address: IpAddr) -> Option<&PoolName> {
        self.stocks.at(address).map(|stock| &stock.pool.name)
    }

    /// How many addresses a Ready pool has.
    #[must_use]
    pub fn counts(&self, pool: &PoolName) -> Option<Counts> {
        self.stocks.named(pool).map(|stock| stock.counts())
    }

    /// Whether the pool is Ready and has a free address of the family.
    #[must_use]
    pub fn has_free(&self, pool: &PoolName, family: Family) -> bool {
        self.stocks
            .named(pool)
            .is_some_and(|stock| stock.has_free(family))
    }

    /// How many addresses of the pool the Services of a namespace hold, reserved ones included, and how many they may
    /// hold; `None`: the pool has no quota, or is not Ready.
    #[must_use]
    pub fn quota(&self, pool: &PoolName, namespace: &str) -> Option<(u64, u32)> {
        self.stocks.named(pool)?.quota(namespace)
    }

    /// Held addresses that no Ready pool gives out: outside every range, or excluded now. Those that came from a pool
    /// ([`Holding::pool`]) make it Degraded.
    pub fn outside(&self) -> impl Iterator<Item = (IpAddr, &Holding)> {
        self.outside
            .iter()
            .filter_map(|address| Some((*address, self.ledger.get(*address)?)))
    }

    /// The pools that held addresses came from and that are gone or not Ready.
    #[must_use]
    pub fn pools_missing(&self) -> BTreeSet<&PoolName> {
        let homes = self
            .outside()
            .filter_map(|(_, holding)| holding.pool.as_ref());
        homes
            .filter(|pool| self.stocks.named(pool).is_none())
            .collect()
    }

    /// Which waits a change at this address may end: ask before the change and after it, and wake who waits for any of
    /// both answers. Pools are no part of it.
    #[must_use]
    pub fn stirs(&self, address: IpAddr) -> BTreeSet<Wait> {
        let mut waits = BTreeSet::from([Wait::Address(address)]);
        let keys = self
            .sharers(address)
            .filter_map(|share| share.terms.key.clone());
        waits.extend(keys.map(Wait::Key));
        let Some(stock) = self.stocks.at(address) else {
            return waits;
        };
        let pool = &stock.pool.name;
        if stock.is_free(address) {
            waits.insert(Wait::Free(pool.clone(), Family::of(address)));
        }
        if stock.pool.quota_per_namespace.is_some() {
            let awaited = self
                .reservation(address)
                .and_then(|kept| kept.awaited.as_ref());
            let sharers = self.sharers(address).map(|share| &share.holder.service);
            let namespaces = sharers.chain(awaited).map(|service| &service.namespace);
            waits.extend(namespaces.map(|name| Wait::Quota(pool.clone(), name.clone())));
        }
        waits
    }
}
