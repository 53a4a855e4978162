//! Services and announcements brought together: one line for each address. Pure.

use serde::Serialize;

use super::{
    Report,
    agents::Agents,
    said::{Announced, Said, announced, distinct, nodes, owners},
};
use crate::{
    api::{self, Provider, Reason},
    world::{ConditionRecord, IngressRecord, ServiceRecord, TrafficPolicy},
};

/// All Services of Herald's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Every Service has what it asks for, and every address is announced.
    pub well: bool,
    /// One line for each address, by namespace and name.
    pub services: Vec<Line>,
    /// What is wrong between the agents, though every address may be announced.
    pub agents: Vec<Trouble>,
}

/// Something that is wrong with an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trouble {
    /// The node of the agent.
    pub node: String,
    /// One word, as in docs/reasons.md.
    pub state: String,
    /// Details for people.
    pub message: String,
}

/// One address of a Service, or a Service without any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// It is as it should be.
    pub well: bool,
    /// The Service's namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `spec.loadBalancerClass`.
    pub class: Option<String>,
    /// `spec.externalTrafficPolicy`.
    pub policy: String,
    /// What it serves, as [`ports`] tells it.
    pub ports: Vec<String>,
    /// The address; nothing for a Service without any.
    pub address: Option<String>,
    /// The cloud's balancer, which has a name instead of an address.
    pub hostname: Option<String>,
    /// The pool that the address came from.
    pub pool: Option<String>,
    /// Those that announce it.
    pub nodes: Vec<String>,
    /// The interfaces on which they do.
    pub interfaces: Vec<String>,
    /// Since when it is in this state: announced by this node, refused, in conflict. RFC 3339.
    pub since: Option<String>,
    /// One word, as in docs/reasons.md.
    pub state: String,
    /// Details for people.
    pub message: String,
}

impl Line {
    /// The pools that its Service's addresses came from, one for each family.
    pub fn pools(&self) -> impl Iterator<Item = &str> {
        let pools = self.pool.as_deref().unwrap_or_default().split(',');
        pools.map(str::trim).filter(|pool| !pool.is_empty())
    }
}

/// Whether a Service of type LoadBalancer says that it is Herald's, or Herald says so.
#[must_use]
pub fn is_heralds(service: &ServiceRecord) -> bool {
    let by_class = service
        .class
        .as_deref()
        .is_some_and(|class| class.starts_with(api::CLASS_PREFIX));
    by_class || service.allocated.is_some() || service.provisioned.is_some()
}

/// What a Service serves: `TCP/80`, with the node port behind a colon where there is one: `TCP/80:30080`.
#[must_use]
pub fn ports(service: &ServiceRecord) -> Vec<String> {
    let ports = service.ports.iter();
    ports
        .map(|port| match port.node_port {
            Some(node_port) => format!("{}:{node_port}", port.port),
            None => port.port.to_string(),
        })
        .collect()
}

/// One line for each address, in the order of namespaces and names.
pub fn survey<'a>(
    services: impl IntoIterator<Item = &'a ServiceRecord>,
    reports: impl IntoIterator<Item = &'a Report>,
) -> Status {
    let reports: Vec<_> = reports.into_iter().collect();
    let mut agents = Agents::default();
    reports.iter().for_each(|report| agents.take(report));
    let said = Said::of(&reports);
    let mut services: Vec<_> = services
        .into_iter()
        .flat_map(|service| lines(service, &said))
        .collect();
    // The API server sorts by both words with a slash between, where `a-b` comes before `a`. Addresses of one Service
    // stay in the order of its status.
    services.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    Status {
        well: services.iter().all(|line| line.well),
        services,
        agents: agents.troubles(),
    }
}

