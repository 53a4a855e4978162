//! All pools: the Ready ones by preference, by name and by address; the others with their faults.

use std::{collections::BTreeMap, net::IpAddr};

use herald_spi::PoolName;

use super::{
    Family, FreeRanges, PerFamily, Place, Pool, PoolFault, Range, Scope,
    stock::Stock,
    usable::{is_edge, usable},
};

/// All pools. No address is in two stocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stocks {
    /// The Ready pools, higher priority first, then by name.
    ready: Vec<Stock>,
    /// Where each Ready pool is in `ready`.
    by_name: BTreeMap<PoolName, usize>,
    /// First address of each run of usable addresses.
    runs: BTreeMap<IpAddr, Run>,
    /// The other pools, and why.
    unready: BTreeMap<PoolName, (Pool, PoolFault)>,
    /// Whether a Ready pool lets the whole cluster share an address.
    shares_widely: bool,
}

/// A run of usable addresses of one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    last: IpAddr,
    /// Where the pool is in `ready`.
    stock: usize,
}

/// How many pools a message names.
const SHOWN: usize = 16;

impl Stocks {
    /// Sorts out which pools can be used: the older of two that overlap. Cost: O(n log n) in the number of runs.
    pub(super) fn new(pools: Vec<Pool>) -> Self {
        let mut pools: Vec<Pool> = pools
            .into_iter()
            .map(|pool| (pool.name.clone(), pool))
            .collect::<BTreeMap<_, _>>()
            .into_values()
            .collect();
        pools.sort_by_key(|pool| pool.created);
        let mut claims = BTreeMap::new();
        let mut ready = Vec::new();
        let mut unready = BTreeMap::new();
        for pool in pools {
            let usable = usable(&pool);
            match check(&pool, &usable, &claims) {
                Ok(()) => {
                    claims.extend(
                        runs(&usable).map(|run| (run.first(), (run.last(), pool.name.clone()))),
                    );
                    ready.push(Stock::full(pool, usable));
                }
                Err(fault) => {
                    unready.insert(pool.name.clone(), (pool, fault));
                }
            }
        }
        ready.sort_by(|a, b| {
            b.pool
                .priority
                .cmp(&a.pool.priority)
                .then_with(|| a.pool.name.cmp(&b.pool.name))
        });
        let by_name: BTreeMap<_, _> = ready
            .iter()
            .enumerate()
            .map(|(at, stock)| (stock.pool.name.clone(), at))
            .collect();
        let runs = claims
            .into_iter()
            .filter_map(|(first, (last, name))| {
                let stock = *by_name.get(&name)?;
                Some((first, Run { last, stock }))
            })
            .collect();
        Self {
            shares_widely: ready
                .iter()
                .any(|stock| stock.pool.shared_by == Scope::Cluster),
            ready,
            by_name,
            runs,
            unready,
        }
    }

    /// Whether each pool is Ready.
    pub(super) fn verdicts(&self) -> BTreeMap<PoolName, Result<(), PoolFault>> {
        let ready = self.by_name.keys().map(|name| (name.clone(), Ok(())));
        let unready = self
            .unready
            .iter()
            .map(|(name, (_, fault))| (name.clone(), Err(fault.clone())));
        ready.chain(unready).collect()
    }

    /// The Ready pools in the order in which they are tried.
    pub(super) fn ready(&self) -> impl Iterator<Item = &Stock> {
        self.ready.iter()
    }

    /// The pools that are not Ready, with the reason.
    pub(super) fn unready(&self) -> impl Iterator<Item = (&Pool, &'static str)> {
        self.unready
            .values()
            .map(|(pool, fault)| (pool, fault.reason()))
    }

    /// Whether a Ready pool lets the whole cluster share an address.
    pub(super) const fn shares_widely(&self) -> bool {
        self.shares_widely
    }

    pub(super) fn named(&self, name: &PoolName) -> Option<&Stock> {
        self.ready.get(*self.by_name.get(name)?)
    }

    /// Why the pool of that name is not Ready.
    pub(super) fn fault(&self, name: &PoolName) -> Option<&PoolFault> {
        self.unready.get(name).map(|(_, fault)| fault)
    }

    /// The Ready pool that gives the address out.
    pub(super) fn at(&self, address: IpAddr) -> Option<&Stock> {
        self.ready.get(self.index_at(address)?)
    }

    /// The same, to be changed.
    pub(super) fn at_mut(&mut self, address: IpAddr) -> Option<&mut Stock> {
        let index = self.index_at(address)?;
        self.ready.get_mut(index)
    }

    /// Where an address is that no Ready pool gives out. Looks at every pool.
    pub(super) fn place(&self, address: IpAddr) -> Place {
        let holds = |ranges: &[Range]| ranges.iter().any(|range| range.contains(address));
        if let Some(stock) = self.ready().find(|stock| holds(&stock.pool.ranges)) {
            let name = stock.pool.name.clone();
            return if is_edge(&stock.pool, address) && !holds(&stock.pool.exclude) {
                Place::Edge(name)
            } else {
                Place::Excluded(name)
            };
        }
        if let Some((name, (_, fault))) = self
            .unready
            .iter()
            .find(|(_, (pool, _))| holds(&pool.ranges))
        {
            return Place::NotReady(name.clone(), fault.reason());
        }
        let family = Family::of(address);
        let fitting = || self.ready().filter(|stock| stock.has(family));
        Place::Nowhere {
            pools: fitting()
                .take(SHOWN)
                .map(|stock| stock.pool.name.clone())
                .collect(),
            more: fitting().count().saturating_sub(SHOWN),
        }
    }

