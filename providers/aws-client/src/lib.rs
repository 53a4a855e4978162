//! Carries the calls of `herald-aws` to AWS and brings the answers.
//!
//! Owns: credentials, region and endpoints (the SDK's default chain), connections, time limits, retries, pages, how fast
//! calls follow each other, and the words of AWS. Never: what is called and what an answer means for a Service; that is
//! decided in `herald-aws`, which knows no socket. A crate of its own keeps it so: the core's manifest names no SDK.
//!
//! ```text
//!   Call ─▶ Pace ─▶ Elb (the SDK)                    ─▶ Reply | Failure
//!                └▶ Ec2 (query protocol, signed here)
//!                      every attempt ─▶ Observer
//! ```
//! EC2 is not called by its SDK, because that takes 8 GB of memory to compile; Herald needs a dozen of its 800 operations.

mod bucket;
mod client;
mod config;
mod ec2;
mod elb;
mod failure;
mod observer;
mod pace;
mod words;

pub use client::{Client, ConnectError};
pub use config::{TRIAL_KEY, defaults, trial};
pub use observer::Observer;
