//! Which resources are served now: the built-in table and what definitions added.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::resource::{Resource, builtin};

/// The served resources, found by path or by kind.
#[derive(Debug)]
pub(crate) struct Registry {
    resources: Vec<Arc<Resource>>,
    /// (group, version, plural) -> index.
    by_path: BTreeMap<(String, String, String), usize>,
}

impl Registry {
    /// Only the built-in resources.
    pub(crate) fn new() -> Self {
        let mut registry = Self {
            resources: Vec::new(),
            by_path: BTreeMap::new(),
        };
        for resource in builtin() {
            registry.resources.push(Arc::new(resource));
        }
        registry.index();
        registry
    }

    /// By what stands in a path.
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<Arc<Resource>> {
        let key = (group.to_owned(), version.to_owned(), plural.to_owned());
        self.resources.get(*self.by_path.get(&key)?).cloned()
    }

    /// By apiVersion and kind.
    pub(crate) fn by_kind(&self, api_version: &str, kind: &str) -> Option<Arc<Resource>> {
        let found = self
            .resources
            .iter()
            .find(|resource| resource.kind == kind && resource.api_version() == api_version);
        found.cloned()
    }

    /// Everything, built-in first, in a stable order.
    pub(crate) fn all(&self) -> &[Arc<Resource>] {
        &self.resources
    }

    /// Replaces the custom resources of one definition (all its served versions).
    pub(crate) fn replace_custom(&mut self, group: &str, plural: &str, versions: Vec<Resource>) {
        self.resources.retain(|resource| {
            resource.custom().is_none() || resource.group != group || resource.plural != plural
        });
        self.resources.extend(versions.into_iter().map(Arc::new));
        self.index();
    }

    /// Whether anything is served in a group and version.
    pub(crate) fn serves(&self, group: &str, version: &str) -> bool {
        self.resources
            .iter()
            .any(|resource| resource.group == group && resource.version == version)
    }

    /// Whether anything is served in a group, in whatever version.
    pub(crate) fn knows_group(&self, group: &str) -> bool {
        self.resources
            .iter()
            .any(|resource| resource.group == group)
    }

    fn index(&mut self) {
        self.by_path = self
            .resources
            .iter()
            .enumerate()
            .map(|(at, resource)| {
                let key = (
                    resource.group.clone(),
                    resource.version.clone(),
                    resource.plural.clone(),
                );
                (key, at)
            })
            .collect();
    }
}
