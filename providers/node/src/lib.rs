//! Node addresses for Services: the last resort where no pool has an address to give, and the whole of the class
//! `herald.dev/node`.
//!
//! Owns: which nodes lend their addresses, which of their addresses are published, and whether kube-proxy serves
//! the Service's ports there ([`Mode::Direct`]) or only its node ports work ([`Mode::NodePortOnly`]). Never:
//! Kubernetes, tasks, sockets, a clock, addresses of pools.
//!
//! ```text
//!   Nodes, agents' reports ──▶ Steady ──┐        damping: readiness that does not flap
//!   what others serve ───────▶ Taken ───┼─▶ choose ──▶ Answer | Refusal
//!   the Service ─────────────▶ Ask ─────┘
//! ```
//!
//! Publishing a node's address directly makes every node's kube-proxy capture that address and port, whoever asks.
//! So it captures no port that the node itself needs ([`denied`]), none that a process or another Service serves
//! there, and nothing at all under IPVS, where each node would take the others' addresses for its own.

mod choose;
mod denied;
mod facts;
mod refusal;
mod steady;
mod taken;

pub use choose::{Answer, Mode, Published, choose};
pub use denied::{DENIED, Denied, denied};
pub use facts::{Ask, Endpoints, Family, Host, NodeFacts};
pub use refusal::{Occupant, Refusal, Unfit};
pub use steady::{DAMPING, Steady};
pub use taken::Taken;
