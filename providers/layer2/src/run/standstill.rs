//! Notices that this process stood still (SIGSTOP, a frozen or starved machine, a suspended one): what queued up
//! meanwhile is old, and what was owned may be another node's by now.
//!
//! The [`Pulse`] tells when this node spoke last: peers take over from who is silent, whatever this thread did
//! meanwhile. So it may sleep until there is something to do, and looks when there is.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use herald_spi::{Pulse, Time, pulse::Sign};

/// What was so long ago was looked at: turns are seconds apart at most.
const NEWS: Duration = Duration::from_secs(10);

/// See the module.
pub(super) struct Standstill {
    pulse: Arc<Pulse>,
    /// When the last turn began, by the clock that goes on while the machine sleeps, and by the one that does not.
    last: (Time, Instant),
    /// When a standstill was noticed last.
    noticed: Option<Instant>,
}

impl Standstill {
    pub(super) fn new(pulse: Arc<Pulse>, now: Time) -> Self {
        Self {
            pulse,
            last: (now, Instant::now()),
            noticed: None,
        }
    }

    /// Looks at the beginning of a turn. How long this process stood still, as far as that is known.
    pub(super) fn look(&mut self, now: Time) -> Option<Duration> {
        let clock = Instant::now();
        let (before, before_clock) = std::mem::replace(&mut self.last, (now, clock));
        let awake = clock.saturating_duration_since(before_clock);
        let asleep = now.since(before).saturating_sub(awake);
        let noticed = self.noticed.map(|at| clock.saturating_duration_since(at));
        let found = stood_still(self.pulse.sign(), asleep, noticed, self.pulse.lost_after());
        if found.is_some() {
            self.noticed = Some(clock);
        }
        found
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
    (!known && resumed < NEWS).then_some(lost_after)
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
