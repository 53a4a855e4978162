//! Whether the agents understand and hear each other.

use std::collections::{BTreeMap, BTreeSet};

use super::{Facts, Findings, Word, install::some, kernel::announces};
use crate::api::{DropReason, UnheardReason};

/// Further apart than that, clocks make times in logs and reports useless, and tell an agent's lives apart wrongly.
const SKEW: i64 = 10;

pub(super) fn examine(facts: &Facts, findings: &mut Findings) {
    keys(facts, findings);
    heartbeats(facts, findings);
    clocks(facts, findings);
}

fn keys(facts: &Facts, findings: &mut Findings) {
    let before = findings.len();
    if let Some(Ok(false)) = facts.peer_key {
        findings.fail(
            Word::PeerKeyMissing,
            &format!("Secret/herald-peer-key in {}", facts.namespace),
            "is not there, so no agent starts",
            format!(
                "a leading controller makes it; by hand: head -c32 /dev/urandom | base64 | kubectl -n {} create secret \
                 generic herald-peer-key --from-file=keys=/dev/stdin",
                facts.namespace
            ),
        );
    }
    let mut keys: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut refused: BTreeMap<DropReason, Vec<String>> = BTreeMap::new();
    for report in facts.reports() {
        let Some(agent) = &report.status.agent else {
            continue;
        };
        keys.entry(&agent.key)
            .or_default()
            .push(report.node.clone());
        for dropped in &agent.dropped {
            refused
                .entry(dropped.why)
                .or_default()
                .push(report.node.clone());
        }
    }
    let restart = format!(
        "kubectl -n {} rollout restart daemonset/herald-agent",
        facts.namespace
    );
    if keys.len() > 1 {
        let said: Vec<_> = keys
            .iter()
            .map(|(key, nodes)| format!("{key} on {}", some(nodes)))
            .collect();
        let message = format!("agents sign with different keys: {}", said.join("; "));
        let deaf = [DropReason::UnknownKey, DropReason::BadSignature]
            .iter()
            .any(|why| refused.contains_key(why));
        if deaf {
            let message = format!(
                "{message}; and heartbeats are dropped for it: both sides may announce one address"
            );
            findings.fail(Word::KeyMismatch, "agents", message, restart.clone());
        } else {
            let message = format!("{message}; a key is being replaced, or was on some nodes only");
            findings.warn(Word::KeyMismatch, "agents", message, restart.clone());
        }
    }
    for (why, nodes) in &refused {
        let (what, repair) = match why {
            DropReason::UnknownKey => (
                "signed by a key that is not here: another Herald on this LAN, or a node with an old key",
                restart.clone(),
            ),
            DropReason::BadSignature => (
                "whose signature does not fit: somebody forges or damages them",
                "see who sends to UDP port 9471: tcpdump -ni any udp port 9471".to_owned(),
            ),
            DropReason::UnknownVersion => ("of a version that is not known here", restart.clone()),
            DropReason::Malformed => (
                "that are signed well and cannot be read: agents of very different versions",
                restart.clone(),
            ),
        };
        findings.warn(
            Word::HeartbeatsDropped,
            &format!("Node/{}", some(nodes)),
            format!("drops heartbeats {what}"),
            repair,
        );
    }
    if findings.len() == before
        && let Some((key, nodes)) = keys.iter().next()
    {
        findings.ok(
            Word::Keys,
            "agents",
            format!("{} sign with key {key}", nodes.len()),
        );
    }
}

