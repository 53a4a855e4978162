//! The agent: announces from this node the addresses that it owns.
//!
//! It reads Service statuses, never the controller's mind; hears its peers; lets `placement` decide; and hands the
//! duties to the provider. Without an API server it goes on with what it knows.
//!
//! ```text
//!   watches ──▶ Watched ──facts──┐
//!   peers ────▶ View ─segments───┼─▶ placement ──duties──▶ layer2 ──frames──▶ the wire
//!   links, answers ◀─────────────┘       └────claims─────▶ peers
//!   peers' claims ──▶ Checks ──questions──▶ layer2
//!   the host: addresses, sockets, kube-proxy's mode ──▶ report
//!   a pool's annotation ──▶ survey: who is on its free addresses? ──▶ report
//!   the state file ──▶ Memory ──▶ facts, until the API server tells its own
//! ```

mod account;
mod check;
mod dropped;
mod events;
mod facts;
mod gates;
mod host;
mod keys;
mod kube_proxy;
mod lookup;
mod memory;
mod metrics;
mod mind;
mod moves;
mod prompt;
mod reach;
mod records;
mod report;
mod requests;
mod run;
mod soundness;
mod survey;

pub(crate) use facts::{Watch, Watched};
pub use run::{Options, run};
