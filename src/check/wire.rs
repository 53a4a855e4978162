//! Whether somebody else is on the addresses: what agents saw by themselves, and what they found when asked.

use std::{collections::BTreeMap, net::IpAddr};

use super::{
    Facts, Findings, Word,
    facts::{AgentReport, Wire},
    install::some,
    pools::exclude,
};
use crate::{
    api::{AnnouncementState, CheckOutcome, DhcpOffer, WireSurvey},
    world::PoolRecord,
};

/// A host with more addresses than that is likelier a router that answers for all.
const FEW: usize = 10;

pub(super) fn examine(facts: &Facts, findings: &mut Findings) {
    conflicts(facts, findings);
    let before = findings.len();
    let request = match &facts.wire {
        Wire::NotAsked => {
            let message = "hosts and DHCP servers on free addresses of the pools were not looked for: herald check --wire";
            findings.skip(Word::WireNotAsked, "AddressPools", message);
            return;
        }
        // Told with everything else that could not be read.
        Wire::Unasked(_) => return,
        Wire::Asked(request) => request,
    };
    let mut asked: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    let mut silent = Vec::new();
    for report in facts
        .reports()
        .iter()
        .filter(|report| report.status.agent.is_some())
    {
        let survey = report.status.survey.as_ref();
        let Some(survey) = survey.filter(|survey| survey.request == *request && survey.done) else {
            silent.push(report.node.clone());
            continue;
        };
        found(facts, report, survey, findings);
        let own = survey.interfaces.iter().filter(|it| it.by == report.node);
        asked.extend(own.map(|it| ((report.node.as_str(), it.interface.as_str()), it.asked)));
    }
    if !silent.is_empty() {
        findings.unknown(
            Word::WireUnanswered,
            &format!("Node/{}", some(&silent)),
            "its agent did not tell in time what it found on the wire",
            format!(
                "kubectl -n {} logs daemonset/herald-agent, and then again: herald check --wire",
                facts.namespace
            ),
        );
    }
    if findings.len() == before {
        let total: u32 = asked.values().sum();
        if total == 0 {
            findings.skip(
                Word::Wire,
                "AddressPools",
                "no free address of any pool is on a segment of an agent's",
            );
        } else {
            let message = format!(
                "nobody answers for {total} free addresses, and no DHCP server offers one of a pool"
            );
            findings.ok(Word::Wire, "AddressPools", message);
        }
    }
}

/// What agents met without being asked.
fn conflicts(facts: &Facts, findings: &mut Findings) {
    for report in facts.reports() {
        for address in &report.status.addresses {
            let foreign = matches!(
                address.state,
                AnnouncementState::Conflict | AnnouncementState::InUse
            );
            let Some(mac) = address.conflicting_mac.as_deref().filter(|_| foreign) else {
                continue;
            };
            conflict(
                facts,
                &address.address,
                &format!(
                    "{mac} claims it, as {} sees on {}",
                    report.node, address.interface
                ),
                findings,
            );
        }
        for check in report
            .status
            .checks
            .iter()
            .flat_map(|checks| &checks.failed)
        {
            if let (CheckOutcome::WrongMac, Some(mac)) = (check.outcome, &check.mac) {
                let message = format!(
                    "{mac} answers for it as well as its owner {}, as {} sees on {}",
                    check.owner, report.node, check.interface
                );
                conflict(facts, &check.address, &message, findings);
            }
        }
    }
}

fn conflict(facts: &Facts, address: &str, message: &str, findings: &mut Findings) {
    let repair = match address
        .parse()
        .ok()
        .and_then(|address| pool_of(facts, address))
    {
        Some(pool) => format!(
            "take it from that host, or exclude it from the pool {}",
            pool.name
        ),
        None => "take it from that host".to_owned(),
    };
    findings.fail(
        Word::AddressConflict,
        &format!("Address/{address}"),
        message,
        repair,
    );
}

fn pool_of(facts: &Facts, address: IpAddr) -> Option<&PoolRecord> {
    let holds = |record: &&PoolRecord| {
        let pool = record.pool.as_ref();
        pool.is_ok_and(|pool| pool.usable().iter().any(|range| range.contains(address)))
    };
    facts.pools().iter().find(holds)
}

fn found(facts: &Facts, report: &AgentReport, survey: &WireSurvey, findings: &mut Findings) {
    for it in &survey.interfaces {
        let by = format!("{} ({})", report.node, it.interface);
        if let Some(error) = &it.error {
            findings.unknown(
                Word::WireUnanswered,
                &format!("Node/{}", report.node),
                format!("could not ask on {}: {error}", it.interface),
                format!("kubectl -n {} logs daemonset/herald-agent", facts.namespace),
            );
        }
        if it.left > 0 {
            findings.warn(
                Word::WireIncomplete,
                &format!("Node/{}", report.node),
                format!(
                    "asked on {} for {} addresses, and stopped there: {} more were not asked for",
                    it.interface, it.asked, it.left
                ),
                "make the pools smaller; of an IPv6 range nobody can ask for all",
            );
        }
        answered(
            facts,
            &by,
            it.answered
                .iter()
                .map(|it| (it.address.as_str(), it.mac.as_str())),
            findings,
        );
        for offer in &it.offers {
            offered(facts, &by, offer, findings);
        }
    }
}

/// One finding for each pool and host, since a host may have many addresses.
fn answered<'a>(
    facts: &Facts,
    by: &str,
    answered: impl Iterator<Item = (&'a str, &'a str)>,
    findings: &mut Findings,
) {
    let names = facts.macs();
    let mut hosts: BTreeMap<(String, &str), Vec<String>> = BTreeMap::new();
    for (address, mac) in answered {
        let pool = address
            .parse()
            .ok()
            .and_then(|address| pool_of(facts, address));
        // A pool that was edited meanwhile.
        let Some(pool) = pool else { continue };
        hosts
            .entry((pool.name.to_string(), mac))
            .or_default()
            .push(address.to_owned());
    }
    for ((name, mac), addresses) in hosts {
        let host = match names.get(mac) {
            Some(node) => format!("the node {node} ({mac})"),
            None => format!("the host with {mac}"),
        };
        let object = format!("AddressPool/{name}");
        let pool = facts
            .pools()
            .iter()
            .find(|record| record.name.as_str() == name);
        let many = addresses.len() > FEW;
        let repair = pool
            .and_then(|record| record.pool.as_ref().ok())
            .filter(|_| !many)
            .map(|pool| {
                format!(
                    "take it from that host, or: {}",
                    exclude(&object, pool, addresses.iter().cloned())
                )
            });
        findings.fail(
            Word::AddressAnswered,
            &object,
            format!(
                "{host} answers for {}, which no Service holds, as {by} sees",
                some(&addresses)
            ),
            repair.unwrap_or_else(|| {
                format!("if it is a router: turn its proxy ARP off for them; else take them out of the pool: kubectl edit addresspool {name}")
            }),
        );
    }
}

fn offered(facts: &Facts, by: &str, offer: &DhcpOffer, findings: &mut Findings) {
    let pool = offer
        .address
        .parse()
        .ok()
        .and_then(|address| pool_of(facts, address));
    if let Some(pool) = pool {
        findings.fail(
            Word::DhcpInPool,
            &format!("AddressPool/{}", pool.name),
            format!("the DHCP server {} ({}) offers {}, as {by} sees: sooner or later a host gets it", offer.server, offer.mac, offer.address),
            format!("take the pool's range out of that server's, or exclude the server's range: kubectl edit addresspool {}", pool.name),
        );
    }
}
