//! Logs, metrics and health over HTTP, alike for controller and agent.

mod http;
mod log;

pub use http::{Health, HttpError, bind, serve};
pub use log::{LogFormat, logged, start_logging};
