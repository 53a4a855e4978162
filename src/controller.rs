//! The controller: gives Services their addresses and says why when it cannot.
//!
//! `steward` decides, pure: records in, [`plan::Plan`]s out. `execute` carries a plan out against the API server,
//! one step after the other, and stops when this process no longer leads. `run` owns the tasks.
//!
//! ```text
//!   watches ──Change──▶ Steward ──Plan──▶ execute: lock addresses ▶ status ▶ Event ▶ unlock addresses
//!                          ▲                                │
//!                          └────────────Outcome─────────────┘
//! ```
//!
//! The `AddressAllocation` is the lock: no status names an address whose lock is not held, and a lock is given back
//! only after the status no longer names its address. A controller that dies between two steps leaves a lock that
//! its successor reads before it gives out anything.

mod events;
mod execute;
mod metrics;
mod peer_key;
mod plan;
mod pool_status;
mod queue;
mod request;
mod run;
mod status;
mod steward;

pub use plan::{Lock, Notice, Plan, StatusWrite, Unlock};
pub use run::{Options, run};
pub use steward::{Input, Outcome, Steward};
