//! Plays a history to the allocator, to the naive one, and to a cluster of locks and statuses that outlives both.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use herald::ipam::{Grant, Holder, Ipam, Request};
use herald_spi::PoolName;

use crate::{
    naive::{Held, Naive},
    script::{Fate, PoolScript, Step, UNFIT, Who, Wish, address, key, namespace_labels, universe},
};

/// A Service that exists.
#[derive(Clone)]
pub struct Service {
    pub request: Request,
    /// What its status says.
    pub published: Vec<IpAddr>,
    /// Whether the controller has done everything for the request as it stands.
    pub settled: bool,
}

#[derive(Default)]
pub struct Play {
    pub ipam: Ipam,
    pub naive: Naive,
    pools: Vec<PoolScript>,
    services: BTreeMap<Who, Service>,
    /// The locks in the cluster.
    locks: Held,
    made: i64,
    pub restarted: bool,
    /// What kinds of answers there were.
    pub seen: BTreeSet<String>,
}

impl Play {
    /// Without pools, Services and locks.
    pub fn new() -> Self {
        let mut play = Self::default();
        play.edit_pools(Vec::new());
        play
    }

    pub fn step(&mut self, step: Step) {
        match step {
            Step::Pools(pools) => self.edit_pools(pools),
            Step::Wish(who, wish, fate) => {
                self.edit(who, wish);
                self.look(who, fate);
            }
            Step::Look(who, fate) => self.look(who, fate),
            Step::Delete(who, fate) => self.delete(who, fate),
            Step::Remake(who) => self.remake(who),
            Step::Adopt(who, spot, seen) => self.adopt(who, address(spot), seen),
            Step::Sweep => self.sweep(),
            Step::Restart(pools_first) => self.restart(pools_first),
        }
        self.check();
    }

    fn edit_pools(&mut self, pools: Vec<PoolScript>) {
        let verdicts = self
            .ipam
            .set_pools(pools.iter().map(PoolScript::pool).collect());
        self.ipam
            .set_unfit_pools([(UNFIT.into(), "InvalidRange")].into());
        self.naive.set_pools(&pools);
        self.pools = pools;
        let faults: BTreeMap<_, _> = verdicts
            .iter()
            .filter_map(|(name, verdict)| Some((name.as_str(), verdict.as_ref().err()?.reason())))
            .collect();
        assert_eq!(faults, self.naive.faults);
        assert_eq!(verdicts.len(), faults.len() + self.naive.ready.len());
        for address in universe() {
            assert_eq!(
                self.ipam.pool_of(address).cloned(),
                self.naive.pool_of(address)
            );
        }
        self.seen
            .extend(faults.into_values().map(|fault| format!("fault {fault}")));
    }

    fn edit(&mut self, who: Who, wish: Wish) {
        self.made += 1;
        let known = self.services.get(&who).cloned();
        let (uid, created) = match &known {
            Some(service) => (service.request.uid.clone(), service.request.created),
            None => (format!("uid-{}", self.made), self.made),
        };
        let gold = wish.gold.then(|| ("tier".to_owned(), "gold".to_owned()));
        let service = Service {
            request: Request {
                service: key(who),
                uid,
                created,
                labels: gold.into_iter().collect(),
                namespace_labels: namespace_labels(who),
                families: wish.families,
                addresses: wish.addresses.into_iter().map(address).collect(),
                pools: wish.pools.into_iter().map(PoolName::from).collect(),
            },
            published: known.map(|service| service.published).unwrap_or_default(),
            settled: false,
        };
        self.services.insert(who, service);
    }

    /// The controller's work on one Service, with death at any point.
    fn look(&mut self, who: Who, fate: Fate) {
        let Some(service) = self.services.get(&who).cloned() else {
            return;
        };
        let before = self.ipam.clone();
        let preview = self.ipam.preview(&service.request, &service.published);
        let answer = self
            .ipam
            .allocate_keeping(&service.request, &service.published);
        assert_eq!(preview, answer, "a preview says what will be");
        self.compare(&service, &answer);
        let grant = match answer {
            Ok(grant) => grant,
            Err(refusal) => {
                assert_eq!(self.ipam, before, "a refusal changes nothing");
                assert!(
                    !service.settled,
                    "{who} had what it asks for, now {refusal}"
                );
                assert!(refusal.to_string().len() < 2_000);
                return;
            }
        };
        self.note_grant(&service, &grant);
        if service.settled {
            for address in &service.published {
                assert!(
                    grant
                        .addresses
                        .iter()
                        .any(|granted| granted.address == *address),
                    "{who} lost {address} without asking for anything else"
                );
            }
        }
        self.enter(&service.request, &grant);
        self.carry_out(who, &service.request, &grant, fate);
    }

    /// Both allocators answer alike.
    fn compare(&mut self, service: &Service, answer: &Result<Grant, herald::ipam::Refusal>) {
        let naive = self.naive.answer(&service.request, &service.published);
        let mine = match answer {
            Ok(grant) => Ok((
                grant
                    .addresses
                    .iter()
                    .map(|g| (g.address, g.pool.clone()))
                    .collect(),
                grant.lacking.as_ref().map(|refusal| refusal.reason()),
            )),
            Err(refusal) => {
                self.seen.insert(refusal.reason().to_owned());
                if !self.naive.of(&service.request.holder()).is_empty() {
                    self.seen.insert("refused with an address in hand".into());
                }
                Err(refusal.reason())
            }
        };
        assert_eq!(mine, naive, "{:?}", service.request);
    }