fn lines(service: &ServiceRecord, said: &Said<'_>) -> Vec<Line> {
    let condition = service
        .provisioned
        .as_deref()
        .or(service.allocated.as_ref());
    let blank = blank(service, condition);
    let holds = condition.is_some_and(|condition| condition.holds);
    let addresses: Vec<_> = service.status_addresses().map(|a| a.to_string()).collect();
    let hostnames = service.ingress.iter().filter_map(|i| i.hostname.clone());
    let of_cloud = hostnames.map(|hostname| Line {
        well: holds,
        hostname: Some(hostname),
        ..blank.clone()
    });
    let of_cloud: Vec<_> = of_cloud.collect();
    if addresses.is_empty() && of_cloud.is_empty() {
        return vec![blank];
    }
    let line = |address: String| {
        let is_of_node = is_on_nodes(service) || said.own.contains(address.as_str());
        let (heard, unreached) = said.of_address(&address);
        let announced = match (holds, is_of_node) {
            // Why it is in a state that it should not be in matters more than who announces it.
            (false, _) => Announced::new(false, &blank.state, &blank.message),
            (true, true) => Announced::new(true, &blank.state, &blank.message),
            (true, false) if heard.is_empty() && said.cut => unlisted(service),
            (true, false) => announced(heard, unreached),
        };
        let owners = || owners(heard);
        let of_owner = owners().map(|(_, a)| a.since.clone()).next();
        let of_condition = blank
            .since
            .clone()
            .filter(|_| announced.state == blank.state);
        Line {
            well: announced.well,
            nodes: nodes(heard).into_iter().map(str::to_owned).collect(),
            interfaces: distinct(owners().map(|(_, a)| a.interface.clone())),
            since: announced.since.or(of_owner).or(of_condition),
            address: Some(address),
            state: announced.state,
            message: announced.message,
            ..blank.clone()
        }
    };
    addresses.into_iter().map(line).chain(of_cloud).collect()
}

/// The line of a Service without any address.
fn blank(service: &ServiceRecord, condition: Option<&ConditionRecord>) -> Line {
    let (reason, message) = match condition {
        Some(condition) => (condition.reason.as_str(), condition.message.as_str()),
        None => (
            "Pending",
            "no controller has looked at it yet; is one running?",
        ),
    };
    Line {
        well: false,
        namespace: service.key.namespace.clone(),
        name: service.key.name.clone(),
        class: service.class.clone(),
        policy: policy(service.policy).to_owned(),
        ports: ports(service),
        address: None,
        hostname: None,
        pool: service
            .annotations
            .get(api::ANNOTATION_ALLOCATED_FROM)
            .cloned(),
        nodes: Vec::new(),
        interfaces: Vec::new(),
        since: condition.map(|condition| condition.since.clone()),
        state: reason.to_owned(),
        message: message.to_owned(),
    }
}

/// Whether its addresses are said to be those of nodes, which nobody announces.
fn is_on_nodes(service: &ServiceRecord) -> bool {
    let fell_back = service
        .allocated
        .as_ref()
        .is_some_and(|condition| condition.reason == Reason::FELL_BACK_TO_NODES.as_str());
    let by_proxy = |entry: &IngressRecord| entry.ip_mode.as_deref() == Some("Proxy");
    let provider = service.annotations.get(api::ANNOTATION_PROVIDER);
    let asked_for = match service.class.as_deref() {
        Some(class) => class == api::CLASS_NODE,
        None => provider.is_some_and(|word| word.trim() == Provider::Node.word()),
    };
    fell_back || asked_for || service.ingress.iter().any(by_proxy)
}

/// What the controller says of an address that may be among those for which a node's list has no room.
fn unlisted(service: &ServiceRecord) -> Announced {
    match service.announced.as_deref() {
        Some(told) => Announced {
            since: Some(told.since.clone()),
            ..Announced::new(told.holds, &told.reason, &told.message)
        },
        None => announced(&[], &[]),
    }
}

