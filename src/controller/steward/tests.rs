//! The steward against a table of situations, with a tiny API server that answers its calls.

mod announced;
mod cluster;
mod keeping;
mod on_nodes;
mod races;
mod replacing;
mod sharing;

use super::*;
use crate::{
    api,
    ipam::{Families, Family},
    world::{
        IngressRecord, LockKey,
        samples::{pool, service},
    },
};
use cluster::Cluster;

fn dual(mut service: ServiceRecord) -> ServiceRecord {
    service.families = Families::Require(Family::V4);
    service
}

fn asking(mut service: ServiceRecord, key: &str, value: &str) -> ServiceRecord {
    service.annotations.insert(key.into(), value.into());
    service
}

#[test]
fn a_service_gets_an_address_with_three_writes_and_then_none() {
    let mut cluster = Cluster::new(
        vec![pool("lan", &["10.0.0.1-10.0.0.9"])],
        vec![service("web")],
    );
    cluster.expect("web", &["10.0.0.1"], "Allocated");
    assert_eq!(cluster.writes, 2, "lock and status; the Event is the third");
    assert_eq!(
        cluster.events,
        [(ServiceKey::new("default", "web"), "Allocated")]
    );
    cluster.restart(vec![pool("lan", &["10.0.0.1-10.0.0.9"])]);
    assert_eq!(
        (cluster.writes, cluster.events.len()),
        (2, 1),
        "a restart writes nothing"
    );
}

#[test]
fn dual_stack_may_come_from_two_pools() {
    let pools = vec![pool("four", &["10.0.0.1"]), pool("six", &["fd00::1"])];
    let cluster = Cluster::new(pools, vec![dual(service("web"))]);
    cluster.expect("web", &["10.0.0.1", "fd00::1"], "Allocated");
    let web = &cluster.services[&ServiceKey::new("default", "web")];
    let pools = web.annotations.get(api::ANNOTATION_ALLOCATED_FROM);
    assert_eq!(pools.map(String::as_str), Some("four,six"));
}

#[test]
fn a_waiting_service_gets_the_address_that_is_freed() {
    let pools = vec![pool("lan", &["10.0.0.1"])];
    let mut first = service("first");
    first.created = 50;
    let mut cluster = Cluster::new(pools, vec![service("second"), first]);
    cluster.expect("first", &["10.0.0.1"], "Allocated");
    cluster.expect("second", &[], "PoolExhausted");
    cluster.delete("first");
    cluster.expect("second", &["10.0.0.1"], "Allocated");
}

#[test]
fn a_wrong_request_never_costs_the_address_held() {
    let pools = vec![pool("lan", &["10.0.0.1-10.0.0.9"])];
    let mut cluster = Cluster::new(pools, vec![service("web"), service("other")]);
    cluster.expect("web", &["10.0.0.2"], "Allocated");
    for (key, value, reason) in [
        (api::ANNOTATION_ADDRESSES, "10.0.0.1", "AddressInUse"),
        (api::ANNOTATION_ADDRESSES, "10.9.9.9", "AddressNotInPool"),
        (api::ANNOTATION_ADDRESSES, "nonsense", "InvalidRequest"),
        (api::ANNOTATION_ADDRESSES, "fd00::1", "InvalidRequest"),
        (api::ANNOTATION_POOL, "nowhere", "PoolNotFound"),
        ("herald.dev/typo", "x", "InvalidRequest"),
    ] {
        cluster.edit("web", |web| {
            web.annotations.insert(key.into(), value.into());
        });
        cluster.expect("web", &["10.0.0.2"], reason);
        cluster.edit("web", |web| {
            web.annotations.remove(key);
        });
        cluster.expect("web", &["10.0.0.2"], "Allocated");
    }
}

#[test]
fn a_move_takes_the_new_address_before_the_old_one_goes() {
    let pools = vec![pool("lan", &["10.0.0.1-10.0.0.9"])];
    let mut cluster = Cluster::new(pools, vec![service("web")]);
    cluster.edit("web", |web| {
        web.annotations
            .insert(api::ANNOTATION_ADDRESSES.into(), "10.0.0.7".into());
    });
    cluster.expect("web", &["10.0.0.7"], "Allocated");
    assert_eq!(cluster.locked(), ["10.0.0.7"]);
}

#[test]
fn deleting_pools_or_locks_withdraws_nothing() {
    let pools = vec![pool("lan", &["10.0.0.1-10.0.0.9"])];
    let mut cluster = Cluster::new(pools.clone(), vec![service("web")]);
    cluster.pools(Vec::new());
    cluster.expect("web", &["10.0.0.1"], "Allocated");
    let lock = cluster
        .locks
        .remove(&LockKey::Address("10.0.0.1".parse().unwrap()))
        .unwrap();
    let look = cluster
        .steward
        .take(Input::Allocations(Change::Delete(lock)));
    cluster.settle(look);
    cluster.expect("web", &["10.0.0.1"], "Allocated");
    assert_eq!(cluster.locks.len(), 1, "the lock is made again");
    cluster.locks.clear();
    cluster.restart(Vec::new());
    cluster.expect("web", &["10.0.0.1"], "Allocated");
    assert_eq!(cluster.locks.len(), 1);
}

