//! Notices that this process stood still (SIGSTOP, a frozen or starved machine, a suspended one): what queued up
//! meanwhile is old, and what was owned may be another node's by now.
//!
//! Where a [`Pulse`] is there it tells when this node spoke last: peers take over from who is silent, whatever this
//! thread did meanwhile, and this one may sleep until there is something to do. Without one the thread wakes up often
//! enough to see it by a turn that comes late.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use herald_spi::{Pulse, Time, pulse::Sign};

use crate::sys;

/// With a pulse there is nothing to wake up for.
const UNHURRIED: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Standstill {
    lost_after: Duration,
    pulse: Option<Arc<Pulse>>,
    /// When the last turn began, by the clock that goes on while the machine sleeps, and by the one that does not.
    last: (Time, Instant),
    /// When a standstill was noticed last.
    noticed: Option<Instant>,
    /// The processor time of this thread up to the last turn.
    busy: Duration,
}

impl Standstill {
    pub(super) fn new(lost_after: Duration, pulse: Option<Arc<Pulse>>, now: Time) -> Self {
        Self {
            lost_after,
            pulse,
            last: (now, Instant::now()),
            noticed: None,
            busy: sys::thread_time(),
        }
    }

    /// When to look at the latest.
    pub(super) fn next_look(&self) -> Time {
        let wait = match self.pulse {
            Some(_) => UNHURRIED,
            None => self.lost_after * 3 / 10,
        };
        self.last.0 + wait
    }

    /// Looks at the beginning of a turn that was to come at `planned`. How long this process stood still, as far as that
    /// is known.
    pub(super) fn look(&mut self, now: Time, planned: Time) -> Option<Duration> {
        let clock = Instant::now();
        let (before, before_clock) = std::mem::replace(&mut self.last, (now, clock));
        let found = match &self.pulse {
            Some(pulse) => {
                let awake = clock.saturating_duration_since(before_clock);
                let asleep = now.since(before).saturating_sub(awake);
                let noticed = self.noticed.map(|at| clock.saturating_duration_since(at));
                stood_still(pulse.sign(), asleep, noticed, self.lost_after)
            }
            None => self.late(now, planned.max(before)),
        };
        if found.is_some() {
            self.noticed = Some(clock);
        }
        found
    }

    fn late(&mut self, now: Time, due: Time) -> Option<Duration> {
        let busy = sys::thread_time();
        // Hard work is no standstill.
        let worked = busy.saturating_sub(std::mem::replace(&mut self.busy, busy));
        let late = now.since(due).saturating_sub(worked);
        // With the longest wait before it that is the time after which what was owned may be lost.
        (late > self.lost_after * 7 / 10).then_some(late)
    }
}

/// What a pulse's sign means to a thread that noticed a standstill so long ago. Both threads wake up from the same one,
/// in whatever order, and it counts once.
fn stood_still(
    sign: Sign,
    asleep: Duration,
    noticed: Option<Duration>,
    lost_after: Duration,
) -> Option<Duration> {
    if asleep > lost_after {
        return Some(asleep);
    }
    let silence = sign.silence?;
    if silence > lost_after {
        let known = noticed.is_some_and(|ago| ago < silence);
        return (!known).then_some(silence);
    }
    let resumed = sign.resumed?;
    // Noticed after it, or so shortly before that it was the same one: two lie further apart than that.
    let known = noticed.is_some_and(|ago| ago < resumed + lost_after);
    (!known && resumed < UNHURRIED * 2).then_some(lost_after)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOST_AFTER: Duration = Duration::from_millis(300);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn found(silence: Option<u64>, resumed: Option<u64>, noticed: Option<u64>) -> bool {
        let sign = Sign {
            silence: silence.map(ms),
            resumed: resumed.map(ms),
        };
        stood_still(sign, Duration::ZERO, noticed.map(ms), LOST_AFTER).is_some()
    }

    #[test]
    fn nothing_is_known_before_the_first_beat() {
        assert!(!found(None, None, None));
    }

    #[test]
    fn a_beat_is_well_and_a_long_silence_is_not() {
        assert!(!found(Some(100), None, None));
        assert!(!found(Some(300), None, None));
        assert!(found(Some(301), None, None));
    }

    #[test]
    fn one_silence_counts_once_and_the_next_one_again() {
        assert!(!found(Some(400), None, Some(90)), "noticed during it");
        assert!(found(Some(400), None, Some(900)), "noticed before it");
    }

    #[test]
    fn a_pause_that_the_heartbeats_noticed_counts_though_they_go_on() {
        assert!(found(Some(1), Some(1), None));
        assert!(found(Some(1), Some(1), Some(5_000)));
        assert!(
            !found(Some(1), Some(1), Some(2)),
            "the same, noticed here first"
        );
        assert!(!found(Some(1), Some(20), Some(10)), "noticed here after it");
        assert!(!found(Some(1), Some(600_000), None), "long over");
    }

    #[test]
    fn a_machine_that_slept_counts() {
        let sign = Sign {
            silence: Some(ms(10)),
            resumed: None,
        };
        assert!(stood_still(sign, ms(301), None, LOST_AFTER).is_some());
    }
}
