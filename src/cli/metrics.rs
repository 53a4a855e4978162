//! `herald metrics`: the tables of docs/metrics.md, from what is registered.

use std::{fmt::Write as _, io::Write as _, process::ExitCode};

use prometheus_client::registry::Registry;

use crate::{
    agent, controller,
    telemetry::{Metric, catalogue},
};

pub(super) fn print() -> anyhow::Result<ExitCode> {
    std::io::stdout().write_all(page()?.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// A heading and a table for each part, parted by blank lines.
fn page() -> anyhow::Result<String> {
    let of = |sample: fn(&mut Registry)| {
        let mut registry = Registry::default();
        sample(&mut registry);
        catalogue(&registry)
    };
    let (aws, controller) = split(of(controller::sample_metrics)?, "herald_aws_");
    let (wire, agent) = split(of(agent::sample_metrics)?, "herald_layer2_");
    let (heartbeats, agent) = split(agent, "herald_heartbeat_");
    let mut page = String::new();
    for (heading, metrics) in [
        ("## Controller", controller),
        ("### With `--aws-cluster-name`", aws),
        ("## Agent", agent),
        ("### On the wire", wire),
        ("### Heartbeats", heartbeats),
    ] {
        let gap = if page.is_empty() { "" } else { "\n" };
        write!(page, "{gap}{heading}\n\n{}", table(&metrics))?;
    }
    Ok(page)
}

fn split(metrics: Vec<Metric>, prefix: &str) -> (Vec<Metric>, Vec<Metric>) {
    metrics
        .into_iter()
        .partition(|m| m.name.starts_with(prefix))
}

fn table(metrics: &[Metric]) -> String {
    let rows = metrics.iter().map(|metric| {
        let Metric {
            name, kind, help, ..
        } = metric;
        format!(
            "| `{name}` | {kind} | {} | {help} |\n",
            metric.labels_in_words()
        )
    });
    let head = "| metric | kind | labels | meaning |\n|---|---|---|---|\n".to_owned();
    head + &rows.collect::<String>()
}
