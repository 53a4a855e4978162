//! What a pool's status shall say. Pure.

use std::{collections::BTreeMap, net::IpAddr};

use herald_spi::PoolName;
use k8s_openapi::jiff::Timestamp;

use super::Steward;
use crate::{
    api::{AddressPoolStatus, FamilyStatus, Reason, Verdict, merge_condition},
    ipam::FamilyCounts,
};

/// The statuses that differ from what the pools say now.
pub(super) fn outdated(steward: &Steward, now: Timestamp) -> Vec<(PoolName, AddressPoolStatus)> {
    let troubles = troubles(steward);
    let mut outdated = Vec::new();
    for (pool, fault) in steward.pools() {
        let ready = match &fault {
            Some(fault) => Verdict::no(Reason::of(fault.reason), &fault.message),
            None => Verdict::yes(Reason::READY, "addresses are given out"),
        };
        let known = pool.status.clone().unwrap_or_default();
        let condition = |type_, verdict: &Verdict| {
            merge_condition(
                &known.conditions,
                type_,
                verdict,
                Some(pool.generation),
                now,
            )
        };
        let degraded = degraded(troubles.get(&pool.name));
        let mut wanted = AddressPoolStatus {
            conditions: vec![condition("Degraded", &degraded), condition("Ready", &ready)],
            ipv4: None,
            ipv6: None,
        };
        if let Some(counts) = steward.ipam().counts(&pool.name) {
            wanted.ipv4 = family(&counts.v4);
            wanted.ipv6 = family(&counts.v6);
        }
        let mut sorted = known;
        sorted.conditions.sort_by(|a, b| a.type_.cmp(&b.type_));
        if sorted != wanted {
            outdated.push((pool.name.clone(), wanted));
        }
    }
    outdated
}

/// Addresses in use that a pool would not give out any more.
#[derive(Default)]
struct Trouble<'a> {
    /// Outside its ranges now.
    outside: Vec<IpAddr>,
    /// Held by Services that it no longer allows, or beyond its quota, with the reason.
    disallowed: Vec<(IpAddr, &'a str)>,
}

fn troubles(steward: &Steward) -> BTreeMap<&PoolName, Trouble<'_>> {
    let mut troubles: BTreeMap<&PoolName, Trouble<'_>> = BTreeMap::new();
    for (pool, address, lock) in steward.locks_of_pools() {
        if lock.holders.is_empty() {
            continue;
        }
        if steward.ipam().pool_of(address) != Some(pool) {
            troubles.entry(pool).or_default().outside.push(address);
        } else if let Some(why) = steward.flag(address) {
            let trouble = troubles.entry(pool).or_default();
            trouble.disallowed.push((address, why));
        }
    }
    troubles
}

fn degraded(trouble: Option<&Trouble<'_>>) -> Verdict {
    let Some(trouble) = trouble else {
        return Verdict::no(
            Reason::AS_EXPECTED,
            "every address in use lies inside the pool, and the pool allows who holds it",
        );
    };
    let are = |n: usize| match n {
        1 => "1 address is".to_owned(),
        n => format!("{n} addresses are"),
    };
    let mut words = Vec::new();
    if let [first, ..] = trouble.outside.as_slice() {
        words.push(format!(
            "{} in use that the pool no longer gives out, such as {first}",
            are(trouble.outside.len())
        ));
    }
    if let [(first, why), ..] = trouble.disallowed.as_slice() {
        words.push(format!(
            "{} held by Services that the pool would not serve now, such as {first} ({why})",
            are(trouble.disallowed.len())
        ));
    }
    let reason = if trouble.outside.is_empty() {
        Reason::HELD_BY_DISALLOWED
    } else {
        Reason::IN_USE_OUTSIDE_RANGE
    };
    Verdict::yes(
        reason,
        format!("{}; they stay with their Services", words.join("; ")),
    )
}

fn family(counts: &FamilyCounts) -> Option<FamilyStatus> {
    (counts.capacity > 0).then(|| FamilyStatus {
        capacity: counts.capacity.to_string(),
        used: counts.used.to_string(),
        reserved: counts.reserved.to_string(),
        quarantined: counts.quarantined.to_string(),
        available: counts.available.to_string(),
    })
}
