//! Keeps what was read of the network, and says when to read again: it changes rarely, and every Service needs it.
//!
//! ```text
//!   nothing yet, or older than 10 minutes ─▶ all of it
//!   somebody misses a subnet or a group   ─▶ all of it, if older than 30 seconds
//!   nodes that it does not know           ─▶ their instances only
//! ```
//! While a reading fails, the former one serves on.

use crate::{
    discovery::{Discovery, Site, Sought},
    failure::Verdict,
    words::Moment,
};

/// After so many seconds everything is read again.
const OLD: u64 = 600;
/// Nothing is read more often than every so many seconds, whoever asks.
const PACE: u64 = 30;
/// As long as there is nothing at all.
const EAGER: u64 = 10;

/// The latest reading.
#[derive(Clone, Debug)]
pub struct NetworkCache {
    cluster: String,
    vpc: Option<String>,
    latest: Option<Site>,
    /// When the latest reading began, whatever came of it.
    tried: Option<Moment>,
    /// When somebody missed something last.
    doubted: Option<Moment>,
}

impl NetworkCache {
    /// Empty. Without a VPC it is the one of the nodes.
    pub fn new(cluster: impl Into<String>, vpc: Option<&str>) -> Self {
        Self {
            cluster: cluster.into(),
            vpc: vpc.map(str::to_owned),
            latest: None,
            tried: None,
            doubted: None,
        }
    }

    /// The latest reading.
    #[must_use]
    pub const fn site(&self) -> Option<&Site> {
        self.latest.as_ref()
    }

    /// How many seconds ago everything was read.
    #[must_use]
    pub fn age(&self, now: Moment) -> Option<u64> {
        self.latest.as_ref().map(|site| now.since(site.read()))
    }

    /// Somebody misses what may have come since, or was refused what has gone.
    pub const fn doubt(&mut self, now: Moment) {
        self.doubted = Some(now);
    }

    /// When a reading is due that is not due yet; `None`: when more is sought.
    #[must_use]
    pub fn next_due(&self, sought: &Sought) -> Option<Moment> {
        let tried = self.tried?;
        let Some(site) = &self.latest else {
            return Some(Moment(tried.0 + EAGER));
        };
        let soon = self.doubted.is_some() || !sought.beyond(site.asked()).is_empty();
        let old = Moment(site.read().0 + OLD);
        let due = if soon { Moment(0) } else { old };
        Some(due.max(Moment(tried.0 + PACE)))
    }

    /// The reading that is to be made now, if any; its end goes to [`NetworkCache::take`].
    pub fn due(&mut self, sought: &Sought, now: Moment) -> Option<Discovery> {
        let pace = if self.latest.is_some() { PACE } else { EAGER };
        if self.tried.is_some_and(|tried| now.since(tried) < pace) {
            return None;
        }
        let whole = || Discovery::new(&self.cluster, self.vpc.as_deref(), sought.clone(), now);
        let reading = match &self.latest {
            None => whole(),
            Some(site) if self.doubted.is_some() || now.since(site.read()) >= OLD => whole(),
            Some(site) => {
                let more = sought.beyond(site.asked());
                if more.is_empty() {
                    return None;
                }
                Discovery::of_instances(site.clone(), more)
            }
        };
        self.tried = Some(now);
        Some(reading)
    }

    /// Keeps what came of the reading that was due.
    ///
    /// # Errors
    /// Why there is nothing new.
    pub fn take(&mut self, came: Result<Site, Verdict>) -> Result<(), Verdict> {
        let site = came?;
        // What was missed after this reading had begun is still missed.
        self.doubted = self.doubted.filter(|since| *since > site.read());
        self.latest = Some(site);
        Ok(())
    }
}
