//! Who has which address.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    net::IpAddr,
    sync::Arc,
};

use herald_spi::{PoolName, ServiceKey};

use super::Terms;

/// A Service that has an address. One that was made again under the same name has another uid and is another holder.
/// Shown as `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// Namespace and name.
    pub service: ServiceKey,
    /// The Service's uid.
    pub uid: String,
}

/// A holder's part in an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Who.
    pub holder: Arc<Holder>,
    /// On what terms, as granted or recorded.
    pub terms: Terms,
}

/// An address in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Who has it, in the order in which they came; never empty.
    pub shares: Vec<Share>,
    /// The pool it came from, as granted or recorded, which may since have changed or gone; `None`: no record names one.
    pub pool: Option<PoolName>,
}

/// All addresses in use, by address, by Service and by sharing key; the three always agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    holdings: BTreeMap<IpAddr, Holding>,
    /// Only ever looked into, never walked, so that its order cannot be seen. Long names make it several times as fast
    /// as an ordered map.
    by_service: HashMap<ServiceKey, Vec<Claim>>,
    /// For each key the addresses of each namespace; never walked either.
    by_key: HashMap<String, ByNamespace>,
}

/// The addresses that are shared under one key, by the namespace of the sharers.
pub(super) type ByNamespace = BTreeMap<String, BTreeSet<IpAddr>>;

/// What one holder has: of one name, mostly one or two addresses of one holder. Both lists are sorted and not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    holder: Arc<Holder>,
    addresses: Vec<IpAddr>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.service.fmt(f)
    }
}

impl Holding {
    /// Who came first.
    #[must_use]
    pub fn holder(&self) -> Option<&Arc<Holder>> {
        self.shares.first().map(|share| &share.holder)
    }

    /// The part of the Service with this uid.
    #[must_use]
    pub fn share(&self, uid: &str) -> Option<&Share> {
        self.shares.iter().find(|share| share.holder.uid == uid)
    }

    /// The parts of all other Services.
    pub(super) fn others<'a>(&'a self, uid: &'a str) -> impl Iterator<Item = &'a Share> + Clone {
        self.shares
            .iter()
            .filter(move |share| share.holder.uid != uid)
    }
}

impl Ledger {
    pub(super) fn get(&self, address: IpAddr) -> Option<&Holding> {
        self.holdings.get(&address)
    }

