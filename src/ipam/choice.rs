//! The choice of addresses for one request. Reads only; [`super::Ipam`] carries it out.
//!
//! For each wanted family, in this order: the requested address; an address that the Service has and that fits the
//! request; the lowest free address of the first pool that may serve it. Two missing families come from one pool if one
//! has both, and a family that is added comes from the pool of the other if it can.

use std::{collections::BTreeMap, net::IpAddr};

use herald_spi::PoolName;

use super::{
    Families, Family, Grant, Granted, Holding, Lack, PassedOver, PerFamily, Place, Refusal,
    Request, Why, ledger::Ledger, stock::Stock, stocks::Stocks,
};

/// Everything that a choice depends on.
pub(super) struct Choice<'a> {
    pub(super) stocks: &'a Stocks,
    pub(super) ledger: &'a Ledger,
    /// Pools that exist and could not be read, with the reason.
    pub(super) unfit: &'a BTreeMap<PoolName, &'static str>,
    pub(super) request: &'a Request,
    /// What the Service has.
    pub(super) held: &'a [IpAddr],
    /// What its status says.
    pub(super) published: &'a [IpAddr],
}

type Parts = PerFamily<Option<Granted>>;

/// Why a family is missing; the earlier ones are the nearer misses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    /// A pool that may serve the Service is full.
    Exhausted,
    /// A named pool does not exist.
    NotFound,
    /// A named pool is not Ready, or there is no pool to try.
    NoPool,
    /// A named pool does not allow the Service.
    NotAllowed,
    /// No pool that may serve the Service has the family.
    NoRange,
}

impl<'a> Choice<'a> {
    /// What the request is granted.
    pub(super) fn make(&self) -> Result<Grant, Refusal> {
        self.request.check()?;
        let mut parts = Parts::default();
        for family in self.request.families.wanted() {
            *parts.get_mut(family) = match self.request.address_of(family) {
                Some(address) => Some(self.requested(address)?),
                None => self.kept(family),
            };
        }
        self.fill(&mut parts);
        let lacking = self.lacking(&parts)?;
        Ok(self.grant(parts, lacking))
    }

    /// An address that the request names.
    fn requested(&self, address: IpAddr) -> Result<Granted, Refusal> {
        let holding = self.ledger.get(address);
        if let Some(holding) = holding.filter(|holding| self.fits(address, holding)) {
            return Ok(self.hold(address, holding));
        }
        let elsewhere = |place| Refusal::AddressNotInPool { address, place };
        let Some(Stock { pool, .. }) = self.stocks.at(address) else {
            return Err(elsewhere(self.stocks.place(address)));
        };
        if self.request.passes_by(&pool.name) {
            return Err(elsewhere(Place::Elsewhere(pool.name.clone())));
        }
        pool.admit_on_request(self.request)
            .map_err(|why| Refusal::PoolNotAllowed {
                address: Some(address),
                passed: PassedOver::new([(&pool.name, why)]),
            })?;
        match holding {
            Some(holding) => Err(Refusal::AddressInUse {
                address,
                holder: holding.holder.clone(),
            }),
            None => Ok(Granted {
                address,
                pool: Some(pool.name.clone()),
            }),
        }
    }

    /// An address of the family that the Service has and may keep: of several the published one, else the lowest.
    fn kept(&self, family: Family) -> Option<Granted> {
        self.held
            .iter()
            .filter(|address| Family::of(**address) == family)
            .filter_map(|address| Some((*address, self.ledger.get(*address)?)))
            .filter(|(address, holding)| self.fits(*address, holding))
            .min_by_key(|(address, _)| (!self.published.contains(address), *address))
            .map(|(address, holding)| self.hold(address, holding))
    }

