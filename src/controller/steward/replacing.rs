//! An automatic address that another host turned out to use before it was ever announced: its Service gets another one,
//! and nobody gets the first for a while.
//!
//! ```text
//!   lock {holder: web, unannouncedSince}     a node probes, a stranger answers, the node reports InUse
//!    1. the lock of another address          {holder: web, unannouncedSince}
//!    2. the lock of the first                {holder: web, foreignUse}
//!    3. the status                           names the other address
//!    4. the lock of the first                {no holder, foreignUse, reservedUntil}: quarantine
//! ```
//!
//! Whoever dies between two steps leaves what the next controller goes on from: before the third the status still names
//! the first address, and reports decide anew; after it the mark tells that the lock goes into quarantine.
//!
//! An address that was announced must not be replaced: any host could take a Service down by answering for it. Reports
//! alone do not tell, they may be old or of another segment. So an address is replaced only if all of this holds:
//! * its lock has `unannouncedSince`: Herald gave it, and did not adopt it from a status. The field is taken off before
//!   the condition `Announced` stops being True for the address, and when it is reported and not told, so that field,
//!   condition and reports together know every announcement that was ever reported;
//! * neither the condition nor any report, of a dead node either, tells that it is announced, and no list was cut;
//! * a node reports `InUse` since a time that is not before the address was given. The clocks of nodes may be wrong by
//!   [`SKEW`]; what is older is the last word of an agent that died, about an earlier Service. Quarantine is longer;
//! * [`PATIENCE`] has passed since it was given, so that reports of other nodes have come.
//!
//! The Service must be the only holder and must not ask for the address. One Service puts at most [`MOST`] addresses in
//! quarantine at a time, and all together at most half of a pool, so that a host that answers for everything does not
//! use the pool up: then the address stays, with `AddressConflict`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{
    Steward,
    announced::{PATIENCE, tells_of},
};
use crate::{
    api::{self, AnnouncementState, ForeignUse, Reason, Verdict},
    controller::{Lock, Notice},
    ipam::{Family, Granted, Request, Wait},
    world::{AllocationRecord, Announcement, LockKey, ServiceRecord},
};

/// How long nobody gets the address, in seconds. Nobody asks for it meanwhile, so it begins when the Service has left.
pub(super) const QUARANTINE: i64 = 600;
/// By how many seconds the clocks of nodes may be wrong.
const SKEW: i64 = 300;
/// How many addresses a Service may have put in quarantine before it stays with the next.
const MOST: usize = 3;
/// When to look again whether there is room for more quarantine in a pool, in seconds.
const RETRY: i64 = 60;

/// What a Service has and another host used first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct InUse {
    /// The addresses that it shall leave, each with the hardware address of the host that was found there.
    pub(super) leaves: BTreeMap<IpAddr, ForeignUse>,
    /// Why others stay with it.
    pub(super) stays: BTreeMap<IpAddr, String>,
    /// When the answer may be another.
    pub(super) look_again: Option<i64>,
}

/// Why an address that another host uses is not replaced.
enum Stays {
    /// For the time being, without a word.
    Until(i64),
    /// For this reason, and perhaps until then.
    Because(String, Option<i64>),
}

impl Steward {
    /// The published addresses of the Service that another host used first, as far as pools do not matter.
    pub(super) fn found_in_use(&self, service: &ServiceRecord, request: &Request) -> InUse {
        let mut in_use = InUse::default();
        for address in service.status_addresses() {
            let last = self.said_in_use(address).max_by_key(|said| said.began);
            let Some(found) = last else {
                continue;
            };
            let room = MOST.saturating_sub(in_use.leaves.len());
            match self.may_leave(address, service, request, room) {
                Ok(()) => {
                    let by = ForeignUse {
                        mac: found.mac.clone().unwrap_or_else(|| "unknown".to_owned()),
                        namespace: service.key.namespace.clone(),
                        name: service.key.name.clone(),
                    };
                    in_use.leaves.insert(address, by);
                }
                Err(Stays::Until(at)) => in_use.look_at(Some(at)),
                Err(Stays::Because(why, at)) => {
                    in_use.stays.insert(address, why);
                    in_use.look_at(at);
                }
            }
        }
        in_use
    }

