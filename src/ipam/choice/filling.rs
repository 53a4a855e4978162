//! Free addresses for the families that are still missing.

use super::{
    super::{Family, Granted, stock::Stock},
    Choice, Parts,
};

impl<'a> Choice<'a> {
    /// Takes free addresses for the wanted families that are missing.
    pub(super) fn fill(&self, parts: &mut Parts) {
        let mut missing = self.missing(parts);
        // A quota that leaves room for one only shall not cost the Service the family that it has.
        missing.sort_by_key(|family| !self.has_published(*family));
        if let [first, second] = *missing {
            let both = |stock: &Stock| {
                stock.has_free(first) && stock.has_free(second) && self.room(stock, parts) > 1
            };
            let stock = self.candidates(both).next();
            if let Some(stock) = stock {
                *parts.get_mut(first) = pick(stock, first);
                *parts.get_mut(second) = pick(stock, second);
                return;
            }
        }
        let before = parts.clone();
        self.fill_one_by_one(missing.iter().copied(), parts);
        if missing.len() > 1 && !self.missing(parts).is_empty() {
            // The first family may have used up the quota of the only pool that has the second.
            let mut turned = before;
            self.fill_one_by_one(missing.iter().rev().copied(), &mut turned);
            if self.missing(&turned).is_empty() {
                *parts = turned;
            }
        }
    }

    fn fill_one_by_one(&self, families: impl Iterator<Item = Family>, parts: &mut Parts) {
        for family in families {
            let anchor = parts
                .get(family.other())
                .as_ref()
                .and_then(|other| self.stocks.at(other.address))
                .map(|stock| &stock.pool.name);
            let has = |stock: &Stock| stock.has_free(family) && self.room(stock, parts) > 0;
            let stock = self
                .candidates(|stock| Some(&stock.pool.name) == anchor && has(stock))
                .chain(self.candidates(has))
                .next();
            *parts.get_mut(family) = stock.and_then(|stock| pick(stock, family));
        }
    }

    /// The pools that may serve the request, in the order in which they are tried, of those that have what it takes.
    pub(super) fn candidates(
        &self,
        has: impl Fn(&Stock) -> bool,
    ) -> impl Iterator<Item = &'a Stock> {
        let (stocks, request) = (self.stocks, self.request);
        let named = request.pools.iter().filter_map(|name| stocks.named(name));
        let automatic = stocks.ready().filter(|_| request.pools.is_empty());
        // The names are an empty list when any automatic pool will do, and then only the second part yields.
        named
            .chain(automatic)
            .filter(move |stock| has(stock) && self.admits(stock).is_ok())
    }
}

fn pick(stock: &Stock, family: Family) -> Option<Granted> {
    Some(Granted {
        address: stock.first_free(family)?,
        pool: Some(stock.pool.name.clone()),
    })
}
