//! The decision on one Service, step by step, by the same code that decides. For people.

use std::collections::BTreeMap;

use herald_spi::ServiceKey;

use super::Steward;
use crate::{
    controller::request::{Asked, asked},
    ipam::Explanation,
    world::ServiceRecord,
};

/// Everything that leads to the verdict on a Service.
#[derive(Clone, Debug)]
pub struct Explained {
    /// Whose it is.
    pub ownership: Ownership,
    /// What it asks for, or what is wrong with that.
    pub asked: Result<Asked, String>,
    /// How the allocator chooses; nothing for a request that cannot be read.
    pub explanation: Option<Explanation>,
}

/// Whose a Service is, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Herald's, by its class.
    ByClass,
    /// Herald's, because it has no class and Herald serves those.
    ByDefault,
    /// Another controller's, by this evidence.
    Foreign(String),
    /// Another's, by its class, or because it has none and Herald leaves those alone.
    NotOurs,
}

impl Steward {
    /// The decision on a Service, after [`Steward::begin`]. Changes nothing.
    #[must_use]
    pub fn explain(&self, key: &ServiceKey) -> Option<Explained> {
        let service = self.services.get(key)?;
        let nothing = BTreeMap::new();
        let labels = self
            .namespaces
            .get(&key.namespace)
            .map_or(&nothing, |record| &record.labels);
        let asked = asked(service, labels, self.default_provider());
        let published: Vec<_> = service
            .status_addresses()
            .filter(|address| !self.is_of_nodes(service, *address))
            .collect();
        let explanation = asked
            .as_ref()
            .ok()
            .map(|asked| self.ipam.explain(&asked.request, &published));
        Some(Explained {
            ownership: self.ownership(service),
            asked,
            explanation,
        })
    }

    fn ownership(&self, service: &ServiceRecord) -> Ownership {
        if !self.is_ours(service) {
            return Ownership::NotOurs;
        }
        match (self.foreign_evidence(service), &service.class) {
            (Some(evidence), _) => Ownership::Foreign(evidence),
            (None, Some(_)) => Ownership::ByClass,
            (None, None) => Ownership::ByDefault,
        }
    }
}
