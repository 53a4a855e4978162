//! The custom resource definitions as users install them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

use super::{AddressAllocation, AddressPool, NodeAnnouncements};

/// All of Herald's custom resource definitions, in the order to install them.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![
        AddressPool::crd(),
        AddressAllocation::crd(),
        NodeAnnouncements::crd(),
    ]
}

/// The definitions as one YAML stream: the output of `herald crds`.
///
/// # Errors
/// When a definition cannot be written as YAML, which no input can cause.
pub fn crds_yaml() -> Result<String, serde_saphyr::ser::Error> {
    let mut text =
        String::from("# Written by `herald crds`; a test fails when this file differs.\n");
    for crd in crds() {
        text.push_str("---\n");
        text.push_str(&serde_saphyr::to_string(&crd)?);
    }
    Ok(text)
}
