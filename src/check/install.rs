//! Whether Herald is installed whole, once, and of one version.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Facts, Findings, Word,
    facts::{Definition, Unread, Workload},
};

const APPLY: &str = "herald crds | kubectl apply --server-side --force-conflicts -f -";

pub(super) fn examine(facts: &Facts, findings: &mut Findings) {
    definitions(facts, findings);
    versions(facts, findings);
    controller(facts, findings);
    agents(facts, findings);
}

fn definitions(facts: &Facts, findings: &mut Findings) {
    let before = findings.len();
    let unserved = unserved(facts);
    for known in &facts.known {
        let object = format!("CustomResourceDefinition/{}", known.name);
        let Ok(installed) = &facts.installed else {
            // Definitions themselves may not be read, but what they define was asked for.
            if unserved.contains(known.name.as_str()) {
                missing(&object, findings);
            }
            continue;
        };
        match installed.iter().find(|it| it.name == known.name) {
            None => missing(&object, findings),
            Some(installed) => compare(&object, known, installed, findings),
        }
    }
    if findings.len() == before && facts.installed.is_ok() {
        let versions: BTreeSet<_> = facts.known.iter().flat_map(|it| it.served.keys()).collect();
        let versions: Vec<_> = versions.into_iter().map(String::as_str).collect();
        let message = format!(
            "{} as this binary knows them ({})",
            facts.known.len(),
            versions.join(", ")
        );
        findings.ok(Word::Definitions, "CustomResourceDefinitions", message);
    }
}

/// The resources that the API server does not serve.
fn unserved(facts: &Facts) -> BTreeSet<&str> {
    fn of<T>(read: &Result<T, Unread>) -> Option<&str> {
        let unread = read
            .as_ref()
            .err()
            .filter(|unread| unread.is_not_served())?;
        Some(&unread.resource)
    }
    [of(&facts.pools), of(&facts.agents)]
        .into_iter()
        .flatten()
        .collect()
}

fn missing(object: &str, findings: &mut Findings) {
    findings.fail(
        Word::CrdMissing,
        object,
        "is not installed, so Herald can do nothing",
        APPLY,
    );
}

fn compare(object: &str, known: &Definition, installed: &Definition, findings: &mut Findings) {
    for (version, digest) in &known.served {
        match installed.served.get(version) {
            None => {
                let served: Vec<_> = installed.served.keys().map(String::as_str).collect();
                let served = served.join(", ");
                let message = format!("serves {served}, and this binary speaks {version}");
                findings.fail(Word::CrdVersionNotServed, object, message, APPLY);
            }
            Some(other) if other != digest => {
                let message = format!(
                    "its schema of {version} ({other}) is not that of this binary ({digest}): fields that it does not \
                     know are dropped in silence"
                );
                findings.warn(Word::CrdSchemaDiffers, object, message, APPLY);
            }
            Some(_) => {}
        }
    }
}

fn versions(facts: &Facts, findings: &mut Findings) {
    let mut running: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for report in facts.reports() {
        let version = report
            .status
            .agent
            .as_ref()
            .map_or("before 0.1.0 or unknown", |agent| &agent.version);
        running
            .entry(version)
            .or_default()
            .push(report.node.clone());
    }
    // The first container of each is Herald; others may stand beside it.
    let images: BTreeMap<&str, &Workload> = facts
        .workloads()
        .iter()
        .filter(|it| it.is_heralds("controller") || it.is_heralds("agent"))
        .filter_map(|it| Some((it.images.first()?.as_str(), it)))
        .collect();
    let before = findings.len();
    if running.len() > 1 {
        let said: Vec<_> = running
            .iter()
            .map(|(version, nodes)| format!("{version} on {}", some(nodes)))
            .collect();
        findings.warn(
            Word::VersionsDiffer,
            "NodeAnnouncements",
            format!("agents are of different versions: {}", said.join("; ")),
            format!(
                "kubectl -n {} rollout restart daemonset/herald-agent",
                facts.namespace
            ),
        );
    } else if let Some(version) = running.keys().next().filter(|it| **it != facts.version) {
        findings.warn(
            Word::VersionsDiffer,
            "herald",
            format!(
                "this binary is {}, and the agents are {version}",
                facts.version
            ),
            format!("use the herald of version {version}, or upgrade the agents"),
        );
    }
    if images.len() > 1 {
        let said: Vec<_> = images
            .iter()
            .map(|(image, it)| format!("{} runs {image}", it.object()))
            .collect();
        findings.warn(
            Word::VersionsDiffer,
            "workloads",
            format!(
                "controller and agents are of different images: {}",
                said.join("; ")
            ),
            "kubectl apply -k deploy/",
        );
    }
    if findings.len() == before && !running.is_empty() {
        let message = format!("{} everywhere", facts.version);
        findings.ok(Word::Versions, "agents", message);
    }
}

