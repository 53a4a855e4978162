//! What there is to see: Services, pools, nodes, moves and conflicts, as rows that people and scripts read. Pure.
//!
//! `herald status` and `herald pools` print these rows, and the controller's status page shows the same ones: what is
//! told does not depend on where one looks. Knows neither.
//!
//! ```text
//!   Service ───────────▶ ServiceRecord ─┐
//!                                       ├─ survey ──▶ Status: one Line for each address, Troubles of agents
//!   NodeAnnouncements ─▶ Report ────────┤
//!                                       ├─ nodes, conflicts
//!   Node, AddressAllocation ─▶ records ─┘
//!   AddressPool ─▶ Pool      Event ─▶ Move
//! ```

mod agents;
mod conflicts;
mod moves;
mod nodes;
mod pools;
mod report;
mod said;
mod services;

pub use conflicts::{Conflict, conflicts};
pub use moves::{Move, Path, Pause};
pub use nodes::{Node, NodeTrouble, nodes};
pub use pools::{Degraded, Limits, Numbers, Pool, Pools, selector};
pub use report::{Counts, Report};
pub use services::{Line, Status, Trouble, is_heralds, ports, survey};
