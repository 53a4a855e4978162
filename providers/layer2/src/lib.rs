//! Layer 2: makes an address reach this node by answering for it and announcing it on an Ethernet segment, by
//! ARP for IPv4 and Neighbor Discovery for IPv6.
//!
//! Owns: what frames look like, which ones concern us, what is sent when, the sockets and the list of links. Never:
//! who owns which address (the agent decides), Kubernetes, an address on a NIC (frames for an owned address
//! reach kube-proxy all the same).
//!
//! ```text
//!   agent ──Desired──▶ run ◀──Links── netlink, select    what the kernel says about links
//!     ▲                 │ ▲
//!     └─────Report──────┤ │ Input, Output
//!                       │ ▼
//!                       │ machine ── frame                pure: (now, input) in, outputs out
//!                       ▼
//!                     socket ── filter, sys               a packet socket per link and family
//!                       └────── listener                  tells switches which groups are listened to
//!                     prompt                              the thread, which the scheduler prefers
//!   agent ──Plan──▶ survey ──Found──▶ agent               apart from all that: who else is on the wire
//! ```
//!
//! A node starts it with [`Layer2::start`] and says what it wants through [`herald_spi::Announcer`].

mod counters;
mod error;
pub mod filter;
pub mod frame;
mod listener;
pub mod machine;
mod netlink;
pub mod prompt;
mod rng;
mod run;
mod select;
mod socket;
pub mod survey;
mod sys;
pub mod tap;

pub use counters::Counters;
pub use error::Layer2Error;
pub use frame::decode;
pub use netlink::{addresses, links};
pub use run::{Ending, Layer2, Options};
pub use select::Selection;