const fn policy(policy: TrafficPolicy) -> &'static str {
    match policy {
        TrafficPolicy::Cluster => "Cluster",
        TrafficPolicy::Local => "Local",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{cluster, world::samples};

    fn balancer(class: &str, reason: &str, mode: &str) -> ServiceRecord {
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
        cluster::service(&serde_json::from_value(service).unwrap()).unwrap()
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
        cluster::report(&serde_json::from_value(announcements).unwrap()).unwrap()
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
        cluster::report(&serde_json::from_value(announcements).unwrap()).unwrap()
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
    fn a_dead_nodes_last_word_does_not_count_beside_the_next_owners() {
        let balancer = balancer("herald.dev/layer2", "Allocated", "VIP");
        let announcing = |node, interface: &str, since: &str| {
            let mut report = report(node, Some("Announcing"), "10.9.9.9");
            report.addresses[0].interface = interface.into();
            report.addresses[0].since = since.into();
            report
        };
        let (before, after) = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:05Z");
        for (interface, nodes) in [("eth0", &["b"][..]), ("eth1", &["a", "b"])] {
            let reports = [
                announcing("a", "eth0", before),
                announcing("b", interface, after),
            ];
            let status = survey([&balancer], &reports);
            assert_eq!(status.services.first().unwrap().nodes, nodes, "{interface}");
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

    #[test]
    fn a_balancer_in_the_cloud_is_told_by_its_name_and_its_condition() {
        let provisioned = |holds: bool| {
            let mut service = samples::service("nlb");
            service.class = Some(api::CLASS_AWS_NLB.to_owned());
            service.ingress = vec![IngressRecord {
                ip: None,
                hostname: Some("a.example".to_owned()),
                ip_mode: None,
                ports: Vec::new(),
            }];
            service.provisioned = Some(Box::new(ConditionRecord {
                holds,
                reason: if holds { "Provisioned" } else { "NoSubnets" }.to_owned(),
                message: "because".to_owned(),
                since: "2026-01-01T00:00:00Z".to_owned(),
            }));
            service
        };
        for (holds, state) in [(true, "Provisioned"), (false, "NoSubnets")] {
            let status = survey([&provisioned(holds)], []);
            let line = status.services.first().unwrap();
            assert_eq!((line.well, line.state.as_str()), (holds, state));
            assert_eq!(
                (line.hostname.as_deref(), line.address.as_deref()),
                (Some("a.example"), None)
            );
            assert_eq!(line.since.as_deref(), Some("2026-01-01T00:00:00Z"));
        }
        let mut unserved = provisioned(false);
        unserved.ingress.clear();
        let status = survey([&unserved], []);
        assert_eq!(status.services.first().unwrap().state, "NoSubnets");
    }

    #[test]
    fn an_address_beyond_a_nodes_list_is_told_by_the_condition() {
        let mut service = balancer("herald.dev/layer2", "Allocated", "VIP");
        let announced = |holds, reason: &str| {
            Some(Box::new(ConditionRecord {
                holds,
                reason: reason.to_owned(),
                message: "10.0.0.7 by node a (eth0)".to_owned(),
                since: "2026-01-01T00:00:09Z".to_owned(),
            }))
        };
        let mut full = report("a", None, "10.9.9.9");
        full.counts.announcing = 1_001;
        for (condition, state, well) in [
            (announced(true, "Announcing"), "Announcing", true),
            (announced(false, "NoEndpoint"), "NoEndpoint", false),
            (None, "Unannounced", false),
        ] {
            service.announced = condition;
            let status = survey([&service], [&full]);
            let line = status.services.first().unwrap();
            assert_eq!((line.state.as_str(), line.well), (state, well));
        }
        service.announced = announced(true, "Announcing");
        full.counts.announcing = 0;
        let status = survey([&service], [&full]);
        let line = status.services.first().unwrap();
        assert_eq!(line.state, "Unannounced", "the list is whole");
    }

    #[test]
    fn lines_come_by_namespace_and_name_and_say_since_when() {
        let in_namespace = |namespace: &str| {
            let mut service = samples::service("web");
            service.key.namespace = namespace.to_owned();
            service
        };
        // As the API server lists them.
        let services = ["team-a", "team"].map(in_namespace);
        let status = survey(&services, []);
        let told = status.services.iter().map(|line| line.namespace.as_str());
        assert_eq!(told.collect::<Vec<_>>(), ["team", "team-a"]);
        assert_eq!(status.services.first().unwrap().since, None, "Pending");

        let service = balancer("herald.dev/layer2", "Allocated", "VIP");
        let mut conflict = report("a", Some("Conflict"), "10.9.9.9");
        conflict.addresses[0].since = "2026-01-01T00:00:05Z".into();
        let status = survey([&service], [&conflict]);
        let since = status.services.first().unwrap().since.clone();
        assert_eq!(since.as_deref(), Some("2026-01-01T00:00:05Z"));
    }
}
