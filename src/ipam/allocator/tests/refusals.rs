//! What is refused, and what the user is told.

use super::*;

#[test]
fn requested_addresses_are_given_or_refused_with_the_reason() {
    let lan = Pool {
        automatic: false,
        avoid_edge_addresses: true,
        ..Pool::parse("lan".into(), 0, &["10.0.0.0/24"], &["10.0.0.9"]).unwrap()
    };
    let mine = Pool {
        tenants: Tenants {
            namespaces: Some(["team-a".to_owned()].into()),
            selector: None,
        },
        ..pool("mine", &["10.7.0.0/24"])
    };
    let gold = Pool {
        service_selector: Some(Selector::from([("tier", "gold")])),
        ..pool("gold", &["10.8.0.0/24"])
    };
    let mut ipam = ipam(vec![lan, mine, gold, pool("six", &["fd00::/120"])]);
    let grant = ipam.allocate(&asking(
        request("both", DUAL),
        &["fd00::7", "10.0.0.7"],
        &[],
    ));
    assert_eq!(
        shown(&grant.unwrap()),
        ["10.0.0.7 from lan", "fd00::7 from six"]
    );
    for (families, addresses, pools, reason, words) in [
        (
            SINGLE,
            &["10.0.0.7"][..],
            &[][..],
            "AddressInUse",
            "in use by Service default/both",
        ),
        (
            DUAL,
            &["10.0.0.8", "fd00::7"],
            &[],
            "AddressInUse",
            "fd00::7 is in use",
        ),
        (
            DUAL,
            &["10.0.0.7"],
            &["lan"],
            "AddressInUse",
            "ask for another address",
        ),
        (
            SINGLE,
            &["10.0.0.9"],
            &[],
            "AddressNotInPool",
            "excluded from pool lan",
        ),
        (
            SINGLE,
            &["10.0.0.255"],
            &[],
            "AddressNotInPool",
            "edge address that pool lan",
        ),
        (
            SINGLE,
            &["10.9.9.9"],
            &[],
            "AddressNotInPool",
            "is in no pool",
        ),
        (
            SINGLE,
            &["10.0.0.8"],
            &["six"],
            "AddressNotInPool",
            "is in pool lan",
        ),
        (
            SINGLE,
            &["10.7.0.1"],
            &[],
            "PoolNotAllowed",
            "pool mine: does not allow this namespace",
        ),
        (
            SINGLE,
            &["10.8.0.1"],
            &[],
            "PoolNotAllowed",
            "pool gold: its serviceSelector",
        ),
        (SINGLE, &["fd00::8"], &[], "InvalidRequest", "has only IPv4"),
        (
            SINGLE,
            &["10.0.0.1", "10.0.0.2"],
            &[],
            "InvalidRequest",
            "both IPv4",
        ),
        (
            DUAL,
            &["10.0.0.1", "fd00::1", "fd00::2"],
            &[],
            "InvalidRequest",
            "both IPv6",
        ),
    ] {
        let before = ipam.clone();
        let refusal = ipam
            .allocate(&asking(request("web", families), addresses, pools))
            .unwrap_err();
        assert_eq!(refusal.reason(), reason, "{addresses:?}: {refusal}");
        assert!(refusal.to_string().contains(words), "{refusal}");
        assert_eq!(ipam, before);
    }
    let grant = ipam
        .allocate(&asking(request("web", PREFER), &["10.0.0.8"], &[]))
        .unwrap();
    assert_eq!(shown(&grant), ["10.0.0.8 from lan", "fd00:: from six"]);
}

#[test]
fn refusals_name_the_pools_and_what_to_do() {
    let by_name = Pool {
        automatic: false,
        ..pool("by-name", &["10.1.0.1"])
    };
    let mine = Pool {
        tenants: Tenants {
            namespaces: Some(BTreeSet::new()),
            selector: None,
        },
        ..pool("mine", &["10.2.0.1"])
    };
    let young = Pool {
        created: 9,
        ..pool("young", &["10.2.0.1"])
    };
    let mut ipam = Ipam::new();
    assert_eq!(
        ipam.allocate(&v4("web")).unwrap_err().to_string(),
        "there is no AddressPool; create one"
    );
    ipam.set_pools(vec![by_name, mine, young]);
    ipam.set_unfit_pools([("ill".into(), "InvalidRange")].into());
    for (families, pools, text) in [
        (
            SINGLE,
            &[][..],
            "no pool serves this Service: pool young: not Ready (Overlap); pool ill: not Ready (InvalidRange); \
             pool mine: does not allow this namespace; pool by-name: not automatic, serves only what names it; \
             name a pool in herald.dev/pool, or repair or create one",
        ),
        (
            SINGLE,
            &["typo"],
            "pool typo: not found; correct herald.dev/pool, or create the pool",
        ),
        (
            SINGLE,
            &["mine"],
            "pool mine: does not allow this namespace; name another pool in herald.dev/pool, or have the pool's \
             namespaces, namespaceSelector or serviceSelector changed",
        ),
        (
            SINGLE,
            &["ill"],
            "no pool serves this Service: pool ill: not Ready (InvalidRange); name a pool in herald.dev/pool, or \
             repair or create one",
        ),
        (
            DUAL,
            &["by-name"],
            "no IPv6 addresses in any pool for this Service: pool by-name: no IPv6 addresses; add some to a pool, or \
             change spec.ipFamilies or spec.ipFamilyPolicy of the Service",
        ),
    ] {
        let refusal = ipam
            .allocate(&asking(request("web", families), &[], pools))
            .unwrap_err();
        assert_eq!(refusal.to_string(), text);
    }
}
