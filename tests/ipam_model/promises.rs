//! What must hold of every grant, and at any time.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use herald::ipam::{Families, Family, FamilyCounts, Grant, Share};
use herald_spi::PoolName;

use crate::{
    naive::{Held, Kept},
    play::{Play, Service},
    sharing::goes_with,
};

impl Play {
    /// Holds a grant against the promises, and notes which kinds it is of.
    pub fn note_grant(&mut self, service: &Service, grant: &Grant) {
        let held = self.naive.of(&service.request.holder());
        for address in &grant.taken {
            if let Some(holding) = self.naive.held.get(address) {
                let wide = self.naive.is_shared_widely(*address);
                let agreed = goes_with(&service.request, &holding.shares, Some(wide));
                assert_eq!(agreed, Ok(()), "{address} is held twice");
                self.seen.insert("granted, shared".into());
            }
            if let Some(kept) = self.naive.kept.get(address) {
                assert_eq!(kept.awaited.as_ref(), Some(&service.request.service));
                self.seen.insert("granted, kept for it".into());
            }
            assert!(
                self.naive.pool_of(*address).is_some(),
                "{address} is in no pool"
            );
        }
        let granted: BTreeSet<_> = grant.addresses.iter().map(|g| g.address).collect();
        let surplus: Vec<_> = held
            .iter()
            .filter(|a| !granted.contains(a))
            .copied()
            .collect();
        assert_eq!(grant.surplus, surplus);
        let taken = grant
            .taken
            .iter()
            .filter(|a| granted.contains(a) && !held.contains(a))
            .count();
        assert_eq!(
            (taken, granted.len()),
            (grant.taken.len(), grant.addresses.len())
        );
        if let Families::Require(_) = service.request.families {
            assert_eq!(granted.len(), 2, "both or neither");
        }
        let pools: BTreeSet<_> = grant.addresses.iter().map(|g| g.pool.clone()).collect();
        let outside = |a: &IpAddr| !grant.taken.contains(a) && self.naive.pool_of(*a).is_none();
        let recorded = |a: IpAddr| self.naive.held.get(&a).and_then(|h| h.pool.clone());
        for flag in &grant.flags {
            let is_new =
                |a: &IpAddr| !self.naive.held.contains_key(a) && !self.naive.kept.contains_key(a);
            assert!(!is_new(&flag.address), "{flag}");
            let word = format!("{:?}", flag.why);
            let word = word.split(' ').next().unwrap_or_default();
            self.seen.insert(format!("flag {word}"));
        }
        for (kind, is_so) in [
            (
                "granted, both from one pool",
                grant.taken.len() == 2 && pools.len() == 1,
            ),
            (
                "granted, both from two pools",
                grant.taken.len() == 2 && pools.len() == 2,
            ),
            (
                "granted, family added",
                granted.len() == 2 && grant.taken.len() == 1 && surplus.is_empty(),
            ),
            (
                "granted, moved",
                !grant.taken.is_empty() && !surplus.is_empty(),
            ),
            ("granted, other family lacking", grant.lacking.is_some()),
            (
                "kept as published, though not the lowest",
                granted.iter().any(|a| {
                    service.published.contains(a)
                        && surplus
                            .iter()
                            .any(|b| b < a && Family::of(*a) == Family::of(*b))
                }),
            ),
            ("kept outside its pool", granted.iter().any(outside)),
            (
                "pool changed under a holding",
                grant.addresses.iter().any(|g| {
                    held.contains(&g.address)
                        && recorded(g.address).is_some_and(|pool| Some(pool) != g.pool)
                }),
            ),
            ("settled after a restart", self.restarted && service.settled),
        ] {
            if is_so {
                self.seen.insert(kind.into());
            }
        }
    }

    /// What must hold at any time.
    pub fn check(&mut self) {
        let held: Held = self
            .ipam
            .holdings()
            .map(|(address, holding)| (address, holding.clone()))
            .collect();
        assert_eq!(held, self.naive.held);
        let kept: Kept = self
            .ipam
            .reservations()
            .map(|(address, kept)| (address, kept.clone()))
            .collect();
        assert_eq!(kept, self.naive.kept);
        let mut by_holder = BTreeMap::<_, BTreeSet<_>>::new();
        let mut by_service = BTreeMap::<_, BTreeSet<_>>::new();
        for (address, holding) in &held {
            for Share { holder, .. } in &holding.shares {
                by_holder.entry(holder).or_default().insert(*address);
                by_service
                    .entry(&holder.service)
                    .or_default()
                    .insert(*address);
            }
        }
        for (holder, addresses) in by_holder {
            assert_eq!(
                self.ipam.held_by_holder(holder).collect::<BTreeSet<_>>(),
                addresses
            );
        }
        for (service, addresses) in by_service {
            assert_eq!(self.ipam.held_by(service), addresses);
        }
        for (address, holding) in &held {
            assert_eq!(self.ipam.holder(*address), Some(&*holding.shares[0].holder));
        }
        let outside: BTreeSet<_> = self.ipam.outside().map(|(address, _)| address).collect();
        let expected = held
            .keys()
            .filter(|address| self.naive.pool_of(**address).is_none());
        assert_eq!(outside, expected.copied().collect());
        if !outside.is_empty() {
            self.seen.insert("held outside every pool".into());
        }
        self.check_counts();
    }

    fn check_counts(&self) {
        for name in self.naive.faults.keys() {
            assert_eq!(self.ipam.counts(&PoolName::from(*name)), None);
        }
        for (pool, addresses) in &self.naive.ready {
            let counts = self.ipam.counts(&pool.name.into()).unwrap();
            for family in [Family::V4, Family::V6] {
                let all = || {
                    addresses
                        .iter()
                        .filter(|address| Family::of(**address) == family)
                };
                let used = all()
                    .filter(|address| self.naive.held.contains_key(address))
                    .count();
                let kept = all()
                    .filter(|address| self.naive.kept.contains_key(address))
                    .count();
                let awaited = all()
                    .filter_map(|address| self.naive.kept.get(address))
                    .filter(|kept| kept.awaited.is_some())
                    .count();
                let expected = FamilyCounts {
                    capacity: all().count() as u128,
                    used: used as u128,
                    reserved: awaited as u128,
                    quarantined: (kept - awaited) as u128,
                    available: (all().count() - used - kept) as u128,
                };
                assert_eq!(*counts.get(family), expected, "pool {} {family}", pool.name);
                let has_free = self.ipam.has_free(&pool.name.into(), family);
                assert_eq!(has_free, expected.available > 0);
            }
            for namespace in ["red", "blue"] {
                let used = self.naive.quota_used(namespace, addresses) as u64;
                let quota = self.ipam.quota(&pool.name.into(), namespace);
                assert_eq!(quota, pool.quota.map(|quota| (used, quota)));
            }
        }
    }
}
