//! An allocator that is obviously right and slow: plain sets, and a look at every address.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use herald::ipam::{Families, Family, Holder, Holding, Request, Reservation};
use herald_spi::PoolName;

use crate::{
    script::{Entry, PoolScript, Tenancy, UNFIT},
    sharing::{goes_with, is_from_another_pool},
};

/// Holders and recorded pool of each address in use.
pub type Held = BTreeMap<IpAddr, Holding>;

/// What is kept back.
pub type Kept = BTreeMap<IpAddr, Reservation>;

/// What is chosen of each family.
pub type Chosen = BTreeMap<Family, (IpAddr, Option<PoolName>)>;

/// What is granted: address and pool of each family, the primary first, and the reason for what is lacking.
pub type Answer = Result<(Vec<(IpAddr, Option<PoolName>)>, Option<&'static str>), &'static str>;

#[derive(Clone, Default)]
pub struct Naive {
    /// Ready pools in the order in which they are tried, each with all addresses that it gives out.
    pub ready: Vec<(PoolScript, BTreeSet<IpAddr>)>,
    pub faults: BTreeMap<&'static str, &'static str>,
    pub held: Held,
    pub kept: Kept,
}

impl Naive {
    pub fn set_pools(&mut self, pools: &[PoolScript]) {
        // Of one name the last is meant, as a map would have it.
        let pools: BTreeMap<_, _> = pools.iter().map(|pool| (pool.name, pool.clone())).collect();
        let mut by_age: Vec<_> = pools.into_values().collect();
        by_age.sort_by_key(|pool| (pool.created, pool.name));
        self.ready.clear();
        self.faults.clear();
        for pool in by_age {
            let addresses = addresses(&pool);
            let fault = if pool.tenants == Tenancy::Meaningless {
                "InvalidSelector"
            } else if addresses.is_empty() {
                "Empty"
            } else if self
                .ready
                .iter()
                .any(|(_, other)| !other.is_disjoint(&addresses))
            {
                "Overlap"
            } else {
                self.ready.push((pool, addresses));
                continue;
            };
            self.faults.insert(pool.name, fault);
        }
        self.ready
            .sort_by_key(|(pool, _)| (-pool.priority, pool.name));
    }

    pub fn pool_of(&self, address: IpAddr) -> Option<PoolName> {
        let (pool, _) = self
            .ready
            .iter()
            .find(|(_, addresses)| addresses.contains(&address))?;
        Some(pool.name.into())
    }

    pub fn is_shared_widely(&self, address: IpAddr) -> bool {
        let mut pools = self.ready.iter();
        pools.any(|(pool, all)| pool.shared_widely && all.contains(&address))
    }

    pub fn of(&self, holder: &Holder) -> Vec<IpAddr> {
        let mine = |holding: &Holding| holding.shares.iter().any(|s| *s.holder == *holder);
        let mine = self.held.iter().filter(|(_, holding)| mine(holding));
        mine.map(|(address, _)| *address).collect()
    }

    pub fn answer(&self, request: &Request, published: &[IpAddr]) -> Answer {
        let wanted: Vec<Family> = match request.families {
            Families::Single(only) => vec![only],
            Families::Prefer(first) | Families::Require(first) => vec![first, first.other()],
        };
        let in_family = |family| {
            request
                .addresses
                .iter()
                .filter(move |a| Family::of(**a) == family)
        };
        for family in [Family::V4, Family::V6] {
            let most = if wanted.contains(&family) { 1 } else { 0 };
            if in_family(family).count() > most {
                return Err("InvalidRequest");
            }
        }
        let mut chosen = Chosen::new();
        for family in &wanted {
            if let Some(address) = in_family(*family).next() {
                let named = self.named(request, *address, &chosen)?;
                chosen.insert(*family, named);
            } else if let Some(kept) = self.keep(request, *family, published)? {
                chosen.insert(*family, kept);
            }
        }
        for way in [Self::awaited, Self::joined] {
            for family in &wanted {
                if !chosen.contains_key(family)
                    && let Some(found) = way(self, request, *family, &chosen)
                {
                    chosen.insert(*family, found);
                }
            }
        }
        self.complete(request, &wanted, &mut chosen);
        let missing: Vec<_> = wanted
            .iter()
            .filter(|f| !chosen.contains_key(*f))
            .copied()
            .collect();
        let mut lacking = None;
        if !missing.is_empty() {
            let reason = self.reason(request, &missing);
            let prefers = matches!(request.families, Families::Prefer(_));
            let mine = self.of(&request.holder());
            let lost = |a: &IpAddr| published.contains(a) && missing.contains(&Family::of(*a));
            let loses = mine.iter().any(lost);
            if !prefers || chosen.is_empty() || (loses && reason != "FamilyUnavailable") {
                return Err(reason);
            }
            lacking = Some(reason);
        }
        Ok((
            wanted
                .iter()
                .filter_map(|family| chosen.remove(family))
                .collect(),
            lacking,
        ))
    }

    fn named(
        &self,
        request: &Request,
        address: IpAddr,
        chosen: &Chosen,
    ) -> Result<(IpAddr, Option<PoolName>), &'static str> {
        if self.of(&request.holder()).contains(&address)
            && let Some(pool) = self.source(request, address)
        {
            self.stays(request, address)?;
            return Ok((address, pool));
        }
        let Some((pool, all)) = self.ready.iter().find(|(_, all)| all.contains(&address)) else {
            return Err("AddressNotInPool");
        };
        if !request.pools.is_empty() && !request.pools.contains(&pool.name.into()) {
            return Err("AddressNotInPool");
        }
        if !admits(pool, request) {
            return Err("PoolNotAllowed");
        }
        if let Some(holding) = self.held.get(&address) {
            if is_from_another_pool(request, holding) {
                return Err("AddressNotInPool");
            }
            if request.terms.key.is_none() {
                return Err("AddressInUse");
            }
            goes_with(request, &holding.shares, Some(pool.shared_widely))?;
        }
        if let Some(kept) = self.kept.get(&address)
            && kept.awaited.as_ref() != Some(&request.service)
        {
            return Err("AddressReserved");
        }
        if !self.is_affordable(request, address, (pool, all), chosen) {
            return Err("QuotaExceeded");
        }
        Ok((address, Some(pool.name.into())))
    }

    fn keep(
        &self,
        request: &Request,
        family: Family,
        published: &[IpAddr],
    ) -> Result<Option<(IpAddr, Option<PoolName>)>, &'static str> {
        let mut mine = self.of(&request.holder());
        mine.retain(|a| Family::of(*a) == family && self.source(request, *a).is_some());
        let shown = mine.iter().find(|address| published.contains(address));
        let Some(address) = shown.or(mine.first()).copied() else {
            return Ok(None);
        };
        self.stays(request, address)?;
        Ok(self.source(request, address).map(|pool| (address, pool)))
    }

    /// The pool that a held address is said to come from; `None` if the Service asks for others.
    fn source(&self, request: &Request, address: IpAddr) -> Option<Option<PoolName>> {
        let now = self.pool_of(address);
        let recorded = &self.held[&address].pool;
        if request.pools.is_empty() {
            return Some(now.or(recorded.clone()));
        }
        let asked = |pool: &Option<PoolName>| {
            pool.as_ref()
                .is_some_and(|pool| request.pools.contains(pool))
        };
        [now, recorded.clone()].into_iter().find(asked)
    }

    fn complete(&self, request: &Request, wanted: &[Family], chosen: &mut Chosen) {
        let missing: Vec<_> = wanted
            .iter()
            .filter(|family| !chosen.contains_key(*family))
            .copied()
            .collect();
        if let [first, second] = missing[..] {
            for (pool, all) in self.tried(request) {
                if let (Some(a), Some(b)) =
                    (self.free(pool, all, first), self.free(pool, all, second))
                    && self.room(request, (pool, all), chosen) >= 2
                {
                    chosen.extend([(first, a), (second, b)]);
                    return;
                }
            }
        }
        let mut turned = chosen.clone();
        self.complete_in_turn(request, missing.iter(), chosen);
        self.complete_in_turn(request, missing.iter().rev(), &mut turned);
        if turned.len() == wanted.len() && chosen.len() < wanted.len() {
            *chosen = turned;
        }
    }

    fn complete_in_turn<'a>(
        &self,
        request: &Request,
        families: impl Iterator<Item = &'a Family>,
        chosen: &mut Chosen,
    ) {
        for family in families {
            let beside = chosen
                .get(&family.other())
                .and_then(|(address, _)| self.pool_of(*address));
            let mut pools = self.tried(request);
            pools.sort_by_key(|(pool, _)| Some(PoolName::from(pool.name)) != beside);
            pools.retain(|(pool, all)| self.room(request, (pool, all), chosen) > 0);
            let found = pools
                .iter()
                .find_map(|(pool, all)| self.free(pool, all, *family));
            if let Some(found) = found {
                chosen.insert(*family, found);
            }
        }
    }

    fn free(
        &self,
        pool: &PoolScript,
        all: &BTreeSet<IpAddr>,
        family: Family,
    ) -> Option<(IpAddr, Option<PoolName>)> {
        let taken = |a: &IpAddr| self.held.contains_key(a) || self.kept.contains_key(a);
        let address = all
            .iter()
            .find(|a| Family::of(**a) == family && !taken(a))?;
        Some((*address, Some(PoolName::from(pool.name))))
    }

    pub fn tried(&self, request: &Request) -> Vec<&(PoolScript, BTreeSet<IpAddr>)> {
        let mut pools: Vec<_> = self
            .ready
            .iter()
            .filter(|(pool, _)| admits(pool, request))
            .collect();
        if request.pools.is_empty() {
            pools.retain(|(pool, _)| pool.automatic);
        } else {
            pools.retain(|(pool, _)| request.pools.contains(&pool.name.into()));
            pools
                .sort_by_key(|(pool, _)| request.pools.iter().position(|n| *n == pool.name.into()));
        }
        pools
    }

    fn reason(&self, request: &Request, missing: &[Family]) -> &'static str {
        const NEAREST_FIRST: [&str; 6] = [
            "QuotaExceeded",
            "PoolExhausted",
            "PoolNotFound",
            "NoPool",
            "PoolNotAllowed",
            "FamilyUnavailable",
        ];
        let rank = |reason: &&str| NEAREST_FIRST.iter().position(|r| r == reason);
        let of = |family: &Family| {
            let mut reasons: Vec<&'static str> = Vec::new();
            for (pool, addresses) in self.tried(request) {
                let any = addresses.iter().any(|a| Family::of(*a) == *family);
                reasons.push(if self.free(pool, addresses, *family).is_some() {
                    "QuotaExceeded"
                } else if any {
                    "PoolExhausted"
                } else {
                    "FamilyUnavailable"
                });
            }
            for name in &request.pools {
                let ready = self
                    .ready
                    .iter()
                    .find(|(pool, _)| pool.name == name.as_str());
                match ready {
                    Some((pool, _)) if !admits(pool, request) => reasons.push("PoolNotAllowed"),
                    Some(_) => {}
                    None if name.as_str() == UNFIT => reasons.push("NoPool"),
                    None if self.faults.contains_key(name.as_str()) => reasons.push("NoPool"),
                    None => reasons.push("PoolNotFound"),
                }
            }
            reasons.into_iter().min_by_key(rank).unwrap_or("NoPool")
        };
        let reasons = missing.iter().map(of);
        if matches!(request.families, Families::Prefer(_)) {
            reasons.min_by_key(rank).unwrap()
        } else {
            reasons.max_by_key(rank).unwrap()
        }
    }
}

