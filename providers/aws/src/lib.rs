//! A Network Load Balancer per Service.
//!
//! Owns: what a Service's annotations mean, what shall be there in AWS and what is, the steps between, and what to do
//! about each failure. Never: Kubernetes, tasks, sockets, a clock, the SDK. Everything here is a plain function or a
//! machine that yields the next [`Call`] and takes its answer, so whoever executes calls needs one function.
//!
//! ```text
//!   Service, nodes, network ─▶ desired ─┐
//!                                       ├─▶ plan ─▶ Apply ─▶ calls
//!   calls ◀─ Survey, Look ─▶ Observed ──┘              └─▶ Outcome: done, wait, look again, blocked, the user must act
//! ```
//!
//! The network is read by [`Discovery`] for all Services at once, and kept by [`NetworkCache`].
//!
//! Whose an object is, its tags say, and they are part of the call that makes it: dying between any two calls loses and
//! orphans nothing. What carries other tags, or none, is never touched.

mod annotations;
mod apply;
mod call;
mod desired;
mod discovery;
mod executor;
mod failure;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
mod input;
mod inventory;
mod look;
mod memory;
mod model;
mod names;
mod network_cache;
mod observed;
mod owner;
mod plan;
mod refusal;
mod settings;
#[cfg(test)]
mod tests;
mod words;

pub use apply::{Apply, Outcome};
pub use call::{
    BalancerRead, Call, GroupRead, Health, InstanceRead, ListenerRead, Reply, RouteTableRead,
    RuleRead, State, SubnetRead,
};
pub use desired::{
    Desired, Groups, Held, HeldTargets, PortWish, Present, Security, Wanted, desired, held,
};
pub use discovery::{Discovery, Site, Sought, discover};
pub use executor::Executor;
pub use failure::{Failure, Remedy, Verdict};
pub use input::{Endpoint, Input, Network, Node, NodeGroup, Service, ServicePort, Subnet};
pub use inventory::{Hints, Inventory, Orphan, Survey};
pub use look::Look;
pub use memory::Memory;
pub use model::{
    Attributes, BalancerSpec, GroupKind, GroupSpec, HealthCheck, ListenerSpec, Permit, Place,
    Source, Tags, Target, Traffic,
};
pub use names::cluster as check_cluster_name;
pub use network_cache::NetworkCache;
pub use observed::{Balancer, Group, Listener, Observed};
pub use owner::{Owner, Ownership, Role};
pub use plan::{Part, Plan, Publish, Step, Then, Trouble, Wait, plan};
pub use refusal::{Reason, Refusal};
pub use settings::{NodePorts, Settings};
pub use words::{Alpn, Id, Moment, Probe, Scheme, Stack, TargetFamily, TargetType, Wire, Word};
