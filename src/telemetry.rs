//! Logs, metrics and health over HTTP, alike for controller and agent.

mod catalogue;
mod doors;
mod gate;
mod http;
mod log;

pub use catalogue::{Metric, catalogue};
pub use doors::Caller;
pub use gate::Gate;
pub use http::{Health, HttpError, bind, serve};
pub use log::{LogFormat, logged, start_logging};
