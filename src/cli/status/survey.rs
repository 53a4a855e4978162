//! Services and announcements brought together: one line for each address. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Balancer, Report};
use crate::{
    api::{self, AnnouncedAddress, AnnouncementState, CheckOutcome, FailedCheck},
    world::TrafficPolicy,
};

/// All Services of Herald's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Status {
    pub(in crate::cli) well: bool,
    pub(in crate::cli) services: Vec<Line>,
}

/// One address of a Service, or a Service without any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Line {
    pub(in crate::cli) well: bool,
    pub(in crate::cli) namespace: String,
    pub(in crate::cli) name: String,
    pub(in crate::cli) class: Option<String>,
    pub(in crate::cli) policy: String,
    pub(in crate::cli) ports: Vec<String>,
    pub(in crate::cli) address: Option<String>,
    pub(in crate::cli) pool: Option<String>,
    /// Those that announce it.
    pub(in crate::cli) nodes: Vec<String>,
    pub(in crate::cli) interfaces: Vec<String>,
    pub(in crate::cli) since: Option<String>,
    pub(in crate::cli) state: String,
    pub(in crate::cli) message: String,
}

/// What the nodes say.
#[derive(Default)]
struct Said<'a> {
    /// Of each address, by node.
    addresses: BTreeMap<&'a str, Vec<(&'a str, &'a AnnouncedAddress)>>,
    /// Failed checks of each address, with the node that checks.
    unreached: BTreeMap<&'a str, Vec<(&'a str, &'a FailedCheck)>>,
    /// The addresses that nodes have themselves.
    own: BTreeSet<&'a str>,
}

/// One line for each address, in the order of namespaces and names.
pub(in crate::cli) fn survey<'a>(
    balancers: impl IntoIterator<Item = &'a Balancer>,
    reports: impl IntoIterator<Item = &'a Report>,
) -> Status {
    let mut said = Said::default();
    for report in reports {
        said.own.extend(report.own.iter().map(String::as_str));
        for address in &report.addresses {
            let of_address = said.addresses.entry(&address.address).or_default();
            of_address.push((&report.node, address));
        }
        for check in &report.unreached {
            let of_address = said.unreached.entry(&check.address).or_default();
            of_address.push((&report.node, check));
        }
    }
    let services: Vec<_> = balancers
        .into_iter()
        .flat_map(|balancer| lines(balancer, &said))
        .collect();
    Status {
        well: services.iter().all(|line| line.well),
        services,
    }
}

fn lines(balancer: &Balancer, said: &Said<'_>) -> Vec<Line> {
    let record = &balancer.record;
    let (allocated, reason, message) = match &record.allocated {
        Some(condition) => (
            condition.holds,
            condition.reason.clone(),
            condition.message.clone(),
        ),
        None => (
            false,
            "Pending".to_owned(),
            "no controller has looked at it yet; is one running?".to_owned(),
        ),
    };
    let blank = Line {
        well: false,
        namespace: record.key.namespace.clone(),
        name: record.key.name.clone(),
        class: record.class.clone(),
        policy: policy(record.policy).to_owned(),
        ports: balancer.ports.clone(),
        address: None,
        pool: record
            .annotations
            .get(api::ANNOTATION_ALLOCATED_FROM)
            .cloned(),
        nodes: Vec::new(),
        interfaces: Vec::new(),
        since: None,
        state: reason,
        message,
    };
    let addresses: Vec<_> = record.status_addresses().map(|a| a.to_string()).collect();
    if addresses.is_empty() {
        return vec![blank];
    }
    let line = |address: String| {
        let is_of_node = balancer.is_on_nodes() || said.own.contains(address.as_str());
        let unreached = said.unreached.get(address.as_str());
        let unreached = unreached.map_or(&[][..], Vec::as_slice);
        let said = said.addresses.get(address.as_str());
        let said = said.map_or(&[][..], Vec::as_slice);
        let announced = match (allocated, is_of_node) {
            // Why it is in a state that it should not be in matters more than who announces it.
            (false, _) => Announced::new(false, &blank.state, &blank.message),
            (true, true) => Announced::new(true, &blank.state, &blank.message),
            (true, false) => announced(said, unreached),
        };
        let owners = || owners(said);
        Line {
            well: announced.well,
            nodes: nodes(said).into_iter().map(str::to_owned).collect(),
            interfaces: distinct(owners().map(|(_, a)| a.interface.clone())),
            since: owners().map(|(_, a)| a.since.clone()).next(),
            address: Some(address),
            state: announced.state,
            message: announced.message,
            ..blank.clone()
        }
    };
    addresses.into_iter().map(line).collect()
}

