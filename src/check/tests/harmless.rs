//! What is much like a fault and is none.

use super::spoil::{
    Harmless, agent, first_service, has, host, interface, pool, rival, set_pool, surveyed,
};
use crate::{
    api::{DhcpOffer, GatewayFacts, InterfaceFacts},
    check::{
        facts::{KubeProxy, Workload},
        samples::{lease, service},
    },
    ipam::Pool,
    world::Layer2Rule,
};

pub(super) fn cases() -> Vec<Harmless> {
    vec![
        ("IPVS with strictARP", |facts| {
            facts.kube_proxy = Ok(Some(KubeProxy {
                mode: "ipvs".to_owned(),
                strict_arp: true,
            }));
            host(facts).kube_proxy_mode = Some("ipvs".to_owned());
            interface(facts).arp_ignore = Some(1);
            interface(facts).arp_announce = Some(2);
        }),
        (
            "a strict filter on the interface of the default route",
            |facts| interface(facts).rp_filter = Some(1),
        ),
        ("a strict filter on an interface of no pool", |facts| {
            let other = InterfaceFacts {
                name: "eth1".into(),
                subnets: vec!["10.2.0.0/24".into()],
                rp_filter: Some(1),
                ..InterfaceFacts::default()
            };
            host(facts).interfaces.push(other);
        }),
        (
            "a node's and a router's address that are excluded",
            |facts| {
                let parsed = Pool::parse(
                    "lan".into(),
                    1,
                    &["10.1.0.1-10.1.0.20"],
                    &["10.1.0.1", "10.1.0.11-10.1.0.12"],
                );
                pool(facts).pool = Ok(parsed.unwrap());
            },
        ),
        ("edges that the pool avoids", |facts| {
            set_pool(facts, &["10.1.0.240-10.1.0.255"]);
            pool(facts).pool.as_mut().unwrap().avoid_edge_addresses = true;
        }),
        ("a pool off every subnet that names an interface", |facts| {
            set_pool(facts, &["10.9.0.1-10.9.0.9"]);
            pool(facts).rules = vec![Layer2Rule {
                interfaces: Some(["eth0".to_owned()].into()),
                ..Layer2Rule::default()
            }];
        }),
        ("an excluded node without an agent", |facts| {
            facts.agents.as_mut().unwrap().pop();
            facts.nodes.as_mut().unwrap()[1].record.excluded = true;
        }),
        ("another controller's Service of its own class", |facts| {
            first_service(facts).class = Some("metallb".to_owned());
            facts.services.as_mut().unwrap()[0]
                .marks
                .insert("metallb.io/ip-allocated-from-pool".to_owned());
            has(facts, "10.7.0.1");
        }),
        ("a Service without a class where none are taken", |facts| {
            facts.workloads.as_mut().unwrap()[0].arguments =
                vec!["--default-provider=none".to_owned()];
            has(facts, "10.7.0.1");
        }),
        ("a rival that is scaled down", |facts| {
            let gone = Workload {
                desired: 0,
                ..rival("quay.io/metallb/speaker:v0.15.2")
            };
            facts.workloads.as_mut().unwrap().push(gone);
        }),
        ("definitions of a rival that does not run", |facts| {
            facts
                .definitions
                .as_mut()
                .unwrap()
                .insert("ipaddresspools.metallb.io".to_owned());
        }),
        ("an offer outside the pools", |facts| {
            surveyed(facts).offers = vec![DhcpOffer {
                server: "10.1.0.2".into(),
                mac: "02:00:00:00:00:99".into(),
                address: "10.1.0.100".into(),
            }];
        }),
        ("a clock that is a little late", |facts| {
            agent(facts).clock = Some(991)
        }),
        ("a gateway of IPv6 elsewhere", |facts| {
            interface(facts).rp_filter = Some(1);
            host(facts).gateways.push(GatewayFacts {
                address: "fe80::1".into(),
                interface: "eth9".into(),
            });
        }),
        ("agents on segments of their own", |facts| {
            for (report, net) in facts
                .agents
                .as_mut()
                .unwrap()
                .iter_mut()
                .zip(["10.1.0.0/24", "10.2.0.0/24"])
            {
                report.status.peers = 0;
                report.status.host.as_mut().unwrap().interfaces[0].subnets = vec![net.to_owned()];
            }
        }),
        ("agents that share only a subnet of no pool", |facts| {
            for report in facts.agents.as_mut().unwrap() {
                report.status.peers = 0;
                report.status.host.as_mut().unwrap().interfaces.remove(0);
            }
            let other = |subnets: &[&str]| InterfaceFacts {
                name: "eth1".into(),
                subnets: subnets.iter().map(|net| (*net).to_owned()).collect(),
                ..InterfaceFacts::default()
            };
            for report in facts.agents.as_mut().unwrap() {
                let interfaces = &mut report.status.host.as_mut().unwrap().interfaces;
                interfaces.push(other(&["10.2.0.0/24"]));
            }
            host(facts).interfaces.push(InterfaceFacts {
                name: "eth0".into(),
                ..other(&["10.1.0.0/24"])
            });
        }),
        ("a second Service of Herald's", |facts| {
            facts.services.as_mut().unwrap().push(service("api"))
        }),
        ("another namespace's Lease that was given back", |facts| {
            let mut other = lease("other");
            other.holder = None;
            facts.leases.as_mut().unwrap().push(other);
        }),
    ]
}
