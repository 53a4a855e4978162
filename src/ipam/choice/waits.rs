//! What could change the answer to a request that did not get everything.
//!
//! Complete rather than sharp: what turns a refusal into a grant is always among the waits, what is among them need not
//! do so. When it has not, the caller asks again and waits for what is then in the way.

use std::{collections::BTreeSet, net::IpAddr};

use super::{
    super::{Family, Flag, FlagWhy, Grant, PoolFault, Refusal, Wait, stock::Stock},
    Choice,
};

impl Choice<'_> {
    /// What could change this answer.
    pub(in crate::ipam) fn waits(&self, answer: &Result<Grant, Refusal>) -> BTreeSet<Wait> {
        match answer {
            Err(Refusal::InvalidRequest(_)) => BTreeSet::new(),
            Err(_) => self.all_waits(),
            Ok(grant) => {
                let mut waits = self.flag_waits(&grant.flags);
                if grant.lacking.is_some() {
                    waits.extend(self.all_waits());
                }
                waits
            }
        }
    }

    /// What could take the flags down.
    fn flag_waits(&self, flags: &[Flag]) -> BTreeSet<Wait> {
        let namespace = &self.request.service.namespace;
        let wait = |flag: &Flag| match &flag.why {
            FlagWhy::OverQuota { pool, .. } => Wait::Quota(pool.clone(), namespace.clone()),
            FlagWhy::NotAllowed { pool, .. } => Wait::Pool(pool.clone()),
            // Another pool may take the address in.
            FlagWhy::OutsidePool { .. }
            | FlagWhy::PoolGone { .. }
            | FlagWhy::PoolNotReady { .. } => Wait::AnyPool,
        };
        flags.iter().map(wait).collect()
    }

    fn all_waits(&self) -> BTreeSet<Wait> {
        let mut waits = self.pool_waits();
        let parts = self.parts().ok();
        for family in self.request.families.wanted() {
            let kept = self.kept(family);
            match (self.request.address_of(family), kept) {
                (Some(address), _) => self.named_waits(address, &mut waits),
                // What it has and could keep; if the pools change, it may have to choose again.
                (None, Err(_)) => {
                    let held = self.held.iter().copied();
                    waits.extend(held.map(Wait::Address));
                    waits.insert(Wait::AnyPool);
                }
                (None, Ok(Some(_))) => {}
                (None, Ok(None)) => {
                    let is_missing = parts
                        .as_ref()
                        .is_none_or(|parts| parts.get(family).is_none());
                    self.family_waits(family, is_missing, &mut waits);
                }
            }
        }
        waits
    }

    /// The pools by which the answer may change.
    fn pool_waits(&self) -> BTreeSet<Wait> {
        let named = self.request.pools.iter();
        let mut waits: BTreeSet<_> = named.cloned().map(Wait::Pool).collect();
        // One that overlaps another becomes Ready by an edit of some other pool.
        let overlaps = |name| {
            let fault = self.stocks.fault(name);
            matches!(fault, Some(PoolFault::Overlap { .. }))
        };
        if waits.is_empty() || self.request.pools.iter().any(overlaps) {
            waits.insert(Wait::AnyPool);
        }
        waits
    }

    /// For an address that the request names.
    fn named_waits(&self, address: IpAddr, waits: &mut BTreeSet<Wait>) {
        waits.insert(Wait::Address(address));
        if self.held.contains(&address) {
            waits.insert(Wait::AnyPool);
        } else if let Some(stock) = self.stocks.at(address) {
            waits.extend(self.quota_wait(stock));
        }
    }

    /// For a family that the Service does not have. One that it could have counts all the same where quotas tie the
    /// two families together.
    fn family_waits(&self, family: Family, is_missing: bool, waits: &mut BTreeSet<Wait>) {
        let has = |stock: &Stock| stock.has(family);
        let is_limited = |stock: &Stock| stock.pool.quota_per_namespace.is_some();
        if !is_missing && self.candidates(is_limited).next().is_none() {
            return;
        }
        waits.extend(self.request.terms.key.clone().map(Wait::Key));
        for stock in self.candidates(has) {
            if !stock.has_free(family) {
                waits.insert(Wait::Free(stock.pool.name.clone(), family));
            }
            waits.extend(self.quota_wait(stock));
        }
    }

    /// If the quota does not leave room for all that the Service might take.
    fn quota_wait(&self, stock: &Stock) -> Option<Wait> {
        let namespace = &self.request.service.namespace;
        let (held, quota) = stock.quota(namespace)?;
        let needed = self.request.families.wanted().map(|_| 1_u64).sum::<u64>();
        (held.saturating_add(needed) > u64::from(quota))
            .then(|| Wait::Quota(stock.pool.name.clone(), namespace.clone()))
    }
}