fn controller(facts: &Facts, findings: &mut Findings) {
    let before = findings.len();
    let namespaces = |component| -> BTreeSet<&str> {
        let of = facts
            .workloads()
            .iter()
            .filter(|it| it.is_heralds(component));
        of.map(|it| it.namespace.as_str()).collect()
    };
    let leases = facts.controllers();
    let leading: BTreeSet<&str> = leases
        .iter()
        .flatten()
        .filter(|lease| lease.fresh && lease.holder.is_some())
        .map(|lease| lease.namespace.as_str())
        .collect();
    for (what, namespaces) in [
        ("controllers lead", leading.clone()),
        ("controllers are installed", namespaces("controller")),
        ("agents are installed", namespaces("agent")),
    ] {
        if namespaces.len() > 1 {
            let namespaces: Vec<_> = namespaces.into_iter().collect();
            let other = namespaces
                .iter()
                .find(|it| **it != facts.namespace)
                .unwrap_or(&"NAMESPACE");
            findings.fail(
                Word::TwoReleases,
                &format!("Namespaces/{}", namespaces.join(",")),
                format!(
                    "{what} in {} namespaces: they serve the same Services",
                    namespaces.len()
                ),
                format!(
                    "kubectl -n {other} delete deployment/herald-controller daemonset/herald-agent"
                ),
            );
        }
    }
    let Ok(leases) = leases else { return };
    let object = format!("Lease/herald-controller in {}", facts.namespace);
    let logs = format!(
        "kubectl -n {} logs deployment/herald-controller",
        facts.namespace
    );
    match leases
        .iter()
        .find(|lease| lease.namespace == facts.namespace)
    {
        _ if !leading.is_empty() && !leading.contains(facts.namespace.as_str()) => {
            let elsewhere: Vec<_> = leading.into_iter().collect();
            let message = format!(
                "no controller leads here, one does in {}",
                elsewhere.join(", ")
            );
            let repair = format!(
                "herald check --namespace {}",
                elsewhere.first().unwrap_or(&"NAMESPACE")
            );
            findings.warn(Word::NoLeader, &object, message, repair);
        }
        None => findings.fail(
            Word::NoLeader,
            &object,
            "no controller has ever led: Services get no address",
            "kubectl apply -k deploy/",
        ),
        Some(lease) if lease.holder.is_none() => {
            findings.fail(
                Word::NoLeader,
                &object,
                "the last leader ended, and none follows: Services get no address",
                logs,
            );
        }
        Some(lease) if !lease.fresh => {
            let holder = lease.holder.as_deref().unwrap_or_default();
            let message = format!("{holder} does not renew it: Services get no address");
            findings.fail(Word::NoLeader, &object, message, logs);
        }
        Some(lease) => {
            if findings.len() == before {
                let message = format!("{} leads", lease.holder.as_deref().unwrap_or_default());
                findings.ok(Word::Controller, &object, message);
            }
        }
    }
}

fn agents(facts: &Facts, findings: &mut Findings) {
    let before = findings.len();
    for it in facts.workloads().iter().filter(|it| it.is_heralds("agent")) {
        if it.ready < it.desired {
            findings.warn(
                Word::AgentUnavailable,
                &it.object(),
                format!("{} of {} pods are ready", it.ready, it.desired),
                format!("kubectl -n {} get pods -o wide", it.namespace),
            );
        }
    }
    let (Ok(nodes), Ok(reports)) = (&facts.nodes, &facts.agents) else {
        return;
    };
    let reporting: BTreeSet<&str> = reports.iter().map(|report| report.node.as_str()).collect();
    let everywhere = facts.pools().iter().any(|pool| pool.ignore_exclude_label);
    let silent: Vec<String> = nodes
        .iter()
        .map(|node| &node.record)
        .filter(|node| node.ready && !node.deleting && (everywhere || !node.excluded))
        .map(|node| node.name.to_string())
        .filter(|name| !reporting.contains(name.as_str()))
        .collect();
    let repair = format!(
        "kubectl -n {} get daemonset/herald-agent, and its pods' events",
        facts.namespace
    );
    if reporting.is_empty() && !nodes.is_empty() {
        let message = "no agent reports from any node: no address is announced";
        findings.fail(Word::AgentMissing, "NodeAnnouncements", message, repair);
    } else if !silent.is_empty() {
        let message = format!("no agent reports from {}", some(&silent));
        findings.warn(Word::AgentMissing, "NodeAnnouncements", message, repair);
    } else if findings.len() == before && !nodes.is_empty() {
        let message = format!("{} report", reports.len());
        findings.ok(Word::Agents, "NodeAnnouncements", message);
    }
}

/// The first few of them, and how many more.
pub(super) fn some(names: &[String]) -> String {
    const FEW: usize = 5;
    let few: Vec<&str> = names.iter().take(FEW).map(String::as_str).collect();
    match names.len().checked_sub(FEW) {
        None | Some(0) => few.join(", "),
        Some(more) => format!("{} and {more} more", few.join(", ")),
    }
}
