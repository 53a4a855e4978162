//! The steward against a table of situations, with a tiny API server that does what plans say.

use std::collections::BTreeMap;

use super::*;
use crate::{
    api,
    ipam::{Families, Family, Pool},
    world::{ConditionRecord, IngressRecord, Layer2Rule, TrafficPolicy},
};

/// A Service that asks for nothing special.
pub(crate) fn service(name: &str) -> ServiceRecord {
    ServiceRecord {
        key: ServiceKey::new("default", name),
        uid: format!("uid-{name}"),
        resource_version: "1".into(),
        created: 100,
        deleting: false,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        foreign_finalizer: None,
        class: None,
        requested_ip: None,
        families: Families::Single(Family::V4),
        policy: TrafficPolicy::Cluster,
        ingress: Vec::new(),
        allocated: None,
    }
}

fn pool(name: &str, addresses: &[&str]) -> PoolRecord {
    PoolRecord {
        name: name.into(),
        resource_version: "1".into(),
        generation: 1,
        pool: Ok(Pool::parse(name.into(), 1, addresses, &[]).unwrap()),
        rules: vec![Layer2Rule {
            interfaces: None,
            nodes: None,
        }],
        advertise: None,
        ignore_exclude_label: false,
        status: None,
    }
}

/// A steward and an API server that obeys.
struct Cluster {
    steward: Steward,
    version: u64,
    services: BTreeMap<ServiceKey, ServiceRecord>,
    locks: BTreeMap<IpAddr, AllocationRecord>,
    events: Vec<(ServiceKey, &'static str)>,
    writes: usize,
}

impl Cluster {
    fn new(pools: Vec<PoolRecord>, services: Vec<ServiceRecord>) -> Self {
        let mut cluster = Self {
            steward: Steward::new(Classes::Default),
            version: 100,
            services: services.into_iter().map(|s| (s.key.clone(), s)).collect(),
            locks: BTreeMap::new(),
            events: Vec::new(),
            writes: 0,
        };
        cluster.restart(pools);
        cluster
    }

    /// A new controller that lists everything.
    fn restart(&mut self, pools: Vec<PoolRecord>) {
        let mut steward = Steward::new(Classes::Default);
        steward.take(Input::Pools(Change::Reset(pools)));
        steward.take(Input::Namespaces(Change::Reset(Vec::new())));
        steward.take(Input::Allocations(Change::Reset(
            self.locks.values().cloned().collect(),
        )));
        steward.take(Input::Services(Change::Reset(
            self.services.values().cloned().collect(),
        )));
        assert!(steward.synced());
        self.steward = steward;
        let look = self.steward.begin();
        self.settle(look);
    }

    /// Carries plans out until nothing is left to do.
    fn settle(&mut self, look: BTreeSet<ServiceKey>) {
        let mut queue: Vec<_> = look.into_iter().collect();
        queue.sort_by_key(|key| (self.steward.seniority(key), key.clone()));
        let mut rounds = 0;
        while !queue.is_empty() {
            let key = queue.remove(0);
            rounds += 1;
            assert!(rounds < 1000, "no end of plans");
            let plan = self.steward.plan(&key);
            for outcome in self.obey(&plan) {
                for key in self.steward.settle(outcome) {
                    if !queue.contains(&key) {
                        queue.push(key);
                    }
                }
            }
            let again = self.steward.plan(&key);
            assert!(
                again.is_empty() || plan.is_empty() || queue.contains(&key),
                "{again:#?}"
            );
        }
    }

