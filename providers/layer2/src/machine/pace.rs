//! How much may be sent: a token bucket, and one for each host that asks.

use std::{collections::HashMap, time::Duration};

use herald_spi::{Mac, Time};

/// So many hosts are told apart on one link; the one that asks least is forgotten first.
const REQUESTERS: usize = 4096;

/// A token bucket (as GCRA, so that its state is one time): at most `capacity + rate` in any second.
#[derive(Debug)]
pub(super) struct Pacer {
    capacity: u32,
    interval: Duration,
    /// When the bucket will be full again.
    full_at: Time,
}

impl Pacer {
    /// `rate` is per second.
    pub(super) fn new(capacity: u32, rate: u32) -> Self {
        Self {
            capacity,
            interval: Duration::from_secs(1) / rate.max(1),
            full_at: Time::ZERO,
        }
    }

    /// Takes `count` tokens if there are as many.
    pub(super) fn take(&mut self, now: Time, count: u32) -> bool {
        let fits = self.ready_at(count) <= now;
        if fits {
            self.full_at = self.full_at.max(now) + self.interval * count;
        }
        fits
    }

    /// When `count` tokens will be there, at most as many as the bucket holds.
    pub(super) fn ready_at(&self, count: u32) -> Time {
        self.full_at - self.interval * self.capacity.saturating_sub(count)
    }
}

/// A token bucket for each host that asks, so that one host's storm costs no other host an answer.
#[derive(Debug, Default)]
pub(super) struct Requesters {
    /// When each one's bucket will be full again; one that is full already says nothing.
    full_at: HashMap<Mac, Time>,
}

impl Requesters {
    /// Whether `requester` gets an answer. A host asks for one address at most once a second (RFC 1122 section
    /// 2.3.2.1, RFC 4861 section 7.2.2); the bucket holds twice that for all `owned` addresses.
    pub(super) fn admit(&mut self, now: Time, requester: Mac, owned: usize) -> bool {
        let rate = u32::try_from(owned.saturating_mul(2))
            .unwrap_or(u32::MAX)
            .clamp(256, 1 << 20);
        if self.full_at.len() >= REQUESTERS && !self.full_at.contains_key(&requester) {
            self.make_room(now);
        }
        let full_at = self.full_at.entry(requester).or_default();
        let mut pacer = Pacer {
            full_at: *full_at,
            ..Pacer::new(rate, rate)
        };
        let admitted = pacer.take(now, 1);
        *full_at = pacer.full_at;
        admitted
    }

    fn make_room(&mut self, now: Time) {
        self.full_at.retain(|_, full_at| *full_at > now);
        if self.full_at.len() >= REQUESTERS {
            let least = self
                .full_at
                .iter()
                .map(|(mac, full_at)| (*full_at, *mac))
                .min();
            if let Some((_, mac)) = least {
                self.full_at.remove(&mac);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::from_start(Duration::from_millis(millis))
    }

    #[test]
    fn no_second_sees_more_than_capacity_and_rate() {
        let mut pacer = Pacer::new(250, 750);
        let taken: Vec<u64> = (0..5000)
            .flat_map(|ms| vec![ms; 3])
            .filter(|&ms| pacer.take(at(ms), 1))
            .collect();
        for start in 0..4000 {
            let within = taken
                .iter()
                .filter(|&&ms| (start..start + 1000).contains(&ms))
                .count();
            assert!(within <= 1000, "{within} from {start} ms on");
        }
        assert!(
            taken.len() > 250 + 4 * 750,
            "and it is used up: {}",
            taken.len()
        );
    }

    #[test]
    fn it_says_when_it_is_ready() {
        let mut pacer = Pacer::new(2, 10);
        assert!(pacer.take(at(5000), 2));
        assert!(!pacer.take(at(5000), 1));
        assert_eq!((pacer.ready_at(1), pacer.ready_at(2)), (at(5100), at(5200)));
        assert!(!pacer.take(at(5099), 1) && pacer.take(at(5100), 1));
    }

    #[test]
    fn a_storm_costs_only_its_sender() {
        let mut requesters = Requesters::default();
        let (storm, host) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let answered = (0..10_000)
            .filter(|_| requesters.admit(at(1000), storm, 1))
            .count();
        assert_eq!(answered, 256);
        assert!(requesters.admit(at(1000), host, 1));
        assert!(
            requesters.admit(at(1010), storm, 1),
            "nor is it shut out for long"
        );
    }

    #[test]
    fn a_storm_of_forged_senders_is_bounded_and_shuts_nobody_out() {
        let mut requesters = Requesters::default();
        let host = Mac([2, 0xff, 0, 0, 0, 2]);
        for n in 0..20_000u32 {
            let [a, b, c, d] = n.to_be_bytes();
            assert!(requesters.admit(at(u64::from(n / 100)), Mac([2, 0, a, b, c, d]), 1));
        }
        assert!(requesters.full_at.len() <= REQUESTERS);
        assert!(requesters.admit(at(200), host, 1));
    }
}
