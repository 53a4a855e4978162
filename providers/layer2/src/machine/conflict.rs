//! A foreign host that claims an owned address: what is reported, and how the address is defended (RFC 5227
//! section 2.4, its case c: for ever).

use std::time::Duration;

use herald_spi::{Mac, Time};

use super::held::Due;

/// DEFEND_INTERVAL of RFC 5227.
const DEFEND_INTERVAL: Duration = Duration::from_secs(10);
/// One host's claims are reported once in so long.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// So many hosts are told apart for one address; further ones go unreported while these keep on.
const CLAIMANTS: usize = 8;

/// What is known about the foreign hosts that claim one address.
#[derive(Debug, Default)]
pub(super) struct Conflict {
    /// Who was reported when.
    reported: Vec<(Mac, Time)>,
    defended: Option<Time>,
    /// When to defend next.
    pub(super) defend: Due,
}

impl Conflict {
    /// Takes note of a claim. Says whether it shall be reported.
    pub(super) fn sight(&mut self, now: Time, by: Mac) -> bool {
        let rested = |at: Time| now.since(at) >= REPORT_INTERVAL;
        if let Some((_, at)) = self.reported.iter_mut().find(|(mac, _)| *mac == by) {
            let due = rested(*at);
            if due {
                *at = now;
            }
            return due;
        }
        if self.reported.len() < CLAIMANTS {
            self.reported.push((by, now));
            return true;
        }
        let oldest = self
            .reported
            .iter_mut()
            .min_by_key(|(_, at)| *at)
            .filter(|(_, at)| rested(*at));
        oldest.is_some_and(|oldest| {
            *oldest = (by, now);
            true
        })
    }

    /// The earliest time at which the address may be defended.
    pub(super) fn may_defend_at(&self) -> Time {
        self.defended.map_or(Time::ZERO, |at| at + DEFEND_INTERVAL)
    }

    /// It was defended.
    pub(super) fn defended(&mut self, now: Time) {
        self.defended = Some(now);
        self.defend = Due::Never;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claimant_is_reported_once_a_second_and_a_crowd_within_bounds() {
        let at = |ms| Time::from_start(Duration::from_millis(ms));
        let host = |n| Mac([2, 0, 0, 0, 0, n]);
        let mut conflict = Conflict::default();
        let told: Vec<u64> = (0..3500)
            .step_by(100)
            .filter(|&ms| conflict.sight(at(ms), host(1)))
            .collect();
        assert_eq!(told, [0, 1000, 2000, 3000]);
        // The first host was reported 500 ms ago, so seven of these are reported.
        let crowd = (2..200)
            .filter(|&n| conflict.sight(at(3500), host(n)))
            .count();
        assert_eq!(crowd, 7);
        assert_eq!(conflict.reported.len(), CLAIMANTS);
        assert!(
            conflict.sight(at(4000), host(200)),
            "it takes the place of the one that is quiet longest"
        );
    }
}
