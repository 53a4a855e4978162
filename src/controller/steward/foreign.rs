//! Whether another controller looks after a Service.

use std::net::IpAddr;

use super::Steward;
use crate::{
    api::{self, Reason},
    controller::request::may_adopt,
    world::{ConditionRecord, LockKey, ServiceRecord},
};

impl Steward {
    /// Why the Service is another controller's, if it is.
    pub(super) fn foreign_evidence(&self, service: &ServiceRecord) -> Option<String> {
        let has_word = |c: &ConditionRecord| {
            // A refusal proves nothing: others may have served the Service since.
            c.holds && c.reason != Reason::FOREIGN_CONTROLLER.as_str()
        };
        let ours = service.allocated.as_ref().is_some_and(has_word)
            // A lock alone proves nothing either: another may have come while its address was not yet published.
            || service.status_addresses().any(|a| self.is_locked_for(service, a))
            || self.shows_nodes(service);
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
        let word = service.allocated.as_ref().map(|c| c.reason.as_str());
        let from_pool = word.is_some_and(|word| word != Reason::FOREIGN_CONTROLLER.as_str())
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
    fn is_locked_for(&self, service: &ServiceRecord, address: IpAddr) -> bool {
        let lock = self.allocations.get(&LockKey::Address(address));
        lock.is_some_and(|lock| lock.is_held_by(&service.uid))
    }
}
