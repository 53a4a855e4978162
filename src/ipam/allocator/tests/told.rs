//! What is told besides the answer: flags, waits, explanations.

use super::*;

#[test]
fn an_edit_that_would_evict_flags_instead() {
    let lan = || pool("lan", &["10.0.0.1-10.0.0.9"]);
    let excluding = Pool::parse("lan".into(), 0, &["10.0.0.1-10.0.0.9"], &["10.0.0.1"]).unwrap();
    let edged = Pool {
        avoid_edge_addresses: true,
        ..pool("lan", &["10.0.0.1/32", "10.0.0.0/24"])
    };
    let young = Pool {
        created: 9,
        ..pool("lan", &["10.0.0.1-10.0.0.9"])
    };
    let closed = Pool {
        tenants: Tenants {
            namespaces: Some(BTreeSet::new()),
            selector: None,
        },
        ..lan()
    };
    let gold = Pool {
        service_selector: Some(Selector::from([("tier", "gold")])),
        ..lan()
    };
    for (pools, flag) in [
        (vec![lan()], ""),
        (
            vec![Pool {
                automatic: false,
                ..lan()
            }],
            "",
        ),
        (vec![edged], ""),
        (vec![excluding], "pool lan now excludes it"),
        (
            vec![pool("lan", &["10.9.0.1"])],
            "it is no longer in pool lan",
        ),
        (vec![], "pool lan no longer exists"),
        (
            vec![young, pool("old", &["10.0.0.9"])],
            "pool lan is no longer Ready (Overlap)",
        ),
        (vec![closed], "pool lan no longer allows this namespace"),
        (
            vec![gold],
            "the serviceSelector of pool lan no longer matches this Service",
        ),
        (vec![pool("wan", &["10.0.0.1"])], ""),
    ] {
        let mut ipam = ipam(vec![lan()]);
        ipam.allocate(&v4("web")).unwrap();
        ipam.set_pools(pools);
        let flags = ipam.allocate(&v4("web")).unwrap().flags;
        let told: Vec<_> = flags.iter().map(|flag| flag.why.to_string()).collect();
        assert_eq!(told.concat(), flag);
        assert_eq!(ipam.waits(&v4("web"), &[]).is_empty(), flag.is_empty());
    }
    let mut ipam = ipam(vec![lan()]);
    let named = asking(v4("web"), &[], &["lan"]);
    ipam.allocate(&named).unwrap();
    ipam.set_pools(vec![pool("lan", &["10.9.0.1"]), pool("wan", &["10.0.0.1"])]);
    let flags = ipam.allocate(&named).unwrap().flags;
    assert_eq!(
        flags[0].why.to_string(),
        "it is no longer in pool lan, but in pool wan"
    );
    assert_eq!(flags[0].why.pool(), &PoolName::from("lan"));
}

#[test]
fn what_a_refused_request_waits_for() {
    let by_name = Pool {
        automatic: false,
        ..pool("by-name", &["10.1.0.1"])
    };
    let mut ipam = ipam(vec![
        pool("lan", &["10.0.0.1"]),
        by_name,
        pool("six", &["fd00::1"]),
    ]);
    ipam.allocate(&v4("web")).unwrap();
    let six = request("six", Families::Single(Family::V6));
    ipam.allocate(&six).unwrap();
    let free = |pool: &str, family| Wait::Free(pool.into(), family);
    let keyed = Request {
        terms: Terms {
            key: Some("k".into()),
            ..Terms::default()
        },
        ..v4("late")
    };
    for (request, waits) in [
        (v4("late"), vec![free("lan", Family::V4), Wait::AnyPool]),
        (
            keyed,
            vec![
                free("lan", Family::V4),
                Wait::Key("k".into()),
                Wait::AnyPool,
            ],
        ),
        (
            asking(v4("late"), &[], &["lan"]),
            vec![free("lan", Family::V4), Wait::Pool("lan".into())],
        ),
        (
            asking(v4("late"), &[], &["typo"]),
            vec![Wait::Pool("typo".into())],
        ),
        (
            asking(v4("late"), &["10.0.0.1"], &[]),
            vec![Wait::Address("10.0.0.1".parse().unwrap()), Wait::AnyPool],
        ),
        (asking(v4("late"), &["fd00::1"], &[]), vec![]),
        (
            request("late", DUAL),
            vec![
                free("lan", Family::V4),
                free("six", Family::V6),
                Wait::AnyPool,
            ],
        ),
        (v4("web"), vec![]),
        (
            request("web", PREFER),
            vec![free("six", Family::V6), Wait::AnyPool],
        ),
    ] {
        assert_eq!(
            ipam.waits(&request, &[]),
            waits.into_iter().collect(),
            "{request:?}"
        );
    }
    assert!(
        !ipam.has_free(&"lan".into(), Family::V4) && ipam.has_free(&"by-name".into(), Family::V4)
    );
    let address = "10.0.0.1".parse().unwrap();
    ipam.release(address, "uid-of-web");
    assert_eq!(
        ipam.stirs(address),
        [Wait::Address(address), free("lan", Family::V4)].into()
    );
}