fn heartbeats(facts: &Facts, findings: &mut Findings) {
    let before = findings.len();
    let mut unheard: BTreeMap<(&str, UnheardReason), BTreeSet<String>> = BTreeMap::new();
    for report in facts.reports() {
        for peer in &report.status.unheard {
            let by = unheard.entry((&peer.node, peer.why)).or_default();
            by.insert(format!("{} ({})", report.node, peer.interface));
        }
        if let Some(mac) = &report.status.namesake {
            findings.fail(
                Word::SameName,
                &format!("Node/{}", report.node),
                format!("two agents run under this name, the other one on the host with {mac}"),
                "give each agent its own --node-name (env NODE_NAME from spec.nodeName)",
            );
        }
    }
    for ((node, why), by) in &unheard {
        let by: Vec<String> = by.iter().cloned().collect();
        let object = format!("Node/{node}");
        match why {
            UnheardReason::PeerUnheard => findings.fail(
                Word::PeerUnheard,
                &object,
                format!("is alive, and its heartbeats do not reach {}", some(&by)),
                "open UDP port 9471 between the nodes, also to 224.0.0.254 and ff02::114; else the segment is split",
            ),
            UnheardReason::PeerNoCarrier => findings.warn(
                Word::PeerNoCarrier,
                &object,
                format!("is alive, and has no carrier on the segment of {}", some(&by)),
                "see to the cable, the switch's port or the NIC",
            ),
        }
    }
    let reports = facts.reports();
    few(facts, findings);
    if findings.len() == before && reports.len() > 1 {
        let message = format!(
            "{} agents, and nobody misses one that is alive",
            reports.len()
        );
        findings.ok(Word::Heartbeats, "agents", message);
    }
}

/// Agents that hear fewer others than there are in their subnets: who was never heard is none that fell silent. Agents
/// speak only where something may be announced.
fn few(facts: &Facts, findings: &mut Findings) {
    let unready: BTreeSet<&str> = facts
        .nodes()
        .iter()
        .filter(|node| !node.record.ready)
        .map(|node| node.record.name.as_str())
        .collect();
    let subnets: BTreeMap<&str, BTreeSet<&str>> = facts
        .reports()
        .iter()
        .filter(|report| report.status.agent.is_some() && !unready.contains(report.node.as_str()))
        .map(|report| {
            let interfaces = report.status.host.iter().flat_map(|host| &host.interfaces);
            let spoken = interfaces.filter(|it| announces(facts, it, |_| true));
            let subnets = spoken.flat_map(|it| it.subnets.iter().map(String::as_str));
            (report.node.as_str(), subnets.collect())
        })
        .collect();
    let mut deaf = Vec::new();
    let mut lonely = false;
    for report in facts.reports() {
        let Some(own) = subnets.get(report.node.as_str()) else {
            continue;
        };
        let others = subnets.iter().filter(|(node, _)| **node != report.node);
        let near = others
            .filter(|(_, subnets)| !own.is_disjoint(subnets))
            .count();
        let heard = usize::try_from(report.status.peers).unwrap_or(usize::MAX);
        // Whom it misses is told already.
        if heard < near && report.status.unheard.is_empty() {
            deaf.push(format!("{} ({heard} of {near})", report.node));
            lonely |= heard == 0;
        }
    }
    if deaf.is_empty() {
        return;
    }
    let object = format!("Node/{}", some(&deaf));
    let message = "hears fewer agents than there are in its subnets: nodes that do not hear each other announce the same addresses";
    let repair = "open UDP port 9471 between the nodes, also to 224.0.0.254 and ff02::114; see also whether every agent runs";
    if lonely {
        findings.fail(Word::PeerUnheard, &object, message, repair);
    } else {
        findings.warn(Word::PeerUnheard, &object, message, repair);
    }
}

fn clocks(facts: &Facts, findings: &mut Findings) {
    let before = findings.len();
    let mut compared = 0_usize;
    for report in facts.reports() {
        let (Some(clock), Some(written)) = (report.clock, report.written) else {
            continue;
        };
        compared += 1;
        let ahead = clock.saturating_sub(written);
        if ahead.abs() > SKEW {
            let way = if ahead > 0 { "ahead of" } else { "behind" };
            findings.warn(
                Word::ClockSkew,
                &format!("Node/{}", report.node),
                format!("its clock is {} s {way} the API server's", ahead.abs()),
                "run a time service on the node: timedatectl set-ntp true",
            );
        }
    }
    if findings.len() == before && compared > 0 {
        findings.ok(
            Word::Clocks,
            "nodes",
            format!("{compared} agree with the API server's within {SKEW} s"),
        );
    }
}
