//! The allocator: pools and holdings together.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use herald_spi::{PoolName, ServiceKey};

use super::{
    Counts, Grant, Holder, Holding, Pool, PoolFault, Refusal, Request, choice::Choice,
    ledger::Ledger, stocks::Stocks,
};

/// Pools and holdings, and the answers to requests.
///
/// Every call costs O(log n) in the number of free ranges and held addresses, plus a look at each pool that is tried;
/// how many addresses are taken does not matter. [`Self::set_pools`] rebuilds.
///
/// Use: [`Self::set_pools`], then [`Self::adopt`] every recorded address, oldest Service first, then
/// [`Self::allocate`]. A grant is in this memory at once; the caller locks what was taken in the cluster, and calls
/// [`Self::release`] for what it could not lock.
///
/// ```
/// # use std::collections::BTreeMap;
/// # use herald::ipam::{Families, Family, Ipam, Pool, Request};
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
    /// held, also outside every pool.
    pub fn set_pools(&mut self, pools: Vec<Pool>) -> BTreeMap<PoolName, Result<(), PoolFault>> {
        self.stocks = Stocks::new(pools);
        self.outside.clear();
        for (address, _) in self.ledger.iter() {
            match self.stocks.at_mut(address) {
                Some(stock) => {
                    stock.take(address);
                }
                None => {
                    self.outside.insert(address);
                }
            }
        }
        self.stocks.verdicts()
    }

    /// Replaces the pools that exist and never reached [`Self::set_pools`], each with its reason, so that messages do
    /// not say that they do not exist.
    pub fn set_unfit_pools(&mut self, unfit: BTreeMap<PoolName, &'static str>) {
        self.unfit = unfit;
    }

    /// Takes a recorded address for its holder, whether or not a pool has it, also before pools are known. `pool` is the
    /// one that the record names. Does nothing if the holder has the address already.
    ///
    /// # Errors
    /// [`Refusal::AddressInUse`] if another Service has it.
    pub fn adopt(
        &mut self,
        address: IpAddr,
        holder: Holder,
        pool: Option<PoolName>,
    ) -> Result<(), Refusal> {
        if let Some(holding) = self.ledger.get(address) {
            return if *holding.holder == holder {
                Ok(())
            } else {
                Err(Refusal::AddressInUse {
                    address,
                    holder: holding.holder.clone(),
                })
            };
        }
        self.take(address);
        self.ledger.enter(address, Arc::new(holder), pool);
        Ok(())
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

    /// What [`Self::allocate_keeping`] would answer.
    ///
    /// # Errors
    /// With the reason why the request cannot be met.
    pub fn preview(&self, request: &Request, published: &[IpAddr]) -> Result<Grant, Refusal> {
        self.choice(request, self.held(request), published).make()
    }

    /// Gives an address back to the pool that has it now; `false` if the Service with this uid does not hold it.
    pub fn release(&mut self, address: IpAddr, uid: &str) -> bool {
        if self
            .ledger
            .get(address)
            .is_none_or(|holding| holding.holder.uid != uid)
        {
            return false;
        }
        self.ledger.strike(address);
        self.outside.remove(&address);
        if let Some(stock) = self.stocks.at_mut(address) {
            stock.give_back(address);
        }
        true
    }

    /// Who has the address.
    #[must_use]
    pub fn holder(&self, address: IpAddr) -> Option<&Holder> {
        self.ledger.get(address).map(|holding| &*holding.holder)
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

    fn choice<'a>(
        &'a self,
        request: &'a Request,
        held: &'a [IpAddr],
        published: &'a [IpAddr],
    ) -> Choice<'a> {
        Choice {
            stocks: &self.stocks,
            ledger: &self.ledger,
            unfit: &self.unfit,
            request,
            held,
            published,
        }
    }

    fn held(&self, request: &Request) -> &[IpAddr] {
        self.ledger.of_holder(&request.service, &request.uid)
    }

    fn carry_out(&mut self, request: &Request, grant: &Grant) {
        for granted in &grant.addresses {
            let (address, pool) = (granted.address, granted.pool.clone());
            if grant.taken.contains(&address) {
                self.take(address);
                self.ledger.enter(address, Arc::new(request.holder()), pool);
            } else {
                self.ledger.set_pool(address, pool);
            }
        }
    }

    /// Takes an address off its shelf, or notes that none has it.
    fn take(&mut self, address: IpAddr) {
        match self.stocks.at_mut(address) {
            Some(stock) => {
                let free = stock.take(address);
                debug_assert!(free, "{address} is neither free nor held");
            }
            None => {
                self.outside.insert(address);
            }
        }
    }
}

#[cfg(test)]
mod tests;
