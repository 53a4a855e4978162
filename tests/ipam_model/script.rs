//! What can happen: random pools, wishes, and deaths of the controller.

use std::{collections::BTreeMap, net::IpAddr};

use herald::ipam::{Families, Family, Pool, Scope, Selector, Tenants, Terms};
use herald_spi::{PoolName, Port, Protocol, ServiceKey};
use proptest::{prelude::*, sample::select};

/// How many addresses of each family there are: 10.0.0.240 to 10.0.1.15, so that a /24 ends in the middle, and fd00::
/// to fd00::1f.
pub const ADDRESSES: u8 = 32;

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// The pools are edited.
    Pools(Vec<PoolScript>),
    /// A Service is made or edited, and the controller sees it.
    Wish(Who, Wish, Fate),
    /// The controller looks at a Service again.
    Look(Who, Fate),
    /// A Service is deleted, and the controller sees it.
    Delete(Who, Fate),
    /// A Service is deleted and made again while the controller looks away.
    Remake(Who),
    /// The controller finds that a Service has an address: by its status, or, with `false`, only by a lock.
    Adopt(Who, Spot, bool),
    /// The controller finds a lock that names a Service beside others, whether or not they go together.
    AdoptRecorded(Who, Spot),
    /// A Service is deleted, and what was its own is kept for it.
    Retain(Who),
    /// An address is kept back: for a Service, or from everybody.
    Reserve(Spot, Option<Who>),
    /// What is kept back becomes free, as far as the chosen part of it goes.
    Unreserve(u8),
    /// The controller clears away what deleted Services left.
    Sweep,
    /// The controller is restarted; with `true` it learns the pools before the records.
    Restart(bool),
}

/// A Service, by number.
pub type Who = u8;

/// An address, by family and number.
pub type Spot = (Family, u8);

/// Where the controller dies, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nowhere.
    Lives,
    /// After it decided: memory without locks.
    DiesBeforeLocks,
    /// After the first lock of two.
    DiesAmongLocks,
    /// With locks that no status names.
    DiesBeforeStatus,
    /// Before it gives back what is no longer needed.
    DiesBeforeUnlock,
    /// It lives, but the API server refuses the locks.
    LocksRefused,
}

/// A pool of at least one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolScript {
    pub name: &'static str,
    pub created: i64,
    pub entries: Vec<Entry>,
    pub exclude: Vec<Entry>,
    pub automatic: bool,
    pub priority: i32,
    pub avoid_edge_addresses: bool,
    pub tenants: Tenancy,
    pub only_gold: bool,
    pub shared_widely: bool,
    pub quota: Option<u32>,
}

/// Addresses of one family by number; both ends belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub family: Family,
    pub first: u8,
    pub last: u8,
    /// The prefix length, if it is written as a CIDR.
    pub prefix: Option<u8>,
}

/// Who may use a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tenancy {
    Open,
    Red,
    RedOrTrusted,
    Nobody,
    Meaningless,
}

/// What a Service asks for.
#[derive(Clone, Debug)]
pub struct Wish {
    pub gold: bool,
    pub families: Families,
    pub addresses: Vec<Spot>,
    pub pools: Vec<&'static str>,
    pub terms: Terms,
}

/// The pool that exists and cannot be read.
pub const UNFIT: &str = "ill";

pub fn address((family, number): Spot) -> IpAddr {
    match family {
        Family::V4 => IpAddr::from((0x0a00_00f0 + u32::from(number)).to_be_bytes()),
        Family::V6 => IpAddr::from(((0xfd00 << 112) + u128::from(number)).to_be_bytes()),
    }
}

/// Every address there is.
pub fn universe() -> impl Iterator<Item = IpAddr> {
    let numbers = |family| (0..ADDRESSES).map(move |number| address((family, number)));
    numbers(Family::V4).chain(numbers(Family::V6))
}

/// Services with even numbers live in namespace red, the others in blue, which is trusted.
const fn is_red(who: Who) -> bool {
    who.is_multiple_of(2)
}

