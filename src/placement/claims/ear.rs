//! What is remembered of a segment: since when it is listened to, and who was ever heard there.

use std::collections::BTreeSet;

use herald_spi::{NodeName, Time};

use super::Config;
use crate::placement::{epoch::Hearing, scene::SegmentView};

/// One link's memory.
#[derive(Debug)]
pub(super) struct Ear {
    down: bool,
    up_since: Time,
    settled_at: Time,
    /// Every peer ever heard there that still exists.
    ever: BTreeSet<NodeName>,
    hearing: Hearing,
}

impl Default for Ear {
    fn default() -> Self {
        Self {
            down: false,
            up_since: Time::ZERO,
            settled_at: Time::ZERO,
            ever: BTreeSet::new(),
            hearing: Hearing::Minority,
        }
    }
}

impl Ear {
    /// Takes in what is heard now; `nodes` are those that exist.
    pub(super) fn listen(
        &mut self,
        now: Time,
        segment: &SegmentView,
        nodes: &BTreeSet<NodeName>,
        paused_at: Time,
        config: &Config,
    ) {
        if self.down && segment.up {
            self.up_since = now;
        }
        self.down = !segment.up;
        let since = segment.listening_since.max(self.up_since).max(paused_at);
        self.settled_at = since + config.settle;
        self.ever.retain(|node| nodes.contains(node));
        for node in &segment.heard {
            if !self.ever.contains(node) {
                self.ever.insert(node.clone());
            }
        }
        let lost = self.ever.difference(&segment.heard).count();
        let clear = segment.heard.len().saturating_sub(segment.quiet);
        self.hearing = Hearing::of(clear, lost + segment.quiet);
    }

    /// From when on claims may be made.
    pub(super) fn settled_at(&self) -> Time {
        self.settled_at
    }

    /// Whether a majority is heard.
    pub(super) fn hearing(&self) -> Hearing {
        self.hearing
    }
}
