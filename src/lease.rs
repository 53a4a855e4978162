//! Leader election over a `coordination.k8s.io` Lease.
//!
//! [`Elector`] decides, pure: expiry counts from the local monotonic moment at which a new state of the Lease was
//! first seen, so that no clock of another machine matters. `run` reads, decides and writes with the
//! resourceVersion that was read, so that of two candidates one is refused.
//!
//! ```text
//!   get Lease ──▶ Elector::step(now) ──▶ Acquire | Renew | Wait ──▶ replace (resourceVersion) ──▶ Leadership
//! ```

mod elector;
mod run;

pub use elector::{Decision, Elector, Observed, Terms};
pub use run::{ElectionError, Leadership, campaign};
