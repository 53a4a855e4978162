//! How often others have switched a Service's node ports on again, and when to stop answering in kind.
//!
//! ```text
//!             patched                     noticed: on again (3rd within 10 minutes)
//!   (nothing) ───────▶ off by Herald ────────────────────────────────────────────▶ resting for an hour
//!                        ▲      │ noticed: on again (1st, 2nd)                          │
//!                        └──────┴── patched ◀─────────────────────────────────────────── over
//! ```
//! Invariants: one switch back counts once, however often the Service is looked at; what Herald itself switches on does
//! not count. In memory only: a new leader starts to count anew, which costs at most three more patches. A change of the
//! wish, such as an annotation taken away and set again, wipes the memory: that is how a user says "try now".

use std::collections::{BTreeMap, VecDeque};

use super::{Need, Wish};
use crate::{api::Reason, world::ServiceRecord};

/// So many switches back within [`WINDOW`] are a contest.
pub(super) const MOST: usize = 3;
/// Seconds in which switches back add up.
pub(super) const WINDOW: i64 = 600;
/// Seconds that Herald rests.
pub(super) const REST: i64 = 3600;

/// See the module.
#[derive(Debug, Default)]
pub struct Contest {
    disputes: BTreeMap<String, Dispute>,
}

#[derive(Debug, Default)]
struct Dispute {
    /// Herald switched them off, and nobody was seen to switch them on since.
    off_by_herald: bool,
    switched_back: VecDeque<i64>,
    resting_until: Option<i64>,
}

impl Contest {
    /// Takes in a Service as it is now. Call it before each [`super::decide`], with the same wish and need.
    pub fn noticed(&mut self, service: &ServiceRecord, wish: Wish, need: &Need, now: i64) {
        if wish != Wish::Disable || *need != Need::None {
            self.forget(&service.uid);
            return;
        }
        if service.has_no_node_ports() {
            // Whoever did it: on again from here would be a switch back, if there has been one.
            if let Some(dispute) = self.disputes.get_mut(&service.uid) {
                dispute.off_by_herald = true;
            }
            return;
        }
        let remembered = self.disputes.get(&service.uid);
        let was_off = remembered.map_or_else(|| says_disabled(service), |d| d.off_by_herald);
        if was_off {
            let dispute = self.disputes.entry(service.uid.clone()).or_default();
            dispute.switch_back(now);
        }
    }

    /// Herald's patch that switches them off was carried out. Call it together with taking in the Service from the API
    /// server's answer: an older record would look like a switch back.
    pub fn patched(&mut self, uid: &str) {
        let dispute = self.disputes.entry(uid.to_owned()).or_default();
        dispute.off_by_herald = true;
        dispute.resting_until = None;
    }

    /// The Service is gone, or its node ports are no longer Herald's business.
    pub fn forget(&mut self, uid: &str) {
        self.disputes.remove(uid);
    }

    /// Until when Herald leaves the Service's node ports to the others, in seconds of Unix time.
    #[must_use]
    pub fn resting_until(&self, uid: &str, now: i64) -> Option<i64> {
        let until = self.disputes.get(uid)?.resting_until?;
        (now < until).then_some(until)
    }
}

impl Dispute {
    fn switch_back(&mut self, now: i64) {
        self.off_by_herald = false;
        self.switched_back.retain(|at| now - at < WINDOW);
        self.switched_back.push_back(now);
        if self.switched_back.len() >= MOST {
            self.switched_back.clear();
            self.resting_until = Some(now.saturating_add(REST));
        }
    }
}

/// After a restart the condition is all that tells that Herald had switched them off.
fn says_disabled(service: &ServiceRecord) -> bool {
    service
        .node_ports
        .as_ref()
        .is_some_and(|c| c.holds && c.reason == Reason::DISABLED.as_str())
}
