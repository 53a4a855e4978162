//! What can happen: random pools, wishes, and deaths of the controller.

use std::{collections::BTreeMap, net::IpAddr};

use herald::ipam::{Families, Family, Pool, Selector, Tenants};
use herald_spi::{PoolName, ServiceKey};
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
#[derive(Clone, Debug)]
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
}

/// Addresses of one family by number; both ends belong to it.
#[derive(Clone, Debug)]
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
            ..pool
        }
    }
}

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => prop::collection::vec(pool(), 0..5).prop_map(Step::Pools),
        12 => (who(), wish(), fate()).prop_map(|(who, wish, fate)| Step::Wish(who, wish, fate)),
        4 => (who(), fate()).prop_map(|(who, fate)| Step::Look(who, fate)),
        3 => (who(), fate()).prop_map(|(who, fate)| Step::Delete(who, fate)),
        1 => who().prop_map(Step::Remake),
        3 => (who(), spot(), any::<bool>()).prop_map(|(who, spot, seen)| Step::Adopt(who, spot, seen)),
        1 => Just(Step::Sweep),
        1 => any::<bool>().prop_map(Step::Restart),
    ]
}

fn who() -> impl Strategy<Value = Who> {
    0..6u8
}

fn family() -> impl Strategy<Value = Family> {
    select(&[Family::V4, Family::V6][..])
}

fn spot() -> impl Strategy<Value = Spot> {
    (family(), 0..ADDRESSES)
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
        prop::collection::vec(entry(), 1..3),
        prop::collection::vec(entry(), 0..2),
    );
    let rules = (
        prop::bool::weighted(0.8),
        -1..2i32,
        prop::bool::weighted(0.3),
        tenants,
    );
    let name = select(&["a", "b", "c", "d"][..]);
    (name, 0..3i64, entries, rules, prop::bool::weighted(0.2)).prop_map(
        |(name, created, (entries, exclude), rules, only_gold)| {
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
            }
        },
    )
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        (family(), 0..ADDRESSES, 0..5u8).prop_map(|(family, first, more)| Entry {
            family,
            first,
            last: (first + more).min(ADDRESSES - 1),
            prefix: None,
        }),
        (family(), 0..ADDRESSES, 0..4u8).prop_map(|(family, number, bits)| {
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
        1 => (0..ADDRESSES, 0..ADDRESSES).prop_map(|(a, b)| vec![(Family::V4, a), (Family::V6, b)]),
        1 => prop::collection::vec(spot(), 2..3),
    ];
    let name = select(&["a", "a", "b", "b", "c", "d", "none", UNFIT][..]);
    let pools = prop_oneof![
        3 => Just(Vec::new()),
        2 => prop::collection::vec(name, 1..3),
    ];
    (any::<bool>(), families, addresses, pools).prop_map(|(gold, families, addresses, pools)| {
        Wish {
            gold,
            families,
            addresses,
            pools,
        }
    })
}
