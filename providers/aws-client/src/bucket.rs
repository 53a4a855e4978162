//! A token bucket: so many calls at once, and so many a second after that. Whoever comes when it is empty is told how long
//! to wait, in the order of coming; whoever would wait too long is turned away. When AWS asks for fewer calls the rate halves,
//! and comes back within a minute. Pure: the time is an argument.

use std::time::Duration;

/// The longest wait; who would wait longer asks again later instead.
const PATIENCE: Duration = Duration::from_secs(20);
/// After so many seconds without a complaint the rate is what it was.
const RECOVERY: f64 = 60.0;
/// However often AWS complains, this part of the rate remains.
const LEAST: f64 = 1.0 / 8.0;

/// A bucket. It may owe tokens to those who wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    full_rate: f64,
    rate: f64,
    most: f64,
    tokens: f64,
    at: Duration,
}

impl Bucket {
    /// Full, with so many calls at once and so many a second.
    pub(crate) fn new(at_once: u32, per_second: u32) -> Self {
        let most = f64::from(at_once);
        Self {
            full_rate: f64::from(per_second),
            rate: f64::from(per_second),
            most,
            tokens: most,
            at: Duration::ZERO,
        }
    }

    /// How long the next call waits; `None`: too long, and nothing is taken.
    pub(crate) fn take(&mut self, now: Duration) -> Option<Duration> {
        self.pass(now);
        let wait = Duration::from_secs_f64(((1.0 - self.tokens) / self.rate).max(0.0));
        if wait > PATIENCE {
            return None;
        }
        self.tokens -= 1.0;
        Some(wait)
    }

    /// AWS asks for fewer calls: no more bursts, and half the rate.
    pub(crate) fn complain(&mut self, now: Duration) {
        self.pass(now);
        self.rate = (self.rate / 2.0).max(self.full_rate * LEAST);
        self.tokens = self.tokens.min(0.0);
    }

    fn pass(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.tokens = (self.tokens + passed * self.rate).min(self.most);
        self.rate = (self.rate + passed * self.full_rate / RECOVERY).min(self.full_rate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_the_rate() {
        let mut bucket = Bucket::new(3, 2);
        let waits: Vec<_> = (0..6).map(|_| bucket.take(seconds(5))).collect();
        let expected = [0, 0, 0, 500, 1000, 1500].map(|wait| Some(Duration::from_millis(wait)));
        assert_eq!(waits, expected);
    }

    #[test]
    fn it_fills_up_to_the_burst_and_no_further() {
        let mut bucket = Bucket::new(2, 1);
        assert_eq!(bucket.take(seconds(0)), Some(Duration::ZERO));
        assert_eq!(bucket.take(seconds(0)), Some(Duration::ZERO));
        assert_eq!(bucket.take(seconds(1)), Some(Duration::ZERO));
        for _ in 0..2 {
            assert_eq!(bucket.take(seconds(1000)), Some(Duration::ZERO));
        }
        assert_eq!(bucket.take(seconds(1000)), Some(seconds(1)));
    }

    #[test]
    fn who_would_wait_too_long_is_turned_away_and_costs_nothing() {
        let mut bucket = Bucket::new(1, 1);
        let at_zero = (0..100).filter(|_| bucket.take(seconds(0)).is_some());
        assert_eq!(at_zero.count(), 21);
        assert_eq!(bucket.take(seconds(1)), Some(seconds(20)));
    }

    #[test]
    fn over_any_time_no_more_go_than_burst_and_rate_allow() {
        let mut bucket = Bucket::new(10, 5);
        let mut done = Vec::new();
        for step in 0..2000_u64 {
            let now = Duration::from_millis(step * 37);
            if let Some(wait) = bucket.take(now) {
                done.push(now + wait);
            }
        }
        for (at, begin) in done.iter().enumerate() {
            let end = *begin + seconds(10);
            let within = done[at..].iter().filter(|moment| **moment < end).count();
            assert!(within <= 10 + 5 * 10 + 1, "{within} within 10 s");
        }
    }

    #[test]
    fn a_complaint_halves_the_rate_and_a_minute_heals_it() {
        let mut bucket = Bucket::new(10, 8);
        bucket.complain(seconds(0));
        assert_eq!(bucket.take(seconds(0)), Some(Duration::from_millis(250)));
        assert_eq!(bucket.take(seconds(0)), Some(Duration::from_millis(500)));
        for _ in 0..10 {
            bucket.complain(seconds(0));
        }
        assert_eq!(bucket.take(seconds(0)), Some(seconds(3)));

        let waits = |bucket: &mut Bucket, now| -> Vec<_> {
            (0..12)
                .map(|_| bucket.take(now).unwrap().as_millis())
                .collect()
        };
        let mut healed = bucket;
        healed.pass(seconds(60));
        assert_eq!(
            waits(&mut healed, seconds(60)),
            waits(&mut Bucket::new(10, 8), seconds(60))
        );
    }

    #[test]
    fn a_clock_that_steps_back_gives_nothing_away() {
        let mut bucket = Bucket::new(1, 1);
        assert_eq!(bucket.take(seconds(10)), Some(Duration::ZERO));
        assert_eq!(bucket.take(seconds(3)), Some(seconds(1)));
        assert_eq!(bucket.take(seconds(10)), Some(seconds(2)));
    }
}
