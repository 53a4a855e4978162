//! What the request or the Service's past names: the requested address, the one it has, the one that is kept for it.

use std::net::IpAddr;

use herald_spi::PoolName;

use super::{
    super::{
        Family, Granted, Holding, PassedOver, Place, Refusal, Why,
        sharing::{Standing, judge},
        stock::Stock,
    },
    Choice, Parts,
};

impl Choice<'_> {
    /// An address that the request names.
    pub(super) fn requested(&self, address: IpAddr, parts: &Parts) -> Result<Granted, Refusal> {
        let holding = self.ledger.get(address);
        if let Some(holding) = holding.filter(|holding| self.fits(address, holding)) {
            return self.hold(address, holding);
        }
        let elsewhere = |place| Refusal::AddressNotInPool { address, place };
        let Some(stock) = self.stocks.at(address) else {
            return Err(elsewhere(self.stocks.place(address)));
        };
        let pool = &stock.pool;
        if self.request.passes_by(&pool.name) {
            return Err(elsewhere(Place::Elsewhere(pool.name.clone())));
        }
        pool.admit_on_request(self.request)
            .map_err(|why| Refusal::PoolNotAllowed {
                address: Some(address),
                passed: PassedOver::new([(&pool.name, why)]),
            })?;
        if let Some(holding) = holding {
            if let Some(home) = self.foreign_home(holding) {
                return Err(elsewhere(Place::Elsewhere(home.clone())));
            }
            self.may_join(address, holding)?;
        } else {
            self.may_take(address)?;
        }
        self.may_afford(address, stock, parts)?;
        Ok(Granted {
            address,
            pool: Some(pool.name.clone()),
        })
    }

    /// An address of the family that the Service has, may keep and shall not lose: of several the published one, else the lowest. An
    /// error if the Service no longer goes with those who share it: it keeps the address and asks for what cannot be.
    pub(super) fn kept(&self, family: Family) -> Result<Option<Granted>, Refusal> {
        self.held
            .iter()
            .filter(|address| Family::of(**address) == family && !self.shunned.contains(address))
            .filter_map(|address| Some((*address, self.ledger.get(*address)?)))
            .filter(|(address, holding)| self.fits(*address, holding))
            .min_by_key(|(address, _)| (!self.published.contains(address), *address))
            .map(|(address, holding)| self.hold(address, holding))
            .transpose()
    }

    /// The lowest address of the family that is kept for the Service, in a pool that it asks for and that allows it. It
    /// need not be automatic: the Service had the address before.
    pub(super) fn awaited(&self, family: Family) -> Option<Granted> {
        let fits = |stock: &&Stock| {
            !self.request.passes_by(&stock.pool.name)
                && stock.pool.admit_on_request(self.request).is_ok()
        };
        self.reservations
            .awaiting(&self.request.service)
            .filter(|address| Family::of(*address) == family)
            .find_map(|address| {
                let stock = self.stocks.at(address).filter(fits)?;
                Some(Granted {
                    address,
                    pool: Some(stock.pool.name.clone()),
                })
            })
    }

    /// Whether the Service has the address, and from a pool that it asks for: the one that it came from or the one that
    /// has it now. What has become of the pool, and whom it serves by now, does not matter: edits evict nobody.
    fn fits(&self, address: IpAddr, holding: &Holding) -> bool {
        let asked = |pool| !self.request.passes_by(pool);
        self.held.contains(&address)
            && (self.request.pools.is_empty()
                || holding.pool.as_ref().is_some_and(asked)
                || self
                    .stocks
                    .at(address)
                    .is_some_and(|stock| asked(&stock.pool.name)))
    }

    /// An address that the Service keeps, with the pool that it is now said to come from. Who asks for nothing new is not
    /// judged: those who came later made way for him, or the record says so.
    fn hold(&self, address: IpAddr, holding: &Holding) -> Result<Granted, Refusal> {
        let (uid, terms) = (self.request.uid.as_str(), &self.request.terms);
        if holding.share(uid).is_none_or(|share| share.terms != *terms) {
            let others = holding.others(uid);
            judge(
                address,
                &self.request.service,
                terms,
                others,
                Standing::Stays,
            )?;
        }
        let now = self.stocks.at(address).map(|stock| &stock.pool.name);
        let now = now.filter(|pool| !self.request.passes_by(pool));
        Ok(Granted {
            address,
            pool: now.or(holding.pool.as_ref()).cloned(),
        })
    }

    /// The pool that a held address is recorded to come from, if the Service asks for others. It must not join there: the
    /// record keeps that pool for those who share the address, so that the next edit would take it from the Service.
    pub(super) fn foreign_home<'h>(&self, holding: &'h Holding) -> Option<&'h PoolName> {
        let home = holding.pool.as_ref()?;
        self.request.passes_by(home).then_some(home)
    }

    /// Whether the Service may share an address that others have.
    pub(super) fn may_join(&self, address: IpAddr, holding: &Holding) -> Result<(), Refusal> {
        let pool = self.stocks.at(address).map(|stock| &stock.pool);
        let (uid, terms) = (self.request.uid.as_str(), &self.request.terms);
        let others = holding.others(uid);
        judge(
            address,
            &self.request.service,
            terms,
            others,
            Standing::Joins(pool),
        )
    }

    /// Whether an address that nobody has is not kept back from the Service.
    fn may_take(&self, address: IpAddr) -> Result<(), Refusal> {
        match self.reservations.get(address) {
            Some(kept) if kept.awaited.as_ref() != Some(&self.request.service) => {
                Err(Refusal::AddressReserved {
                    address,
                    awaited: kept.awaited.clone(),
                    until: kept.until,
                })
            }
            _ => Ok(()),
        }
    }

    /// Whether the quota leaves room for the address.
    fn may_afford(&self, address: IpAddr, stock: &Stock, parts: &Parts) -> Result<(), Refusal> {
        match stock.quota(&self.request.service.namespace) {
            Some((held, quota))
                if !self.is_of_namespace(address) && self.room(stock, parts) == 0 =>
            {
                Err(Refusal::QuotaExceeded {
                    missing: vec![Family::of(address)],
                    passed: PassedOver::new([(
                        &stock.pool.name,
                        Why::QuotaExceeded { held, quota },
                    )]),
                })
            }
            _ => Ok(()),
        }
    }
}
