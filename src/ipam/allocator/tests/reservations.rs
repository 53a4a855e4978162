//! Addresses that are kept back.

use super::*;

const UNTIL: i64 = 1_795_413_272;

fn kept_for(name: Option<&str>) -> Reservation {
    Reservation {
        awaited: name.map(|name| ServiceKey::new("default", name)),
        until: UNTIL,
        pool: Some("lan".into()),
    }
}

fn lan() -> Pool {
    pool("lan", &["10.0.0.1-10.0.0.3"])
}

#[test]
fn a_reserved_address_waits_for_its_service_alone() {
    let mut ipam = ipam(vec![lan()]);
    let [first, second] = ["10.0.0.1", "10.0.0.2"].map(|a| a.parse().unwrap());
    ipam.reserve(first, kept_for(None));
    ipam.reserve(second, kept_for(Some("web")));
    let counts = ipam.counts(&"lan".into()).unwrap().v4;
    assert_eq!((counts.used, counts.available), (0, 1));
    assert_eq!((counts.reserved, counts.quarantined), (1, 1));
    for (address, text) in [
        (
            "10.0.0.1",
            "10.0.0.1 is in quarantine (a host that is none of Herald's uses it) until 2026-11-23T05:54:32Z; ask for \
             another address, or wait",
        ),
        (
            "10.0.0.2",
            "10.0.0.2 is kept for Service default/web until 2026-11-23T05:54:32Z; ask for another address, or wait",
        ),
    ] {
        let refusal = ipam
            .allocate(&asking(v4("other"), &[address], &[]))
            .unwrap_err();
        assert_eq!(
            (refusal.reason(), refusal.to_string().as_str()),
            ("AddressReserved", text)
        );
    }
    assert_eq!(
        shown(&ipam.allocate(&v4("other")).unwrap()),
        ["10.0.0.3 from lan"]
    );
    assert_eq!(
        ipam.allocate(&v4("third")).unwrap_err().to_string(),
        "no free IPv4 address: pool lan: IPv4 full (0 of 3 free, 1 reserved, 1 in quarantine); add addresses to a pool, or delete a \
         Service that no longer needs its own"
    );
    let back = ipam.allocate(&v4("web")).unwrap();
    assert_eq!(
        (shown(&back), texts(&back.taken)),
        (vec!["10.0.0.2 from lan".into()], vec!["10.0.0.2".into()])
    );
    assert_eq!(ipam.reservation(second), None);
    assert!(ipam.unreserve(first) && !ipam.unreserve(first));
    assert_eq!(
        shown(&ipam.allocate(&v4("third")).unwrap()),
        ["10.0.0.1 from lan"]
    );
}

#[test]
fn what_is_kept_is_given_back_only_where_it_fits() {
    let closed = Pool {
        tenants: Tenants {
            namespaces: Some(BTreeSet::new()),
            selector: None,
        },
        ..lan()
    };
    let by_name = Pool {
        automatic: false,
        ..lan()
    };
    let next = || pool("next", &["10.1.0.1-10.1.0.9"]);
    for (what, lan, request, granted) in [
        ("kept", lan(), v4("web"), "10.0.0.2 from lan"),
        ("by name now", by_name, v4("web"), "10.0.0.2 from lan"),
        ("closed", closed, v4("web"), "10.1.0.1 from next"),
        (
            "another pool",
            lan(),
            asking(v4("web"), &[], &["next"]),
            "10.1.0.1 from next",
        ),
        (
            "another address",
            lan(),
            asking(v4("web"), &["10.0.0.1"], &[]),
            "10.0.0.1 from lan",
        ),
        (
            "shrunk",
            pool("lan", &["10.0.0.9"]),
            v4("web"),
            "10.0.0.9 from lan",
        ),
    ] {
        let mut ipam = Ipam::new();
        let address = "10.0.0.2".parse().unwrap();
        ipam.reserve(address, kept_for(Some("web")));
        ipam.set_pools(vec![lan, next()]);
        let grant = ipam.allocate(&request).unwrap();
        assert_eq!(shown(&grant), [granted], "{what}");
        assert_eq!(
            ipam.reservation(address).is_none(),
            granted.starts_with("10.0.0.2"),
            "{what}"
        );
    }
}

#[test]
fn what_is_kept_counts_for_the_namespace_and_not_twice() {
    let quota = |quota| Pool {
        quota_per_namespace: Some(quota),
        ..lan()
    };
    let mut ipam = ipam(vec![quota(1)]);
    let address = "10.0.0.2".parse().unwrap();
    ipam.reserve(address, kept_for(Some("web")));
    assert_eq!(
        ipam.allocate(&v4("other")).unwrap_err().reason(),
        "QuotaExceeded"
    );
    ipam.set_pools(vec![quota(0)]);
    let grant = ipam.allocate(&v4("web")).unwrap();
    assert_eq!(shown(&grant), ["10.0.0.2 from lan"]);
    assert_eq!(ipam.quota(&"lan".into(), "default"), Some((1, 0)));
    ipam.reserve(address, kept_for(None));
    assert_eq!(ipam.reservations().count(), 0, "it is held");
    let other = "10.0.0.1".parse().unwrap();
    ipam.reserve(other, kept_for(None));
    ipam.adopt(other, v4("seen").holder(), Terms::default(), None)
        .unwrap();
    assert_eq!(ipam.reservation(other), None);
}
