//! Who manages which field: `metadata.managedFields`, and server-side apply on top of it.
//!
//! ```text
//! managed  ── entries of metadata.managedFields <-> one FieldSet per manager
//!   └─ ownership ── what a write or an apply does to the managers (conflicts, removal)
//!        └─ typed ── objects seen through a schema: fields of, difference, merge, removal
//!             └─ fieldset ── sets of paths, and their FieldsV1 text
//! ```
//! Follows `sigs.k8s.io/structured-merge-diff` and `k8s.io/apimachinery/pkg/util/managedfields`.

pub(crate) mod fieldset;
pub(crate) mod managed;
pub(crate) mod ordering;
pub(crate) mod ownership;
pub(crate) mod typed;
