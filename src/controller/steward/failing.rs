//! How many Services lack something, and what: by what their conditions say, as they are seen by everybody.

use std::collections::BTreeMap;

use super::Steward;
use crate::{
    api::Reason,
    world::{ConditionRecord, ServiceRecord},
};

/// The conditions that are False when something is amiss, as metrics name them.
pub(in crate::controller) const CONDITIONS: [&str; 3] =
    ["AddressAllocated", "Announced", "Provisioned"];

impl Steward {
    /// The Services of Herald's with a condition that is False, counted by condition and reason.
    pub(in crate::controller) fn failing(&self) -> BTreeMap<(&'static str, &str), usize> {
        let mut failing = BTreeMap::new();
        let services = self.services.iter().map(|(_, service)| &**service);
        for service in services.filter(|service| self.is_ours(service)) {
            for (condition, word) in CONDITIONS.into_iter().zip(words(service)) {
                // Another controller's Service lacks nothing that Herald could give.
                let word =
                    word.filter(|w| !w.holds && w.reason != Reason::FOREIGN_CONTROLLER.as_str());
                if let Some(word) = word {
                    *failing
                        .entry((condition, word.reason.as_str()))
                        .or_default() += 1;
                }
            }
        }
        failing
    }
}

/// In the order of [`CONDITIONS`].
fn words(service: &ServiceRecord) -> [Option<&ConditionRecord>; 3] {
    [
        service.allocated.as_ref(),
        service.announced.as_deref(),
        service.provisioned.as_deref(),
    ]
}
