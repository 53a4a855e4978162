//! The stand-in under kube-rs: what Herald's controller and agents do with an API server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and its helpers are tests too"
)]

mod faults;
mod objects;
mod support;