#[test]
fn a_request_waits_also_for_what_is_in_the_way_indirectly() {
    let older = pool("older", &["10.0.0.1"]);
    let young = Pool {
        created: 9,
        ..pool("young", &["10.0.0.1-10.0.0.9"])
    };
    let mut ipam = Ipam::new();
    ipam.set_pools(vec![older, young]);
    let waits = ipam.waits(&asking(v4("late"), &[], &["young"]), &[]);
    assert_eq!(
        waits,
        [Wait::Pool("young".into()), Wait::AnyPool].into(),
        "an edit of the older pool makes the young one Ready"
    );

    let tight = Pool {
        quota_per_namespace: Some(1),
        ..pool("tight", &["10.1.0.1", "fd00::1"])
    };
    let mut ipam = super::ipam(vec![tight, pool("four", &["10.2.0.1"])]);
    ipam.allocate(&asking(v4("web"), &[], &["four"])).unwrap();
    let late = request("late", DUAL);
    let freed = Wait::Free("four".into(), Family::V4);
    assert_eq!(ipam.allocate(&late).unwrap_err().reason(), "QuotaExceeded");
    assert!(ipam.waits(&late, &[]).contains(&freed));
    assert!(ipam.release("10.2.0.1".parse().unwrap(), "uid-of-web"));
    assert!(
        ipam.allocate(&late).is_ok(),
        "each family from its own pool"
    );
}

#[test]
fn an_explanation_goes_through_all_pools() {
    let by_name = Pool {
        automatic: false,
        ..pool("by-name", &["10.1.0.1"])
    };
    let first = Pool {
        priority: 9,
        quota_per_namespace: Some(5),
        ..pool("first", &["10.2.0.1"])
    };
    let young = Pool {
        created: 9,
        ..pool("young", &["10.2.0.1"])
    };
    let mut ipam = Ipam::new();
    ipam.set_pools(vec![
        pool("lan", &["10.0.0.1"]),
        pool("next", &["10.3.0.1"]),
        by_name,
        first,
        young,
    ]);
    let told = |ipam: &Ipam, request: &Request| {
        let explanation = ipam.explain(request, &[]);
        assert_eq!(explanation.answer, ipam.preview(request, &[]));
        assert_eq!(explanation.waits, ipam.waits(request, &[]));
        let verdict = |c: &Considered| match &c.verdict {
            Considering::Chosen(addresses) => format!("{}: {}", c.pool, texts(addresses).join(" ")),
            Considering::NotNeeded => format!("{}: not needed", c.pool),
            Considering::Passed(why) => format!("{}: {why}", c.pool),
        };
        let considered: Vec<_> = explanation.considered.iter().map(verdict).collect();
        (considered, explanation.notes)
    };
    ipam.allocate(&v4("web")).unwrap();
    assert_eq!(
        told(&ipam, &v4("late")).0,
        [
            "first: IPv4 full (0 of 1 free)",
            "by-name: not automatic, serves only what names it",
            "lan: 10.0.0.1",
            "next: not needed",
            "young: not Ready (Overlap)",
        ]
    );
    let (considered, notes) = told(&ipam, &asking(v4("web"), &["10.2.0.1"], &["typo", "first"]));
    assert_eq!(considered.first().unwrap(), "first: 10.2.0.1");
    assert_eq!(considered.last().unwrap(), "typo: not found");
    assert!(considered.contains(&"lan: not among the pools that the Service names".to_owned()));
    assert_eq!(
        notes,
        [
            "asks for pool typo, then first",
            "asks for 10.2.0.1, which is in pool first",
            "has 10.2.0.1 already and keeps it",
        ]
    );
    let kept = Reservation {
        awaited: Some(v4("late").service),
        until: 0,
        pool: None,
    };
    ipam.reserve("10.0.0.1".parse().unwrap(), kept);
    let (_, notes) = told(&ipam, &v4("late"));
    assert_eq!(
        notes,
        ["10.0.0.1 is kept for it until 1970-01-01T00:00:00Z"]
    );
}
