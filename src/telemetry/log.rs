//! Logs to standard error, for people or as JSON.

use std::io::IsTerminal as _;

use clap::ValueEnum;
use tracing_subscriber::{
    filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

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
const USUAL: &str = "info,kube_client=off,kube_runtime=off";

/// Starts logging; `HERALD_LOG` chooses what.
pub fn start_logging(format: LogFormat) {
    // A closed standard error must not take the process down: the default complains to standard error, and panics.
    let lines = fmt::layer()
        .with_writer(std::io::stderr)
        .log_internal_errors(false);
    let registry = tracing_subscriber::registry().with(logged(USUAL));
    match format {
        LogFormat::Text => registry
            .with(
                lines
                    .with_ansi(std::io::stderr().is_terminal())
                    .with_target(false),
            )
            .init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).init(),
    }
}

/// What is logged: by `HERALD_LOG` a level, or `target=level` and more of them after commas; else what is `usual`.
pub fn logged(usual: &str) -> Targets {
    choose(std::env::var("HERALD_LOG").ok().as_deref(), usual)
}

fn choose(asked: Option<&str>, usual: &str) -> Targets {
    let asked = asked.filter(|asked| !asked.trim().is_empty());
    let parsed = asked.and_then(|asked| asked.parse().ok());
    parsed.or_else(|| usual.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn what_is_asked_for_is_logged_and_nonsense_asks_for_nothing() {
        for (asked, target, level, logged) in [
            (None, "herald::agent", Level::INFO, true),
            (None, "herald::agent", Level::DEBUG, false),
            (None, "kube_client::client", Level::ERROR, false),
            (Some(""), "herald::agent", Level::INFO, true),
            (Some("herald=loud"), "herald::agent", Level::INFO, true),
            (Some("debug"), "herald::agent", Level::DEBUG, true),
            (
                Some("warn,herald::agent=trace"),
                "herald::agent::run",
                Level::TRACE,
                true,
            ),
            (
                Some("warn,herald::agent=trace"),
                "herald::controller",
                Level::INFO,
                false,
            ),
        ] {
            let would = choose(asked, USUAL).would_enable(target, &level);
            assert_eq!(would, logged, "{asked:?}: {level} of {target}");
        }
    }
}
