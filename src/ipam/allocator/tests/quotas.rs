//! How many addresses of a pool a namespace may have.

use super::*;

fn limited(name: &str, ranges: &[&str], quota: u32) -> Pool {
    Pool {
        quota_per_namespace: Some(quota),
        ..pool(name, ranges)
    }
}

fn elsewhere(name: &str) -> Request {
    Request {
        service: ServiceKey::new("team-a", name),
        ..v4(name)
    }
}

#[test]
fn a_namespace_takes_no_more_than_its_quota() {
    let mut ipam = ipam(vec![limited(
        "lan",
        &["10.0.0.1-10.0.0.9", "fd00::/120"],
        2,
    )]);
    for name in ["1", "2"] {
        ipam.allocate(&v4(name)).unwrap();
    }
    let text = "no IPv4 address within the quota: pool lan: this namespace holds 2 of at most 2; delete a Service of \
                this namespace that no longer needs its own, or have the pool's quotaPerNamespace raised";
    for request in [
        v4("3"),
        asking(v4("3"), &["10.0.0.7"], &[]),
        asking(v4("3"), &[], &["lan"]),
    ] {
        let refusal = ipam.allocate(&request).unwrap_err();
        assert_eq!(
            (refusal.reason(), refusal.to_string().as_str()),
            ("QuotaExceeded", text)
        );
        let quota = Wait::Quota("lan".into(), "default".into());
        assert!(ipam.waits(&request, &[]).contains(&quota));
    }
    ipam.allocate(&elsewhere("4")).unwrap();
    let both = Request {
        families: DUAL,
        ..elsewhere("5")
    };
    assert_eq!(ipam.allocate(&both).unwrap_err().reason(), "QuotaExceeded");
    let preferred = ipam
        .allocate(&Request {
            families: PREFER,
            ..elsewhere("5")
        })
        .unwrap();
    assert_eq!(shown(&preferred), ["10.0.0.4 from lan"]);
    assert_eq!(preferred.lacking.unwrap().reason(), "QuotaExceeded");
    assert!(ipam.release("10.0.0.1".parse().unwrap(), "uid-of-1"));
    assert_eq!(
        shown(&ipam.allocate(&v4("3")).unwrap()),
        ["10.0.0.1 from lan"]
    );
}

#[test]
fn a_lower_quota_evicts_nobody_and_flags() {
    let mut ipam = ipam(vec![limited("lan", &["10.0.0.1-10.0.0.9"], 2)]);
    for name in ["1", "2"] {
        ipam.allocate(&v4(name)).unwrap();
    }
    ipam.set_pools(vec![limited("lan", &["10.0.0.1-10.0.0.9"], 1)]);
    let grant = ipam.allocate(&v4("2")).unwrap();
    assert_eq!(shown(&grant), ["10.0.0.2 from lan"]);
    assert_eq!(
        grant.flags[0].to_string(),
        "10.0.0.2 is kept, but this namespace holds 2 addresses of pool lan, more than its quota of 1"
    );
}

#[test]
fn a_shared_address_counts_once_and_a_full_quota_is_passed_over() {
    let wide = Pool {
        shared_by: Scope::Cluster,
        ..limited("lan", &["10.0.0.1-10.0.0.9"], 1)
    };
    let mut ipam = ipam(vec![wide, pool("next", &["10.1.0.1"])]);
    let on_port = |request: Request, port: &str| Request {
        terms: Terms {
            key: Some("k".into()),
            ports: [port.parse().unwrap()].into(),
            local: None,
        },
        ..request
    };
    for (request, port, granted) in [
        (v4("1"), "TCP/1", "10.0.0.1 from lan"),
        (v4("2"), "TCP/2", "10.0.0.1 from lan"),
        (v4("3"), "TCP/1", "10.1.0.1 from next"),
        (elsewhere("4"), "TCP/4", "10.0.0.1 from lan"),
    ] {
        let grant = ipam.allocate(&on_port(request, port)).unwrap();
        assert_eq!(shown(&grant), [granted]);
    }
    for namespace in ["default", "team-a"] {
        assert_eq!(ipam.quota(&"lan".into(), namespace), Some((1, 1)));
    }
    assert!(ipam.release("10.0.0.1".parse().unwrap(), "uid-of-1"));
    assert_eq!(ipam.quota(&"lan".into(), "default"), Some((1, 1)));
    assert!(ipam.release("10.0.0.1".parse().unwrap(), "uid-of-2"));
    assert_eq!(ipam.quota(&"lan".into(), "default"), Some((0, 1)));
}

#[test]
fn the_first_family_leaves_the_quota_to_the_second_if_it_can() {
    let six = limited("a", &["10.0.0.1", "fd00::1"], 1);
    let mut ipam = ipam(vec![six, pool("b", &["10.1.0.1"])]);
    assert_eq!(
        shown(&ipam.allocate(&request("web", DUAL)).unwrap()),
        ["10.1.0.1 from b", "fd00::1 from a"]
    );
}
