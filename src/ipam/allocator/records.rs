//! What the cluster's records say: who has an address, on what terms, and which ones are kept back.

use std::{net::IpAddr, sync::Arc};

use herald_spi::PoolName;

use super::{
    super::{
        Holder, Refusal, Reservation, Terms,
        sharing::{Standing, judge},
    },
    Ipam,
};

impl Ipam {
    /// Takes a recorded address for its holder, whether or not a pool has it, also before pools are known; a reservation
    /// of it ends. `pool` is the one that the record names. Of a holder that has the address already only the terms
    /// change.
    ///
    /// # Errors
    /// If other Services have it and the terms do not go together: [`Refusal::AddressInUse`],
    /// [`Refusal::PortInUse`] or [`Refusal::SharingKeyMismatch`].
    pub fn adopt(
        &mut self,
        address: IpAddr,
        holder: Holder,
        terms: Terms,
        pool: Option<PoolName>,
    ) -> Result<(), Refusal> {
        if let Some(holding) = self.ledger.get(address)
            && holding.share(&holder.uid).is_none()
        {
            let house = self.stocks.at(address).map(|stock| &stock.pool);
            let (others, standing) = (holding.others(&holder.uid), Standing::Joins(house));
            judge(address, &holder.service, &terms, others, standing)?;
        }
        self.enter(address, Arc::new(holder), terms, pool);
        Ok(())
    }

    /// As [`Self::adopt`], for a record that names several holders: it is the truth, whatever their terms.
    pub fn adopt_recorded(
        &mut self,
        address: IpAddr,
        holder: Holder,
        terms: Terms,
        pool: Option<PoolName>,
    ) {
        self.enter(address, Arc::new(holder), terms, pool);
    }

    /// Notes the terms that the record gives for a holder; `false` if it does not have the address.
    pub fn set_terms(&mut self, address: IpAddr, uid: &str, terms: Terms) -> bool {
        self.ledger.set_terms(address, uid, terms)
    }

    /// Lets a holder go; `false` if the Service with this uid does not hold the address. With the last one it goes back
    /// to the pool that has it now.
    pub fn release(&mut self, address: IpAddr, uid: &str) -> bool {
        let Some(holder) = self.ledger.strike(address, uid) else {
            return false;
        };
        let is_free = self.ledger.get(address).is_none();
        let namespace = &holder.service.namespace;
        let is_rid = !self.ledger.is_held_in(address, namespace);
        if is_free {
            self.outside.remove(&address);
        }
        if let Some(stock) = self.stocks.at_mut(address) {
            if is_free {
                stock.give_back(address);
            }
            if is_rid {
                stock.discharge(namespace);
            }
        }
        true
    }

    /// Keeps an address back that nobody holds, in a pool or not; of a held one it does nothing. A reservation that is
    /// there is replaced.
    pub fn reserve(&mut self, address: IpAddr, reservation: Reservation) {
        if self.ledger.get(address).is_some() {
            return;
        }
        self.unreserve(address);
        if let Some(stock) = self.stocks.at_mut(address) {
            stock.reserve(address, &reservation);
        }
        self.reservations.enter(address, reservation);
    }

    /// Ends a reservation: the address is free again. `false` if there is none.
    pub fn unreserve(&mut self, address: IpAddr) -> bool {
        let Some(reservation) = self.reservations.strike(address) else {
            return false;
        };
        if let Some(stock) = self.stocks.at_mut(address) {
            stock.unreserve(address, &reservation);
        }
        true
    }

    /// Enters a holder: takes the address off its shelf, or notes that none has it, and counts it for the namespace.
    pub(super) fn enter(
        &mut self,
        address: IpAddr,
        holder: Arc<Holder>,
        terms: Terms,
        pool: Option<PoolName>,
    ) {
        self.unreserve(address);
        let is_free = self.ledger.get(address).is_none();
        let is_new = !self.ledger.is_held_in(address, &holder.service.namespace);
        match self.stocks.at_mut(address) {
            Some(stock) => {
                if is_free {
                    let taken = stock.take(address);
                    debug_assert!(taken, "{address} is neither free nor held");
                }
                if is_new {
                    stock.charge(&holder.service.namespace);
                }
            }
            None => {
                self.outside.insert(address);
            }
        }
        self.ledger.enter(address, holder, terms, pool);
    }
}
