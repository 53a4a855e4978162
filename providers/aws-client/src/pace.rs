//! How fast requests follow each other: a bucket per family of the API, as AWS counts them, so that a burst of writes in
//! one does not hold up the reads of the other. Each page is a request.

use std::sync::{Mutex, PoisonError};

use herald_aws::Failure;
use tokio::time::{Instant, sleep};

use crate::bucket::Bucket;

/// What AWS counts together, in the order of the buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    ElbRead,
    ElbWrite,
    Ec2Read,
    Ec2Write,
}

/// The buckets.
#[derive(Debug)]
pub(crate) struct Pace {
    since: Instant,
    buckets: Mutex<[Bucket; 4]>,
}

impl Lane {
    pub(crate) const fn of(family: &str, is_read: bool) -> Self {
        match (family.as_bytes(), is_read) {
            (b"ec2", true) => Self::Ec2Read,
            (b"ec2", false) => Self::Ec2Write,
            (_, true) => Self::ElbRead,
            (_, false) => Self::ElbWrite,
        }
    }

    /// At once, and a second. Below what AWS gives an account, which others draw on too.
    const fn limits(self) -> (u32, u32) {
        match self {
            Self::ElbRead => (40, 10),
            Self::ElbWrite => (20, 4),
            Self::Ec2Read => (50, 10),
            Self::Ec2Write => (20, 4),
        }
    }
}

impl Pace {
    pub(crate) fn new() -> Self {
        let bucket = |lane: Lane| {
            let (at_once, per_second) = lane.limits();
            Bucket::new(at_once, per_second)
        };
        let lanes = [Lane::ElbRead, Lane::ElbWrite, Lane::Ec2Read, Lane::Ec2Write];
        Self {
            since: Instant::now(),
            buckets: Mutex::new(lanes.map(bucket)),
        }
    }

    /// AWS asks for fewer of these.
    pub(crate) fn complain(&self, lane: Lane) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get_mut(lane as usize) {
            bucket.complain(self.since.elapsed());
        }
    }

    /// Waits until the next request may go.
    pub(crate) async fn turn(&self, lane: Lane) -> Result<(), Failure> {
        let wait = {
            let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
            let bucket = buckets.get_mut(lane as usize);
            bucket.and_then(|bucket| bucket.take(self.since.elapsed()))
        };
        match wait {
            Some(wait) => {
                sleep(wait).await;
                Ok(())
            }
            None => Err(Failure::new(
                "RequestThrottled",
                "Herald itself has too many calls waiting",
            )),
        }
    }
}