struct Announced {
    well: bool,
    state: String,
    message: String,
}

impl Announced {
    fn new(well: bool, state: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            well,
            state: state.into(),
            message: message.into(),
        }
    }
}

/// What the nodes make of an address.
fn announced(said: &[(&str, &AnnouncedAddress)], unreached: &[(&str, &FailedCheck)]) -> Announced {
    // A node that may not announce it says nothing of those that do, perhaps on another segment.
    let is_announced = owners(said).next().is_some();
    let trouble = said.iter().find(|(_, a)| match a.state {
        AnnouncementState::Announcing => false,
        AnnouncementState::NotCandidate => !is_announced,
        _ => true,
    });
    if let Some((node, address)) = trouble {
        let message = match &address.message {
            Some(message) => format!("{node}: {message}"),
            None => format!("on node {node}"),
        };
        return Announced::new(false, format!("{:?}", address.state), message);
    }
    // A check of a former owner says nothing of the present one.
    let owners = nodes(said);
    let unreached = unreached
        .iter()
        .find(|(_, check)| owners.contains(&check.owner.as_str()));
    if let Some((node, check)) = unreached {
        return Announced::new(false, format!("{:?}", check.outcome), failure(node, check));
    }
    match owners.as_slice() {
        [] => Announced::new(false, "Unannounced", "no node announces it"),
        [_] => Announced::new(true, "Announcing", ""),
        nodes => {
            let message = format!(
                "announced by {}: right only if each is on a segment of its own",
                nodes.join(" and ")
            );
            Announced::new(true, "Announcing", message)
        }
    }
}

/// What a failed check means, for people.
fn failure(node: &str, check: &FailedCheck) -> String {
    let FailedCheck {
        interface, owner, ..
    } = check;
    match check.outcome {
        CheckOutcome::Unanswered => format!(
            "{node} asked on {interface} and nobody answers, though {owner} announces it: does the network drop ARP or NDP?"
        ),
        CheckOutcome::WrongMac => {
            let mac = check.mac.as_deref().unwrap_or("another host");
            format!("{node} asked on {interface} and {mac} answers, which is not {owner}")
        }
    }
}

fn owners<'a>(
    said: &'a [(&'a str, &'a AnnouncedAddress)],
) -> impl Iterator<Item = &'a (&'a str, &'a AnnouncedAddress)> {
    said.iter()
        .filter(|(_, a)| a.state == AnnouncementState::Announcing)
}

fn nodes<'a>(said: &[(&'a str, &AnnouncedAddress)]) -> Vec<&'a str> {
    distinct(
        said.iter()
            .filter(|(_, a)| a.state == AnnouncementState::Announcing)
            .map(|(node, _)| *node),
    )
}

fn distinct<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    items.collect::<BTreeSet<_>>().into_iter().collect()
}

