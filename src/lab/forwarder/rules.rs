//! From Services and their endpoints to what a node carries where. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use k8s_openapi::api::{
    core::v1::{Service, ServicePort},
    discovery::v1::{Endpoint, EndpointSlice},
};

/// The label that says whose slice it is.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// What is listened on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Front {
    pub(super) at: SocketAddr,
    pub(super) protocol: Protocol,
}

/// The protocols that the forwarder carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

/// Everything that a node carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    /// The addresses to deliver here, whether anything listens on them or not.
    pub(super) addresses: BTreeSet<IpAddr>,
    /// Never without a backend: where there is none, connections are refused.
    pub(super) fronts: BTreeMap<Front, Vec<SocketAddr>>,
}

/// The rules for one node.
pub(super) fn rules<S, E>(services: &[S], slices: &[E], node: &str) -> Rules
where
    S: AsRef<Service>,
    E: AsRef<EndpointSlice>,
{
    let mut rules = Rules::default();
    for service in services.iter().map(AsRef::as_ref) {
        let slices = slices
            .iter()
            .map(AsRef::as_ref)
            .filter(|slice| belongs(slice, service));
        let slices: Vec<_> = slices.collect();
        for address in addresses(service) {
            rules.addresses.insert(address);
            for port in service.spec.iter().flat_map(|s| s.ports.iter().flatten()) {
                let Some(front) = front(address, port) else {
                    continue;
                };
                let backends = backends(&slices, address, port, only_on(service, node));
                if !backends.is_empty() {
                    rules.fronts.insert(front, backends);
                }
            }
        }
    }
    rules
}

/// The addresses of a load balancer whose traffic reaches the node with the address as destination.
fn addresses(service: &Service) -> impl Iterator<Item = IpAddr> {
    let status = service
        .status
        .as_ref()
        .and_then(|s| s.load_balancer.as_ref());
    status
        .and_then(|balancer| balancer.ingress.as_ref())
        .into_iter()
        .flatten()
        .filter(|entry| entry.ip_mode.as_deref() != Some("Proxy"))
        .filter_map(|entry| entry.ip.as_deref()?.parse().ok())
}

fn front(address: IpAddr, port: &ServicePort) -> Option<Front> {
    let protocol = match port.protocol.as_deref() {
        None | Some("TCP") => Protocol::Tcp,
        Some("UDP") => Protocol::Udp,
        Some(_) => return None,
    };
    let at = SocketAddr::new(address, u16::try_from(port.port).ok()?);
    Some(Front { at, protocol })
}

/// The node whose endpoints alone count.
fn only_on<'a>(service: &Service, node: &'a str) -> Option<&'a str> {
    let policy = service
        .spec
        .as_ref()
        .and_then(|s| s.external_traffic_policy.as_deref());
    (policy == Some("Local")).then_some(node)
}

fn belongs(slice: &EndpointSlice, service: &Service) -> bool {
    let labels = slice.metadata.labels.as_ref();
    slice.metadata.namespace == service.metadata.namespace
        && labels.and_then(|l| l.get(SERVICE_NAME)) == service.metadata.name.as_ref()
}

