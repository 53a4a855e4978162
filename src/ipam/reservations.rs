//! Addresses that nobody has and that are kept back: for a Service that may come again, or from everybody.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use herald_spi::{PoolName, ServiceKey};

/// Why an address is kept back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The Service that may come again: a deleted one, within the pool's retention. `None`: quarantine, given to nobody,
    /// because a host that is none of Herald's uses the address.
    pub awaited: Option<ServiceKey>,
    /// When it ends, in seconds of Unix time. Nothing here has a clock: the caller ends it.
    pub until: i64,
    /// The pool that the address came from.
    pub pool: Option<PoolName>,
}

/// All reservations, by address and by the awaited Service; the two always agree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reservations {
    by_address: BTreeMap<IpAddr, Reservation>,
    /// Never walked, so that its order cannot be seen.
    by_service: HashMap<ServiceKey, BTreeSet<IpAddr>>,
}

impl Reservations {
    pub(super) fn get(&self, address: IpAddr) -> Option<&Reservation> {
        self.by_address.get(&address)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (IpAddr, &Reservation)> {
        self.by_address
            .iter()
            .map(|(address, reservation)| (*address, reservation))
    }

    /// What waits for the Service, in order.
    pub(super) fn awaiting(&self, service: &ServiceKey) -> impl Iterator<Item = IpAddr> {
        self.by_service.get(service).into_iter().flatten().copied()
    }

    /// Whether the address waits for a Service of the namespace.
    pub(super) fn awaits_namespace(&self, address: IpAddr, namespace: &str) -> bool {
        self.get(address)
            .and_then(|reservation| reservation.awaited.as_ref())
            .is_some_and(|service| service.namespace == namespace)
    }

    /// Enters a reservation for an address that has none.
    pub(super) fn enter(&mut self, address: IpAddr, reservation: Reservation) {
        if let Some(service) = reservation.awaited.clone() {
            self.by_service.entry(service).or_default().insert(address);
        }
        self.by_address.insert(address, reservation);
    }

    pub(super) fn strike(&mut self, address: IpAddr) -> Option<Reservation> {
        let reservation = self.by_address.remove(&address)?;
        if let Some(service) = &reservation.awaited
            && let Some(addresses) = self.by_service.get_mut(service)
        {
            addresses.remove(&address);
            if addresses.is_empty() {
                self.by_service.remove(service);
            }
        }
        Some(reservation)
    }
}