#[test]
fn a_recreated_service_is_another_one() {
    let pools = vec![pool("lan", &["10.0.0.1"])];
    let mut cluster = Cluster::new(pools, vec![service("web")]);
    let mut again = service("web");
    again.uid = "uid-again".into();
    again.created = 200;
    cluster.apply(again);
    cluster.expect("web", &["10.0.0.1"], "Allocated");
    let lock = cluster.locks.values().next().unwrap();
    assert_eq!(lock.holders[0].uid, "uid-again");
}

#[test]
fn a_type_change_looks_like_a_deletion_and_is_asked_about() {
    let pools = vec![pool("lan", &["10.0.0.1"])];
    let mut cluster = Cluster::new(pools, vec![service("web")]);
    let web = cluster.services[&ServiceKey::new("default", "web")].clone();
    let look = cluster.steward.take(Input::Services(Change::Delete(web)));
    let plan = cluster.steward.plan(look.first().unwrap());
    assert!(plan.ask_first && !plan.unlocks.is_empty());
    cluster.settle(look);
    cluster.expect("web", &["10.0.0.1"], "Allocated");
    assert_eq!(cluster.locks.len(), 1);
}

#[test]
fn the_oldest_keeps_an_address_that_two_statuses_name() {
    let pools = vec![pool("lan", &["10.0.0.1-10.0.0.9"])];
    let with_status = |name: &str, created| {
        let mut service = service(name);
        service.created = created;
        service.ingress = vec![IngressRecord {
            ip: Some("10.0.0.5".parse().unwrap()),
            hostname: None,
            ip_mode: Some("VIP".into()),
            ports: Vec::new(),
        }];
        service
    };
    let services = vec![
        with_status("young", 200),
        with_status("old", 100),
        service("new"),
    ];
    let cluster = Cluster::new(pools, services);
    cluster.expect("old", &["10.0.0.5"], "Allocated");
    let (young, _) = cluster.of("young");
    assert_ne!(young, ["10.0.0.5"]);
    assert_eq!(cluster.locks.len(), 3);
}

#[test]
fn another_controllers_service_is_left_alone() {
    let host = IngressRecord {
        ip: None,
        hostname: Some("lb.example.com".into()),
        ip_mode: None,
        ports: Vec::new(),
    };
    let outside = IngressRecord {
        ip: Some("172.16.0.1".parse().unwrap()),
        hostname: None,
        ip_mode: Some("VIP".into()),
        ports: Vec::new(),
    };
    let mut finalized = service("finalized");
    finalized.foreign_finalizer = Some("service.k8s.aws/resources".into());
    let mut hosted = service("hosted");
    hosted.ingress = vec![host];
    let mut elsewhere = service("elsewhere");
    elsewhere.ingress = vec![outside];
    let mut foreign = service("foreign");
    foreign.class = Some("example.com/lb".into());
    let adopted = asking(elsewhere.clone(), api::ANNOTATION_ADOPT, "true");
    let adopted = ServiceRecord {
        key: ServiceKey::new("default", "adopted"),
        uid: "uid-adopted".into(),
        ingress: Vec::new(),
        foreign_finalizer: Some("service.k8s.aws/resources".into()),
        ..adopted
    };
    let pools = vec![pool("lan", &["10.0.0.1-10.0.0.9"])];
    let cluster = Cluster::new(pools, vec![finalized, hosted, elsewhere, foreign, adopted]);
    cluster.expect("finalized", &[], "ForeignController");
    cluster.expect("hosted", &[], "ForeignController");
    cluster.expect("elsewhere", &["172.16.0.1"], "ForeignController");
    cluster.expect("foreign", &[], "");
    cluster.expect("adopted", &["10.0.0.1"], "Allocated");
    let hosted = &cluster.services[&ServiceKey::new("default", "hosted")];
    assert!(
        hosted.ingress[0].hostname.is_some(),
        "the foreign status is untouched"
    );
}

#[test]
fn a_cleared_status_is_written_again() {
    let pools = vec![pool("lan", &["10.0.0.1"])];
    let mut cluster = Cluster::new(pools, vec![service("web")]);
    cluster.edit("web", |web| {
        web.ingress.clear();
        web.allocated = None;
    });
    cluster.expect("web", &["10.0.0.1"], "Allocated");
}

#[test]
fn pool_edits_flag_and_never_evict() {
    let mut cluster = Cluster::new(vec![pool("lan", &["10.0.0.1"])], vec![service("web")]);
    cluster.pools(vec![pool("lan", &["10.0.0.100"])]);
    cluster.expect("web", &["10.0.0.1"], "Allocated");
    let outdated = crate::controller::pool_status::outdated(
        &cluster.steward,
        k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
    );
    let degraded = outdated[0]
        .1
        .conditions
        .iter()
        .find(|c| c.type_ == "Degraded")
        .unwrap();
    assert_eq!(
        (degraded.status.as_str(), degraded.reason.as_str()),
        ("True", "InUseOutsideRange")
    );
}