/// The ready endpoints of the address's family; where none is ready, the ones that still serve.
fn backends(
    slices: &[&EndpointSlice],
    address: IpAddr,
    port: &ServicePort,
    node: Option<&str>,
) -> Vec<SocketAddr> {
    let chosen = |serves: fn(&Endpoint) -> bool| {
        let mut found = BTreeSet::new();
        for slice in slices {
            let ports = slice.ports.iter().flatten();
            let named = |name: Option<&str>| name.unwrap_or_default().to_owned();
            let number = ports
                .filter(|p| named(p.name.as_deref()) == named(port.name.as_deref()))
                .find_map(|p| u16::try_from(p.port?).ok());
            let Some(number) = number else { continue };
            let here = |e: &&Endpoint| node.is_none() || e.node_name.as_deref() == node;
            let endpoints = slice.endpoints.iter().filter(here).filter(|e| serves(e));
            let addresses = endpoints
                .flat_map(|e| &e.addresses)
                .filter_map(|a| a.parse().ok());
            let family = addresses.filter(|a: &IpAddr| a.is_ipv4() == address.is_ipv4());
            found.extend(family.map(|a| SocketAddr::new(a, number)));
        }
        found.into_iter().collect::<Vec<_>>()
    };
    let ready = chosen(|e| e.conditions.as_ref().and_then(|c| c.ready).unwrap_or(true));
    if !ready.is_empty() {
        return ready;
    }
    chosen(|e| {
        e.conditions
            .as_ref()
            .is_some_and(|c| c.serving == Some(true))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    fn service(policy: &str, ports: Value) -> Arc<Service> {
        let service = json!({
            "metadata": {"name": "echo", "namespace": "default"},
            "spec": {"type": "LoadBalancer", "externalTrafficPolicy": policy, "ports": ports},
            "status": {"loadBalancer": {"ingress": [
                {"ip": "192.168.77.200", "ipMode": "VIP"}, {"ip": "fd77::200"},
                {"ip": "10.0.0.1", "ipMode": "Proxy"}, {"hostname": "example.com"},
            ]}},
        });
        Arc::new(serde_json::from_value(service).unwrap())
    }

    fn slice(family: &str, endpoints: Value) -> Arc<EndpointSlice> {
        let slice = json!({
            "metadata": {"name": "x", "namespace": "default", "labels": {SERVICE_NAME: "echo"}},
            "addressType": family,
            "endpoints": endpoints,
            "ports": [{"name": "http", "port": 8080}],
        });
        Arc::new(serde_json::from_value(slice).unwrap())
    }

    fn told(rules: &Rules) -> Vec<String> {
        let line = |(front, to): (&Front, &Vec<SocketAddr>)| {
            let to: Vec<_> = to.iter().map(ToString::to_string).collect();
            format!("{:?} {} -> {}", front.protocol, front.at, to.join(" "))
        };
        rules.fronts.iter().map(line).collect()
    }

    #[test]
    fn families_meet_their_own_endpoints() {
        let ports = json!([{"name": "http", "port": 80}, {"name": "other", "port": 81}]);
        let slices = [
            slice(
                "IPv4",
                json!([{"addresses": ["192.168.77.1"]}, {"addresses": ["192.168.77.2"]}]),
            ),
            slice("IPv6", json!([{"addresses": ["fd77::1"]}])),
        ];
        let rules = rules(&[service("Cluster", ports)], &slices, "node-1");
        assert_eq!(
            told(&rules),
            [
                "Tcp 192.168.77.200:80 -> 192.168.77.1:8080 192.168.77.2:8080",
                "Tcp [fd77::200]:80 -> [fd77::1]:8080",
            ]
        );
        assert_eq!(
            rules.addresses.len(),
            2,
            "the proxied one is not delivered here"
        );
    }

    #[test]
    fn local_means_this_node_and_the_last_ones_serve_on() {
        let endpoints = json!([
            {"addresses": ["192.168.77.1"], "nodeName": "node-1",
             "conditions": {"ready": false, "serving": true, "terminating": true}},
            {"addresses": ["192.168.77.2"], "nodeName": "node-2"},
        ]);
        let ports = json!([{"name": "http", "port": 80, "protocol": "UDP"}]);
        let slices = [slice("IPv4", endpoints)];
        let local = [service("Local", ports.clone())];
        for (node, expected) in [
            ("node-1", vec!["Udp 192.168.77.200:80 -> 192.168.77.1:8080"]),
            ("node-2", vec!["Udp 192.168.77.200:80 -> 192.168.77.2:8080"]),
            ("node-3", vec![]),
        ] {
            assert_eq!(told(&rules(&local, &slices, node)), expected, "{node}");
        }
        let everywhere = rules(&[service("Cluster", ports)], &slices, "node-3");
        assert_eq!(
            told(&everywhere),
            ["Udp 192.168.77.200:80 -> 192.168.77.2:8080"]
        );
    }
}