    /// Every address in use, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (IpAddr, &Holding)> {
        self.holdings
            .iter()
            .map(|(address, holding)| (*address, holding))
    }

    /// The addresses of one holder, in order.
    pub(super) fn of_holder(&self, service: &ServiceKey, uid: &str) -> &[IpAddr] {
        self.claims(service)
            .iter()
            .find(|claim| claim.holder.uid == uid)
            .map_or(&[], |claim| claim.addresses.as_slice())
    }

    /// The addresses of every holder with that namespace and name, in order.
    pub(super) fn of_service(&self, service: &ServiceKey) -> BTreeSet<IpAddr> {
        self.claims(service)
            .iter()
            .flat_map(|claim| &claim.addresses)
            .copied()
            .collect()
    }

    /// The addresses that are shared under a key.
    pub(super) fn keyed(&self, key: &str) -> Option<&ByNamespace> {
        self.by_key.get(key)
    }

    /// Whether a Service of the namespace has the address.
    pub(super) fn is_held_in(&self, address: IpAddr, namespace: &str) -> bool {
        let shares = self
            .get(address)
            .map_or(&[][..], |holding| &holding.shares[..]);
        shares
            .iter()
            .any(|share| share.holder.service.namespace == namespace)
    }

    /// Enters a holder beside those that are there; of one that is there already only the terms change. A known pool
    /// stays.
    pub(super) fn enter(
        &mut self,
        address: IpAddr,
        holder: Arc<Holder>,
        terms: Terms,
        pool: Option<PoolName>,
    ) {
        if let Some(holding) = self.holdings.get(&address)
            && holding.share(&holder.uid).is_some()
        {
            self.set_terms(address, &holder.uid, terms);
            if let (Some(holding), Some(_)) = (self.holdings.get_mut(&address), &pool) {
                holding.pool = pool;
            }
            return;
        }
        if let Some(key) = &terms.key {
            self.index(address, key, &holder.service.namespace);
        }
        let holder = self.claim(address, holder);
        let holding = self.holdings.entry(address).or_insert_with(|| Holding {
            shares: Vec::with_capacity(1),
            pool: None,
        });
        holding.shares.push(Share { holder, terms });
        if holding.pool.is_none() {
            holding.pool = pool;
        }
    }

    /// Strikes a holder out; returns it if it was there.
    pub(super) fn strike(&mut self, address: IpAddr, uid: &str) -> Option<Arc<Holder>> {
        let holding = self.holdings.get_mut(&address)?;
        let at = holding
            .shares
            .iter()
            .position(|share| share.holder.uid == uid)?;
        let Share { holder, terms } = holding.shares.remove(at);
        if holding.shares.is_empty() {
            self.holdings.remove(&address);
        }
        if let Some(key) = &terms.key {
            self.unindex(address, key, &holder.service.namespace);
        }
        self.disclaim(address, &holder);
        Some(holder)
    }

    /// Notes a holder's terms; `false` if it does not have the address.
    pub(super) fn set_terms(&mut self, address: IpAddr, uid: &str, terms: Terms) -> bool {
        let shares = self
            .holdings
            .get_mut(&address)
            .map(|holding| &mut holding.shares);
        let Some(share) = shares
            .into_iter()
            .flatten()
            .find(|share| share.holder.uid == uid)
        else {
            return false;
        };
        let key = terms.key.clone();
        let namespace = share.holder.service.namespace.clone();
        let old = std::mem::replace(&mut share.terms, terms).key;
        if old != key {
            if let Some(old) = &old {
                self.unindex(address, old, &namespace);
            }
            if let Some(key) = &key {
                self.index(address, key, &namespace);
            }
        }
        true
    }

    /// Notes the pool that an address comes from. Of a shared one the pool stays, once it is known: each who shares it
    /// may ask for another one.
    pub(super) fn set_pool(&mut self, address: IpAddr, pool: Option<PoolName>) {
        if let Some(holding) = self.holdings.get_mut(&address)
            && (holding.shares.len() == 1 || holding.pool.is_none())
        {
            holding.pool = pool;
        }
    }

    fn claims(&self, service: &ServiceKey) -> &[Claim] {
        self.by_service.get(service).map_or(&[], Vec::as_slice)
    }

    fn claim(&mut self, address: IpAddr, holder: Arc<Holder>) -> Arc<Holder> {
        let claims = self.by_service.entry(holder.service.clone()).or_default();
        match claims.iter_mut().find(|claim| claim.holder == holder) {
            Some(claim) => {
                let at = claim.addresses.partition_point(|other| *other < address);
                claim.addresses.insert(at, address);
                Arc::clone(&claim.holder)
            }
            None => {
                let at = claims.partition_point(|claim| claim.holder.uid < holder.uid);
                let claim = Claim {
                    holder: Arc::clone(&holder),
                    addresses: vec![address],
                };
                claims.insert(at, claim);
                holder
            }
        }
    }

    fn disclaim(&mut self, address: IpAddr, holder: &Holder) {
        let Some(claims) = self.by_service.get_mut(&holder.service) else {
            return;
        };
        for claim in claims
            .iter_mut()
            .filter(|claim| claim.holder.uid == holder.uid)
        {
            claim.addresses.retain(|other| *other != address);
        }
        claims.retain(|claim| !claim.addresses.is_empty());
        if claims.is_empty() {
            self.by_service.remove(&holder.service);
        }
    }

    fn index(&mut self, address: IpAddr, key: &str, namespace: &str) {
        let by_namespace = self.by_key.entry(key.to_owned()).or_default();
        let addresses = by_namespace.entry(namespace.to_owned()).or_default();
        addresses.insert(address);
    }

    /// Takes an address out of the index, unless another share of it keeps it there.
    fn unindex(&mut self, address: IpAddr, key: &str, namespace: &str) {
        let same = |share: &Share| {
            share.terms.key.as_deref() == Some(key) && share.holder.service.namespace == namespace
        };
        let holding = self.holdings.get(&address);
        if holding.is_some_and(|holding| holding.shares.iter().any(same)) {
            return;
        }
        let Some(by_namespace) = self.by_key.get_mut(key) else {
            return;
        };
        if let Some(addresses) = by_namespace.get_mut(namespace) {
            addresses.remove(&address);
            if addresses.is_empty() {
                by_namespace.remove(namespace);
            }
        }
        if by_namespace.is_empty() {
            self.by_key.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(name: &str, uid: &str) -> Arc<Holder> {
        Arc::new(Holder {
            service: ServiceKey::new("default", name),
            uid: uid.to_owned(),
        })
    }

    fn keyed(key: &str) -> Terms {
        Terms {
            key: Some(key.to_owned()),
            ..Terms::default()
        }
    }

    #[test]
    fn a_service_made_again_is_another_holder_of_the_same_name() {
        let [a, b, c] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|a| a.parse().unwrap());
        let mut ledger = Ledger::default();
        let enter = |ledger: &mut Ledger, address, holder, pool| {
            ledger.enter(address, holder, Terms::default(), pool);
        };
        enter(&mut ledger, b, holder("web", "1"), None);
        enter(&mut ledger, a, holder("web", "2"), Some("lan".into()));
        enter(&mut ledger, c, holder("web2", "3"), None);
        enter(&mut ledger, c, holder("web", "1"), None);
        assert_eq!(
            ledger.get(c).unwrap().holder().unwrap().service.name,
            "web2"
        );
        let web = ServiceKey::new("default", "web");
        assert_eq!(ledger.of_service(&web), [a, b, c].into());
        assert_eq!(ledger.of_holder(&web, "1"), [b, c]);
        ledger.strike(b, "1");
        assert_eq!(ledger.of_holder(&web, "1"), [c]);
        ledger.strike(c, "1");
        assert!(ledger.of_holder(&web, "1").is_empty());
        assert_eq!(
            ledger
                .iter()
                .map(|(address, _)| address)
                .collect::<Vec<_>>(),
            [a, c]
        );
    }

    #[test]
    fn a_key_leads_to_its_addresses_as_long_as_one_share_has_it() {
        let a = "10.0.0.1".parse().unwrap();
        let mut ledger = Ledger::default();
        ledger.enter(a, holder("one", "1"), keyed("k"), None);
        ledger.enter(a, holder("two", "2"), keyed("k"), None);
        assert!(ledger.set_terms(a, "1", keyed("l")));
        assert!(!ledger.set_terms(a, "3", keyed("m")));
        for key in ["k", "l"] {
            assert_eq!(ledger.keyed(key).unwrap()["default"], [a].into());
        }
        ledger.strike(a, "2");
        assert_eq!(ledger.keyed("k"), None);
        ledger.strike(a, "1");
        assert_eq!(ledger, Ledger::default());
    }
}
