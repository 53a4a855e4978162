//! What a pool's status shall say. Pure.

use herald_spi::PoolName;
use k8s_openapi::jiff::Timestamp;

use super::Steward;
use crate::{
    api::{AddressPoolStatus, FamilyStatus, Reason, Verdict, merge_condition},
    ipam::FamilyCounts,
};

/// The statuses that differ from what the pools say now.
pub(super) fn outdated(steward: &Steward, now: Timestamp) -> Vec<(PoolName, AddressPoolStatus)> {
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
        let degraded = degraded(steward, &pool.name);
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

fn degraded(steward: &Steward, pool: &PoolName) -> Verdict {
    let outside: Vec<_> = steward
        .locks_of(pool)
        .filter(|lock| steward.ipam().pool_of(lock.address) != Some(pool))
        .map(|lock| lock.address.to_string())
        .collect();
    match outside.as_slice() {
        [] => Verdict::no(
            Reason::AS_EXPECTED,
            "every address in use lies inside the pool",
        ),
        [first, ..] => Verdict::yes(
            Reason::IN_USE_OUTSIDE_RANGE,
            format!(
                "{} in use that the pool no longer gives out, such as {first}; they stay with their Services",
                match outside.len() {
                    1 => "1 address is".to_owned(),
                    n => format!("{n} addresses are"),
                }
            ),
        ),
    }
}

fn family(counts: &FamilyCounts) -> Option<FamilyStatus> {
    (counts.capacity > 0).then(|| FamilyStatus {
        capacity: counts.capacity.to_string(),
        used: counts.used.to_string(),
        reserved: counts.reserved.to_string(),
        available: counts.available.to_string(),
    })
}
