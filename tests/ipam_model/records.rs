//! What the cluster remembers: adoption, reservations, and what a new controller makes of it.

use std::{collections::BTreeSet, net::IpAddr};

use herald::ipam::{Holder, Holding, Request, Reservation, Share, Terms};

use crate::{
    naive::Held,
    play::Play,
    script::{Fate, Who, key},
    sharing::goes_with,
};

impl Play {
    pub fn retain(&mut self, who: Who) {
        let Some(service) = self.services.get(&who).cloned() else {
            return;
        };
        let held = self.naive.of(&service.request.holder());
        self.delete(who, Fate::Lives);
        for address in held {
            let awaited = Some(key(who));
            self.reserve(
                address,
                Reservation {
                    awaited,
                    until: 60,
                    pool: None,
                },
            );
        }
    }

    pub fn reserve(&mut self, address: IpAddr, reservation: Reservation) {
        let (held, locked) = (&self.naive.held, &self.locks);
        if locked.contains_key(&address) && !held.contains_key(&address) {
            return; // Memory does not agree with the locks: the controller would not get that far.
        }
        self.ipam.reserve(address, reservation.clone());
        if !held.contains_key(&address) {
            self.naive.kept.insert(address, reservation.clone());
            self.kept.insert(address, reservation);
        }
    }

    pub fn unreserve(&mut self, part: u8) {
        let chosen: Vec<_> = self.naive.kept.keys().copied().enumerate().collect();
        for (at, address) in chosen {
            if at % 4 == usize::from(part) {
                assert!(self.ipam.unreserve(address));
                assert!(!self.ipam.unreserve(address));
                self.naive.kept.remove(&address);
                self.kept.remove(&address);
            }
        }
    }

    pub fn adopt(&mut self, who: Who, address: IpAddr, seen: bool) {
        let Some(service) = self.services.get_mut(&who) else {
            return;
        };
        let (request, holder) = (service.request.clone(), service.request.holder());
        let terms = request.terms.clone();
        let answer = self.ipam.adopt(address, holder.clone(), terms, None);
        let is_mine = self.naive.of(&holder).contains(&address);
        if !is_mine && let Some(holding) = self.naive.held.get(&address) {
            let wide = self.naive.is_shared_widely(address);
            let expected = match request.terms.key {
                None => Err("AddressInUse"),
                Some(_) => goes_with(&request, &holding.shares, Some(wide)),
            };
            let others = holding.shares.iter().map(|share| &share.holder.service);
            if let Err(refusal) = &answer {
                let mut others = others.map(ToString::to_string);
                assert!(others.any(|other| refusal.to_string().contains(&other)));
            }
            let reason = answer.map_err(|refusal| refusal.reason());
            assert_eq!(reason, expected);
            if expected.is_err() {
                return;
            }
            self.seen.insert("adopted beside others".into());
        } else {
            assert_eq!(answer, Ok(()));
        }
        self.enter_record(&request, address);
        if let Some(service) = self.services.get_mut(&who)
            && seen
            && !service.published.contains(&address)
        {
            service.published.push(address);
            service.settled = false;
        }
    }

    pub fn adopt_recorded(&mut self, who: Who, address: IpAddr) {
        let Some(service) = self.services.get_mut(&who) else {
            return;
        };
        service.settled = false;
        let (request, holder) = (service.request.clone(), service.request.holder());
        let terms = request.terms.clone();
        self.ipam.adopt_recorded(address, holder, terms, None);
        self.enter_record(&request, address);
    }

    fn enter_record(&mut self, request: &Request, address: IpAddr) {
        let holder = request.holder();
        for held in [&mut self.naive.held, &mut self.locks] {
            enter(held, address, &holder, request.terms.clone());
        }
        self.naive.kept.remove(&address);
        self.kept.remove(&address);
    }

    pub fn sweep(&mut self) {
        let alive: BTreeSet<_> = self.services.values().map(|s| s.request.holder()).collect();
        for (address, holding) in self.naive.held.clone() {
            for share in holding.shares {
                if !alive.contains(&*share.holder) {
                    strike(&mut self.locks, address, &share.holder);
                    self.forget(address, &share.holder);
                }
            }
        }
    }

    /// A new process: pools and locks are all that it knows.
    pub fn restart(&mut self, pools_first: bool) {
        let old = std::mem::take(&mut self.ipam);
        let pools = self.pools.clone();
        if pools_first {
            self.edit_pools(pools.clone());
        }
        for (address, reservation) in self.kept.clone() {
            self.ipam.reserve(address, reservation);
        }
        for (address, holding) in self.locks.clone() {
            let alone = holding.shares.len() == 1;
            for Share { holder, terms } in holding.shares {
                let (holder, pool) = (Holder::clone(&holder), holding.pool.clone());
                if alone {
                    self.ipam
                        .adopt(address, holder.clone(), Terms::default(), pool.clone())
                        .unwrap();
                    self.ipam.adopt(address, holder, terms, pool).unwrap();
                } else {
                    self.ipam.adopt_recorded(address, holder, terms, pool);
                }
            }
        }
        if !pools_first {
            self.edit_pools(pools);
        }
        if self.naive.held == self.locks && self.naive.kept == self.kept {
            assert_eq!(self.ipam, old, "what is replayed is what was");
            self.seen.insert("replayed".into());
        }
        self.naive.held = self.locks.clone();
        self.naive.kept = self.kept.clone();
        self.restarted = true;
    }
}

/// Enters a holder into a record of holdings.
pub fn enter<'a>(
    held: &'a mut Held,
    address: IpAddr,
    holder: &Holder,
    terms: Terms,
) -> &'a mut Holding {
    let holding = held.entry(address).or_insert_with(|| Holding {
        shares: Vec::new(),
        pool: None,
    });
    match holding
        .shares
        .iter_mut()
        .find(|share| *share.holder == *holder)
    {
        Some(share) => share.terms = terms,
        None => holding.shares.push(Share {
            holder: holder.clone().into(),
            terms,
        }),
    }
    holding
}

pub fn strike(held: &mut Held, address: IpAddr, holder: &Holder) {
    if let Some(holding) = held.get_mut(&address) {
        holding.shares.retain(|share| *share.holder != *holder);
        if holding.shares.is_empty() {
            held.remove(&address);
        }
    }
}
