//! Which heartbeats this agent does not accept now, from counts that only grow. Pure.
//!
//! A reason is told from the first dropped heartbeat until none was dropped for a minute, so that what is told changes
//! rarely however many come.

use std::{collections::BTreeMap, time::Duration};

use herald_spi::Time;
use k8s_openapi::jiff::Timestamp;

use crate::{
    api::{DropReason, DroppedHeartbeats},
    membership::Counters,
};

/// After so long without another one it is over.
const FADES: Duration = Duration::from_secs(60);

/// The counts as they were, and what is told.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    counts: BTreeMap<DropReason, u64>,
    told: BTreeMap<DropReason, Told>,
}

#[derive(Debug)]
struct Told {
    since: Timestamp,
    last: Time,
}

/// How many were dropped so far, and why.
pub(super) fn counts(counters: &Counters) -> [(DropReason, u64); 4] {
    [
        (DropReason::UnknownKey, counters.unknown_key.get()),
        (DropReason::BadSignature, counters.bad_signature.get()),
        (DropReason::UnknownVersion, counters.unknown_version.get()),
        (DropReason::Malformed, counters.malformed.get()),
    ]
}

impl Dropped {
    /// Takes in the counts. Whether what is told changed.
    pub(super) fn notice(
        &mut self,
        now: Time,
        clock: Timestamp,
        counts: [(DropReason, u64); 4],
    ) -> bool {
        let mut changed = false;
        for (why, count) in counts {
            if self.counts.insert(why, count).unwrap_or(0) == count {
                continue;
            }
            let told = self.told.entry(why).or_insert_with(|| {
                changed = true;
                Told {
                    since: clock,
                    last: now,
                }
            });
            told.last = now;
        }
        let before = self.told.len();
        self.told.retain(|_, told| now.since(told.last) < FADES);
        changed || self.told.len() != before
    }

    /// What to tell.
    pub(super) fn tell(&self) -> Vec<DroppedHeartbeats> {
        let told = self.told.iter().map(|(why, told)| DroppedHeartbeats {
            why: *why,
            since: Timestamp::from_second(told.since.as_second())
                .unwrap_or(told.since)
                .to_string(),
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_once_and_until_it_is_over() {
        let mut dropped = Dropped::default();
        let mut at = |seconds: u64, unknown_key: u64| {
            let now = Time::from_start(Duration::from_secs(seconds));
            let clock = Timestamp::from_second(1_000 + i64::try_from(seconds).unwrap()).unwrap();
            let counts = [
                (DropReason::UnknownKey, unknown_key),
                (DropReason::BadSignature, 0),
                (DropReason::UnknownVersion, 0),
                (DropReason::Malformed, 0),
            ];
            let changed = dropped.notice(now, clock, counts);
            let told = dropped.tell();
            (changed, told.first().map(|told| told.since.clone()))
        };
        let since = Some("1970-01-01T00:16:45Z".to_owned());
        assert_eq!(at(0, 0), (false, None));
        assert_eq!(at(5, 3), (true, since.clone()));
        assert_eq!(at(30, 9), (false, since.clone()));
        assert_eq!(at(89, 9), (false, since));
        assert_eq!(at(90, 9), (true, None));
        assert_eq!(at(95, 9), (false, None));
    }
}
