//! What a Service has, it keeps: moves, edits, restarts.

use super::*;

#[test]
fn a_family_is_not_given_up_for_a_full_pool_but_for_one_without_it() {
    let mut ipam = ipam(vec![
        pool("dual", &["10.0.0.1", "fd00::1"]),
        pool("four", &["10.4.0.1"]),
        pool("full", &["10.5.0.1", "fd05::1"]),
    ]);
    ipam.allocate(&request("web", PREFER)).unwrap();
    let other = request("other", Families::Single(Family::V6));
    ipam.allocate(&asking(other, &[], &["full"])).unwrap();
    for (pools, reason) in [
        (&["full"][..], "PoolExhausted"),
        (&["four", "typo"], "PoolNotFound"),
    ] {
        let refusal = ipam
            .allocate(&asking(request("web", PREFER), &[], pools))
            .unwrap_err();
        assert_eq!(refusal.reason(), reason);
        assert_eq!(ipam.held_by(&ServiceKey::new("default", "web")).len(), 2);
    }
    let grant = ipam
        .allocate(&asking(request("web", PREFER), &[], &["four"]))
        .unwrap();
    assert_eq!(shown(&grant), ["10.4.0.1 from four"]);
    assert_eq!(texts(&grant.surplus), ["10.0.0.1", "fd00::1"]);
}

#[test]
fn a_move_takes_the_new_before_it_gives_up_the_old() {
    let mut ipam = ipam(vec![pool("a", &["10.0.0.1"]), pool("b", &["10.1.0.1"])]);
    ipam.allocate(&v4("web")).unwrap();
    ipam.allocate(&v4("other")).unwrap();
    let moved = asking(v4("web"), &[], &["b"]);
    assert_eq!(ipam.allocate(&moved).unwrap_err().reason(), "PoolExhausted");
    assert_eq!(
        ipam.held_by(&moved.service).len(),
        1,
        "a wrong request costs nothing"
    );
    assert!(ipam.release("10.1.0.1".parse().unwrap(), "uid-of-other"));
    for taken in [&["10.1.0.1"][..], &[]] {
        let grant = ipam.allocate(&moved).unwrap();
        assert_eq!(shown(&grant), ["10.1.0.1 from b"]);
        assert_eq!(texts(&grant.taken), taken);
        assert_eq!(texts(&grant.surplus), ["10.0.0.1"]);
    }
    assert_eq!(
        ipam.allocate(&v4("third")).unwrap_err().reason(),
        "PoolExhausted"
    );
    assert!(ipam.release("10.0.0.1".parse().unwrap(), "uid-of-web"));
    assert_eq!(
        shown(&ipam.allocate(&v4("third")).unwrap()),
        ["10.0.0.1 from a"]
    );
}

#[test]
fn of_two_addresses_between_the_steps_of_a_move_the_published_one_stays() {
    let mut ipam = ipam(vec![pool("a", &["10.0.0.1", "10.0.0.2"])]);
    let web = v4("web");
    let [low, high] = ["10.0.0.1", "10.0.0.2"].map(|a| a.parse().unwrap());
    for address in [low, high] {
        ipam.adopt(address, web.holder(), Terms::default(), Some("a".into()))
            .unwrap();
    }
    for (published, kept, surplus) in [(high, high, low), (low, low, high)] {
        let grant = ipam.allocate_keeping(&web, &[published]).unwrap();
        assert_eq!(grant.addresses[0].address, kept);
        assert_eq!(grant.surplus, [surplus]);
    }
}