    /// Whether the Service has the address, and from a pool that it asks for: the one that it came from or the one that
    /// has it now. What has become of the pool, and whom it serves by now, does not matter: edits evict nobody.
    fn fits(&self, address: IpAddr, holding: &Holding) -> bool {
        let asked = |pool: &PoolName| !self.request.passes_by(pool);
        self.held.contains(&address)
            && (self.request.pools.is_empty()
                || holding.pool.as_ref().is_some_and(asked)
                || self
                    .stocks
                    .at(address)
                    .is_some_and(|stock| asked(&stock.pool.name)))
    }

    /// An address that the Service keeps, with the pool that it is now said to come from.
    fn hold(&self, address: IpAddr, holding: &Holding) -> Granted {
        let now = self.stocks.at(address).map(|stock| &stock.pool.name);
        let now = now.filter(|pool| !self.request.passes_by(pool));
        Granted {
            address,
            pool: now.or(holding.pool.as_ref()).cloned(),
        }
    }

    /// Takes free addresses for the wanted families that are missing.
    fn fill(&self, parts: &mut Parts) {
        let missing: Vec<Family> = self.missing(parts);
        if let [first, second] = *missing
            && let Some(stock) = self
                .candidates(|stock| stock.has_free(first) && stock.has_free(second))
                .next()
        {
            *parts.get_mut(first) = pick(stock, first);
            *parts.get_mut(second) = pick(stock, second);
            return;
        }
        for family in missing {
            let anchor = parts
                .get(family.other())
                .as_ref()
                .and_then(|other| self.stocks.at(other.address))
                .map(|stock| &stock.pool.name);
            let stock = self
                .candidates(|stock| stock.has_free(family) && Some(&stock.pool.name) == anchor)
                .chain(self.candidates(|stock| stock.has_free(family)))
                .next();
            *parts.get_mut(family) = stock.and_then(|stock| pick(stock, family));
        }
    }

