//! What others do while a plan is under way.

use super::*;

fn lock_of(service: &ServiceRecord, address: &str) -> AllocationRecord {
    AllocationRecord {
        key: LockKey::Address(address.parse().unwrap()),
        uid: "lock-x".into(),
        resource_version: "5".into(),
        pool: Some("lan".into()),
        sharing_key: None,
        awaited: None,
        reserved_until: None,
        unannounced_since: None,
        foreign_use: None,
        publications: 0,
        holders: vec![api::Holder {
            namespace: service.key.namespace.clone(),
            name: service.key.name.clone(),
            uid: service.uid.clone(),
            ..api::Holder::default()
        }],
        advertise: None,
        rules: Vec::new(),
        ignore_exclude_label: false,
    }
}

#[test]
fn a_lock_made_by_another_controller_is_heeded() {
    let pools = vec![pool("lan", &["10.0.0.1-10.0.0.9"])];
    let mut cluster = Cluster::new(pools, Vec::new());
    let other = service("other");
    let lock = lock_of(&other, "10.0.0.1");
    // This controller's watch has not told of the lock yet.
    cluster.locks.insert(lock.key, lock);
    cluster.services.insert(other.key.clone(), other);
    cluster.apply(service("web"));
    cluster.expect("web", &["10.0.0.2"], "Allocated");
}

#[test]
fn a_service_that_another_wrote_to_before_anything_was_published_is_left_to_it() {
    let pools = vec![pool("lan", &["10.0.0.1-10.0.0.9"])];
    let mut cluster = Cluster::new(pools.clone(), Vec::new());
    let mut web = service("web");
    web.ingress = vec![IngressRecord {
        ip: None,
        hostname: Some("lb.example.com".into()),
        ip_mode: None,
        ports: Vec::new(),
    }];
    let lock = lock_of(&web, "10.0.0.1");
    cluster.locks.insert(lock.key, lock);
    cluster.services.insert(web.key.clone(), web);
    cluster.restart(pools);
    cluster.expect("web", &[], "ForeignController");
    assert!(cluster.locks.is_empty(), "given back");
}

#[test]
fn an_answer_that_is_older_than_a_list_raises_no_lock_that_the_list_does_not_know() {
    let pools = vec![pool("lan", &["10.0.0.1-10.0.0.9"])];
    let mut cluster = Cluster::new(pools, Vec::new());
    let web = service("web");
    let _look = cluster
        .steward
        .take(Input::Services(Change::Apply(web.clone())));
    let plan = cluster.steward.plan(&web.key);
    let _look = cluster
        .steward
        .take(Input::Allocations(Change::Reset(Vec::new())));
    let locked = Outcome::Locked(lock_of(&web, "10.0.0.1"));
    let _finished = cluster.steward.finish(&plan, vec![locked.clone()], true);
    assert_eq!(cluster.steward.locks(), 0);
    let plan = cluster.steward.plan(&web.key);
    assert_eq!(plan.locks[0].replaces, None, "it is made anew");
    let _finished = cluster.steward.finish(&plan, vec![locked], true);
    assert_eq!(
        cluster.steward.locks(),
        1,
        "an answer after the list counts"
    );
}
