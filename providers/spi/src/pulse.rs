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
    origin: Instant,
    /// In microseconds since the origin; 0 before the first.
    beat: AtomicU64,
    /// When a pause was noticed last, likewise.
    resumed: AtomicU64,
}

/// What a [`Pulse`] tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sign {
    /// How long the thread has been silent; nothing before it has begun to speak.
    pub silence: Option<Duration>,
    /// How long ago it noticed that the process had been paused, if ever.
    pub resumed: Option<Duration>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            origin: Instant::now(),
            beat: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
        }
    }
}

impl Pulse {
    /// The thread lives.
    pub fn beat(&self) {
        self.beat.store(self.now(), Ordering::Release);
    }

    /// The thread noticed that it was paused. To be told before the next beat, or that would hide it.
    pub fn resume(&self) {
        self.resumed.store(self.now(), Ordering::Release);
    }

    /// The last signs.
    #[must_use]
    pub fn sign(&self) -> Sign {
        // The beat first: whoever sees the one after a pause sees the pause.
        let beat = self.beat.load(Ordering::Acquire);
        let resumed = self.resumed.load(Ordering::Acquire);
        let now = self.now();
        let ago = |at: u64| (at > 0).then(|| Duration::from_micros(now.saturating_sub(at)));
        Sign {
            silence: ago(beat),
            resumed: ago(resumed),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros())
            .unwrap_or(u64::MAX)
            .max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_of_beats_and_pauses() {
        let pulse = Pulse::default();
        let nothing = Sign {
            silence: None,
            resumed: None,
        };
        assert_eq!(pulse.sign(), nothing);
        pulse.beat();
        std::thread::sleep(Duration::from_millis(2));
        let sign = pulse.sign();
        assert!(
            sign.silence
                .is_some_and(|it| it >= Duration::from_millis(2))
        );
        assert_eq!(sign.resumed, None);
        pulse.resume();
        pulse.beat();
        let sign = pulse.sign();
        assert!(sign.silence <= sign.resumed, "{sign:?}");
    }
}
