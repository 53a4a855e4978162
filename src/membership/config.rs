//! How often to speak, and how long a silence means death.

use std::time::Duration;

/// No network is so slow.
const LATEST: Duration = Duration::from_secs(60);

/// The two times that everything else is derived from; see the arithmetic in [`super`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The longest time between two heartbeats on an interface.
    pub heartbeat: Duration,
    /// A peer that was silent for so long on a segment is no longer a member of it.
    pub dead_after: Duration,
}

/// The times do not work together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Peers would spend their time on heartbeats.
    #[error("a heartbeat every {0:?} is too often: at least 20 ms are needed")]
    TooOften(Duration),
    /// One or two lost datagrams would kill a peer.
    #[error(
        "dead after {dead_after:?} is too soon: at least three heartbeats ({heartbeat:?}) are needed"
    )]
    TooSoon {
        /// The configured heartbeat.
        heartbeat: Duration,
        /// The configured silence.
        dead_after: Duration,
    },
    /// Nothing would ever move.
    #[error("dead after {0:?} is too late: at most a minute makes sense")]
    TooLate(Duration),
}

impl ConfigError {
    /// The one-word reason for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooOften(_) => "HeartbeatTooOften",
            Self::TooSoon { .. } => "DeadTooSoon",
            Self::TooLate(_) => "DeadTooLate",
        }
    }
}

impl Default for Config {
    /// A heartbeat every 200 ms, dead after 900 ms.
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(200),
            dead_after: Duration::from_millis(900),
        }
    }
}

impl Config {
    /// Refuses times that cannot work.
    ///
    /// # Errors
    /// Names what is too short.
    pub fn check(self) -> Result<Self, ConfigError> {
        let Self {
            heartbeat,
            dead_after,
        } = self;
        if heartbeat < Duration::from_millis(20) {
            return Err(ConfigError::TooOften(heartbeat));
        }
        if dead_after > LATEST {
            return Err(ConfigError::TooLate(dead_after));
        }
        if dead_after < heartbeat.saturating_mul(3) {
            return Err(ConfigError::TooSoon {
                heartbeat,
                dead_after,
            });
        }
        Ok(self)
    }

    /// A peer silent for so long is asked to speak.
    pub(super) fn suspect_after(&self) -> Duration {
        self.dead_after * 2 / 3
    }

    /// The time between two questions to a silent peer, and between the beats with which it answers.
    pub(super) fn probe_every(&self) -> Duration {
        self.heartbeat / 8
    }

    /// An own sleep of more than this counts as a pause.
    pub(super) fn pause_over(&self) -> Duration {
        self.dead_after / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_cannot_work_are_refused() {
        let ms = Duration::from_millis;
        for (heartbeat, dead_after, reason) in [
            (200, 900, None),
            (20, 60, None),
            (19, 900, Some("HeartbeatTooOften")),
            (300, 899, Some("DeadTooSoon")),
            (200, 60_000, None),
            (200, 60_001, Some("DeadTooLate")),
        ] {
            let config = Config {
                heartbeat: ms(heartbeat),
                dead_after: ms(dead_after),
            };
            assert_eq!(
                config.check().err().map(|e| e.reason()),
                reason,
                "{config:?}"
            );
        }
    }
}
