//! Who has which address: pools, requests, and the allocator that brings them together.
//!
//! Pure: no Kubernetes client, no task, no socket, no clock, and only ordered maps, so that the same inputs always
//! give the same answers. The truth lives in the cluster (`AddressAllocation`, Service status); this is the memory of
//! it, rebuilt at each start by [`Ipam::set_pools`] and [`Ipam::adopt`].
//!
//! ```text
//!   Pool ───set_pools──▶ Stocks (free ranges, quotas) ◀──┐
//!   record ──adopt─────▶ Ledger (who shares what) ◀──────┼── Ipam ──allocate(Request)──▶ Grant | Refusal
//!   record ──reserve───▶ Reservations (kept back) ◀──────┘      └───waits, explain──▶ what else could be
//! ```
//!
//! Invariants: an address is free, reserved or held, and held by several only on [`Terms`] that go together or because
//! the record says so; an edit of pools takes nothing from anybody; a request that is refused changes nothing.

mod address;
mod allocator;
mod choice;
mod explanation;
mod family;
mod flag;
mod free;
mod grant;
mod ledger;
mod moment;
mod passed;
mod pool;
mod range;
mod refusal;
mod request;
mod reservations;
mod selector;
mod sharing;
mod stock;
mod stocks;
mod tenants;
mod terms;
mod usable;
mod wait;

pub use address::{AddressError, excerpt, parse_address};
pub use allocator::Ipam;
pub use explanation::{Considered, Considering, Explanation};
pub use family::{Families, Family, PerFamily};
pub use flag::{Flag, FlagWhy};
pub use free::FreeRanges;
pub use grant::{Grant, Granted};
pub use ledger::{Holder, Holding, Share};
pub use passed::{Lack, Passed, PassedOver, Why};
pub use pool::{Pool, PoolFault};
pub use range::{Range, RangeError};
pub use refusal::{Place, Refusal};
pub use request::{InvalidRequest, Request, parse_addresses};
pub use reservations::Reservation;
pub use selector::{InvalidSelector, Operator, Selector};
pub use sharing::Mismatch;
pub use stock::{Counts, FamilyCounts};
pub use tenants::Tenants;
pub use terms::{Scope, Terms};
pub use wait::Wait;
