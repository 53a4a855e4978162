//! Slows down handovers that are undone each time.

use std::time::Duration;

use herald_spi::Time;

use super::Config;

/// When the last handover to this node was, and how long the next one waits.
#[derive(Debug, Default)]
pub(super) struct Damper {
    last: Option<Time>,
    pause: Duration,
}

impl Damper {
    pub(super) fn open_at(&self) -> Time {
        self.last.map_or(Time::ZERO, |last| last + self.pause)
    }

    pub(super) fn count(&mut self, now: Time, config: &Config) {
        let calm = config.handover_pause_max.saturating_mul(2);
        let recent = self.last.is_some_and(|last| now.since(last) < calm);
        let doubled = self.pause.saturating_mul(2).min(config.handover_pause_max);
        self.pause = if recent {
            doubled
        } else {
            config.handover_pause
        };
        self.last = Some(now);
    }
}
