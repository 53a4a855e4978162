//! What clients ask first: the version, the groups, their resources.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::registry::Registry;
use crate::resource::{Resource, api_version};

/// The release that the stand-in follows.
const MINOR: &str = "36";
const GIT_VERSION: &str = "v1.36.2-herald-standin";

/// `/version`.
pub(crate) fn version() -> Value {
    json!({
        "major": "1", "minor": MINOR, "emulationMajor": "1", "emulationMinor": MINOR,
        "minCompatibilityMajor": "1", "minCompatibilityMinor": "35",
        "gitVersion": GIT_VERSION, "gitCommit": "", "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z", "goVersion": "none (herald-apiserver, Rust)",
        "compiler": "rustc", "platform": "linux/amd64",
    })
}

/// The versions of each named group, in the order of the real server: built-in first.
fn groups(registry: &Registry) -> Vec<(String, Vec<String>)> {
    let mut order: Vec<(String, Vec<String>)> = Vec::new();
    for resource in registry
        .all()
        .iter()
        .filter(|resource| !resource.group.is_empty())
    {
        match order.iter_mut().find(|(group, _)| *group == resource.group) {
            Some((_, versions)) if versions.contains(&resource.version) => {}
            Some((_, versions)) => versions.push(resource.version.clone()),
            None => order.push((resource.group.clone(), vec![resource.version.clone()])),
        }
    }
    order
}

/// `/api`.
pub(crate) fn legacy_versions(address: &str) -> Value {
    json!({
        "kind": "APIVersions", "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    })
}

/// `/apis`.
pub(crate) fn group_list(registry: &Registry) -> Value {
    let groups: Vec<Value> = groups(registry)
        .iter()
        .map(|(group, versions)| group_entry(group, versions))
        .collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/GROUP`.
pub(crate) fn group(registry: &Registry, name: &str) -> Option<Value> {
    let (group, versions) = groups(registry)
        .into_iter()
        .find(|(group, _)| group == name)?;
    let mut entry = group_entry(&group, &versions);
    crate::fields::set(&mut entry, &["kind"], json!("APIGroup"));
    crate::fields::set(&mut entry, &["apiVersion"], json!("v1"));
    Some(entry)
}

fn group_entry(group: &str, versions: &[String]) -> Value {
    let version =
        |name: &String| json!({"groupVersion": api_version(group, name), "version": name});
    let all: Vec<Value> = versions.iter().map(version).collect();
    json!({"name": group, "versions": all, "preferredVersion": versions.first().map(version)})
}

/// `/api/v1` and `/apis/GROUP/VERSION`.
pub(crate) fn resource_list(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    if !registry.serves(group, version) {
        return None;
    }
    let mut resources = Vec::new();
    for resource in of_version(registry, group, version) {
        resources.push(resource_entry(
            resource,
            &resource.plural,
            resource.verbs(),
            true,
        ));
        if resource.status {
            let name = format!("{}/status", resource.plural);
            resources.push(resource_entry(
                resource,
                &name,
                &["get", "patch", "update"],
                false,
            ));
        }
    }
    Some(json!({
        "kind": "APIResourceList", "apiVersion": "v1",
        "groupVersion": api_version(group, version), "resources": resources,
    }))
}

fn of_version<'a>(
    registry: &'a Registry,
    group: &'a str,
    version: &'a str,
) -> impl Iterator<Item = &'a Arc<Resource>> {
    let all = registry.all().iter();
    all.filter(move |resource| resource.group == group && resource.version == version)
}

fn resource_entry(resource: &Resource, name: &str, verbs: &[&str], main: bool) -> Value {
    let mut entry = json!({
        "name": name, "singularName": if main { resource.singular.as_str() } else { "" },
        "namespaced": resource.namespaced, "kind": resource.kind, "verbs": verbs,
    });
    if main && !resource.short_names.is_empty() {
        crate::fields::set(&mut entry, &["shortNames"], json!(resource.short_names));
    }
    if main && !resource.categories.is_empty() {
        crate::fields::set(&mut entry, &["categories"], json!(resource.categories));
    }
    entry
}

/// Aggregated discovery of `/api` (`named` false) or `/apis` (`named` true).
pub(crate) fn aggregated(registry: &Registry, named: bool) -> Value {
    let wanted: Vec<(String, Vec<String>)> = if named {
        groups(registry)
    } else {
        vec![(String::new(), vec!["v1".to_owned()])]
    };
    let items: Vec<Value> = wanted
        .iter()
        .map(|(group, versions)| {
            let versions: Vec<Value> = versions
                .iter()
                .map(|version| {
                    let resources: Vec<Value> = of_version(registry, group, version)
                        .map(|one| aggregated_entry(one))
                        .collect();
                    json!({"version": version, "resources": resources, "freshness": "Current"})
                })
                .collect();
            let metadata = if group.is_empty() {
                json!({})
            } else {
                json!({"name": group})
            };
            json!({"metadata": metadata, "versions": versions})
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {}, "items": items,
    })
}

fn aggregated_entry(resource: &Resource) -> Value {
    let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let mut entry = json!({
        "resource": resource.plural, "responseKind": kind,
        "scope": if resource.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": resource.singular, "verbs": resource.verbs(),
    });
    let optional: BTreeMap<&str, &Vec<String>> = BTreeMap::from([
        ("shortNames", &resource.short_names),
        ("categories", &resource.categories),
    ]);
    for (key, list) in optional {
        if !list.is_empty() {
            crate::fields::set(&mut entry, &[key], json!(list));
        }
    }
    if resource.status {
        let status = json!([{
            "subresource": "status", "responseKind": kind, "verbs": ["get", "patch", "update"],
        }]);
        crate::fields::set(&mut entry, &["subresources"], status);
    }
    entry
}
