//! Why a family is missing, and whether the Service can do without it.

use std::net::IpAddr;

use super::{
    super::{Families, Family, Lack, PassedOver, PerFamily, Refusal, Why, stock::Stock},
    Choice, Parts,
};

/// Why a family is missing; the earlier ones are the nearer misses.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    /// A pool has free addresses, but not for this namespace.
    Quota,
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

impl Choice<'_> {
    /// Whether the request can do with what there is, and why the rest is missing.
    pub(super) fn lacking(&self, parts: &Parts) -> Result<Option<Refusal>, Refusal> {
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
        self.has_published(missing) && self.cause(missing) != Cause::NoRange
    }

    /// Whether the Service has an address of the family and shows it.
    pub(super) fn has_published(&self, family: Family) -> bool {
        let has = |address: &IpAddr| Family::of(*address) == family && self.held.contains(address);
        self.published.iter().any(has)
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
            Cause::Quota => Refusal::QuotaExceeded { missing, passed },
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
        let why = |stock| self.why_not(stock, missing);
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
        let unready = self
            .stocks
            .unready()
            .map(|(pool, reason)| (&pool.name, reason));
        let unfit = self.unfit.iter().map(|(name, reason)| (name, *reason));
        let unready = unready.chain(unfit);
        PassedOver::new(ready.chain(unready.map(|(name, reason)| (name, Why::NotReady(reason)))))
    }

    /// Why a Ready pool does not serve the missing families. If one is free there, it is the quota that forbids it.
    fn why_not(&self, stock: &Stock, missing: &[Family]) -> Why {
        if let Err(why) = self.admits(stock) {
            return why;
        }
        let is_free = |family: &Family| stock.has_free(*family);
        if let Some((held, quota)) = stock.quota(&self.request.service.namespace)
            && missing.iter().any(is_free)
        {
            return Why::QuotaExceeded { held, quota };
        }
        let lack = |family| missing.contains(&family).then(|| stock.lack(family));
        Why::Lacks(PerFamily {
            v4: lack(Family::V4),
            v6: lack(Family::V6),
        })
    }
}

/// Why a pool that may serve the Service does not. What is free there and was not taken, the quota forbids.
fn cause_of(stock: &Stock, family: Family) -> Cause {
    match stock.lack(family) {
        Lack::Free => Cause::Quota,
        Lack::Full { .. } => Cause::Exhausted,
        Lack::NoRange => Cause::NoRange,
    }
}
