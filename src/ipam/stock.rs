//! A pool that is Ready, and what is left of it.

use std::{collections::HashMap, net::IpAddr};

use super::{Family, FreeRanges, Lack, PerFamily, Pool, Reservation, family::number};

/// How many addresses a pool has, by family.
pub type Counts = PerFamily<FamilyCounts>;

/// How many addresses of one family a pool has. `capacity` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FamilyCounts {
    /// All that it may give out: exclusions and avoided edges do not count.
    pub capacity: u128,
    /// Held by Services. Held addresses that the pool no longer has do not count.
    pub used: u128,
    /// Held by nobody and kept back for a Service that may come again.
    pub reserved: u128,
    /// Held by nobody and kept back from everybody.
    pub quarantined: u128,
    /// Free to be given out.
    pub available: u128,
}

/// A Ready pool with its free addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stock {
    pub(super) pool: Pool,
    shelves: PerFamily<Shelf>,
    /// How many of its addresses each namespace holds or awaits, if that is limited. Never walked.
    tenants: HashMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Shelf {
    capacity: u128,
    free: FreeRanges,
    reserved: u128,
    quarantined: u128,
}

impl Stock {
    /// The stock of a pool that nobody has an address from.
    pub(super) fn full(pool: Pool, usable: PerFamily<FreeRanges>) -> Self {
        let shelf = |free: FreeRanges| Shelf {
            capacity: free.len(),
            free,
            reserved: 0,
            quarantined: 0,
        };
        Self {
            pool,
            shelves: PerFamily {
                v4: shelf(usable.v4),
                v6: shelf(usable.v6),
            },
            tenants: HashMap::new(),
        }
    }

    /// The lowest free address of a family.
    pub(super) fn first_free(&self, family: Family) -> Option<IpAddr> {
        self.shelves
            .get(family)
            .free
            .first()
            .map(|number| family.address(number))
    }

    pub(super) fn has_free(&self, family: Family) -> bool {
        !self.shelves.get(family).free.is_empty()
    }

    pub(super) fn is_free(&self, address: IpAddr) -> bool {
        let shelf = self.shelves.get(Family::of(address));
        shelf.free.contains(number(address))
    }

    /// Whether it has addresses of the family, free or not.
    pub(super) const fn has(&self, family: Family) -> bool {
        self.shelves.get(family).capacity > 0
    }

    /// Takes an address off the shelf; `false` if it was not there.
    pub(super) fn take(&mut self, address: IpAddr) -> bool {
        self.shelves
            .get_mut(Family::of(address))
            .free
            .take(number(address))
    }

    /// Puts an address back that was taken from here.
    pub(super) fn give_back(&mut self, address: IpAddr) {
        self.shelves
            .get_mut(Family::of(address))
            .free
            .give_back(number(address));
    }

    /// Takes an address off the shelf to keep it back, and counts it for the namespace that it waits for.
    pub(super) fn reserve(&mut self, address: IpAddr, reservation: &Reservation) {
        let shelf = self.shelves.get_mut(Family::of(address));
        if shelf.free.take(number(address)) {
            *shelf.kept_as(reservation) += 1;
        }
        if let Some(service) = &reservation.awaited {
            self.charge(&service.namespace);
        }
    }

    /// Puts a reserved address back.
    pub(super) fn unreserve(&mut self, address: IpAddr, reservation: &Reservation) {
        let shelf = self.shelves.get_mut(Family::of(address));
        if shelf.free.give_back(number(address)) {
            let kept = shelf.kept_as(reservation);
            *kept = kept.saturating_sub(1);
        }
        if let Some(service) = &reservation.awaited {
            self.discharge(&service.namespace);
        }
    }

    /// Notes that a namespace has one address more.
    pub(super) fn charge(&mut self, namespace: &str) {
        if self.pool.quota_per_namespace.is_none() {
            return;
        }
        match self.tenants.get_mut(namespace) {
            Some(held) => *held += 1,
            None => {
                self.tenants.insert(namespace.to_owned(), 1);
            }
        }
    }

    /// Notes that a namespace has one address less.
    pub(super) fn discharge(&mut self, namespace: &str) {
        match self.tenants.get_mut(namespace) {
            Some(held) if *held > 1 => *held -= 1,
            _ => {
                self.tenants.remove(namespace);
            }
        }
    }

    /// How many addresses a namespace has, and may have, if that is limited.
    pub(super) fn quota(&self, namespace: &str) -> Option<(u64, u32)> {
        let quota = self.pool.quota_per_namespace?;
        Some((self.tenants.get(namespace).copied().unwrap_or(0), quota))
    }

    pub(super) fn counts(&self) -> Counts {
        let counts = |shelf: &Shelf| FamilyCounts {
            capacity: shelf.capacity,
            used: shelf
                .capacity
                .saturating_sub(shelf.free.len())
                .saturating_sub(shelf.reserved)
                .saturating_sub(shelf.quarantined),
            reserved: shelf.reserved,
            quarantined: shelf.quarantined,
            available: shelf.free.len(),
        };
        Counts {
            v4: counts(&self.shelves.v4),
            v6: counts(&self.shelves.v6),
        }
    }

    pub(super) fn lack(&self, family: Family) -> Lack {
        let shelf = self.shelves.get(family);
        if !shelf.free.is_empty() {
            Lack::Free
        } else if shelf.capacity > 0 {
            Lack::Full {
                capacity: shelf.capacity,
                reserved: shelf.reserved,
                quarantined: u64::try_from(shelf.quarantined).unwrap_or(u64::MAX),
            }
        } else {
            Lack::NoRange
        }
    }
}

impl Shelf {
    /// Where an address that is kept back is counted.
    const fn kept_as(&mut self, reservation: &Reservation) -> &mut u128 {
        match reservation.awaited {
            Some(_) => &mut self.reserved,
            None => &mut self.quarantined,
        }
    }
}
