//! Who has which address.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, btree_map::Entry},
    fmt,
    net::IpAddr,
    sync::Arc,
};

use herald_spi::{PoolName, ServiceKey};

/// A Service that has an address. One that was made again under the same name has another uid and is another holder.
/// Shown as `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// Namespace and name.
    pub service: ServiceKey,
    /// The Service's uid.
    pub uid: String,
}

/// An address in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Who has it.
    pub holder: Arc<Holder>,
    /// The pool it came from, as granted or recorded, which may since have changed or gone; `None`: no record names one.
    pub pool: Option<PoolName>,
}

/// All addresses in use, by address and by Service; the two always agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    holdings: BTreeMap<IpAddr, Holding>,
    /// Only ever looked into, never walked, so that its order cannot be seen. Long names make it several times as fast
    /// as an ordered map.
    by_service: HashMap<ServiceKey, Vec<Claim>>,
}

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

    /// Enters an address that nobody has; one that somebody has stays with him.
    pub(super) fn enter(&mut self, address: IpAddr, holder: Arc<Holder>, pool: Option<PoolName>) {
        let Entry::Vacant(vacant) = self.holdings.entry(address) else {
            return;
        };
        let claims = self.by_service.entry(holder.service.clone()).or_default();
        let holder = match claims.iter_mut().find(|claim| claim.holder == holder) {
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
        };
        vacant.insert(Holding { holder, pool });
    }

    /// Strikes an address out.
    pub(super) fn strike(&mut self, address: IpAddr) {
        let Some(Holding { holder, .. }) = self.holdings.remove(&address) else {
            return;
        };
        let Some(claims) = self.by_service.get_mut(&holder.service) else {
            return;
        };
        for claim in claims.iter_mut() {
            claim.addresses.retain(|other| *other != address);
        }
        claims.retain(|claim| !claim.addresses.is_empty());
        if claims.is_empty() {
            self.by_service.remove(&holder.service);
        }
    }

    fn claims(&self, service: &ServiceKey) -> &[Claim] {
        self.by_service.get(service).map_or(&[], Vec::as_slice)
    }

    /// Notes the pool that an address comes from.
    pub(super) fn set_pool(&mut self, address: IpAddr, pool: Option<PoolName>) {
        if let Some(holding) = self.holdings.get_mut(&address) {
            holding.pool = pool;
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

    #[test]
    fn a_service_made_again_is_another_holder_of_the_same_name() {
        let [a, b, c] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|a| a.parse().unwrap());
        let mut ledger = Ledger::default();
        ledger.enter(b, holder("web", "1"), None);
        ledger.enter(a, holder("web", "2"), Some("lan".into()));
        ledger.enter(c, holder("web2", "1"), None);
        ledger.enter(c, holder("web", "1"), None);
        assert_eq!(ledger.get(c).unwrap().holder.service.name, "web2");
        let web = ServiceKey::new("default", "web");
        assert_eq!(ledger.of_service(&web), [a, b].into());
        assert_eq!(ledger.of_holder(&web, "1"), [b]);
        ledger.strike(b);
        assert!(ledger.of_holder(&web, "1").is_empty());
        assert_eq!(
            ledger
                .iter()
                .map(|(address, _)| address)
                .collect::<Vec<_>>(),
            [a, c]
        );
    }
}
