//! What users notice, case by case; `tests/ipam_model.rs` plays long histories.

mod holdings;
mod quotas;
mod refusals;
mod reservations;
mod sharing;
mod told;

use herald_spi::ServiceKey;

use super::{
    super::{
        Considered, Considering, Families, Family, Reservation, Scope, Selector, Tenants, Terms,
    },
    *,
};

fn pool(name: &str, ranges: &[&str]) -> Pool {
    Pool::parse(name.into(), 0, ranges, &[]).unwrap()
}

fn ipam(pools: Vec<Pool>) -> Ipam {
    let mut ipam = Ipam::new();
    let verdicts = ipam.set_pools(pools);
    assert!(verdicts.values().all(Result::is_ok), "{verdicts:?}");
    ipam
}

fn request(name: &str, families: Families) -> Request {
    Request {
        service: ServiceKey::new("default", name),
        uid: format!("uid-of-{name}"),
        created: 0,
        labels: BTreeMap::new(),
        namespace_labels: BTreeMap::new(),
        families,
        addresses: Vec::new(),
        pools: Vec::new(),
        terms: Terms::default(),
    }
}

fn v4(name: &str) -> Request {
    request(name, SINGLE)
}

fn asking(request: Request, addresses: &[&str], pools: &[&str]) -> Request {
    Request {
        addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
        pools: pools.iter().map(|p| PoolName::from(*p)).collect(),
        ..request
    }
}

/// `address from pool` for each granted address.
fn shown(grant: &Grant) -> Vec<String> {
    let pool =
        |pool: &Option<PoolName>| pool.as_ref().map_or("nowhere".into(), PoolName::to_string);
    grant
        .addresses
        .iter()
        .map(|g| format!("{} from {}", g.address, pool(&g.pool)))
        .collect()
}

fn texts(addresses: &[IpAddr]) -> Vec<String> {
    addresses.iter().map(IpAddr::to_string).collect()
}

const SINGLE: Families = Families::Single(Family::V4);
const DUAL: Families = Families::Require(Family::V4);
const PREFER: Families = Families::Prefer(Family::V4);

#[test]
fn the_lowest_address_of_the_first_pool_is_granted() {
    let first = Pool {
        priority: 1,
        ..pool("z", &["10.0.0.9", "10.0.0.1-10.0.0.2"])
    };
    let mut ipam = ipam(vec![
        pool("a", &["10.1.0.1"]),
        pool("b", &["10.2.0.1"]),
        first,
    ]);
    for (name, granted) in [
        ("1", "10.0.0.1 from z"),
        ("2", "10.0.0.2 from z"),
        ("3", "10.0.0.9 from z"),
        ("4", "10.1.0.1 from a"),
        ("5", "10.2.0.1 from b"),
    ] {
        assert_eq!(shown(&ipam.allocate(&v4(name)).unwrap()), [granted]);
    }
    assert_eq!(
        ipam.allocate(&v4("6")).unwrap_err().reason(),
        "PoolExhausted"
    );
    assert!(ipam.release("10.0.0.2".parse().unwrap(), "uid-of-2"));
    assert_eq!(
        shown(&ipam.allocate(&v4("6")).unwrap()),
        ["10.0.0.2 from z"]
    );
}

#[test]
fn dual_stack_comes_from_one_pool_before_two_and_both_or_neither() {
    let mut ipam = ipam(vec![
        pool("a", &["10.0.0.1-10.0.0.2"]),
        pool("b", &["10.1.0.1", "fd00::1"]),
        pool("c", &["fd01::1"]),
    ]);
    let granted = |grant: Result<Grant, Refusal>| shown(&grant.unwrap());
    assert_eq!(
        granted(ipam.allocate(&request("1", Families::Require(Family::V6)))),
        ["fd00::1 from b", "10.1.0.1 from b"]
    );
    assert_eq!(
        granted(ipam.allocate(&request("2", DUAL))),
        ["10.0.0.1 from a", "fd01::1 from c"]
    );
    let before = ipam.clone();
    let refusal = ipam.allocate(&request("3", DUAL)).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "no free IPv6 address: pool a: no IPv6 addresses; pool b: IPv6 full (0 of 1 free); \
         pool c: IPv6 full (0 of 1 free); add addresses to a pool, or delete a Service that no longer needs its own"
    );
    assert_eq!(ipam, before);
}

#[test]
fn preferred_dual_stack_settles_and_grows_when_it_can() {
    let mut ipam = ipam(vec![pool("a", &["10.0.0.1"]), pool("b", &["fd00::1"])]);
    ipam.allocate(&asking(
        request("other", Families::Single(Family::V6)),
        &["fd00::1"],
        &[],
    ))
    .unwrap();
    for _ in 0..3 {
        let grant = ipam.allocate(&request("web", PREFER)).unwrap();
        assert_eq!(shown(&grant), ["10.0.0.1 from a"]);
        assert_eq!(grant.lacking.unwrap().reason(), "PoolExhausted");
    }
    assert!(ipam.release("fd00::1".parse().unwrap(), "uid-of-other"));
    for taken in [&["fd00::1"][..], &[]] {
        let grant = ipam.allocate(&request("web", PREFER)).unwrap();
        assert_eq!(shown(&grant), ["10.0.0.1 from a", "fd00::1 from b"]);
        assert_eq!(texts(&grant.taken), taken);
        assert_eq!((grant.lacking, grant.surplus), (None, vec![]));
    }
    let second = ipam
        .allocate(&request("web2", Families::Prefer(Family::V6)))
        .unwrap_err();
    assert_eq!(second.reason(), "PoolExhausted");
}