    /// Sorts out the addresses for which the pools have no other, and returns what they wait for.
    pub(super) fn find_replacements(
        &self,
        request: &Request,
        published: &[IpAddr],
        in_use: &mut InUse,
    ) -> BTreeSet<Wait> {
        let mut waits = BTreeSet::new();
        let mut leaves = Vec::new();
        for address in in_use.leaves.keys().copied() {
            leaves.push(address);
            let ipam = &self.ipam;
            if ipam.preview_instead(request, published, &leaves).is_none() {
                waits.append(&mut ipam.waits_instead(request, published, &leaves));
                leaves.pop();
                in_use.stays.insert(
                    address,
                    "the pools have no other for the Service".to_owned(),
                );
            }
        }
        in_use.leaves.retain(|address, _| leaves.contains(address));
        waits
    }

    /// The locks of the addresses to leave, marked, where they are not yet.
    pub(super) fn marks(&self, in_use: &InUse) -> Vec<Lock> {
        let mark = |(address, by): (&IpAddr, &ForeignUse)| {
            let key = LockKey::Address(*address);
            let lock = self.allocations.get(&key)?;
            let mut spec = lock.spec();
            spec.foreign_use = Some(by.clone());
            lock.foreign_use.is_none().then(|| Lock {
                key,
                spec,
                replaces: Some(lock.resource_version.clone()),
            })
        };
        in_use.leaves.iter().filter_map(mark).collect()
    }

    /// Since when the Service has the address without that a node is known to have announced it, as its lock shall say;
    /// `announced` is what the Service is going to be told.
    pub(super) fn unannounced_since(
        &self,
        address: IpAddr,
        service: &ServiceRecord,
        announced: Option<&Verdict>,
    ) -> Option<i64> {
        let lock = self.allocations.get(&LockKey::Address(address));
        let Some(lock) = lock.filter(|lock| !lock.holders.is_empty()) else {
            let is_published = service.status_addresses().any(|a| a == address);
            return (!is_published).then_some(self.now);
        };
        let is_told = announced.is_some_and(|v| v.holds && tells_of(&v.message, address));
        let is_forgotten = !is_told && self.was_announced(address, service);
        lock.unannounced_since.filter(|_| !is_forgotten)
    }

    /// Whether the Service may lose the address; `room`: how many more addresses may be in quarantine on its account.
    fn may_leave(
        &self,
        address: IpAddr,
        service: &ServiceRecord,
        request: &Request,
        room: usize,
    ) -> Result<(), Stays> {
        let because = |why: &str| Err(Stays::Because(why.to_owned(), None));
        if request.addresses.contains(&address) {
            return because("the Service asks for it");
        }
        let lock = self.allocations.get(&LockKey::Address(address));
        let lock = lock.filter(|lock| lock.is_held_by(&service.uid));
        let since = lock.and_then(|lock| lock.unannounced_since);
        let cut = self.on_nodes.announcements().any(|(_, all)| all.cut);
        let (Some(lock), Some(since), false) =
            (lock, since, cut || self.was_announced(address, service))
        else {
            return because("it may have been announced before");
        };
        if lock.holders.len() > 1 || self.ipam.sharers(address).count() > 1 {
            return because("other Services have it too");
        }
        let is_news = |said: &Announcement| {
            let began = said.began;
            began.is_some_and(|began| began >= since.saturating_sub(SKEW))
        };
        if !self.said_in_use(address).any(is_news) {
            return because("the report is older than the Service's address");
        }
        let due = since.saturating_add(PATIENCE);
        if self.now < due {
            return Err(Stays::Until(due));
        }
        self.may_quarantine(address, service, room)
    }

