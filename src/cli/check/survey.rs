//! Asks the agents to look on the wire, and waits for what they find.

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal as _},
    time::Duration,
};

use k8s_openapi::jiff::Timestamp;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::time::{self, Instant};

use super::gather;
use crate::{
    api::{self, AddressPool, WireSurvey},
    check::facts::{AgentReport, Facts, Wire},
    cli::reading::{Reader, on_stderr},
};

/// How often the agents' reports are read.
const LOOK: Duration = Duration::from_secs(1);
/// The field manager of the annotation.
const MANAGER: &str = "herald-check";

/// Asks, waits, and puts what was found in place of what agents reported before.
pub(super) async fn ask(reader: &Reader, facts: &mut Facts, patience: Duration) {
    let pools: Vec<String> = facts
        .pools
        .iter()
        .flatten()
        .map(|pool| pool.name.to_string())
        .collect();
    let request = Timestamp::now().to_string();
    if pools.is_empty() || facts.agents.is_err() {
        // There is nothing to ask for, or the answer could not be read.
        facts.wire = Wire::Asked(request);
        return;
    }
    for pool in &pools {
        if let Err(unread) = annotate(reader, pool, &request).await {
            facts.wire = Wire::Unasked(unread);
            return;
        }
    }
    let ready = ready(facts);
    let started = Instant::now();
    let people = io::stderr().is_terminal();
    loop {
        time::sleep(LOOK).await;
        // What cannot be read now could be a moment ago; until the time is over it may be read again.
        if let Ok(reports) = gather::agents(reader).await {
            let progress = Progress::of(&reports, &ready, &request);
            facts.agents = Ok(reports);
            if people {
                on_stderr(&format!("\r{}\u{1b}[K", progress.line(started.elapsed())));
            }
            if progress.silent.is_empty() {
                break;
            }
        }
        if started.elapsed() >= patience {
            break;
        }
    }
    if people {
        on_stderr("\r\u{1b}[K");
    }
    // A node that is not ready is not waited for, and its agent's silence says nothing of the wire.
    if let Ok(reports) = &mut facts.agents {
        for report in reports
            .iter_mut()
            .filter(|report| !ready.contains(&report.node))
        {
            report.status.survey = Some(WireSurvey {
                request: request.clone(),
                done: true,
                ..WireSurvey::default()
            });
        }
    }
    facts.wire = Wire::Asked(request);
}

async fn annotate(
    reader: &Reader,
    pool: &str,
    request: &str,
) -> Result<(), crate::check::facts::Unread> {
    let api: Api<AddressPool> = Api::all(reader.client());
    let params = PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let body = json!({ "metadata": { "annotations": { api::ANNOTATION_SURVEY: request } } });
    let written = reader
        .call(api.patch_metadata(pool, &params, &Patch::Merge(&body)))
        .await;
    let unread = |error| gather::unread("patch", "addresspools.herald.dev", &error);
    written.map(drop).map_err(unread)
}

/// The nodes whose agents can be expected to answer.
fn ready(facts: &Facts) -> BTreeSet<String> {
    let unready: BTreeSet<String> = facts
        .nodes
        .iter()
        .flatten()
        .filter(|node| !node.record.ready)
        .map(|node| node.record.name.to_string())
        .collect();
    let reports = facts.agents.iter().flatten();
    let names = reports.map(|report| report.node.clone());
    names.filter(|name| !unready.contains(name)).collect()
}

/// How far the agents are.
struct Progress {
    silent: Vec<String>,
    asked: u64,
}

impl Progress {
    fn of(reports: &[AgentReport], ready: &BTreeSet<String>, request: &str) -> Self {
        let mut progress = Self {
            silent: Vec::new(),
            asked: 0,
        };
        // An agent that says nothing of itself is older than this request.
        let able = reports
            .iter()
            .filter(|it| it.status.agent.is_some() && ready.contains(&it.node));
        for report in able {
            let survey = report
                .status
                .survey
                .as_ref()
                .filter(|it| it.request == request);
            if !survey.is_some_and(|survey| survey.done) {
                progress.silent.push(report.node.clone());
            }
            let interfaces = survey.into_iter().flat_map(|survey| &survey.interfaces);
            progress.asked += interfaces.map(|it| u64::from(it.asked)).sum::<u64>();
        }
        progress
    }

    fn line(&self, elapsed: Duration) -> String {
        format!(
            "asking the wire for {} s: {} addresses so far, waiting for {} …",
            elapsed.as_secs(),
            self.asked,
            self.silent.join(", ")
        )
    }
}
