//! One address for several Services.

use super::*;

fn terms(key: &str, ports: &[&str], local: &str) -> Terms {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Terms {
        key: some(key),
        ports: ports.iter().map(|p| p.parse().unwrap()).collect(),
        local: some(local),
    }
}

fn on(request: Request, terms: Terms) -> Request {
    Request { terms, ..request }
}

fn of(namespace: &str, request: Request) -> Request {
    let service = ServiceKey::new(namespace, request.service.name);
    Request { service, ..request }
}

fn lan() -> Ipam {
    ipam(vec![pool("lan", &["10.0.0.1-10.0.0.9"])])
}

#[test]
fn a_key_leads_to_the_lowest_address_that_goes() {
    let mut ipam = lan();
    for (name, terms, granted) in [
        ("plain", terms("", &["TCP/80"], ""), "10.0.0.1"),
        ("a", terms("k", &["TCP/80"], ""), "10.0.0.2"),
        ("b", terms("k", &["TCP/80"], ""), "10.0.0.3"),
        ("c", terms("k", &["TCP/443"], "app=c"), "10.0.0.2"),
        ("d", terms("k", &["UDP/443"], "app=d"), "10.0.0.3"),
        ("e", terms("k", &["UDP/80"], "app=d"), "10.0.0.3"),
        ("f", terms("l", &["UDP/53"], ""), "10.0.0.4"),
        ("g", terms("k", &["UDP/53"], ""), "10.0.0.2"),
    ] {
        let grant = ipam.allocate(&on(v4(name), terms.clone())).unwrap();
        assert_eq!(shown(&grant), [format!("{granted} from lan")], "{name}");
        assert_eq!(texts(&grant.taken), [granted], "{name}");
        let again = ipam.allocate(&on(v4(name), terms)).unwrap();
        assert_eq!((again.addresses, again.taken), (grant.addresses, vec![]));
    }
    let second = "10.0.0.2".parse().unwrap();
    let names: Vec<_> = ipam
        .sharers(second)
        .map(|share| share.holder.service.name.as_str())
        .collect();
    assert_eq!(names, ["a", "c", "g"]);
    assert_eq!(ipam.counts(&"lan".into()).unwrap().v4.used, 4);
    assert!(ipam.release(second, "uid-of-a"));
    assert_eq!(ipam.holder(second).unwrap().service.name, "c");
    assert!(ipam.release(second, "uid-of-c") && ipam.release(second, "uid-of-g"));
    assert_eq!(ipam.holder(second), None);
    assert_eq!(ipam.counts(&"lan".into()).unwrap().v4.available, 6);
}

#[test]
fn who_may_not_share_an_address_is_told_what_is_in_the_way() {
    let wide = Pool {
        shared_by: Scope::Cluster,
        ..pool("wide", &["10.1.0.1"])
    };
    let mut ipam = ipam(vec![pool("lan", &["10.0.0.1-10.0.0.2"]), wide]);
    for (name, address, terms) in [
        (
            "keyed",
            "10.0.0.1",
            terms("secret", &["TCP/80", "TCP/443"], "app=a"),
        ),
        ("plain", "10.0.0.2", terms("", &["TCP/80"], "")),
        ("wide", "10.1.0.1", terms("secret", &["TCP/80"], "")),
    ] {
        ipam.allocate(&on(asking(v4(name), &[address], &[]), terms))
            .unwrap();
    }
    for (namespace, address, terms, reason, text) in [
        (
            "default",
            "10.0.0.1",
            terms("", &["UDP/53"], ""),
            "AddressInUse",
            "10.0.0.1 is in use by Service default/keyed (uid uid-of-keyed), which shares it only by key; ask for \
             another address, give this Service the same herald.dev/sharing-key, or delete that Service",
        ),
        (
            "default",
            "10.0.0.2",
            terms("", &[], ""),
            "AddressInUse",
            "10.0.0.2 is in use by Service default/plain (uid uid-of-plain), which does not share it; ask for another \
             address, or delete that Service",
        ),
        (
            "default",
            "10.0.0.2",
            terms("secret", &[], ""),
            "SharingKeyMismatch",
            "10.0.0.2 cannot be shared with Service default/plain (uid uid-of-plain): it has no sharing key; give both \
             the same herald.dev/sharing-key, or ask for another address",
        ),
        (
            "default",
            "10.0.0.1",
            terms("other", &[], ""),
            "SharingKeyMismatch",
            "10.0.0.1 cannot be shared with Service default/keyed (uid uid-of-keyed): it has another sharing key; give \
             both the same herald.dev/sharing-key, or ask for another address",
        ),
        (
            "team-a",
            "10.0.0.1",
            terms("secret", &[], ""),
            "SharingKeyMismatch",
            "10.0.0.1 cannot be shared with Service default/keyed (uid uid-of-keyed): it is of another namespace, and \
             pool lan shares only within one (sharing: Namespace); ask for another address, or have the pool say \
             sharing: Cluster",
        ),
        (
            "default",
            "10.0.0.1",
            terms("secret", &["UDP/53"], "app=b"),
            "SharingKeyMismatch",
            "10.0.0.1 cannot be shared with Service default/keyed (uid uid-of-keyed): both have \
             externalTrafficPolicy: Local and select different endpoints; make their selectors equal, set one to \
             Cluster, or ask for another address",
        ),
        (
            "default",
            "10.0.0.1",
            terms("secret", &["TCP/443", "TCP/80", "UDP/80"], "app=a"),
            "PortInUse",
            "TCP/80 (and one more port) of 10.0.0.1 is in use by Service default/keyed (uid uid-of-keyed) with the \
             same sharing key; change the port of one of them, or ask for another address",
        ),
        (
            "team-a",
            "10.1.0.1",
            terms("secret", &["TCP/80"], ""),
            "PortInUse",
            "TCP/80 of 10.1.0.1 is in use by Service default/wide (uid uid-of-wide) with the same sharing key; change \
             the port of one of them, or ask for another address",
        ),
    ] {
        let before = ipam.clone();
        let late = of(namespace, asking(v4("late"), &[address], &[]));
        let refusal = ipam.allocate(&on(late, terms)).unwrap_err();
        assert_eq!(
            (refusal.reason(), refusal.to_string().as_str()),
            (reason, text)
        );
        assert!(!refusal.to_string().contains("secret"));
        assert_eq!(refusal.clashing_ports().is_some(), reason == "PortInUse");
        assert_eq!(ipam, before);
    }
    for (namespace, address, terms) in [
        ("default", "10.0.0.1", terms("secret", &["UDP/53"], "app=a")),
        ("default", "10.0.0.1", terms("secret", &["TCP/53"], "")),
        ("team-a", "10.1.0.1", terms("secret", &["UDP/53"], "app=x")),
    ] {
        let late = of(namespace, asking(v4("late"), &[address], &[]));
        let grant = ipam.preview(&on(late, terms), &[]).unwrap();
        assert_eq!(texts(&grant.taken), [address]);
    }
}

