//! Plays a history to the allocator, to the naive one, and to a cluster of locks and statuses that outlives both.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use herald::ipam::{Grant, Holder, Ipam, Refusal, Request, Reservation};
use herald_spi::PoolName;

use crate::{
    naive::{Held, Kept, Naive},
    records::{enter, strike},
    script::{Fate, PoolScript, Step, UNFIT, Who, Wish, address, key, namespace_labels, universe},
    waits::Moment,
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
    pub pools: Vec<PoolScript>,
    pub services: BTreeMap<Who, Service>,
    /// The locks in the cluster.
    pub locks: Held,
    /// The reservations in the cluster.
    pub kept: Kept,
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
        let before = Moment::of(self);
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
            Step::AdoptRecorded(who, spot) => self.adopt_recorded(who, address(spot)),
            Step::Retain(who) => self.retain(who),
            Step::Reserve(spot, who) => {
                let awaited = who.map(key);
                self.reserve(
                    address(spot),
                    Reservation {
                        awaited,
                        until: 0,
                        pool: None,
                    },
                );
            }
            Step::Unreserve(part) => self.unreserve(part),
            Step::Sweep => self.sweep(),
            Step::Restart(pools_first) => self.restart(pools_first),
        }
        self.check();
        before.check_waits(self);
    }

    pub fn edit_pools(&mut self, pools: Vec<PoolScript>) {
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
                terms: wish.terms,
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
        let explained = self.ipam.explain(&service.request, &service.published);
        let waits = self.ipam.waits(&service.request, &service.published);
        assert_eq!(explained.waits, waits);
        let preview = self.ipam.preview(&service.request, &service.published);
        let answer = self
            .ipam
            .allocate_keeping(&service.request, &service.published);
        assert_eq!(preview, answer, "a preview says what will be");
        assert_eq!(explained.answer, answer, "an explanation too");
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
    fn compare(&mut self, service: &Service, answer: &Result<Grant, Refusal>) {
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
            let terms = request.terms.clone();
            let holding = enter(
                &mut self.naive.held,
                granted.address,
                &request.holder(),
                terms,
            );
            if holding.shares.len() == 1 || holding.pool.is_none() {
                holding.pool = granted.pool.clone();
            }
            self.naive.kept.remove(&granted.address);
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
            let lock = enter(
                &mut self.locks,
                granted.address,
                &holder,
                request.terms.clone(),
            );
            lock.pool = self.naive.held[&granted.address].pool.clone();
            self.kept.remove(&granted.address);
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
            strike(&mut self.locks, *address, &holder);
            self.forget(*address, &holder);
        }
        let lacks_quota = |refusal: &Refusal| refusal.reason() == "QuotaExceeded";
        if !grant.surplus.is_empty() && grant.lacking.as_ref().is_some_and(lacks_quota) {
            return; // What was given up may have made room for what was lacking.
        }
        let again = self.ipam.allocate(request).unwrap();
        assert_eq!(
            again.addresses, grant.addresses,
            "the same request gets the same answer"
        );
        assert!(again.taken.is_empty() && again.surplus.is_empty());
        if grant.surplus.is_empty() {
            assert_eq!(again.flags, grant.flags, "what is new has no flag");
        }
    }

    pub fn forget(&mut self, address: IpAddr, holder: &Holder) {
        assert!(!self.ipam.release(address, "somebody else"));
        assert!(self.ipam.release(address, &holder.uid));
        assert!(!self.ipam.release(address, &holder.uid));
        strike(&mut self.naive.held, address, holder);
    }

    pub fn delete(&mut self, who: Who, fate: Fate) {
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
            strike(&mut self.locks, address, &holder);
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
}
