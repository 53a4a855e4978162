//! A pool that is Ready, and what is left of it.

use std::net::IpAddr;

use super::{Family, FreeRanges, Lack, PerFamily, Pool, family::number};

/// How many addresses a pool has, by family.
pub type Counts = PerFamily<FamilyCounts>;

/// How many addresses of one family a pool has. `capacity` is the sum of the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FamilyCounts {
    /// All that it may give out: exclusions and avoided edges do not count.
    pub capacity: u128,
    /// Held by Services. Held addresses that the pool no longer has do not count.
    pub used: u128,
    /// Kept back from everybody.
    pub reserved: u128,
    /// Free to be given out.
    pub available: u128,
}

/// A Ready pool with its free addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stock {
    pub(super) pool: Pool,
    shelves: PerFamily<Shelf>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Shelf {
    capacity: u128,
    free: FreeRanges,
}

impl Stock {
    /// The stock of a pool that nobody has an address from.
    pub(super) fn full(pool: Pool, usable: PerFamily<FreeRanges>) -> Self {
        let shelf = |free: FreeRanges| Shelf {
            capacity: free.len(),
            free,
        };
        Self {
            pool,
            shelves: PerFamily {
                v4: shelf(usable.v4),
                v6: shelf(usable.v6),
            },
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

    pub(super) fn counts(&self) -> Counts {
        let counts = |shelf: &Shelf| FamilyCounts {
            capacity: shelf.capacity,
            used: shelf.capacity - shelf.free.len(),
            reserved: 0,
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
            }
        } else {
            Lack::NoRange
        }
    }
}
