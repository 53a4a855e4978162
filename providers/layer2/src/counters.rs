//! Counters for the agent's metrics: written by the thread, read at any time.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::machine::Tally;

macro_rules! counters {
    ($($(#[doc = $help:literal])* $name:ident),* $(,)?) => {
        /// How often what happened since the start; only ever grows.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[doc = $help])* pub $name: AtomicU64,)*
        }

        impl Counters {
            /// All counters with their names and what they count, in a fixed order.
            pub fn read(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((
                    stringify!($name),
                    concat!($($help),*).trim_ascii(),
                    self.$name.load(Ordering::Relaxed),
                ),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Frames that the filters let through.
    frames,
    /// Requests and solicitations for an address that is owned.
    requests,
    /// Answers to them.
    replies,
    /// Requests left unanswered because the asker asks too often.
    limited,
    /// Announcements sent; each form of ARP counts.
    gratuitous,
    /// Probes sent.
    probes,
    /// Frames that claimed an owned address for a foreign host.
    conflicts,
    /// Announcements in defence against them.
    defences,
    /// Received frames that were malformed.
    malformed,
    /// Frames lost because a socket's buffer was full.
    overruns,
    /// Frames that could not be sent.
    unsent,
    /// Frames thrown away after a pause of the thread.
    stale,
    /// Pauses of the thread that were noticed.
    pauses,
}

impl Counters {
    pub(crate) fn set(&self, tally: &Tally) {
        for (counter, value) in [
            (&self.requests, tally.requests),
            (&self.replies, tally.replies),
            (&self.limited, tally.limited),
            (&self.gratuitous, tally.gratuitous),
            (&self.probes, tally.probes),
            (&self.conflicts, tally.conflicts),
            (&self.defences, tally.defences),
            (&self.malformed, tally.malformed),
        ] {
            counter.store(value, Ordering::Relaxed);
        }
    }
}

pub(crate) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}
