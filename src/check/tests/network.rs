//! The nodes and the pools.

use super::spoil::{Case, agent, host, interface, pool, set_pool};
use crate::{
    check::{Severity, Word, facts::KubeProxy},
    world::{Layer2Rule, PoolUnfit, samples as records},
};

pub(super) fn cases() -> Vec<Case> {
    use Severity::{Fail, Warn};
    vec![
        (
            Word::IPVSWithoutStrictARP,
            Fail,
            "Node/a (eth0: arp_ignore=0 arp_announce=0)",
            "IPVS",
            |facts| {
                host(facts).kube_proxy_mode = Some("ipvs".to_owned());
            },
        ),
        (
            Word::IPVSWithoutStrictARP,
            Fail,
            "ConfigMap/kube-proxy in kube-system",
            "strictARP is false",
            |facts| {
                facts.kube_proxy = Ok(Some(KubeProxy {
                    mode: "ipvs".to_owned(),
                    strict_arp: false,
                }));
            },
        ),
        (
            Word::ArpIgnored,
            Warn,
            "Node/a",
            "arp_ignore=8 on eth0",
            |facts| interface(facts).arp_ignore = Some(8),
        ),
        (
            Word::ReversePathStrict,
            Warn,
            "Node/a",
            "rp_filter=1 on eth0, and the default route leaves by eth9",
            |facts| {
                interface(facts).rp_filter = Some(1);
                host(facts).gateways[0].interface = "eth9".to_owned();
            },
        ),
        (
            Word::KubeProxyUnhealthy,
            Fail,
            "Node/a",
            "health check",
            |facts| {
                agent(facts)
                    .status
                    .agent
                    .as_mut()
                    .unwrap()
                    .kube_proxy_unhealthy = true;
            },
        ),
        (Word::NoPool, Warn, "AddressPools", "no pool", |facts| {
            facts.pools = Ok(Vec::new())
        }),
        (
            Word::PoolUnusable,
            Fail,
            "AddressPool/lan",
            "InvalidRange: reversed",
            |facts| {
                pool(facts).pool = Err(PoolUnfit {
                    reason: "InvalidRange",
                    message: "reversed".to_owned(),
                });
            },
        ),
        (
            Word::PoolOffSubnet,
            Fail,
            "AddressPool/lan",
            "10.9.0.1-10.9.0.9; their subnets: 10.1.0.0/24",
            |facts| set_pool(facts, &["10.1.0.200", "10.9.0.1-10.9.0.9"]),
        ),
        (
            Word::PoolOffSubnet,
            Fail,
            "AddressPool/lan",
            "may announce it",
            |facts| {
                // The only node that may announce it has no such subnet.
                for node in facts.nodes.as_mut().unwrap() {
                    node.record.excluded = true;
                }
            },
        ),
        (
            Word::PoolInterfaceMissing,
            Fail,
            "AddressPool/lan",
            "names the interface eth7, which no node has that may announce it; there are: eth0",
            |facts| {
                pool(facts).rules = vec![Layer2Rule {
                    interfaces: Some(["eth7".to_owned()].into()),
                    ..Layer2Rule::default()
                }];
            },
        ),
        (
            Word::PoolHasNodeAddress,
            Fail,
            "AddressPool/lan",
            "10.1.0.11, of the node a, 10.1.0.12, of the node b",
            |facts| set_pool(facts, &["10.1.0.2-10.1.0.20"]),
        ),
        (
            Word::PoolHasGateway,
            Fail,
            "AddressPool/lan",
            "10.1.0.1, of the default router of",
            |facts| set_pool(facts, &["10.1.0.1-10.1.0.9"]),
        ),
        (
            Word::PoolInPodRange,
            Fail,
            "AddressPool/lan",
            "10.244.0.0/24",
            |facts| set_pool(facts, &["10.244.0.16/28"]),
        ),
        (
            Word::PoolInServiceRange,
            Fail,
            "AddressPool/lan",
            "10.96.0.0/16",
            |facts| set_pool(facts, &["10.96.7.16/28"]),
        ),
        (
            Word::PoolOverlap,
            Fail,
            "AddressPool/wan",
            "older pool lan too, 10.1.0.205",
            |facts| {
                facts
                    .pools
                    .as_mut()
                    .unwrap()
                    .push(records::pool("wan", &["10.1.0.205-10.1.0.220"]));
            },
        ),
        (
            Word::EdgeAddress,
            Fail,
            "AddressPool/lan",
            "10.1.0.255, at the end of a node's subnet",
            |facts| set_pool(facts, &["10.1.0.250-10.1.0.255"]),
        ),
        (
            Word::EdgeAddress,
            Warn,
            "AddressPool/lan",
            "10.1.0.255, 10.1.1.0, which some equipment",
            |facts| {
                for report in facts.agents.as_mut().unwrap() {
                    report.status.host.as_mut().unwrap().interfaces[0].subnets =
                        vec!["10.1.0.0/16".to_owned()];
                }
                set_pool(facts, &["10.1.0.250-10.1.1.9"]);
            },
        ),
    ]
}