#[test]
fn who_changes_while_sharing_keeps_the_address_and_is_refused() {
    let mut ipam = lan();
    let (old, new) = (
        terms("k", &["TCP/80"], "app=a"),
        terms("k", &["UDP/53"], "app=a"),
    );
    ipam.allocate(&on(v4("old"), old.clone())).unwrap();
    ipam.allocate(&on(v4("new"), new.clone())).unwrap();
    for (name, changed, words) in [
        (
            "old",
            terms("", &["TCP/80"], ""),
            "this Service has no sharing key any more",
        ),
        (
            "old",
            terms("l", &["TCP/80"], ""),
            "Service default/new (uid uid-of-new): it has another sharing key",
        ),
        (
            "new",
            terms("k", &["TCP/80"], ""),
            "TCP/80 of 10.0.0.1 is in use by Service default/old",
        ),
        (
            "old",
            terms("k", &["TCP/80"], "app=b"),
            "select different endpoints",
        ),
    ] {
        let before = ipam.clone();
        let refusal = ipam.allocate(&on(v4(name), changed)).unwrap_err();
        assert!(refusal.to_string().contains(words), "{refusal}");
        assert_eq!(ipam, before);
    }
    for (name, terms) in [("old", &old), ("new", &new)] {
        ipam.allocate(&on(v4(name), terms.clone())).unwrap();
    }
    let wider = terms("k", &["TCP/80", "TCP/443"], "");
    ipam.allocate(&on(v4("old"), wider.clone())).unwrap();
    let address = "10.0.0.1".parse().unwrap();
    assert_eq!(
        ipam.holding(address)
            .unwrap()
            .share("uid-of-old")
            .unwrap()
            .terms,
        wider
    );
    ipam.release(address, "uid-of-new");
    let alone = ipam.allocate(&on(v4("old"), terms("", &[], ""))).unwrap();
    assert_eq!(
        shown(&alone),
        ["10.0.0.1 from lan"],
        "alone he may change what he likes"
    );
}

#[test]
fn records_are_believed_even_where_terms_clash() {
    let mut ipam = lan();
    let address = "10.0.0.5".parse().unwrap();
    let web = terms("k", &["TCP/80"], "");
    ipam.adopt(address, v4("one").holder(), web.clone(), None)
        .unwrap();
    let clash = ipam.adopt(address, v4("two").holder(), web.clone(), None);
    assert_eq!(clash.unwrap_err().reason(), "PortInUse");
    ipam.adopt_recorded(address, v4("two").holder(), web.clone(), Some("lan".into()));
    assert_eq!(ipam.sharers(address).count(), 2);
    for name in ["one", "two"] {
        let grant = ipam.allocate(&on(v4(name), web.clone())).unwrap();
        assert_eq!(shown(&grant), ["10.0.0.5 from lan"]);
    }
    let new = terms("k", &["TCP/80", "TCP/81"], "");
    assert!(ipam.set_terms(address, "uid-of-one", new.clone()));
    assert!(!ipam.set_terms(address, "nobody", new));
    assert_eq!(
        ipam.allocate(&on(v4("one"), web)).unwrap_err().reason(),
        "PortInUse"
    );
}

#[test]
fn the_recorded_pool_of_a_shared_address_stays_for_those_who_ask_for_it() {
    let mut ipam = ipam(vec![pool("old", &["10.0.0.1-10.0.0.2"])]);
    let named = on(
        asking(v4("named"), &[], &["old"]),
        terms("k", &["TCP/80"], ""),
    );
    let other = on(v4("other"), terms("k", &["TCP/81"], ""));
    for request in [&named, &other] {
        ipam.allocate(request).unwrap();
    }
    ipam.set_pools(vec![pool("old", &["10.0.0.2"]), pool("new", &["10.0.0.1"])]);
    assert_eq!(
        shown(&ipam.allocate(&other).unwrap()),
        ["10.0.0.1 from new"]
    );
    assert_eq!(
        shown(&ipam.allocate(&named).unwrap()),
        ["10.0.0.1 from old"]
    );
    let holding = ipam.holding("10.0.0.1".parse().unwrap()).unwrap();
    assert_eq!(holding.pool, Some("old".into()));
}