    fn index_at(&self, address: IpAddr) -> Option<usize> {
        let (_, run) = self.runs.range(..=address).next_back()?;
        (address <= run.last).then_some(run.stock)
    }
}

/// Whether a pool can be used beside the older ones, whose runs are in `claims`.
fn check(
    pool: &Pool,
    usable: &PerFamily<FreeRanges>,
    claims: &BTreeMap<IpAddr, (IpAddr, PoolName)>,
) -> Result<(), PoolFault> {
    pool.check_selectors()?;
    if usable.v4.is_empty() && usable.v6.is_empty() {
        return Err(PoolFault::Empty);
    }
    // Claims neither overlap nor cross families: only the last one that begins within reach can overlap.
    let overlap = runs(usable).find_map(|run| {
        let (first, (last, other)) = claims.range(..=run.last()).next_back()?;
        (run.first() <= *last).then(|| PoolFault::Overlap {
            other: other.clone(),
            range: Range::part(run.first().max(*first), run.last().min(*last)),
        })
    });
    overlap.map_or(Ok(()), Err)
}

fn runs(usable: &PerFamily<FreeRanges>) -> impl Iterator<Item = Range> {
    [Family::V4, Family::V6].into_iter().flat_map(|family| {
        let runs = usable.get(family).runs();
        runs.map(move |(a, b)| Range::part(family.address(a), family.address(b)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(name: &str, created: i64, ranges: &[&str], exclude: &[&str]) -> Pool {
        Pool::parse(name.into(), created, ranges, exclude).unwrap()
    }

    #[test]
    fn of_two_pools_that_overlap_the_older_is_ready() {
        let stocks = Stocks::new(vec![
            pool("b", 2, &["10.0.0.0/24", "fd77::/120"], &[]),
            pool("a", 1, &["10.0.0.200-10.0.1.7"], &[]),
            pool("c", 2, &["fd77::80"], &[]),
            pool("d", 3, &["fd77::/120"], &[]),
        ]);
        let verdicts = stocks.verdicts();
        assert_eq!(verdicts[&"a".into()], Ok(()));
        let fault = verdicts[&"b".into()].clone().unwrap_err();
        assert_eq!(fault.reason(), "Overlap");
        assert!(
            fault
                .to_string()
                .starts_with("10.0.0.200-10.0.0.255 is also in the older pool a"),
            "{fault}"
        );
        assert_eq!(
            verdicts[&"c".into()],
            Ok(()),
            "overlaps only a pool that is not Ready"
        );
        let fault = verdicts[&"d".into()].clone().unwrap_err();
        assert!(
            fault
                .to_string()
                .starts_with("fd77::80 is also in the older pool c"),
            "{fault}"
        );
    }

    #[test]
    fn an_exclusion_makes_room_for_another_pool() {
        let stocks = Stocks::new(vec![
            pool("lan", 1, &["10.0.0.0/24"], &["10.0.0.128/25"]),
            pool("dmz", 2, &["10.0.0.128/25"], &[]),
        ]);
        assert!(stocks.verdicts().values().all(Result::is_ok));
        let at = |address: &str| Some(stocks.at(address.parse().unwrap())?.pool.name.as_str());
        assert_eq!(at("10.0.0.127"), Some("lan"));
        assert_eq!(at("10.0.0.128"), Some("dmz"));
        assert_eq!(at("10.0.1.0"), None);
        assert_eq!(at("::a00:1"), None);
    }

    #[test]
    fn a_pool_without_addresses_is_not_ready() {
        for (ranges, exclude) in [(&["10.0.0.0/24"][..], &["10.0.0.0/16"][..]), (&[], &[])] {
            let verdicts = Stocks::new(vec![pool("lan", 1, ranges, exclude)]).verdicts();
            assert_eq!(verdicts[&"lan".into()], Err(PoolFault::Empty));
        }
    }

    #[test]
    fn pools_are_tried_by_priority_and_then_by_name() {
        let of = |name, priority| Pool {
            priority,
            ..pool(name, 0, &[name], &[])
        };
        let stocks = Stocks::new(vec![
            of("10.0.0.1", 0),
            of("10.0.0.3", 7),
            of("10.0.0.2", 7),
        ]);
        let order: Vec<_> = stocks
            .ready()
            .map(|stock| stock.pool.name.as_str())
            .collect();
        assert_eq!(order, ["10.0.0.2", "10.0.0.3", "10.0.0.1"]);
    }

    #[test]
    fn an_address_that_no_pool_gives_out_is_placed() {
        let edges = Pool {
            avoid_edge_addresses: true,
            ..pool("lan", 1, &["10.0.0.0/24"], &["10.0.0.9"])
        };
        let stocks = Stocks::new(vec![edges, pool("young", 2, &["10.0.0.7-10.0.1.7"], &[])]);
        for (address, place) in [
            ("10.0.0.9", "is excluded from pool lan"),
            ("10.0.0.255", "is an edge address that pool lan leaves out"),
            ("10.0.1.1", "is in pool young, which is not Ready (Overlap)"),
            ("10.9.9.9", "is in no pool; choose an address from lan"),
            ("fd77::1", "is in no pool, or add it to one"),
        ] {
            let shown = stocks.place(address.parse().unwrap()).to_string();
            assert!(shown.starts_with(place), "{address} {shown}");
        }
    }
}
