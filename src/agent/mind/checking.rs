//! The checks of other nodes' addresses, beside the conclusions about this node's.

use std::collections::BTreeMap;

use herald_spi::{Desired, Report, Time};
use tracing::{info, warn};

use super::{
    super::{
        check::{Finding, Outcome, targets},
        facts::segments,
    },
    Mind,
};

impl Mind {
    /// Takes an answer about another node's address, if it is one; what is believed after it, if it is decisive.
    pub(in crate::agent) fn checked(&mut self, now: Time, report: &Report) -> Option<Finding> {
        let Report::Answered {
            place,
            question,
            by,
        } = report
        else {
            return None;
        };
        let finding = self.checks.answered(now, *place, *question, by)?;
        if finding.changed {
            let (address, owner) = (place.address, &finding.owner);
            let interface = self.interface(place.interface);
            match finding.outcome {
                Outcome::Reached => {
                    info!(%address, interface, %owner, "the LAN reaches its owner again")
                }
                Outcome::Unanswered => warn!(reason = "Unanswered", %address, interface, %owner,
                    "its owner is heard, and does not answer for it on the LAN"),
                Outcome::WrongMac(mac) => {
                    warn!(reason = "WrongMac", %address, interface, %owner, %mac,
                    "another host than its owner answers for it on the LAN")
                }
            }
        }
        Some(finding)
    }

    /// When [`Self::check`] has something to do.
    pub(in crate::agent) fn next_check(&self) -> Option<Time> {
        self.checks.next_deadline()
    }

    /// Goes on checking the addresses of other nodes. All duties, if they changed.
    pub(in crate::agent) fn check(&mut self, now: Time) -> Option<Desired> {
        if self.checks.wants_review(now) {
            let targets = if self.output.leaving {
                BTreeMap::new()
            } else {
                let segments = segments(&self.links, &self.view);
                targets(&self.me, &segments, &self.output.claims)
            };
            self.checks.review(now, targets);
        }
        let changed = self.checks.tick(now, &self.output.duties);
        changed.then(|| self.desired(now))
    }

    /// What the provider shall do after the last conclusions.
    pub(super) fn desired(&mut self, now: Time) -> Desired {
        let mut duties = self.output.duties.clone();
        self.checks.add_to(now, &mut duties);
        Desired {
            duties,
            herald_macs: self.herald_macs.clone(),
        }
    }
}
