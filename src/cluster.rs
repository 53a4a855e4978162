//! The Kubernetes edge that controller, agent and CLI share: finding the cluster, watching it, and turning its
//! objects into the records of [`crate::world`].

mod aws;
mod client;
mod event;
mod pins;
mod project;
mod watch;

pub use aws::{aws_left, aws_node, aws_service, aws_slice};
pub use client::{ClusterError, connect, explain};
pub use event::{ServiceEvent, tell};
pub use project::{Classes, allocation, host, namespace, node, pool, service, slice};
pub use watch::{Reachability, is_gone, pump};
