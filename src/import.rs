//! Pools and Services of another load balancer, said in Herald's words. Pure: documents in, documents and notes out.
//!
//! ```text
//!   documents ─▶ Document ─▶ metallb | kube_vip | purelb | cilium ─▶ Draft ─▶ services ─▶ Import
//!                                 (pools, and what has no counterpart)        (which addresses must stay)
//! ```
//!
//! Nothing is guessed: a version or a field that this code has never seen is an error, and then there is no result at
//! all. Nothing gets wider: where Herald cannot say who may use a pool, it says less, and a note tells what is missing.
//! Every address that a Service of the other one's has is in a pool of the result.

mod advertise;
mod cilium;
mod document;
mod draft;
mod kube_vip;
mod metallb;
mod purelb;
mod services;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

pub use self::document::Resource;
use self::{document::Document, draft::Draft};
use crate::api::AddressPool;

/// Whose it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// MetalLB.
    Metallb,
    /// kube-vip with its cloud provider.
    KubeVip,
    /// PureLB.
    Purelb,
    /// Cilium's LB-IPAM and L2 announcements.
    Cilium,
}

/// What an import makes.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Import {
    /// The pools to make.
    pub pools: Vec<AddressPool>,
    /// The annotations that Services get.
    pub services: Vec<ServiceChange>,
    /// What has no counterpart, or means something else from now on.
    pub notes: Vec<Note>,
}

/// Annotations that a Service gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceChange {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Keys and values.
    pub annotations: BTreeMap<String, String>,
}

/// Something that a person should know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// The object, as `Kind/name`.
    pub object: String,
    /// The part of it.
    pub part: String,
    /// What becomes of it, and why.
    pub message: String,
}

/// Why nothing is imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// The document is no object of Kubernetes.
    #[error("document {number} has no {field}: it is no object of Kubernetes")]
    NoObject {
        /// Counted from one.
        number: usize,
        /// What is missing.
        field: &'static str,
    },
    /// A version that this code has never seen.
    #[error(
        "{object} is of {version}, which this version of Herald does not know; it reads {known}. Nothing is imported"
    )]
    Version {
        /// The object.
        object: String,
        /// Its version.
        version: String,
        /// The ones that are known.
        known: String,
    },
    /// A field that is missing, unknown, or of another type.
    #[error("{object}: {why}. Nothing is imported")]
    Shape {
        /// The object.
        object: String,
        /// What is wrong with it.
        why: String,
    },
    /// Addresses that are none.
    #[error("{object}, {field}: {why}. Nothing is imported")]
    Addresses {
        /// The object.
        object: String,
        /// The field.
        field: String,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing of the other one's is there.
    #[error("there is nothing of {source_name}: no {kinds}")]
    Nothing {
        /// Whose.
        source_name: &'static str,
        /// What was looked for.
        kinds: String,
    },
}

impl Source {
    /// As people call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metallb => "MetalLB",
            Self::KubeVip => "kube-vip",
            Self::Purelb => "PureLB",
            Self::Cilium => "Cilium",
        }
    }

    /// Its resources, as a cluster may have them; Services are read besides.
    #[must_use]
    pub const fn resources(self) -> &'static [Resource] {
        match self {
            Self::Metallb => &metallb::RESOURCES,
            Self::KubeVip => &kube_vip::RESOURCES,
            Self::Purelb => &purelb::RESOURCES,
            Self::Cilium => &cilium::RESOURCES,
        }
    }

    const fn words(self) -> &'static services::Words {
        match self {
            Self::Metallb => &metallb::WORDS,
            Self::KubeVip => &kube_vip::WORDS,
            Self::Purelb => &purelb::WORDS,
            Self::Cilium => &cilium::WORDS,
        }
    }
}

/// Says the documents in Herald's words. Those that are neither the source's nor Services are passed over.
///
/// # Errors
/// When one of them cannot be understood: then nothing is imported.
pub fn import(source: Source, documents: Vec<Value>) -> Result<Import, ImportError> {
    let documents = document::documents(documents)?;
    let mut draft = Draft::default();
    match source {
        Source::Metallb => metallb::read(&documents, &mut draft)?,
        Source::KubeVip => kube_vip::read(&documents, &mut draft)?,
        Source::Purelb => purelb::read(&documents, &mut draft)?,
        Source::Cilium => cilium::read(&documents, &mut draft)?,
    }
    services::read(source.words(), &documents, &mut draft)?;
    let found = draft.finish();
    if found.pools.is_empty() && found.services.is_empty() && found.notes.is_empty() {
        let kinds = source.resources().iter().map(|resource| resource.kind);
        return Err(ImportError::Nothing {
            source_name: source.name(),
            kinds: kinds.collect::<Vec<_>>().join(", "),
        });
    }
    Ok(found)
}
