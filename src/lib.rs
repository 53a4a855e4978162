//! Herald gives Kubernetes Services of type `LoadBalancer` an address that works, on any cluster.
//!
//! This crate is the binary's inside. The pure parts (`ipam`, `world`, `placement`, `survey`, `check`, `page`) know no
//! Kubernetes client, no task and no socket; the effects (`controller`, `agent`, `lease`) know them, never the reverse.

pub mod agent;
pub mod api;
pub mod check;
pub mod cli;
pub mod cluster;
pub mod controller;
pub mod footprint;
pub mod import;
pub mod ipam;
#[cfg(feature = "lab")]
pub mod lab;
pub mod lease;
pub mod membership;
pub mod page;
pub mod placement;
pub mod survey;
pub mod telemetry;
pub mod world;
