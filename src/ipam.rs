//! Who has which address: pools, requests, and the allocator that brings them together.
//!
//! Pure: no Kubernetes client, no task, no socket, no clock, and only ordered maps, so that the same inputs always
//! give the same answers. The truth lives in the cluster (`AddressAllocation`, Service status); this is the memory of
//! it, rebuilt at each start by [`Ipam::set_pools`] and [`Ipam::adopt`].
//!
//! ```text
//!   Pool ──set_pools──▶ Stocks (free ranges) ◀──┐
//!                                               ├── Ipam ──allocate(Request)──▶ Grant | Refusal
//!   record ──adopt────▶ Ledger (who has what) ◀─┘
//! ```
//!
//! Invariants: an address has at most one holder; a held address is in no free range; an edit of pools takes nothing
//! from anybody; a request that is refused changes nothing.

mod address;
mod allocator;
mod choice;
mod family;
mod free;
mod grant;
mod ledger;
mod passed;
mod pool;
mod range;
mod refusal;
mod request;
mod selector;
mod stock;
mod stocks;
mod tenants;
mod usable;

pub use address::{AddressError, parse_address};
pub use allocator::Ipam;
pub use family::{Families, Family, PerFamily};
pub use free::FreeRanges;
pub use grant::{Grant, Granted};
pub use ledger::{Holder, Holding};
pub use passed::{Lack, Passed, PassedOver, Why};
pub use pool::{Pool, PoolFault};
pub use range::{Range, RangeError};
pub use refusal::{Place, Refusal};
pub use request::{InvalidRequest, Request, parse_addresses};
pub use selector::{InvalidSelector, Operator, Selector};
pub use stock::{Counts, FamilyCounts};
pub use tenants::Tenants;
