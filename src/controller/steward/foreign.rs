//! Whether another controller looks after a Service.

use super::Steward;
use crate::{
    api::{self, Reason},
    controller::request::may_adopt,
    world::{ConditionRecord, LockKey, ServiceRecord},
};

impl Steward {
    /// Why the Service is another controller's, if it is.
    pub(super) fn foreign_evidence(&self, service: &ServiceRecord) -> Option<String> {
        let is_locked = |a| self.has_locked(LockKey::Address(a), &service.uid);
        // A refusal proves nothing: others may have served the Service since.
        let ours = heralds_word(service).is_some_and(|word| word.holds)
            // A lock alone proves nothing either: another may have come while its address was not yet published.
            || service.status_addresses().any(is_locked)
            || self.shows_nodes(service)
            || service.kept_by_aws;
        if ours || may_adopt(service).unwrap_or(false) {
            return None;
        }
        let advice = format!(
            "to let Herald take it over, annotate it with {}=true",
            api::ANNOTATION_ADOPT
        );
        if let Some(finalizer) = &service.foreign_finalizer {
            return Some(format!(
                "another controller's finalizer {finalizer} is on the Service; {advice}"
            ));
        }
        if let Some(hostname) = service
            .ingress
            .iter()
            .find_map(|entry| entry.hostname.as_ref())
        {
            return Some(format!(
                "its status names the host {hostname}, which Herald did not write; {advice}"
            ));
        }
        // Together they tell of addresses: Herald names no hosts.
        let from_pool = heralds_word(service).is_some()
            && service
                .annotations
                .contains_key(api::ANNOTATION_ALLOCATED_FROM);
        let outside = service
            .status_addresses()
            .filter(|_| !from_pool)
            .find(|a| self.ipam.pool_of(*a).is_none())?;
        Some(format!(
            "its status names {outside}, which lies in no pool and which Herald did not write; {advice}"
        ))
    }
}

/// What Herald says of a Service that it looks after.
pub(super) fn heralds_word(service: &ServiceRecord) -> Option<&ConditionRecord> {
    let word = service.allocated.as_ref();
    word.filter(|word| word.reason != Reason::FOREIGN_CONTROLLER.as_str())
}
