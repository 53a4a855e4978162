//! The controller: gives Services their addresses and says why when it cannot.
//!
//! `steward` decides, pure: records in, [`plan::Plan`]s out. `errand` is a plan on its way, pure as well: call by call,
//! reply by reply. `execute` makes the calls, and stops when this process no longer leads. `run` owns the tasks.
//!
//! ```text
//!   watches ──Input──▶ Steward ──Plan──▶ Errand ──Call──▶ execute ──▶ API server
//!                         ▲                │  ▲                           │
//!                         └────Outcome─────┘  └───────────Reply───────────┘
//! ```
//!
//! The `AddressAllocation` is the lock: no status names an address whose lock is not held, and a lock is given back
//! only after the status no longer names its address. A controller that dies between two steps leaves a lock that
//! its successor reads before it gives out anything.

mod charge;
pub mod cloud;
mod errand;
mod events;
mod execute;
mod metrics;
pub mod node_ports;
mod page;
mod peer_key;
mod plan;
mod pool_status;
mod queue;
mod request;
mod run;
mod status;
mod steward;
mod waiting;

pub use errand::{Call, Errand, Found, Left, Reply, Stale};
pub use plan::{
    ConditionWrite, Ingress, Letting, Lock, Notice, Plan, StatusWrite, Unlock, Version,
};
pub use request::Asked;
pub use run::{Options, run};
pub use steward::{Explained, Input, Outcome, Ownership, Steward};

/// Registers every metric of a controller, with one of each that labels tell apart.
pub fn sample_metrics(registry: &mut prometheus_client::registry::Registry) {
    metrics::Metrics::sample(registry);
    cloud::sample_metrics(registry);
}
