//! Whether this process still speaks to its peers, told from one thread to another.
//!
//! The thread of the heartbeats turns many times a second anyway. What must know whether this process stood still, and
//! may have lost to a peer what it owned, looks here instead of waking up for it.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// The last sign of life of the thread of the heartbeats.
#[derive(Debug)]
pub struct Pulse {
    lost_after: Duration,
    origin: Instant,
    /// In microseconds since the origin; 0 before the first.
    beat: AtomicU64,
    /// The last beat that came too late, likewise.
    resumed: AtomicU64,
}

/// What a [`Pulse`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sign {
    /// How long the thread has been silent; nothing before it has begun to speak.
    pub silence: Option<Duration>,
    /// How long ago it spoke again after it had been silent for too long, if ever.
    pub resumed: Option<Duration>,
}

impl Default for Pulse {
    /// As long as heartbeats of the usual pace allow.
    fn default() -> Self {
        Self::new(Duration::from_millis(300))
    }
}

impl Pulse {
    /// A thread that has not spoken yet. When it has been silent for so long another node may own what this one owned.
    #[must_use]
    pub fn new(lost_after: Duration) -> Self {
        Self {
            lost_after,
            origin: Instant::now(),
            beat: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
        }
    }

    /// How long a silence may be.
    #[must_use]
    pub fn lost_after(&self) -> Duration {
        self.lost_after
    }

    /// The thread lives. For one thread alone to say.
    pub fn beat(&self) {
        let now = self.now();
        let last = self.beat.load(Ordering::Relaxed);
        if last > 0 && ago(now, last) > self.lost_after {
            self.resumed.store(now, Ordering::Release);
        }
        self.beat.store(now, Ordering::Release);
    }

    /// The last signs.
    #[must_use]
    pub fn sign(&self) -> Sign {
        // The beat first: whoever sees the one after a pause sees the pause.
        let beat = self.beat.load(Ordering::Acquire);
        let resumed = self.resumed.load(Ordering::Acquire);
        let now = self.now();
        let told = |at: u64| (at > 0).then(|| ago(now, at));
        Sign {
            silence: told(beat),
            resumed: told(resumed),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros())
            .unwrap_or(u64::MAX)
            .max(1)
    }
}

fn ago(now: u64, at: u64) -> Duration {
    Duration::from_micros(now.saturating_sub(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_of_beats_and_pauses() {
        let pulse = Pulse::new(Duration::from_millis(20));
        let nothing = Sign {
            silence: None,
            resumed: None,
        };
        assert_eq!(pulse.sign(), nothing);
        pulse.beat();
        pulse.beat();
        assert_eq!(pulse.sign().resumed, None);
        std::thread::sleep(Duration::from_millis(30));
        let sign = pulse.sign();
        assert!(
            sign.silence
                .is_some_and(|it| it >= Duration::from_millis(30))
        );
        assert_eq!(sign.resumed, None, "it is still silent");
        pulse.beat();
        let sign = pulse.sign();
        assert!(sign.resumed.is_some(), "{sign:?}");
        assert!(sign.silence <= sign.resumed, "{sign:?}");
    }
}