pub fn key(who: Who) -> ServiceKey {
    ServiceKey::new(
        if is_red(who) { "red" } else { "blue" },
        format!("web-{who}"),
    )
}

pub fn namespace_labels(who: Who) -> BTreeMap<String, String> {
    let trusted = BTreeMap::from([("trusted".to_owned(), "yes".to_owned())]);
    if is_red(who) {
        BTreeMap::new()
    } else {
        trusted
    }
}

impl Entry {
    fn text(&self) -> String {
        let [first, last] = [self.first, self.last].map(|n| address((self.family, n)).to_string());
        match self.prefix {
            Some(prefix) => format!("{first}/{prefix}"),
            None if first == last => first,
            None => format!("{first}-{last}"),
        }
    }

    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        (self.first..=self.last).map(|number| address((self.family, number)))
    }
}

impl PoolScript {
    pub fn pool(&self) -> Pool {
        let text = |entries: &[Entry]| entries.iter().map(Entry::text).collect::<Vec<_>>();
        let name = PoolName::from(self.name);
        let red = Some(["red".to_owned()].into());
        let trusted = Some(Selector::from([("trusted", "yes")]));
        let meaningless = Selector::new(
            BTreeMap::new(),
            [("tier".to_owned(), "in".to_owned(), Vec::new())],
        );
        let (namespaces, selector) = match self.tenants {
            Tenancy::Open => (None, None),
            Tenancy::Red => (red, None),
            Tenancy::RedOrTrusted => (red, trusted),
            Tenancy::Nobody => (None, Some(Selector::from([("trusted", "never")]))),
            Tenancy::Meaningless => (None, Some(meaningless)),
        };
        let pool = Pool::parse(
            name,
            self.created,
            &text(&self.entries),
            &text(&self.exclude),
        )
        .unwrap();
        Pool {
            automatic: self.automatic,
            priority: self.priority,
            avoid_edge_addresses: self.avoid_edge_addresses,
            tenants: Tenants {
                namespaces,
                selector,
            },
            service_selector: self.only_gold.then(|| Selector::from([("tier", "gold")])),
            shared_by: if self.shared_widely {
                Scope::Cluster
            } else {
                Scope::Namespace
            },
            quota_per_namespace: self.quota,
            ..pool
        }
    }
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => pools(),
        1 => prop::collection::vec(pool(), 0..2).prop_map(Step::Pools),
        12 => (who(), wish(), fate()).prop_map(|(who, wish, fate)| Step::Wish(who, wish, fate)),
        4 => (who(), fate()).prop_map(|(who, fate)| Step::Look(who, fate)),
        3 => (who(), fate()).prop_map(|(who, fate)| Step::Delete(who, fate)),
        1 => who().prop_map(Step::Remake),
        3 => (who(), spot(), any::<bool>()).prop_map(|(who, spot, seen)| Step::Adopt(who, spot, seen)),
        1 => (who(), spot()).prop_map(|(who, spot)| Step::AdoptRecorded(who, spot)),
        2 => who().prop_map(Step::Retain),
        2 => (spot(), prop::option::of(who())).prop_map(|(spot, who)| Step::Reserve(spot, who)),
        2 => (0..4u8).prop_map(Step::Unreserve),
        1 => Just(Step::Sweep),
        1 => any::<bool>().prop_map(Step::Restart),
    ]
}

/// Pools enough to live on.
pub fn pools() -> impl Strategy<Value = Step> {
    prop::collection::vec(pool(), 2..6).prop_map(Step::Pools)
}

fn who() -> impl Strategy<Value = Who> {
    0..6u8
}

fn family() -> impl Strategy<Value = Family> {
    select(&[Family::V4, Family::V6][..])
}

fn spot() -> impl Strategy<Value = Spot> {
    (family(), number())
}