    fn obey(&mut self, plan: &Plan) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        if plan.ask_first
            && let Some(found) = self.services.get(&plan.service)
        {
            return vec![Outcome::Found(found.clone())];
        }
        for lock in &plan.locks {
            self.version += 1;
            self.writes += 1;
            let existing = self.locks.get(&lock.address);
            if lock.replaces.is_none()
                && let Some(existing) = existing
            {
                outcomes.push(Outcome::LockTaken {
                    service: plan.service.clone(),
                    existing: existing.clone(),
                });
                return outcomes;
            }
            let record = AllocationRecord {
                address: lock.address,
                uid: existing.map_or_else(|| format!("lock-{}", self.version), |l| l.uid.clone()),
                resource_version: self.version.to_string(),
                created: 0,
                pool: Some(lock.spec.pool.as_str())
                    .filter(|p| !p.is_empty())
                    .map(PoolName::from),
                holders: lock.spec.holders.clone(),
                advertise: lock.spec.advertise.clone(),
                rules: Vec::new(),
                ignore_exclude_label: lock.spec.ignore_exclude_label,
            };
            self.locks.insert(lock.address, record.clone());
            outcomes.push(Outcome::Locked(record));
        }
        if let Some(write) = &plan.status {
            self.version += 1;
            self.writes += 1;
            let service = self.services.get_mut(&plan.service).unwrap();
            assert_eq!(write.resource_version, service.resource_version);
            service.resource_version = self.version.to_string();
            if let Some(addresses) = &write.addresses {
                for address in addresses {
                    let lock = &self.locks[address];
                    assert!(
                        held_by(lock, &service.uid),
                        "{address} published without its lock"
                    );
                }
                service.ingress = addresses
                    .iter()
                    .map(|ip| IngressRecord {
                        ip: Some(*ip),
                        hostname: None,
                        ip_mode: Some("VIP".into()),
                    })
                    .collect();
            }
            service.annotations.remove(api::ANNOTATION_ALLOCATED_FROM);
            if let Some(pools) = &write.allocated_from {
                service
                    .annotations
                    .insert(api::ANNOTATION_ALLOCATED_FROM.into(), pools.clone());
            }
            service.allocated = write.verdict.as_ref().map(|verdict| ConditionRecord {
                holds: verdict.holds,
                reason: verdict.reason.to_string(),
                message: verdict.message.clone(),
                since: String::new(),
            });
            outcomes.push(Outcome::StatusWritten(service.clone()));
        }
        if let Some(notice) = &plan.notice {
            self.events
                .push((plan.service.clone(), notice.verdict.reason.as_str()));
        }
        for unlock in &plan.unlocks {
            self.writes += 1;
            if self
                .locks
                .get(&unlock.address)
                .is_some_and(|lock| held_by(lock, &unlock.holder))
            {
                self.locks.remove(&unlock.address);
            }
            outcomes.push(Outcome::Unlocked {
                address: unlock.address,
                holder: unlock.holder.clone(),
            });
        }
        outcomes
    }

    fn apply(&mut self, mut service: ServiceRecord) {
        self.version += 1;
        service.resource_version = self.version.to_string();
        self.services.insert(service.key.clone(), service.clone());
        let look = self.steward.take(Input::Services(Change::Apply(service)));
        self.settle(look);
    }

    fn edit(&mut self, name: &str, edit: impl FnOnce(&mut ServiceRecord)) {
        let mut service = self.services[&ServiceKey::new("default", name)].clone();
        edit(&mut service);
        self.apply(service);
    }

    fn delete(&mut self, name: &str) {
        let service = self
            .services
            .remove(&ServiceKey::new("default", name))
            .unwrap();
        let look = self.steward.take(Input::Services(Change::Delete(service)));
        self.settle(look);
    }

    fn pools(&mut self, pools: Vec<PoolRecord>) {
        let look = self.steward.take(Input::Pools(Change::Reset(pools)));
        self.settle(look);
    }

    fn of(&self, name: &str) -> (Vec<String>, String) {
        let service = &self.services[&ServiceKey::new("default", name)];
        let addresses = service.status_addresses().map(|a| a.to_string()).collect();
        (
            addresses,
            service
                .allocated
                .as_ref()
                .map(|c| c.reason.clone())
                .unwrap_or_default(),
        )
    }

    #[track_caller]
    fn expect(&self, name: &str, addresses: &[&str], reason: &str) {
        let expected: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        assert_eq!(self.of(name), (expected, reason.to_owned()));
    }
}

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
    assert_eq!(web.annotations[api::ANNOTATION_ALLOCATED_FROM], "four,six");
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
    assert_eq!(
        cluster
            .locks
            .keys()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["10.0.0.7"]
    );
}

#[test]
fn deleting_pools_or_locks_withdraws_nothing() {
    let pools = vec![pool("lan", &["10.0.0.1-10.0.0.9"])];
    let mut cluster = Cluster::new(pools.clone(), vec![service("web")]);
    cluster.pools(Vec::new());
    cluster.expect("web", &["10.0.0.1"], "Allocated");
    let lock = cluster.locks.remove(&"10.0.0.1".parse().unwrap()).unwrap();
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
fn a_lock_made_by_another_controller_is_heeded() {
    let pools = vec![pool("lan", &["10.0.0.1-10.0.0.9"])];
    let mut cluster = Cluster::new(pools, Vec::new());
    let lock = AllocationRecord {
        address: "10.0.0.1".parse().unwrap(),
        uid: "lock-x".into(),
        resource_version: "5".into(),
        created: 0,
        pool: Some("lan".into()),
        holders: vec![api::Holder {
            namespace: "default".into(),
            name: "other".into(),
            uid: "uid-other".into(),
            ..api::Holder::default()
        }],
        advertise: None,
        rules: Vec::new(),
        ignore_exclude_label: false,
    };
    // This controller's watch has not told of the lock yet.
    cluster.locks.insert(lock.address, lock);
    cluster
        .services
        .insert(ServiceKey::new("default", "other"), service("other"));
    cluster.apply(service("web"));
    cluster.expect("web", &["10.0.0.2"], "Allocated");
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
    };
    let outside = IngressRecord {
        ip: Some("172.16.0.1".parse().unwrap()),
        hostname: None,
        ip_mode: Some("VIP".into()),
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
