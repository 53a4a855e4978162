//! What was watched, as Herald sees it: typed records and the keys that changed.
//!
//! Pure. Each [`Table`] turns apply, delete and reset into the set of keys whose record really changed, so that an
//! event which says nothing new costs nothing.
//!
//! ```text
//!   watch (src/cluster) ──Change<T>──▶ Table<K, T> ──dirty keys──▶ controller, agent
//! ```

mod allocation;
mod aws;
mod endpoints;
mod host;
mod namespace;
mod node;
mod pairs;
mod pool;
#[cfg(test)]
pub(crate) mod samples;
mod service;
mod table;

pub use allocation::{AllocationRecord, LockKey};
pub use aws::{AwsEndpoint, AwsLeft, AwsNode, AwsService, AwsSlice};
pub use endpoints::SliceRecord;
pub use host::{Announcement, Announcements, HostFacts, HostRecord};
pub use namespace::NamespaceRecord;
pub use node::NodeRecord;
pub use pairs::Pairs;
pub use pool::{Layer2Rule, PoolRecord, PoolUnfit};
pub use service::{
    ConditionRecord, IngressRecord, IpMode, Pin, Pinned, PinnedBy, PortRecord, ServiceRecord,
    TrafficPolicy,
};
pub use table::{Change, Keyed, Table};
