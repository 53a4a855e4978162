//! The cloud's part of the controller: a Network Load Balancer in AWS for each Service that asks for one.
//!
//! ```text
//!   watches ──▶ Facts ──▶ Desk: whose turn, when ──Job──▶ hands: look, plan, finalizer, calls, status ──Done──▶ Desk
//!                           ▲                                  │
//!   survey, network ────────┘ shared by all Services           └──▶ AWS, API server, Events
//! ```
//!
//! Owns: which Services are the cloud's, when each is looked at, the finalizer, and the status of those Services.
//! Never: what the annotations mean and which calls they come to; that is `herald-aws`. The steward gives the cloud no
//! orders, nor the other way round: the Service itself says whose turn it is (see `charge`).
//!
//! The finalizer is on the Service before the first call that makes anything, and goes when AWS was seen to have
//! nothing left; so dying at any moment loses nothing. A leader that begins knows nothing but what tags say.

mod api;
mod clock;
mod desk;
mod facts;
mod job;
mod metrics;
mod preview;
mod round;
mod run;
mod shared;
mod sweep;
mod told;
mod write;

pub use api::Aws;
pub use clock::Clock;
pub use metrics::Attempts;
pub use preview::{Lists, Preview, Viewer};
pub use round::{Goal, Scene, Seen, carry_out, look, survey};
pub use run::Options;
pub(super) use run::{Surroundings, run};

/// Registers every metric of the cloud's part, with one of each that labels tell apart.
pub(super) fn sample_metrics(registry: &mut prometheus_client::registry::Registry) {
    metrics::Metrics::sample(registry);
}
