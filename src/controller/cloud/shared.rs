//! Something that all Services share and that is read now and then. Pure.

use std::sync::Arc;

use herald_aws::{Moment, Verdict};

/// A read that failed is tried again, later and later.
pub(super) const READ_AGAIN: u64 = 15;
/// But not later than this.
const READ_AGAIN_AT_LAST: u64 = 600;

/// See the module.
#[derive(Debug)]
pub(super) struct Shared<T> {
    pub(super) value: Option<(Arc<T>, Moment)>,
    /// Why the latest read brought nothing.
    pub(super) fault: Option<Verdict>,
    /// So many reads in a row did.
    failures: u32,
    pub(super) due: Moment,
    pub(super) reading: bool,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self {
            value: None,
            fault: None,
            failures: 0,
            due: Moment::default(),
            reading: false,
        }
    }
}

impl<T> Shared<T> {
    pub(super) fn wants(&self, now: Moment) -> bool {
        !self.reading && self.due <= now
    }

    /// Takes in that a read has failed. Whether that is news.
    pub(super) fn fail(&mut self, why: Verdict, now: Moment) -> bool {
        let known = self.fault.as_ref().map(|known| known.refusal.reason);
        let is_news = known != Some(why.refusal.reason);
        let pause = READ_AGAIN << self.failures.min(10);
        self.failures = self.failures.saturating_add(1);
        self.due = Moment(now.0 + pause.min(READ_AGAIN_AT_LAST));
        self.fault = Some(why);
        self.reading = false;
        is_news
    }

    /// Takes in what was read. Whether reads had failed.
    pub(super) fn succeed(&mut self, value: T, at: Moment, next: Moment) -> bool {
        self.value = Some((Arc::new(value), at));
        self.failures = 0;
        self.due = next;
        self.reading = false;
        self.fault.take().is_some()
    }

    /// Brings the next read forward.
    pub(super) fn hasten(&mut self, at: Moment) {
        // One that fails is tried again at its own pace.
        if self.failures == 0 {
            self.due = self.due.min(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use herald_aws::{Reason, Refusal, Remedy};

    use super::*;

    fn fault(reason: Reason) -> Verdict {
        Verdict {
            remedy: Remedy::User,
            refusal: Refusal::new(reason, "because"),
            stops_all: true,
        }
    }

    #[test]
    fn a_read_that_fails_is_tried_again_later_and_later_and_told_of_once() {
        let mut shared = Shared::<u8>::default();
        let mut now = Moment(0);
        let (mut pauses, mut told) = (Vec::new(), 0);
        for _ in 0..8 {
            shared.reading = true;
            told += usize::from(shared.fail(fault(Reason::NotPermitted), now));
            // Who is in a hurry does not make it spin.
            shared.hasten(now);
            assert!(!shared.wants(now), "at once");
            pauses.push(shared.due.since(now));
            now = shared.due;
            assert!(shared.wants(now), "it goes on");
        }
        assert_eq!(pauses, [15, 30, 60, 120, 240, 480, 600, 600]);
        assert_eq!(told, 1);
        assert!(
            shared.fail(fault(Reason::CredentialsInvalid), now),
            "another reason is news"
        );
        assert!(shared.succeed(1, now, Moment(now.0 + 9)));
        assert!(!shared.succeed(1, now, Moment(now.0 + 9)));
        assert!(!shared.wants(now) && shared.wants(Moment(now.0 + 9)));
        shared.fail(fault(Reason::NotPermitted), now);
        assert_eq!(shared.due.since(now), 15, "from the beginning");
        assert_eq!(
            shared.value.as_ref().map(|(value, _)| **value),
            Some(1),
            "what was known stays"
        );
    }
}