    /// The pools that may serve the request, in the order in which they are tried, of those that have what it takes.
    fn candidates(&self, has: impl Fn(&Stock) -> bool) -> impl Iterator<Item = &'a Stock> {
        let (stocks, request) = (self.stocks, self.request);
        let named = request.pools.iter().filter_map(|name| stocks.named(name));
        let automatic = stocks.ready().filter(|_| request.pools.is_empty());
        // The names are an empty list when any automatic pool will do, and then only the second part yields.
        named
            .chain(automatic)
            .filter(move |stock| has(stock) && self.admits(stock).is_ok())
    }

    fn admits(&self, stock: &Stock) -> Result<(), Why> {
        if self.request.pools.is_empty() {
            stock.pool.admit_automatically(self.request)
        } else {
            stock.pool.admit_on_request(self.request)
        }
    }

    fn missing(&self, parts: &Parts) -> Vec<Family> {
        self.request
            .families
            .wanted()
            .filter(|family| parts.get(*family).is_none())
            .collect()
    }

    /// Whether the request can do with what there is, and why the rest is missing.
    fn lacking(&self, parts: &Parts) -> Result<Option<Refusal>, Refusal> {
        let missing = self.missing(parts);
        match (self.request.families, &*missing) {
            (_, []) => Ok(None),
            (Families::Prefer(_), [family]) if !self.would_lose(*family) => {
                Ok(Some(self.refusal(missing)))
            }
            _ => Err(self.refusal(missing)),
        }
    }

    /// Whether the Service would lose a published address of the missing family that it should keep. It may lose one
    /// where the request leaves no room for the family, never by a slip or because a pool is full.
    fn would_lose(&self, missing: Family) -> bool {
        let lost =
            |address: &IpAddr| Family::of(*address) == missing && self.held.contains(address);
        self.published.iter().any(lost) && self.cause(missing) != Cause::NoRange
    }

    fn grant(&self, mut parts: Parts, lacking: Option<Refusal>) -> Grant {
        let addresses: Vec<Granted> = self
            .request
            .families
            .wanted()
            .filter_map(|family| parts.get_mut(family).take())
            .collect();
        let granted = |address: &IpAddr| addresses.iter().any(|part| part.address == *address);
        Grant {
            taken: addresses
                .iter()
                .map(|part| part.address)
                .filter(|address| !self.held.contains(address))
                .collect(),
            surplus: self
                .held
                .iter()
                .copied()
                .filter(|address| !granted(address))
                .collect(),
            addresses,
            lacking,
        }
    }

    /// Why these families are missing.
    fn refusal(&self, missing: Vec<Family>) -> Refusal {
        let causes = missing.iter().map(|family| self.cause(*family));
        // Dual stack that is preferred misses by its nearest family, dual stack that is required by its farthest.
        let cause = match self.request.families {
            Families::Prefer(_) => causes.min(),
            Families::Single(_) | Families::Require(_) => causes.max(),
        };
        let passed = self.passed(&missing);
        match cause.unwrap_or(Cause::NoPool) {
            Cause::Exhausted => Refusal::PoolExhausted { missing, passed },
            Cause::NoRange => Refusal::FamilyUnavailable { missing, passed },
            Cause::NoPool => Refusal::NoPool(passed),
            Cause::NotFound => Refusal::PoolNotFound(passed),
            Cause::NotAllowed => Refusal::PoolNotAllowed {
                address: None,
                passed,
            },
        }
    }

    /// Why one family is missing: the nearest miss of all pools that count.
    fn cause(&self, family: Family) -> Cause {
        if self.request.pools.is_empty() {
            let mut causes = self
                .candidates(|_| true)
                .map(|stock| cause_of(stock, family));
            let first = causes.next().unwrap_or(Cause::NoPool);
            return causes.fold(first, Cause::min);
        }
        let cause = |name| match self.stocks.named(name) {
            Some(stock) if self.admits(stock).is_ok() => cause_of(stock, family),
            Some(_) => Cause::NotAllowed,
            None if self.fault(name).is_some() => Cause::NoPool,
            None => Cause::NotFound,
        };
        self.request
            .pools
            .iter()
            .map(cause)
            .min()
            .unwrap_or(Cause::NoPool)
    }

    /// The pools that were tried, and why each did not serve.
    fn passed(&self, missing: &[Family]) -> PassedOver {
        let why = |stock: &Stock| {
            let lack = |family| missing.contains(&family).then(|| stock.lack(family));
            self.admits(stock).err().unwrap_or_else(|| {
                Why::Lacks(PerFamily {
                    v4: lack(Family::V4),
                    v6: lack(Family::V6),
                })
            })
        };
        if !self.request.pools.is_empty() {
            return PassedOver::new(self.request.pools.iter().map(|name| {
                let missing = || self.fault(name).map_or(Why::NotFound, Why::NotReady);
                (name, self.stocks.named(name).map_or_else(missing, why))
            }));
        }
        let ready = self
            .stocks
            .ready()
            .map(|stock| (&stock.pool.name, why(stock)));
        let unfit = self.unfit.iter().map(|(name, reason)| (name, *reason));
        let unready = self.stocks.unready().chain(unfit);
        PassedOver::new(ready.chain(unready.map(|(name, reason)| (name, Why::NotReady(reason)))))
    }

    fn fault(&self, name: &PoolName) -> Option<&'static str> {
        let unfit = self.unfit.get(name).copied();
        self.stocks
            .fault(name)
            .map(|fault| fault.reason())
            .or(unfit)
    }
}

fn pick(stock: &Stock, family: Family) -> Option<Granted> {
    Some(Granted {
        address: stock.first_free(family)?,
        pool: Some(stock.pool.name.clone()),
    })
}

/// Why a pool that may serve the Service does not.
fn cause_of(stock: &Stock, family: Family) -> Cause {
    match stock.lack(family) {
        Lack::Full { .. } | Lack::Free => Cause::Exhausted,
        Lack::NoRange => Cause::NoRange,
    }
}
