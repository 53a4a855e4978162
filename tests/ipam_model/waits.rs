//! Whoever waits is woken: what turns a refusal into a grant is among the waits of the refusal.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use herald::ipam::{Family, Grant, Ipam, Refusal, Reservation, Share, Wait};
use herald_spi::{PoolName, ServiceKey};

use crate::{
    play::{Play, Service},
    script::{PoolScript, UNFIT, Who, universe},
};

/// Everything as it was before a step.
pub struct Moment {
    ipam: Ipam,
    pools: Vec<PoolScript>,
    services: Vec<(Who, Service)>,
}

impl Moment {
    pub fn of(play: &Play) -> Self {
        let services = play.services.iter();
        Self {
            ipam: play.ipam.clone(),
            pools: play.pools.clone(),
            services: services.map(|(who, s)| (*who, s.clone())).collect(),
        }
    }

    /// Holds the step that has been against what each Service waited for.
    pub fn check_waits(&self, play: &mut Play) {
        let touched = self.touched(play);
        for (
            who,
            Service {
                request, published, ..
            },
        ) in &self.services
        {
            let answer = self.ipam.preview(request, published);
            if is_whole(&answer) {
                continue;
            }
            let is_unclear = answer
                .as_ref()
                .is_err_and(|refusal| refusal.reason() == "InvalidRequest");
            let waits = self.ipam.waits(request, published);
            assert_eq!(waits.is_empty(), is_unclear);
            let Some(now) = play.services.get(who) else {
                continue;
            };
            let own_before = own(&self.ipam, &request.service);
            let is_its_own = now.request != *request
                || now.published != *published
                || own_before != own(&play.ipam, &request.service);
            if is_its_own {
                continue;
            }
            let after = play.ipam.preview(request, published);
            if is_better(&answer, &after) {
                assert!(
                    !waits.is_disjoint(&touched),
                    "{request:?}\nwas {answer:?}\nis {after:?}\nwaited for {waits:?}\nhappened {touched:?}",
                );
                let kinds = waits.intersection(&touched).map(kind);
                play.seen
                    .extend(kinds.map(|kind| format!("woken by {kind}")));
            }
        }
    }

    /// What has happened, by comparison of before and after alone.
    fn touched(&self, play: &Play) -> BTreeSet<Wait> {
        let (before, after) = (&self.ipam, &play.ipam);
        let (mut touched, mut stirred) = (BTreeSet::new(), BTreeSet::new());
        for address in universe() {
            let (old, new) = (state(before, address), state(after, address));
            if old != new {
                touched.insert(Wait::Address(address));
                let shares = old.0.iter().chain(&new.0);
                let keys = shares.filter_map(|share| share.terms.key.clone());
                touched.extend(keys.map(Wait::Key));
                stirred.extend(before.stirs(address));
                stirred.extend(after.stirs(address));
            }
        }
        for pool in ["a", "b", "c", "d", UNFIT].map(PoolName::from) {
            for family in [Family::V4, Family::V6] {
                if after.has_free(&pool, family) && !before.has_free(&pool, family) {
                    touched.insert(Wait::Free(pool.clone(), family));
                }
            }
            for namespace in ["red", "blue"] {
                let used = |ipam: &Ipam| ipam.quota(&pool, namespace).map(|(used, _)| used);
                if used(after) < used(before) {
                    touched.insert(Wait::Quota(pool.clone(), namespace.to_owned()));
                }
            }
        }
        let edited = edited(&self.pools, &play.pools);
        if edited.is_empty() {
            let missed: Vec<_> = touched.difference(&stirred).collect();
            assert!(missed.is_empty(), "stirs() does not tell of {missed:?}");
        } else {
            touched.insert(Wait::AnyPool);
            touched.extend(edited.into_iter().map(Wait::Pool));
        }
        touched
    }
}

/// What belongs to a Service: who does something to it looks at the Service anyway.
fn own(ipam: &Ipam, service: &ServiceKey) -> (Vec<(IpAddr, Vec<Share>)>, Vec<IpAddr>) {
    let held = ipam.held_by(service).into_iter().map(|address| {
        let shares = ipam.sharers(address);
        let mine = shares.filter(|share| share.holder.service == *service);
        (address, mine.cloned().collect())
    });
    let kept = ipam.reservations();
    let kept = kept.filter(|(_, kept)| kept.awaited.as_ref() == Some(service));
    (held.collect(), kept.map(|(address, _)| address).collect())
}

type State = (Vec<Share>, Option<PoolName>, Option<Reservation>);

fn state(ipam: &Ipam, address: IpAddr) -> State {
    let shares = ipam.sharers(address).cloned().collect();
    let pool = ipam
        .holding(address)
        .and_then(|holding| holding.pool.clone());
    (shares, pool, ipam.reservation(address).cloned())
}

/// The pools that were made, edited or deleted.
fn edited(old: &[PoolScript], new: &[PoolScript]) -> BTreeSet<PoolName> {
    if old == new {
        return BTreeSet::new();
    }
    let read = |pools: &[PoolScript]| -> BTreeMap<_, _> {
        pools.iter().map(|pool| (pool.name, pool.pool())).collect()
    };
    let (old, new) = (read(old), read(new));
    let names = old.keys().chain(new.keys());
    names
        .filter(|name| old.get(*name) != new.get(*name))
        .map(|name| PoolName::from(*name))
        .collect()
}

fn is_whole(answer: &Result<Grant, Refusal>) -> bool {
    answer.as_ref().is_ok_and(|grant| grant.lacking.is_none())
}

fn is_better(before: &Result<Grant, Refusal>, after: &Result<Grant, Refusal>) -> bool {
    match (before, after) {
        (Err(_), Ok(_)) => true,
        (Ok(before), Ok(after)) => before.lacking.is_some() && after.lacking.is_none(),
        _ => false,
    }
}

const fn kind(wait: &Wait) -> &'static str {
    match wait {
        Wait::Free(..) => "Free",
        Wait::Address(_) => "Address",
        Wait::Key(_) => "Key",
        Wait::Quota(..) => "Quota",
        Wait::Pool(_) => "Pool",
        Wait::AnyPool => "AnyPool",
    }
}
