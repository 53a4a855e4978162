//! The allocator: pools, holdings and reservations together.

mod records;
mod views;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use herald_spi::PoolName;

use super::{
    Explanation, Family, Grant, Pool, PoolFault, Refusal, Request, Wait, choice::Choice,
    ledger::Ledger, reservations::Reservations, stocks::Stocks,
};

/// Pools and holdings, and the answers to requests.
///
/// Every call costs O(log n) in the number of free ranges and held addresses, plus a look at each pool that is tried,
/// at each Service that shares an address in question, and, for a request with a sharing key, at the addresses that
/// are shared under it; how many addresses are taken does not matter. [`Self::set_pools`] rebuilds.
///
/// Use: [`Self::set_pools`], then [`Self::adopt`] every recorded address, oldest Service first, and [`Self::reserve`]
/// every reserved one, then [`Self::allocate`]. A grant is in this memory at once; the caller locks what was taken in the cluster, and calls
/// [`Self::release`] for what it could not lock.
///
/// ```
/// # use std::collections::BTreeMap;
/// # use herald::ipam::{Families, Family, Ipam, Pool, Request, Terms};
/// # use herald_spi::ServiceKey;
/// let mut ipam = Ipam::new();
/// ipam.set_pools(vec![Pool::parse("lan".into(), 0, &["192.168.77.200-192.168.77.250"], &[])?]);
/// let web = Request {
///     service: ServiceKey::new("default", "web"),
///     uid: "6f1c".into(),
///     created: 0,
///     labels: BTreeMap::new(),
///     namespace_labels: BTreeMap::new(),
///     families: Families::Single(Family::V4),
///     addresses: vec![],
///     pools: vec![],
///     terms: Terms::default(),
/// };
/// let grant = ipam.allocate(&web)?;
/// assert_eq!(grant.addresses[0].address.to_string(), "192.168.77.200");
/// assert!(ipam.allocate(&web)?.taken.is_empty(), "it has it already");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ipam {
    stocks: Stocks,
    ledger: Ledger,
    reservations: Reservations,
    /// Held addresses that no Ready pool gives out.
    outside: BTreeSet<IpAddr>,
    unfit: BTreeMap<PoolName, &'static str>,
}

impl Ipam {
    /// Without pools and holdings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces all pools, and says of each whether it is Ready. Nobody loses an address by it: what is held stays
    /// held, and what is reserved reserved, also outside every pool.
    pub fn set_pools(&mut self, pools: Vec<Pool>) -> BTreeMap<PoolName, Result<(), PoolFault>> {
        self.stocks = Stocks::new(pools);
        self.outside.clear();
        for (address, holding) in self.ledger.iter() {
            let Some(stock) = self.stocks.at_mut(address) else {
                self.outside.insert(address);
                continue;
            };
            stock.take(address);
            if stock.pool.quota_per_namespace.is_some() {
                let services = holding.shares.iter().map(|share| &share.holder.service);
                let namespaces: BTreeSet<_> = services.map(|service| &service.namespace).collect();
                namespaces.into_iter().for_each(|name| stock.charge(name));
            }
        }
        for (address, reservation) in self.reservations.iter() {
            if let Some(stock) = self.stocks.at_mut(address) {
                stock.reserve(address, reservation);
            }
        }
        self.stocks.verdicts()
    }

    /// Replaces the pools that exist and never reached [`Self::set_pools`], each with its reason, so that messages do
    /// not say that they do not exist.
    pub fn set_unfit_pools(&mut self, unfit: BTreeMap<PoolName, &'static str>) {
        self.unfit = unfit;
    }

    /// Gives the Service what it asks for, and takes it in memory. What it has and may keep stays as it is, so that the
    /// same request gets the same answer; on a refusal nothing changes. Everything that the Service has counts as
    /// published.
    ///
    /// # Errors
    /// With the reason why the request cannot be met.
    pub fn allocate(&mut self, request: &Request) -> Result<Grant, Refusal> {
        let held = self.held(request);
        let grant = self.choice(request, held, held).make()?;
        self.carry_out(request, &grant);
        Ok(grant)
    }

