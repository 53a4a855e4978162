//! Since when nothing has come or gone on a segment: only then a rebalance moves anything.

use std::{collections::BTreeSet, net::IpAddr};

use herald_spi::{NodeName, Time};

use super::Config;
use crate::placement::{
    rebalance::{Move, Outlook, Pace},
    scene::SegmentView,
};

/// What was seen of a segment, and since when it has been so.
#[derive(Debug, Default)]
pub(super) struct Calm {
    heard: BTreeSet<NodeName>,
    vacant: BTreeSet<IpAddr>,
    changed_at: Time,
    next: Option<Move>,
    next_since: Time,
    /// Since when nothing is left to do of what was asked for.
    resting_since: Option<Time>,
}

impl Calm {
    /// Takes in how the segment is now.
    pub(super) fn look(&mut self, now: Time, segment: &SegmentView, outlook: &Outlook) {
        if self.heard != segment.heard || self.vacant != outlook.vacant {
            self.heard.clone_from(&segment.heard);
            self.vacant.clone_from(&outlook.vacant);
            self.changed_at = now;
        }
        if self.next != outlook.next {
            self.next.clone_from(&outlook.next);
            self.next_since = now;
        }
        let more = |next: &Move| next.pace == Pace::Asked;
        let stirs = outlook.contested || segment.quiet > 0 || self.next.as_ref().is_some_and(more);
        self.resting_since = (outlook.asked && !stirs).then(|| self.resting_since.unwrap_or(now));
    }

    /// The next move, and when it may be made.
    pub(super) fn next(&self, config: &Config) -> Option<(&Move, Time)> {
        let next = self.next.as_ref()?;
        let (calm, pause) = match next.pace {
            // What nobody waits for should not follow a node that comes and goes.
            Pace::Slow => (
                config.slow_rebalance_pause.max(self.patience(config)),
                config.slow_rebalance_pause,
            ),
            Pace::Asked => (self.patience(config), config.rebalance_pause),
        };
        Some((next, (self.changed_at + calm).max(self.next_since + pause)))
    }

    /// When it may be told that what was asked for is done.
    pub(super) fn rests_at(&self, config: &Config) -> Option<Time> {
        let since = self.resting_since?;
        Some((since + config.calm).max(self.changed_at + self.patience(config)))
    }

    fn patience(&self, config: &Config) -> std::time::Duration {
        if self.vacant.is_empty() {
            config.calm
        } else {
            config.vacancy
        }
    }
}