/// Most of what happens happens around the end of the /24, so that things meet.
fn number() -> impl Strategy<Value = u8> {
    prop_oneof![3 => 13..15u8, 3 => 12..20u8, 1 => 0..ADDRESSES]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        8 => Just(Fate::Lives),
        1 => select(&[
            Fate::DiesBeforeLocks,
            Fate::DiesAmongLocks,
            Fate::DiesBeforeStatus,
            Fate::DiesBeforeUnlock,
            Fate::LocksRefused,
        ][..]),
    ]
}

fn pool() -> impl Strategy<Value = PoolScript> {
    let tenants = prop_oneof![
        6 => Just(Tenancy::Open),
        2 => select(&[Tenancy::Red, Tenancy::RedOrTrusted][..]),
        1 => select(&[Tenancy::Nobody, Tenancy::Meaningless][..]),
    ];
    let entries = (
        prop::collection::vec(entry(), 1..4),
        prop_oneof![
            2 => Just(Vec::new()),
            1 => prop::collection::vec(entry(), 1..2),
        ],
    );
    let rules = (
        prop::bool::weighted(0.8),
        -1..2i32,
        prop::bool::weighted(0.3),
        tenants,
    );
    let sharing = (
        prop::bool::weighted(0.4),
        prop::option::weighted(0.4, 0..4u32),
    );
    let name = select(&["a", "a", "b", "b", "c", "d"][..]);
    (
        name,
        0..3i64,
        entries,
        rules,
        prop::bool::weighted(0.2),
        sharing,
    )
        .prop_map(
            |(name, created, (entries, exclude), rules, only_gold, (shared_widely, quota))| {
                let (automatic, priority, avoid_edge_addresses, tenants) = rules;
                PoolScript {
                    name,
                    created,
                    entries,
                    exclude,
                    automatic,
                    priority,
                    avoid_edge_addresses,
                    tenants,
                    only_gold,
                    shared_widely,
                    quota,
                }
            },
        )
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        (family(), number(), 0..5u8).prop_map(|(family, first, more)| Entry {
            family,
            first,
            last: (first + more).min(ADDRESSES - 1),
            prefix: None,
        }),
        (family(), number(), 0..4u8).prop_map(|(family, number, bits)| {
            let first = number >> bits << bits;
            Entry {
                family,
                first,
                last: first + (1 << bits) - 1,
                prefix: Some(if family == Family::V4 { 32 } else { 128 } - bits),
            }
        }),
    ]
}

fn wish() -> impl Strategy<Value = Wish> {
    let families = (0..3u8, family()).prop_map(|(policy, family)| match policy {
        0 => Families::Single(family),
        1 => Families::Prefer(family),
        _ => Families::Require(family),
    });
    let addresses = prop_oneof![
        6 => Just(Vec::new()),
        2 => spot().prop_map(|spot| vec![spot]),
        1 => (number(), number()).prop_map(|(a, b)| vec![(Family::V4, a), (Family::V6, b)]),
        1 => prop::collection::vec(spot(), 2..3),
    ];
    let name = select(&["a", "a", "a", "b", "b", "c", "d", "none", UNFIT][..]);
    let pools = prop_oneof![
        4 => Just(Vec::new()),
        1 => prop::collection::vec(name, 1..3),
    ];
    (any::<bool>(), families, addresses, pools, terms()).prop_map(
        |(gold, families, addresses, pools, terms)| Wish {
            gold,
            families,
            addresses,
            pools,
            terms,
        },
    )
}

fn terms() -> impl Strategy<Value = Terms> {
    let ports = [
        Port::new(Protocol::Tcp, 80),
        Port::new(Protocol::Tcp, 443),
        Port::new(Protocol::Udp, 53),
    ];
    let key = prop_oneof![
        2 => Just(None),
        3 => Just(Some("k")),
        1 => Just(Some("l")),
    ];
    let local = prop_oneof![
        3 => Just(None),
        1 => select(&[Some("app=a"), Some("app=b")][..]),
    ];
    (
        key,
        prop::collection::btree_set(select(ports.to_vec()), 0..3),
        local,
    )
        .prop_map(|(key, ports, local)| Terms {
            key: key.map(str::to_owned),
            ports,
            local: local.map(str::to_owned),
        })
}
