//! Other controllers, clouds, the wire, and what could not be read.

use super::spoil::{Case, agent, announced, first_service, forbidden, has, rival, surveyed};
use crate::{
    api::{AddressChecks, AnnouncementState, Answered, CheckOutcome, DhcpOffer, FailedCheck},
    check::{
        KUBE_VIP_LEASE, Severity, Word,
        facts::{LeaseFacts, Wire},
        samples::REQUEST,
    },
};

pub(super) fn cases() -> Vec<Case> {
    use Severity::{Fail, Skip, Unknown, Warn};
    vec![
        (
            Word::OtherController,
            Warn,
            "Lease/plndr-svcs-lock in kube-system",
            "kube-vip serves Services here too, from node-1",
            |facts| {
                let leases = facts.leases.as_mut().unwrap();
                leases.push(LeaseFacts {
                    name: KUBE_VIP_LEASE.to_owned(),
                    namespace: "kube-system".to_owned(),
                    holder: Some("node-1".to_owned()),
                    fresh: true,
                });
            },
        ),
        (
            Word::OtherController,
            Warn,
            "DaemonSet/rival in other",
            "kube-vip runs here too",
            |facts| {
                facts
                    .workloads
                    .as_mut()
                    .unwrap()
                    .push(rival("ghcr.io/kube-vip/kube-vip:v1.0.1"));
            },
        ),
        (
            Word::OtherController,
            Warn,
            "DaemonSet/rival in other",
            "ServiceLB",
            |facts| {
                facts
                    .workloads
                    .as_mut()
                    .unwrap()
                    .push(rival("rancher/klipper-lb:v0.4.13"));
            },
        ),
        (
            Word::OtherController,
            Warn,
            "CiliumLoadBalancerIPPools",
            "2 pools",
            |facts| facts.cilium_pools = Ok(2),
        ),
        (
            Word::OtherController,
            Warn,
            "CustomResourceDefinitions",
            "PureLB",
            |facts| {
                facts.workloads = Err(forbidden("list", "daemonsets.apps"));
                facts
                    .definitions
                    .as_mut()
                    .unwrap()
                    .insert("servicegroups.purelb.io".to_owned());
            },
        ),
        (
            Word::ForeignService,
            Warn,
            "Service/default/web",
            "metallb.io/ip-allocated-from-pool (MetalLB)",
            |facts| {
                facts.services.as_mut().unwrap()[0]
                    .marks
                    .insert("metallb.io/ip-allocated-from-pool".to_owned());
            },
        ),
        (
            Word::ForeignService,
            Warn,
            "Service/default/web",
            "service.kubernetes.io/load-balancer-cleanup",
            |facts| {
                first_service(facts).foreign_finalizer =
                    Some("service.kubernetes.io/load-balancer-cleanup".to_owned());
            },
        ),
        (
            Word::ForeignStatus,
            Warn,
            "Service/default/web",
            "10.7.0.1, which lies in no pool",
            |facts| has(facts, "10.7.0.1"),
        ),
        (
            Word::ForeignStatus,
            Warn,
            "Service/default/web",
            "10.1.0.201, which is in a pool",
            |facts| has(facts, "10.1.0.201"),
        ),
        (
            Word::ProviderIdMissing,
            Fail,
            "Node/a, b",
            "1 Services want",
            |facts| first_service(facts).class = Some("herald.dev/aws-nlb".to_owned()),
        ),
        (
            Word::WireNotAsked,
            Skip,
            "AddressPools",
            "herald check --wire",
            |facts| facts.wire = Wire::NotAsked,
        ),
        (
            Word::AddressConflict,
            Fail,
            "Address/10.1.0.200",
            "02:00:00:00:00:99 claims it, as a sees on eth0",
            |facts| {
                agent(facts).status.addresses = vec![announced(AnnouncementState::Conflict)];
            },
        ),
        (
            Word::AddressConflict,
            Fail,
            "Address/10.1.0.200",
            "as well as its owner b",
            |facts| {
                let failed = FailedCheck {
                    address: "10.1.0.200".to_owned(),
                    interface: "eth0".to_owned(),
                    owner: "b".to_owned(),
                    outcome: CheckOutcome::WrongMac,
                    mac: Some("02:00:00:00:00:99".to_owned()),
                    since: REQUEST.to_owned(),
                };
                agent(facts).status.checks = Some(AddressChecks {
                    checked: 1,
                    failing: 1,
                    failed: vec![failed],
                });
            },
        ),
        (
            Word::AddressAnswered,
            Fail,
            "AddressPool/lan",
            "the host with 02:00:00:00:00:99 answers for 10.1.0.205",
            |facts| {
                surveyed(facts).answered = vec![Answered {
                    address: "10.1.0.205".into(),
                    mac: "02:00:00:00:00:99".into(),
                }];
            },
        ),
        (
            Word::AddressAnswered,
            Fail,
            "AddressPool/lan",
            "the node b (02:00:00:00:00:0b)",
            |facts| {
                surveyed(facts).answered = vec![Answered {
                    address: "10.1.0.205".into(),
                    mac: "02:00:00:00:00:0b".into(),
                }];
            },
        ),
        (
            Word::DhcpInPool,
            Fail,
            "AddressPool/lan",
            "the DHCP server 10.1.0.2 (02:00:00:00:00:99) offers 10.1.0.205, as a (eth0) sees",
            |facts| {
                surveyed(facts).offers = vec![DhcpOffer {
                    server: "10.1.0.2".into(),
                    mac: "02:00:00:00:00:99".into(),
                    address: "10.1.0.205".into(),
                }];
            },
        ),
        (
            Word::WireUnanswered,
            Unknown,
            "Node/a",
            "did not tell in time",
            |facts| agent(facts).status.survey = None,
        ),
        (
            Word::WireUnanswered,
            Unknown,
            "Node/a",
            "did not tell in time",
            |facts| {
                agent(facts).status.survey.as_mut().unwrap().done = false;
            },
        ),
        (
            Word::WireUnanswered,
            Unknown,
            "Node/a",
            "could not ask on eth0: no link",
            |facts| surveyed(facts).error = Some("no link".to_owned()),
        ),
        (
            Word::WireIncomplete,
            Warn,
            "Node/a",
            "asked on eth0 for 11 addresses, and stopped there: 9 more",
            |facts| surveyed(facts).left = 9,
        ),
        (
            Word::CouldNotRead,
            Unknown,
            "nodes",
            "needs verb list on nodes",
            |facts| facts.nodes = Err(forbidden("list", "nodes")),
        ),
        (
            Word::CouldNotRead,
            Unknown,
            "addresspools.herald.dev",
            "needs verb patch on",
            |facts| {
                facts.wire = Wire::Unasked(forbidden("patch", "addresspools.herald.dev"));
            },
        ),
    ]
}