    /// Whether there is room for one more in quarantine.
    fn may_quarantine(
        &self,
        address: IpAddr,
        service: &ServiceRecord,
        room: usize,
    ) -> Result<(), Stays> {
        let is_published = |key: &LockKey| {
            let mut shown = service.status_addresses();
            shown.any(|address| key.address() == Some(address))
        };
        // Those that are on their way into quarantine count.
        let left = self.allocations.iter().filter_map(|(key, lock)| {
            let by = lock.foreign_use.as_deref()?;
            (!is_published(key) && !self.is_over(lock)).then_some((key, lock, by))
        });
        let left: Vec<_> = left.collect();
        let own = left.iter().filter(|(.., by)| {
            (&by.namespace, &by.name) == (&service.key.namespace, &service.key.name)
        });
        let own: Vec<_> = own.map(|(_, lock, _)| lock.reserved_until).collect();
        if own.len() >= room {
            let why = format!(
                "{} that the Service left for this reason are in quarantine",
                own.len()
            );
            let first = own.into_iter().flatten().min();
            return Err(Stays::Because(why, first));
        }
        let family = Family::of(address);
        let pool = self.ipam.pool_of(address);
        let capacity = pool.and_then(|pool| Some(self.ipam.counts(pool)?.get(family).capacity));
        let of_pool = left.iter().filter(|(key, ..)| {
            let left = key.address();
            left.is_some_and(|left| Family::of(left) == family && self.ipam.pool_of(left) == pool)
        });
        let of_pool: u128 = of_pool.map(|_| 1).sum();
        match pool.zip(capacity) {
            Some((pool, capacity)) if of_pool.saturating_mul(2) >= capacity => {
                let why = format!("half of pool {pool} is in quarantine");
                Err(Stays::Because(why, Some(self.now.saturating_add(RETRY))))
            }
            _ => Ok(()),
        }
    }

    fn is_over(&self, lock: &AllocationRecord) -> bool {
        lock.reserved_until.is_some_and(|until| until <= self.now)
    }

    /// Whether anything tells that the address is or was announced.
    fn was_announced(&self, address: IpAddr, service: &ServiceRecord) -> bool {
        let condition = service.announced.as_deref();
        let all = self.on_nodes.announcements();
        let mut said = all.flat_map(|(_, all)| all.said.get(&address).into_iter().flatten());
        said.any(|said| {
            !matches!(
                said.state,
                AnnouncementState::InUse | AnnouncementState::NotCandidate
            )
        }) || condition.is_some_and(|c| c.holds && tells_of(&c.message, address))
    }

    /// What nodes that exist say of another host that used the address first.
    fn said_in_use(&self, address: IpAddr) -> impl Iterator<Item = &Announcement> {
        let all = self.on_nodes.announcements();
        all.filter(|(node, _)| self.on_nodes.node(node).is_some())
            .flat_map(move |(_, all)| all.said.get(&address).into_iter().flatten())
            .filter(|said| said.state == AnnouncementState::InUse)
    }
}

impl InUse {
    /// What the Service is told of the addresses that it leaves now.
    pub(super) fn notice(&self, service: &ServiceRecord, kept: &[Granted]) -> Option<Notice> {
        let other = |left: &IpAddr| {
            let mut alike = kept.iter();
            alike.find(|granted| Family::of(granted.address) == Family::of(*left))
        };
        let words = self.leaves.iter().filter_map(|(left, by)| {
            let to = other(left)?.address;
            Some(format!(
                "from {left} to {to}: the host {} uses {left}",
                by.mac
            ))
        });
        let words: Vec<_> = words.collect();
        (!words.is_empty()).then(|| Notice {
            uid: service.uid.clone(),
            type_: api::CONDITION_ALLOCATED,
            verdict: Verdict::no(Reason::ADDRESS_REPLACED, words.join("; ")),
        })
    }

    fn look_at(&mut self, at: Option<i64>) {
        let all = [self.look_again, at];
        self.look_again = all.into_iter().flatten().min();
    }
}