    /// As [`Self::allocate`], by a caller who knows which addresses the Service's status names. It matters between the
    /// steps of a move, when the Service has more than it publishes: of two addresses that it may keep the published one
    /// stays, and only a published one counts as a loss.
    ///
    /// # Errors
    /// With the reason why the request cannot be met.
    pub fn allocate_keeping(
        &mut self,
        request: &Request,
        published: &[IpAddr],
    ) -> Result<Grant, Refusal> {
        let held = self.held(request);
        let grant = self.choice(request, held, published).make()?;
        self.carry_out(request, &grant);
        Ok(grant)
    }

    /// As [`Self::allocate_keeping`], for a Service that shall lose some of what it has, and has another address
    /// instead of each. `None`: there is none, and nothing changes.
    pub fn allocate_instead(
        &mut self,
        request: &Request,
        published: &[IpAddr],
        shunned: &[IpAddr],
    ) -> Option<Grant> {
        let grant = self.preview_instead(request, published, shunned)?;
        self.carry_out(request, &grant);
        Some(grant)
    }

    /// What [`Self::allocate_instead`] would answer.
    #[must_use]
    pub fn preview_instead(
        &self,
        request: &Request,
        published: &[IpAddr],
        shunned: &[IpAddr],
    ) -> Option<Grant> {
        let grant = self.shunning(request, published, shunned).make().ok()?;
        let has_another = |lost: &IpAddr| {
            let mut granted = grant.addresses.iter().map(|granted| granted.address);
            granted.any(|address| address != *lost && Family::of(address) == Family::of(*lost))
        };
        shunned.iter().all(has_another).then_some(grant)
    }

    /// What could turn [`Self::preview_instead`] into a grant.
    #[must_use]
    pub fn waits_instead(
        &self,
        request: &Request,
        published: &[IpAddr],
        shunned: &[IpAddr],
    ) -> BTreeSet<Wait> {
        let choice = self.shunning(request, published, shunned);
        choice.waits(&choice.make())
    }

    /// What [`Self::allocate_keeping`] would answer.
    ///
    /// # Errors
    /// With the reason why the request cannot be met.
    pub fn preview(&self, request: &Request, published: &[IpAddr]) -> Result<Grant, Refusal> {
        self.choice(request, self.held(request), published).make()
    }

    /// What could turn the answer to this request into a better one, or take its flags down; nothing if it gets all
    /// that it asks for, or contradicts itself.
    #[must_use]
    pub fn waits(&self, request: &Request, published: &[IpAddr]) -> BTreeSet<Wait> {
        let choice = self.choice(request, self.held(request), published);
        choice.waits(&choice.make())
    }

    /// What [`Self::allocate_keeping`] would answer, and how that comes about.
    #[must_use]
    pub fn explain(&self, request: &Request, published: &[IpAddr]) -> Explanation {
        self.choice(request, self.held(request), published)
            .explain()
    }

    fn choice<'a>(
        &'a self,
        request: &'a Request,
        held: &'a [IpAddr],
        published: &'a [IpAddr],
    ) -> Choice<'a> {
        Choice {
            stocks: &self.stocks,
            ledger: &self.ledger,
            reservations: &self.reservations,
            unfit: &self.unfit,
            request,
            held,
            published,
            shunned: &[],
        }
    }

    fn shunning<'a>(
        &'a self,
        request: &'a Request,
        published: &'a [IpAddr],
        shunned: &'a [IpAddr],
    ) -> Choice<'a> {
        Choice {
            shunned,
            ..self.choice(request, self.held(request), published)
        }
    }

    fn held(&self, request: &Request) -> &[IpAddr] {
        self.ledger.of_holder(&request.service, &request.uid)
    }

    fn carry_out(&mut self, request: &Request, grant: &Grant) {
        for granted in &grant.addresses {
            let (address, pool) = (granted.address, granted.pool.clone());
            let terms = request.terms.clone();
            if grant.taken.contains(&address) {
                self.enter(address, Arc::new(request.holder()), terms, pool);
            } else {
                self.ledger.set_terms(address, &request.uid, terms);
                self.ledger.set_pool(address, pool);
            }
        }
    }
}

#[cfg(test)]
mod tests;
