//! The words that Herald and its providers share.
//!
//! Owns: names that must not be mixed up, the monotonic time that state machines take as an argument, what a
//! network link is, the sign of life between an agent's threads, and the boundary to the providers that announce
//! addresses. Never: Kubernetes, tasks, sockets.
//!
//! ```text
//!   src/agent ──Desired──▶ Announcer (providers/layer2) ──frames──▶ the wire
//!       ▲                        │
//!       └──────── Report ────────┘
//! ```

pub mod announce;
pub mod link;
pub mod mac;
pub mod name;
pub mod port;
pub mod pulse;
pub mod time;

pub use announce::{Announcer, Desired, Duty, Gain, Place, Question, Report, Wonder};
pub use link::{IfIndex, Link, Links};
pub use mac::Mac;
pub use name::{NodeName, PoolName, ServiceKey};
pub use port::{InvalidPort, Port, Protocol};
pub use pulse::Pulse;
pub use time::Time;
