//! Logs to standard error, for people or as JSON.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, fmt};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// kube logs every failed call as an error of its own; Herald says once what it means.
const DEFAULT_FILTER: &str = "info,kube_client=off,kube_runtime=off";

/// Starts logging; `HERALD_LOG` chooses what, in the notation of tracing's `EnvFilter` (default: `info`).
pub fn start_logging(format: LogFormat) {
    let filter =
        EnvFilter::try_from_env("HERALD_LOG").unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    // A closed standard error must not take the process down: the default complains to standard error, and panics.
    let builder = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    match format {
        LogFormat::Text => builder
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}