const fn policy(policy: TrafficPolicy) -> &'static str {
    match policy {
        TrafficPolicy::Cluster => "Cluster",
        TrafficPolicy::Local => "Local",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn balancer(class: &str, reason: &str, mode: &str) -> Balancer {
        let service = json!({
            "metadata": { "namespace": "default", "name": "web" },
            "spec": { "type": "LoadBalancer", "loadBalancerClass": class, "ports": [{ "port": 80 }] },
            "status": {
                "loadBalancer": { "ingress": [{ "ip": "10.0.0.7", "ipMode": mode }] },
                "conditions": [{
                    "type": "herald.dev/AddressAllocated", "status": "True", "reason": reason,
                    "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
                }],
            },
        });
        Balancer::of(&serde_json::from_value(service).unwrap()).unwrap()
    }

    fn report(node: &str, state: Option<&str>, own: &str) -> Report {
        let address = |state| {
            json!({
                "address": "10.0.0.7", "service": "default/web", "interface": "eth0",
                "since": "2026-01-01T00:00:00Z", "state": state,
            })
        };
        let addresses: Vec<Value> = state.into_iter().map(address).collect();
        let announcements = json!({
            "apiVersion": "herald.dev/v1alpha1", "kind": "NodeAnnouncements",
            "metadata": { "name": node }, "spec": {},
            "status": { "addresses": addresses, "host": { "addresses": [own], "listening": [] } },
        });
        Report::of(&serde_json::from_value(announcements).unwrap()).unwrap()
    }

    fn unreached(node: &str, owner: &str, outcome: &str, mac: Option<&str>) -> Report {
        let announcements = json!({
            "apiVersion": "herald.dev/v1alpha1", "kind": "NodeAnnouncements",
            "metadata": { "name": node }, "spec": {},
            "status": { "checks": { "checked": 3, "failing": 1, "failed": [{
                "address": "10.0.0.7", "interface": "eth1", "owner": owner, "outcome": outcome, "mac": mac,
                "since": "2026-01-01T00:00:00Z",
            }]}},
        });
        Report::of(&serde_json::from_value(announcements).unwrap()).unwrap()
    }

    #[test]
    fn an_address_whose_owner_another_node_does_not_reach_is_not_well() {
        let balancer = balancer("herald.dev/layer2", "Allocated", "VIP");
        let mac = "02:00:00:00:00:09";
        for (check, state, message) in [
            (
                unreached("b", "a", "Unanswered", None),
                "Unanswered",
                "b asked on eth1 and nobody answers, though a announces it: does the network drop ARP or NDP?",
            ),
            (
                unreached("b", "a", "WrongMac", Some(mac)),
                "WrongMac",
                "b asked on eth1 and 02:00:00:00:00:09 answers, which is not a",
            ),
            (unreached("b", "c", "Unanswered", None), "Announcing", ""),
        ] {
            let status = survey(
                [&balancer],
                &[report("a", Some("Announcing"), "10.9.9.9"), check],
            );
            let line = status.services.first().unwrap();
            assert_eq!(
                (line.state.as_str(), line.message.as_str()),
                (state, message)
            );
            assert_eq!(
                (line.well, status.well),
                (message.is_empty(), message.is_empty())
            );
            assert_eq!(line.nodes, ["a"]);
        }
    }

    #[test]
    fn an_address_is_well_when_it_is_announced_or_a_nodes_own() {
        let layer2 = || balancer("herald.dev/layer2", "Allocated", "VIP");
        let (silent, own) = ("10.9.9.9", "10.0.0.7");
        let announcing = Some("Announcing");
        for (balancer, reports, state, well) in [
            (layer2(), vec![], "Unannounced", false),
            (
                layer2(),
                vec![report("a", None, silent)],
                "Unannounced",
                false,
            ),
            (
                layer2(),
                vec![report("a", announcing, silent)],
                "Announcing",
                true,
            ),
            (
                layer2(),
                vec![
                    report("a", announcing, silent),
                    report("b", Some("Conflict"), silent),
                ],
                "Conflict",
                false,
            ),
            (layer2(), vec![report("a", None, own)], "Allocated", true),
            (
                balancer("herald.dev/node", "Allocated", "VIP"),
                vec![],
                "Allocated",
                true,
            ),
            (
                balancer("herald.dev/layer2", "Allocated", "Proxy"),
                vec![],
                "Allocated",
                true,
            ),
            (
                balancer("herald.dev/layer2", "FellBackToNodes", "VIP"),
                vec![],
                "FellBackToNodes",
                true,
            ),
        ] {
            let status = survey([&balancer], &reports);
            let line = status.services.first().unwrap();
            assert_eq!(
                (line.state.as_str(), line.well),
                (state, well),
                "{balancer:?} {reports:?}"
            );
            assert_eq!(status.well, well);
        }
    }
}