#[test]
fn edits_of_pools_evict_nobody() {
    let original = || pool("lan", &["10.0.0.1-10.0.0.9"]);
    let excluded = Pool::parse("lan".into(), 0, &["10.0.0.1-10.0.0.9"], &["10.0.0.1"]).unwrap();
    let elsewhere = || pool("lan", &["10.9.0.1"]);
    let closed = Pool {
        automatic: false,
        service_selector: Some(Selector::from([("tier", "gold")])),
        tenants: Tenants {
            namespaces: Some(BTreeSet::new()),
            selector: None,
        },
        ..original()
    };
    for (what, pools, from, outside) in [
        ("nothing", vec![original()], "lan", 0),
        ("excluded", vec![excluded], "lan", 1),
        ("shrunk", vec![elsewhere()], "lan", 1),
        ("closed", vec![closed], "lan", 0),
        ("deleted", vec![], "lan", 1),
        (
            "renamed",
            vec![pool("wan", &["10.0.0.1-10.0.0.9"])],
            "wan",
            0,
        ),
        (
            "split",
            vec![elsewhere(), pool("wan", &["10.0.0.0/28"])],
            "wan",
            0,
        ),
    ] {
        let mut ipam = ipam(vec![original()]);
        ipam.allocate(&v4("web")).unwrap();
        ipam.allocate(&asking(v4("named"), &[], &["lan"])).unwrap();
        ipam.allocate(&asking(v4("exact"), &["10.0.0.3"], &[]))
            .unwrap();
        ipam.set_pools(pools);
        let free = ipam
            .outside()
            .filter(|(_, holding)| holding.shares[0].holder.service.name == "web")
            .count();
        assert_eq!(free, outside, "{what}");
        for (request, granted) in [
            (v4("web"), format!("10.0.0.1 from {from}")),
            (
                asking(v4("named"), &[], &["lan"]),
                "10.0.0.2 from lan".into(),
            ),
            (
                asking(v4("exact"), &["10.0.0.3"], &[]),
                format!("10.0.0.3 from {from}"),
            ),
        ] {
            let grant = ipam.allocate(&request).unwrap();
            assert_eq!(shown(&grant), [granted], "{what}");
            assert!(grant.taken.is_empty() && grant.surplus.is_empty(), "{what}");
        }
    }
}

#[test]
fn a_service_made_again_is_not_its_predecessor() {
    let mut ipam = ipam(vec![pool("lan", &["10.0.0.1-10.0.0.2"])]);
    let old = v4("web");
    ipam.allocate(&old).unwrap();
    let new = Request {
        uid: "another".into(),
        ..old.clone()
    };
    let refusal = ipam
        .allocate(&asking(new.clone(), &["10.0.0.1"], &[]))
        .unwrap_err();
    assert!(
        refusal.to_string().contains("default/web (uid uid-of-web)"),
        "{refusal}"
    );
    assert_eq!(shown(&ipam.allocate(&new).unwrap()), ["10.0.0.2 from lan"]);
    assert_eq!(ipam.held_by(&old.service).len(), 2);
    assert!(!ipam.release("10.0.0.1".parse().unwrap(), "another"));
    assert!(ipam.release("10.0.0.1".parse().unwrap(), "uid-of-web"));
    assert_eq!(ipam.held_by_holder(&new.holder()).count(), 1);
}

#[test]
fn records_are_adopted_before_and_outside_of_pools() {
    let mut ipam = Ipam::new();
    let [inside, outside] = ["10.0.0.1", "172.16.0.1"].map(|a| a.parse().unwrap());
    ipam.adopt(
        inside,
        v4("web").holder(),
        Terms::default(),
        Some("lan".into()),
    )
    .unwrap();
    ipam.adopt(outside, v4("far").holder(), Terms::default(), None)
        .unwrap();
    ipam.adopt(outside, v4("far").holder(), Terms::default(), None)
        .unwrap();
    assert_eq!(ipam.pools_missing(), [&"lan".into()].into());
    let refusal = ipam
        .adopt(inside, v4("thief").holder(), Terms::default(), None)
        .unwrap_err();
    assert_eq!(refusal.reason(), "AddressInUse");
    ipam.set_pools(vec![pool("lan", &["10.0.0.1-10.0.0.2"])]);
    assert!(ipam.pools_missing().is_empty());
    assert_eq!(
        ipam.outside()
            .map(|(address, _)| address)
            .collect::<Vec<_>>(),
        [outside]
    );
    let counts = ipam.counts(&"lan".into()).unwrap().v4;
    assert_eq!((counts.capacity, counts.used, counts.available), (2, 1, 1));
    assert_eq!(
        shown(&ipam.allocate(&v4("new")).unwrap()),
        ["10.0.0.2 from lan"]
    );
    assert_eq!(
        shown(&ipam.allocate(&v4("far")).unwrap()),
        ["172.16.0.1 from nowhere"]
    );
    let moved = asking(v4("far"), &[], &["lan"]);
    assert_eq!(ipam.allocate(&moved).unwrap_err().reason(), "PoolExhausted");
    assert_eq!(ipam.holder(outside), Some(&v4("far").holder()));
}
