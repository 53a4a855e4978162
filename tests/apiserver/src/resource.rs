//! What a resource is.
//!
//! A custom resource is described by the same [`Resource`], made from its definition in `crd/`.

mod table;

use std::sync::Arc;

use serde_json::Value;

pub(crate) use table::builtin;

/// Who decides how a resource's objects are prepared, validated and shown.
#[derive(Debug, Clone)]
pub(crate) enum Origin {
    /// In `resource/table.rs`.
    Builtin,
    /// Defined by a CustomResourceDefinition: the served version's own part of it.
    Custom(Arc<CustomVersion>),
}

/// One served version of a CustomResourceDefinition.
#[derive(Debug)]
pub(crate) struct CustomVersion {
    /// `openAPIV3Schema`.
    pub(crate) schema: Value,
    /// `additionalPrinterColumns`.
    pub(crate) columns: Vec<Value>,
    /// The JSON paths of `selectableFields`, such as `.spec.pool`.
    pub(crate) selectable: Vec<String>,
    /// The version that is written to the store.
    pub(crate) storage_version: String,
    /// The compiled `x-kubernetes-validations`.
    #[cfg_attr(
        not(feature = "cel"),
        expect(dead_code, reason = "evaluated with the feature cel only")
    )]
    pub(crate) rules: crate::cel::Rules,
}

/// How writes of a built-in resource treat what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fidelity {
    /// Defaults and validation as the real server has them, as far as clients can tell.
    Modelled,
    /// Stored as sent; a Warning header says so.
    AsSent,
}

/// One served resource: a group, a version and a plural.
#[derive(Debug, Clone)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "independent properties of a resource, as discovery and the strategies list them"
)]
pub(crate) struct Resource {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) namespaced: bool,
    /// Has a `/status` subresource; then the main resource ignores changes of status.
    pub(crate) status: bool,
    /// Bumps `metadata.generation` when the spec changes.
    pub(crate) generation: bool,
    /// PUT without a resourceVersion overwrites.
    pub(crate) unconditional_update: bool,
    /// PUT creates what is not there.
    pub(crate) create_on_update: bool,
    /// Only `create`, and nothing is stored: reviews.
    pub(crate) review: bool,
    pub(crate) fidelity: Fidelity,
    pub(crate) origin: Origin,
}

impl Resource {
    /// `services` or `leases.coordination.k8s.io`: the name in messages.
    pub(crate) fn qualified(&self) -> String {
        qualify(&self.plural, &self.group)
    }

    /// Where its objects are kept. Both event APIs share one store.
    pub(crate) fn store_name(&self) -> String {
        if self.is_events_v1() {
            "events".to_owned()
        } else {
            self.qualified()
        }
    }

    /// `v1` or `herald.dev/v1alpha1`.
    pub(crate) fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// As Go prints a GroupVersionKind.
    pub(crate) fn go_kind(&self) -> String {
        format!("{}/{}, Kind={}", self.group, self.version, self.kind)
    }

    /// The apiVersion of the stored form.
    pub(crate) fn stored_api_version(&self) -> String {
        match &self.origin {
            Origin::Custom(version) => api_version(&self.group, &version.storage_version),
            Origin::Builtin if self.is_events_v1() => "v1".to_owned(),
            Origin::Builtin => self.api_version(),
        }
    }

    /// events.k8s.io/v1, which is another view of core events.
    pub(crate) fn is_events_v1(&self) -> bool {
        self.group == "events.k8s.io"
    }

    /// Whether this is the built-in kind of that name in that group.
    pub(crate) fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }

    /// The custom version, if the resource is a custom one.
    pub(crate) fn custom(&self) -> Option<&CustomVersion> {
        match &self.origin {
            Origin::Custom(version) => Some(version),
            Origin::Builtin => None,
        }
    }

    /// Whether a DELETE answers with the object and not with a Status.
    pub(crate) fn returns_deleted(&self) -> bool {
        let kinds = ["Namespace", "Pod", "Service", "ServiceAccount"];
        self.group.is_empty() && kinds.contains(&self.kind.as_str())
    }

    /// The verbs, as discovery lists them.
    pub(crate) fn verbs(&self) -> &'static [&'static str] {
        if self.review {
            return &["create"];
        }
        if self.is("", "Namespace") {
            // Namespaces alone cannot be deleted as a collection.
            return &[
                "create", "delete", "get", "list", "patch", "update", "watch",
            ];
        }
        if self.custom().is_some() {
            return &[
                "delete",
                "deletecollection",
                "get",
                "list",
                "patch",
                "create",
                "update",
                "watch",
            ];
        }
        &[
            "create",
            "delete",
            "deletecollection",
            "get",
            "list",
            "patch",
            "update",
            "watch",
        ]
    }
}

/// `plural.group`, or `plural` in the core group.
pub(crate) fn qualify(plural: &str, group: &str) -> String {
    if group.is_empty() {
        plural.to_owned()
    } else {
        format!("{plural}.{group}")
    }
}

/// `group/version`, or `version` in the core group.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    }
}