    /// The naive memory of a grant.
    fn enter(&mut self, request: &Request, grant: &Grant) {
        for granted in &grant.addresses {
            self.naive
                .held
                .insert(granted.address, (request.holder(), granted.pool.clone()));
        }
    }

    fn carry_out(&mut self, who: Who, request: &Request, grant: &Grant, fate: Fate) {
        let (holder, mut writes) = (request.holder(), 0);
        if fate == Fate::DiesBeforeLocks {
            return self.restart(true);
        }
        for granted in &grant.addresses {
            if fate == Fate::LocksRefused && grant.taken.contains(&granted.address) {
                self.forget(granted.address, &holder);
                continue;
            }
            let lock = (holder.clone(), granted.pool.clone());
            let other = self
                .locks
                .insert(granted.address, lock)
                .map(|(other, _)| other);
            assert!(
                other.is_none_or(|other| other == holder),
                "two locks on one address"
            );
            writes += 1;
            if fate == Fate::DiesAmongLocks && writes == 1 {
                return self.restart(false);
            }
        }
        if fate == Fate::LocksRefused && !grant.taken.is_empty() {
            return;
        }
        if fate == Fate::DiesBeforeStatus {
            return self.restart(true);
        }
        if let Some(service) = self.services.get_mut(&who) {
            service.published = grant
                .addresses
                .iter()
                .map(|granted| granted.address)
                .collect();
            service.settled = true;
        }
        if fate == Fate::DiesBeforeUnlock {
            return self.restart(false);
        }
        for address in &grant.surplus {
            self.locks.remove(address);
            self.forget(*address, &holder);
        }
        let again = self.ipam.allocate(request).unwrap();
        assert_eq!(
            again.addresses, grant.addresses,
            "the same request gets the same answer"
        );
        assert!(again.taken.is_empty() && again.surplus.is_empty());
    }

    fn forget(&mut self, address: IpAddr, holder: &Holder) {
        assert!(!self.ipam.release(address, "somebody else"));
        assert!(self.ipam.release(address, &holder.uid));
        assert!(!self.ipam.release(address, &holder.uid));
        self.naive.held.remove(&address);
    }

    fn delete(&mut self, who: Who, fate: Fate) {
        let Some(service) = self.services.remove(&who) else {
            return;
        };
        let holder = service.request.holder();
        for (at, address) in self.naive.of(&holder).into_iter().enumerate() {
            match fate {
                Fate::DiesBeforeLocks => return self.restart(true),
                Fate::DiesAmongLocks if at == 1 => return self.restart(false),
                _ => {}
            }
            self.locks.remove(&address);
            self.forget(address, &holder);
        }
    }

    fn remake(&mut self, who: Who) {
        self.made += 1;
        let Some(service) = self.services.get_mut(&who) else {
            return;
        };
        service.request.uid = format!("uid-{}", self.made);
        service.request.created = self.made;
        service.published.clear();
        service.settled = false;
    }

    fn adopt(&mut self, who: Who, address: IpAddr, seen: bool) {
        let Some(service) = self.services.get_mut(&who) else {
            return;
        };
        let holder = service.request.holder();
        let answer = self.ipam.adopt(address, holder.clone(), None);
        match self.naive.held.get(&address) {
            Some((other, _)) if *other != holder => {
                let refusal = answer.unwrap_err();
                assert_eq!(refusal.reason(), "AddressInUse");
                assert!(refusal.to_string().contains(&other.service.to_string()));
            }
            Some(_) => assert_eq!(answer, Ok(())),
            None => {
                assert_eq!(answer, Ok(()));
                self.naive.held.insert(address, (holder.clone(), None));
                self.locks.insert(address, (holder, None));
                if seen {
                    service.published.push(address);
                    service.settled = false;
                }
            }
        }
    }

    fn sweep(&mut self) {
        let alive: BTreeSet<_> = self.services.values().map(|s| s.request.holder()).collect();
        for (address, (holder, _)) in self.naive.held.clone() {
            if !alive.contains(&holder) {
                self.locks.remove(&address);
                self.forget(address, &holder);
            }
        }
    }

    /// A new process: pools and locks are all that it knows.
    fn restart(&mut self, pools_first: bool) {
        let old = std::mem::take(&mut self.ipam);
        let pools = self.pools.clone();
        if pools_first {
            self.edit_pools(pools.clone());
        }
        let age = |holder: &Holder| {
            let mut services = self.services.values();
            services
                .find(|s| s.request.uid == holder.uid)
                .map(|s| s.request.created)
        };
        let mut records: Vec<_> = self.locks.clone().into_iter().collect();
        records.sort_by_key(|(_, (holder, _))| age(holder));
        for (address, (holder, pool)) in records {
            self.ipam
                .adopt(address, holder.clone(), pool.clone())
                .unwrap();
            self.ipam.adopt(address, holder, pool).unwrap();
        }
        if !pools_first {
            self.edit_pools(pools);
        }
        if self.naive.held == self.locks {
            assert_eq!(self.ipam, old, "what is replayed is what was");
            self.seen.insert("replayed".into());
        }
        self.naive.held = self.locks.clone();
        self.restarted = true;
    }
}