pub fn admits(pool: &PoolScript, request: &Request) -> bool {
    let namespace = match pool.tenants {
        Tenancy::Open => true,
        Tenancy::Red => request.service.namespace == "red",
        Tenancy::RedOrTrusted => {
            request.service.namespace == "red" || request.namespace_labels.contains_key("trusted")
        }
        Tenancy::Nobody | Tenancy::Meaningless => false,
    };
    namespace && (!pool.only_gold || request.labels.get("tier").is_some_and(|t| t == "gold"))
}

fn addresses(pool: &PoolScript) -> BTreeSet<IpAddr> {
    let mut all: BTreeSet<_> = pool.entries.iter().flat_map(Entry::addresses).collect();
    if pool.avoid_edge_addresses {
        all.retain(
            |address| !matches!(address, IpAddr::V4(v4) if [0, 255].contains(&v4.octets()[3])),
        );
        for entry in &pool.entries {
            let spots: Vec<_> = entry.addresses().collect();
            if entry.prefix.is_none() || spots.len() < 4 {
                continue;
            }
            all.remove(&spots[0]);
            if entry.family == Family::V4 {
                all.remove(&spots[spots.len() - 1]);
            }
        }
    }
    for address in pool.exclude.iter().flat_map(Entry::addresses) {
        all.remove(&address);
    }
    all
}
