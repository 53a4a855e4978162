//! A cluster in which nothing is amiss, for tests to spoil.

use std::collections::BTreeSet;

use super::facts::{
    AgentReport, Definition, Facts, LeaseFacts, NodeFacts, ServiceFacts, Wire, Workload,
};
use crate::{
    api::{
        AgentFacts, GatewayFacts, HostFacts, InterfaceFacts, NodeAnnouncementsStatus,
        SurveyedInterface, WireSurvey,
    },
    world::samples,
};

pub(super) const REQUEST: &str = "2026-01-01T00:00:00Z";

/// Two nodes with agents, one pool, one Service, everything asked.
pub(super) fn whole() -> Facts {
    let known: Vec<_> = ["addresspools.herald.dev", "nodeannouncements.herald.dev"]
        .map(|name| Definition {
            name: name.to_owned(),
            served: [("v1alpha1".to_owned(), "0011aabb".to_owned())].into(),
        })
        .to_vec();
    let definitions = known.iter().map(|it| it.name.clone()).collect();
    Facts {
        version: "0.1.0".to_owned(),
        namespace: "herald-system".to_owned(),
        installed: Ok(known.clone()),
        known,
        definitions: Ok(definitions),
        nodes: Ok(vec![node("a", "10.1.0.11"), node("b", "10.1.0.12")]),
        agents: Ok(vec![agent("a", "10.1.0.11"), agent("b", "10.1.0.12")]),
        pools: Ok(vec![samples::pool("lan", &["10.1.0.200-10.1.0.210"])]),
        services: Ok(vec![service("web")]),
        leases: Ok(vec![lease("herald-system")]),
        workloads: Ok(vec![
            workload("Deployment", "controller", "herald:1"),
            workload("DaemonSet", "agent", "herald:1"),
        ]),
        kube_proxy: Ok(None),
        service_ranges: Ok(vec!["10.96.0.0/16".parse().unwrap()]),
        peer_key: None,
        cilium_pools: Ok(0),
        wire: Wire::Asked(REQUEST.to_owned()),
    }
}

fn node(name: &str, address: &str) -> NodeFacts {
    NodeFacts {
        record: samples::node(name, address),
        pod_ranges: vec!["10.244.0.0/24".parse().unwrap()],
        provider_id: None,
    }
}

fn agent(name: &str, address: &str) -> AgentReport {
    AgentReport {
        node: name.to_owned(),
        status: NodeAnnouncementsStatus {
            peers: 1,
            macs: vec![format!("02:00:00:00:00:0{name}")],
            host: Some(HostFacts {
                kube_proxy_mode: Some("nftables".to_owned()),
                addresses: vec![address.to_owned()],
                interfaces: vec![InterfaceFacts {
                    name: "eth0".to_owned(),
                    subnets: vec!["10.1.0.0/24".to_owned()],
                    arp_ignore: Some(0),
                    arp_announce: Some(0),
                    rp_filter: Some(2),
                }],
                gateways: vec![GatewayFacts {
                    address: "10.1.0.1".to_owned(),
                    interface: "eth0".to_owned(),
                }],
                ..HostFacts::default()
            }),
            agent: Some(AgentFacts {
                version: "0.1.0".to_owned(),
                key: "0a0b0c0d".to_owned(),
                ..AgentFacts::default()
            }),
            survey: Some(WireSurvey {
                request: REQUEST.to_owned(),
                done: true,
                pools: vec!["lan".to_owned()],
                interfaces: vec![SurveyedInterface {
                    interface: "eth0".to_owned(),
                    by: "a".to_owned(),
                    asked: 11,
                    ..SurveyedInterface::default()
                }],
            }),
            ..NodeAnnouncementsStatus::default()
        },
        written: Some(1_000),
        clock: Some(1_001),
    }
}

pub(super) fn service(name: &str) -> ServiceFacts {
    ServiceFacts {
        record: samples::service(name),
        marks: BTreeSet::new(),
        annotations: BTreeSet::new(),
    }
}

pub(super) fn lease(namespace: &str) -> LeaseFacts {
    LeaseFacts {
        name: "herald-controller".to_owned(),
        namespace: namespace.to_owned(),
        holder: Some("herald-1".to_owned()),
        fresh: true,
    }
}

pub(super) fn workload(kind: &'static str, component: &str, image: &str) -> Workload {
    let label = |key: &str, value: &str| (format!("app.kubernetes.io/{key}"), value.to_owned());
    Workload {
        kind,
        namespace: "herald-system".to_owned(),
        name: format!("herald-{component}"),
        labels: [label("name", "herald"), label("component", component)].into(),
        images: vec![image.to_owned()],
        desired: 2,
        ready: 2,
        ..Workload::default()
    }
}
