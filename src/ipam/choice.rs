//! The choice of addresses for one request. Reads only; [`super::Ipam`] carries it out.
//!
//! For each wanted family, in this order: the requested address; an address that the Service has and that fits the
//! request; one that is kept for it; the lowest one that is shared under its key and that it may share; the lowest free
//! address of the first pool that may serve it. Two missing families come from one pool if one has both, and a family
//! that is added comes from the pool of the other if it can.
//!
//! ```text
//!   named (requested, kept, reserved) ─▶ joining ─▶ filling ─▶ Grant ◀── flags
//!                                                     └──────▶ missing (Refusal) ─▶ waits
//! ```

mod explaining;
mod filling;
mod flags;
mod joining;
mod missing;
mod named;
mod waits;

use std::{collections::BTreeMap, net::IpAddr};

use herald_spi::PoolName;

use super::{
    Family, Grant, Granted, PerFamily, Refusal, Request, Why, ledger::Ledger,
    reservations::Reservations, stock::Stock, stocks::Stocks,
};

/// Everything that a choice depends on.
#[derive(Clone, Copy)]
pub(super) struct Choice<'a> {
    pub(super) stocks: &'a Stocks,
    pub(super) ledger: &'a Ledger,
    pub(super) reservations: &'a Reservations,
    /// Pools that exist and could not be read, with the reason.
    pub(super) unfit: &'a BTreeMap<PoolName, &'static str>,
    pub(super) request: &'a Request,
    /// What the Service has.
    pub(super) held: &'a [IpAddr],
    /// What its status says.
    pub(super) published: &'a [IpAddr],
    /// What it has and shall lose, if there is something else for it.
    pub(super) shunned: &'a [IpAddr],
}

type Parts = PerFamily<Option<Granted>>;

impl<'a> Choice<'a> {
    /// What the request is granted.
    pub(super) fn make(&self) -> Result<Grant, Refusal> {
        let parts = self.parts()?;
        let lacking = self.lacking(&parts)?;
        Ok(self.grant(parts, lacking))
    }

    /// What can be had of each family; an error if what the request names, or the Service has, cannot be.
    fn parts(&self) -> Result<Parts, Refusal> {
        self.request.check()?;
        let mut parts = Parts::default();
        for family in self.request.families.wanted() {
            let part = match self.request.address_of(family) {
                Some(address) => Some(self.requested(address, &parts)?),
                None => self.kept(family)?,
            };
            *parts.get_mut(family) = part;
        }
        for family in self.missing(&parts) {
            *parts.get_mut(family) = self.awaited(family);
        }
        for family in self.missing(&parts) {
            *parts.get_mut(family) = self.joined(family, &parts);
        }
        self.fill(&mut parts);
        Ok(parts)
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
            flags: self.flags(&addresses),
            addresses,
            lacking,
        }
    }

    fn missing(&self, parts: &Parts) -> Vec<Family> {
        self.request
            .families
            .wanted()
            .filter(|family| parts.get(*family).is_none())
            .collect()
    }

    fn admits(&self, stock: &Stock) -> Result<(), Why> {
        if self.request.pools.is_empty() {
            stock.pool.admit_automatically(self.request)
        } else {
            stock.pool.admit_on_request(self.request)
        }
    }

    /// Why the pool of that name is not Ready, if it exists.
    fn fault(&self, name: &PoolName) -> Option<&'static str> {
        let unfit = self.unfit.get(name).copied();
        self.stocks
            .fault(name)
            .map(|fault| fault.reason())
            .or(unfit)
    }

    /// How many more addresses of the pool the namespace may have beside the parts that are chosen already.
    fn room(&self, stock: &Stock, parts: &Parts) -> u64 {
        let Some((held, quota)) = stock.quota(&self.request.service.namespace) else {
            return u64::MAX;
        };
        let chosen = [&parts.v4, &parts.v6].into_iter().flatten();
        let costs = chosen
            .filter(|part| !self.is_of_namespace(part.address))
            .filter_map(|part| self.stocks.at(part.address))
            .filter(|other| other.pool.name == stock.pool.name);
        u64::from(quota)
            .saturating_sub(held)
            .saturating_sub(costs.map(|_| 1).sum())
    }

    /// Whether a Service of the namespace has the address, or it is kept for one: then it costs no more.
    fn is_of_namespace(&self, address: IpAddr) -> bool {
        let namespace = &self.request.service.namespace;
        self.ledger.is_held_in(address, namespace)
            || self.reservations.awaits_namespace(address, namespace)
    }
}
