//! The Kubernetes edge that controller, agent and CLI share: finding the cluster, watching it, and turning its
//! objects into the records of [`crate::world`] and the rows of [`crate::survey`].

mod aws;
mod client;
mod event;
mod pages;
mod pins;
mod project;
mod rows;
mod watch;

pub use aws::{aws_left, aws_node, aws_service, aws_slice};
pub use client::{ClusterError, connect, explain};
pub use event::{ServiceEvent, tell};
pub use pages::Pages;
pub use project::{Classes, allocation, host, namespace, node, pool, selector, service, slice};
pub use rows::{moved, pool_line, report};
pub use watch::{Reachability, is_gone, pump};
