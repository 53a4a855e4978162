//! A stand-in Kubernetes API server: in memory, in process, with faults on demand.
//!
//! A test instrument, and the control plane of `herald lab`. kubectl and kube-rs talk to it as to a
//! real one. What it does it does as Kubernetes 1.36 does; what it cannot do it refuses aloud, by a
//! `Status` with the reason `NotImplemented`, or announces by a `Warning` header. It never runs in a
//! cluster, keeps nothing on disk, and has no global state: a process may have many.
//!
//! ```text
//! connection ─> http ─> strategy: decode ─> apply: who manages what ─> strategy: prepare, validate
//!                 │                                                          │
//!                 │<── encode, table, discovery, openapi <── list, watch <── store (one log per resource)
//!                 └── faults: delay, hang, error, cut, stale, duplicate, lose, partition, refuse
//! ```
//! * [`ApiServer`] is the server and its handle; [`Builder`] sets it up; [`Faults`] makes it fail.
//! * `resource.rs` is the table of built-in kinds, `crd/` what definitions add to it.
//! * `service/` is the largest kind: node ports, cluster IPs, and what a type change wipes.

mod addresses;
mod apply;
mod cause;
mod cel;
mod clock;
mod config;
mod connection;
mod crd;
mod decode;
mod delete;
mod dice;
mod discovery;
mod encode;
mod endpointslice;
mod event;
mod faults;
mod fields;
mod http;
mod lease;
mod list;
mod names;
mod openapi;
mod patch;
mod protobuf;
mod rbac;
mod registry;
mod request;
mod resource;
mod schema;
mod selector;
mod server;
mod service;
mod state;
mod status_error;
mod store;
mod strategy;
mod table;
mod watch;
mod write;

pub use config::Builder;
pub use connection::Listener;
pub use faults::{Action, ActiveFault, ClientId, Fault, Faults, RequestFacts};
pub use rbac::Access;
pub use server::ApiServer;
pub use status_error::{Cause, StatusError};
