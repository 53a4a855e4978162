//! Addresses that are shared already, under the Service's key.

use std::net::IpAddr;

use super::{
    super::{Family, Granted},
    Choice, Parts,
};

impl Choice<'_> {
    /// The lowest address of the family that the Service may share. Looks at the addresses under its key, of its own
    /// namespace alone unless a pool lets the whole cluster share.
    pub(super) fn joined(&self, family: Family, parts: &Parts) -> Option<Granted> {
        let by_namespace = self.ledger.keyed(self.request.terms.key.as_deref()?)?;
        let joinable = |address: &IpAddr| {
            Family::of(*address) == family && self.is_joinable(*address, parts).is_some()
        };
        let lowest = if self.stocks.shares_widely() {
            by_namespace
                .values()
                .filter_map(|addresses| addresses.iter().copied().find(joinable))
                .min()
        } else {
            by_namespace
                .get(&self.request.service.namespace)?
                .iter()
                .copied()
                .find(joinable)
        };
        let address = lowest?;
        let pool = self.stocks.at(address).map(|stock| stock.pool.name.clone());
        Some(Granted { address, pool })
    }

    fn is_joinable(&self, address: IpAddr, parts: &Parts) -> Option<()> {
        let stock = self.stocks.at(address)?;
        if self.request.passes_by(&stock.pool.name) || self.held.contains(&address) {
            return None;
        }
        self.admits(stock).ok()?;
        let holding = self.ledger.get(address)?;
        if self.foreign_home(holding).is_some() {
            return None;
        }
        self.may_join(address, holding).ok()?;
        (self.is_of_namespace(address) || self.room(stock, parts) > 0).then_some(())
    }
}
