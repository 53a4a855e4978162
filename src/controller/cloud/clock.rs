//! The time in which the cloud's part lives: that of AWS, in whole seconds.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use herald_aws::Moment;

/// Tells the time, and how long to wait for another. Tests let it run faster.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: Instant,
    at: u64,
    speed: u32,
}

impl Clock {
    /// The wall clock, read once: it may be set later, and what is measured here are spans.
    #[must_use]
    pub fn wall() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            began: Instant::now(),
            at: since.map_or(0, |since| since.as_secs()),
            speed: 1,
        }
    }

    /// A clock that runs so many times faster from now on.
    #[must_use]
    pub fn fast(speed: u32) -> Self {
        Self {
            speed: speed.max(1),
            ..Self::wall()
        }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Moment {
        let passed = self.began.elapsed().saturating_mul(self.speed);
        Moment(self.at.saturating_add(passed.as_secs()))
    }

    /// How long to sleep until then.
    #[must_use]
    pub fn until(&self, then: Moment) -> Duration {
        let due = Duration::from_secs(then.0.saturating_sub(self.at)) / self.speed;
        due.saturating_sub(self.began.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_clock_waits_shorter_for_the_same_moment() {
        let clock = Clock::fast(100);
        let then = Moment(clock.at + 60);
        assert!(clock.until(then) <= Duration::from_millis(600));
        assert_eq!(clock.until(Moment(clock.at)), Duration::ZERO);
        assert!(clock.now().0 >= clock.at);
    }
}
