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
    doubted: bool,
}

impl NetworkCache {
    /// Empty. Without a VPC it is the one of the nodes.
    pub fn new(cluster: impl Into<String>, vpc: Option<&str>) -> Self {
        Self {
            cluster: cluster.into(),
            vpc: vpc.map(str::to_owned),
            latest: None,
            tried: None,
            doubted: false,
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

    /// Somebody misses what may have come since.
    pub const fn doubt(&mut self) {
        self.doubted = true;
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
            Some(site) if self.doubted || now.since(site.read()) >= OLD => whole(),
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
        if self
            .latest
            .as_ref()
            .is_none_or(|latest| latest.read() < site.read())
        {
            self.doubted = false;
        }
        self.latest = Some(site);
        Ok(())
    }
}
