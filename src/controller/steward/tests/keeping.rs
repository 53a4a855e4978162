//! Quotas, retention, and who is woken when something frees.

use super::*;

fn retaining(seconds: i64) -> PoolRecord {
    PoolRecord {
        retention: seconds,
        ..pool("lan", &["10.0.0.1-10.0.0.2"])
    }
}

fn of_quota(quota: u32) -> PoolRecord {
    let mut record = pool("lan", &["10.0.0.1-10.0.0.9"]);
    if let Ok(pool) = &mut record.pool {
        pool.quota_per_namespace = Some(quota);
    }
    record
}

#[test]
fn an_address_waits_for_its_service_to_come_back() {
    let mut cluster = Cluster::new(vec![retaining(60)], vec![service("web")]);
    cluster.expect("web", &["10.0.0.1"], "Allocated");
    cluster.delete("web");
    let lock = cluster.lock("10.0.0.1");
    assert!(lock.holders.is_empty());
    assert_eq!(lock.awaited, Some(ServiceKey::new("default", "web")));
    assert_eq!(lock.reserved_until, Some(cluster.now + 60));
    cluster.apply(service("other"));
    cluster.expect("other", &["10.0.0.2"], "Allocated");
    cluster.restart(vec![retaining(60)]);
    let again = ServiceRecord {
        uid: "uid-again".into(),
        ..service("web")
    };
    cluster.apply(again);
    cluster.expect("web", &["10.0.0.1"], "Allocated");
    assert_eq!(cluster.lock("10.0.0.1").holders[0].uid, "uid-again");
}

#[test]
fn a_service_made_again_before_anybody_looked_keeps_its_address_too() {
    for retention in [0, 60] {
        let mut cluster = Cluster::new(
            vec![retaining(retention)],
            vec![service("a"), service("web")],
        );
        cluster.expect("web", &["10.0.0.2"], "Allocated");
        cluster.apply(ServiceRecord {
            uid: "uid-again".into(),
            ..service("web")
        });
        cluster.expect("web", &["10.0.0.2"], "Allocated");
        assert_eq!(cluster.lock("10.0.0.2").holders.len(), 1);
        assert_eq!(cluster.lock("10.0.0.2").holders[0].uid, "uid-again");
    }
}

#[test]
fn what_was_kept_is_given_to_others_in_the_end() {
    let pools = || {
        vec![PoolRecord {
            retention: 60,
            ..pool("lan", &["10.0.0.1"])
        }]
    };
    let mut cluster = Cluster::new(pools(), vec![service("web")]);
    cluster.delete("web");
    cluster.apply(service("other"));
    cluster.expect("other", &[], "PoolExhausted");
    assert!(
        cluster.message("other").contains("1 reserved"),
        "{}",
        cluster.message("other")
    );
    cluster.pass(59);
    cluster.expect("other", &[], "PoolExhausted");
    cluster.pass(2);
    cluster.expect("other", &["10.0.0.1"], "Allocated");
}

#[test]
fn reservations_die_with_their_pool() {
    let mut cluster = Cluster::new(vec![retaining(60)], vec![service("web")]);
    cluster.delete("web");
    assert_eq!(cluster.locked(), ["10.0.0.1"]);
    cluster.pools(Vec::new());
    assert!(cluster.locked().is_empty());
}

#[test]
fn a_quota_refuses_evicts_nobody_and_wakes_the_next() {
    let services = ["a", "b", "c"].map(service).to_vec();
    let mut cluster = Cluster::new(vec![of_quota(2)], services);
    cluster.expect("c", &[], "QuotaExceeded");
    cluster.pools(vec![of_quota(1)]);
    cluster.expect("a", &["10.0.0.1"], "Allocated");
    cluster.expect("b", &["10.0.0.2"], "Allocated");
    cluster.pools(vec![of_quota(2)]);
    cluster.delete("a");
    cluster.expect("c", &["10.0.0.1"], "Allocated");
}

#[test]
fn a_freed_address_costs_a_look_at_one_waiting_service() {
    let mut all = vec![service("first")];
    all.extend((0..200).map(|n| {
        let mut waiting = service(&format!("waiting-{n:03}"));
        waiting.created = 200 + n;
        waiting
    }));
    let mut cluster = Cluster::new(vec![pool("lan", &["10.0.0.1"])], all);
    cluster.expect("waiting-007", &[], "PoolExhausted");
    cluster.plans = 0;
    cluster.delete("first");
    cluster.expect("waiting-000", &["10.0.0.1"], "Allocated");
    assert!(cluster.plans < 6, "{} plans", cluster.plans);
}
