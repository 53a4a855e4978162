//! How fast addresses are given out: `cargo bench --bench allocator`.
//!
//! Prints the machine, then each figure against its target: the best of several runs, which other work on the machine
//! disturbed least. Beside it, in the same run, an allocator that looks at every address from the first one on, as
//! MetalLB's does. Ends with 1 if a target is missed.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot set up its pools has nothing to say"
)]

#[path = "shared/machine.rs"]
mod machine;

use std::{
    collections::BTreeMap,
    hint::black_box,
    net::{IpAddr, Ipv4Addr},
    process::ExitCode,
    time::{Duration, Instant},
};

use herald::ipam::{Families, Family, Holder, Ipam, Pool, Request, Terms};
use herald_spi::{PoolName, ServiceKey};

/// Addresses of a /16 and of a /20.
const LARGE: u32 = 65_536;
const SMALL: u32 = 4_096;
/// How often each figure is taken.
const RUNS: usize = 9;

fn main() -> ExitCode {
    // Without it this is `cargo test --all-targets`, where unoptimised figures would mean nothing.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("run me with: cargo bench --bench allocator");
        return ExitCode::SUCCESS;
    }
    machine::print();
    println!("best of {RUNS} runs\n");
    let mut board = Board { missed: false };
    targets(&mut board);
    beyond(&mut board);
    against_naive(&mut board);
    if board.missed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// What was promised.
fn targets(board: &mut Board) {
    let requests = requests(LARGE, Families::Single(Family::V4));
    let fill = best(|| {
        let mut ipam = ipam(&[("10.0.0.0/16", 0)]);
        timed(|| allocate_all(&mut ipam, &requests))
    });
    board.show(
        "fill a /16, 65,536 addresses",
        fill,
        Some(Duration::from_millis(200)),
    );
    board.show("  of that one allocation", fill / LARGE, None);

    let full = full_of(&requests);
    let late = request(LARGE, Families::Single(Family::V4));
    let failed = failed(&full, &late);
    board.show(
        "refuse on the full /16",
        failed,
        Some(Duration::from_micros(10)),
    );
    let told = best(|| {
        each(10_000, |_| {
            let refusal = full
                .preview(&late, &[])
                .err()
                .map(|refusal| refusal.to_string());
            black_box(refusal);
        })
    });
    board.show("  with the sentence for people", told, None);

    let records: Vec<_> = full.holdings().take(50_000).collect();
    let adopt = best(|| {
        let records = records.clone();
        timed(|| {
            let mut ipam = ipam(&[("10.0.0.0/16", 0)]);
            for (address, holding) in records {
                for share in &holding.shares {
                    let holder = Holder::clone(&share.holder);
                    ipam.adopt(address, holder, share.terms.clone(), holding.pool.clone())
                        .expect("is free");
                }
            }
            black_box(&ipam);
        })
    });
    board.show(
        "adopt 50,000 recorded addresses",
        adopt,
        Some(Duration::from_secs(1)),
    );
}

/// What might be feared.
fn beyond(board: &mut Board) {
    let full = full_of(&requests(LARGE, Families::Single(Family::V4)));
    let mut holey = full.clone();
    for (at, (address, holding)) in full.holdings().enumerate() {
        if at.is_multiple_of(2) {
            let holder = holding.holder().expect("is held");
            holey.release(address, &holder.uid);
        }
    }
    let again = request(LARGE, Families::Single(Family::V4));
    let cycle = best(|| {
        each(10_000, |_| {
            let grant = holey.allocate(&again).expect("has free addresses");
            for address in grant.taken {
                holey.release(address, &again.uid);
            }
        })
    });
    board.show("allocate and release, 32,768 holes", cycle, None);

    let dual = requests(10_000, Families::Require(Family::V6));
    let fill = best(|| {
        let mut ipam = ipam(&[("10.0.0.0/16", 0), ("fd00::/64", 0)]);
        timed(|| allocate_all(&mut ipam, &dual))
    });
    board.show(
        "one dual-stack allocation, /16 and /64",
        fill / 10_000,
        None,
    );

    let mut held = full.clone();
    let edit = best(|| timed(|| drop(held.set_pools(pools(&[("10.0.0.0/16", 0)])))));
    board.show("edit a pool, 65,536 addresses held", edit, None);

    let texts: Vec<_> = (0..1_000_u32)
        .map(|n| format!("10.{}.{}.0/24", n >> 8, n & 255))
        .collect();
    let many: Vec<_> = texts.iter().map(|text| (text.as_str(), 0)).collect();
    let edit = best(|| timed(|| drop(black_box(ipam(&many)))));
    board.show("read and compare 1,000 pools", edit, None);
    let requests = requests(256_000, Families::Single(Family::V4));
    let mut crowded = ipam(&many);
    let fill = timed(|| allocate_all(&mut crowded, &requests));
    board.show(
        "one allocation, over 1,000 pools filled",
        fill / 256_000,
        None,
    );
    let late = request(256_000, Families::Single(Family::V4));
    board.show(
        "refuse with 1,000 pools full",
        failed(&crowded, &late),
        None,
    );
}

/// The same on a /20 with an allocator that looks at every address.
fn against_naive(board: &mut Board) {
    let requests = requests(SMALL, Families::Single(Family::V4));
    let ours = best(|| {
        let mut ipam = ipam(&[("10.0.0.0/20", 0)]);
        timed(|| allocate_all(&mut ipam, &requests))
    });
    let naive = best(|| {
        let mut scan = Scan::default();
        timed(|| {
            requests
                .iter()
                .all(|request| scan.allocate(&request.service))
        })
    });
    board.compare("fill a /20, 4,096 addresses", ours, naive);

    let mut full = ipam(&[("10.0.0.0/20", 0)]);
    allocate_all(&mut full, &requests);
    let late = request(SMALL, Families::Single(Family::V4));
    let mut scan = Scan::default();
    for request in &requests {
        scan.allocate(&request.service);
    }
    let naive = best(|| {
        each(100, |_| {
            black_box(scan.allocate(&late.service));
        })
    });
    board.compare("refuse on the full /20", failed(&full, &late), naive);
}

/// The naive allocator: one map, one scan.
#[derive(Default)]
struct Scan {
    taken: BTreeMap<IpAddr, ServiceKey>,
}

impl Scan {
    fn allocate(&mut self, service: &ServiceKey) -> bool {
        let first = Ipv4Addr::new(10, 0, 0, 0).to_bits();
        let mut all = (first..first + SMALL).map(|bits| IpAddr::from(Ipv4Addr::from_bits(bits)));
        let free = all.find(|address| !self.taken.contains_key(address));
        free.is_some_and(|address| self.taken.insert(address, service.clone()).is_none())
    }
}

/// Prints figures and remembers whether one missed its target.
struct Board {
    missed: bool,
}

impl Board {
    fn show(&mut self, what: &str, took: Duration, target: Option<Duration>) {
        let verdict = match target {
            None => String::new(),
            Some(target) if took < target => format!("under {target:?}: yes"),
            Some(target) => {
                self.missed = true;
                format!("under {target:?}: NO")
            }
        };
        println!("{what:<42} {:>12}   {verdict}", short(took));
    }

    fn compare(&self, what: &str, ours: Duration, naive: Duration) {
        let ratio = naive.as_secs_f64() / ours.as_secs_f64();
        let (ours, naive) = (short(ours), short(naive));
        println!(
            "{what:<42} {ours:>12}   a scan of every address: {naive}, {ratio:.0} times as long"
        );
    }
}

fn short(took: Duration) -> String {
    format!("{took:.2?}")
}

fn pools(of: &[(&str, i64)]) -> Vec<Pool> {
    let pool = |(at, (text, created)): (usize, &(&str, i64))| {
        let name = PoolName::new(format!("pool-{at:04}"));
        Pool::parse(name, *created, &[*text], &[]).expect("is a range")
    };
    of.iter().enumerate().map(pool).collect()
}

fn ipam(of: &[(&str, i64)]) -> Ipam {
    let mut ipam = Ipam::new();
    let verdicts = ipam.set_pools(pools(of));
    assert!(verdicts.values().all(Result::is_ok), "{verdicts:?}");
    ipam
}

fn full_of(requests: &[Request]) -> Ipam {
    let mut ipam = ipam(&[("10.0.0.0/16", 0)]);
    allocate_all(&mut ipam, requests);
    ipam
}

fn request(number: u32, families: Families) -> Request {
    Request {
        service: ServiceKey::new(format!("team-{}", number % 100), format!("web-{number}")),
        uid: format!("{number:08x}-0000-4000-8000-000000000000"),
        created: i64::from(number),
        labels: BTreeMap::new(),
        namespace_labels: BTreeMap::new(),
        families,
        addresses: Vec::new(),
        pools: Vec::new(),
        terms: Terms::default(),
    }
}

fn requests(number: u32, families: Families) -> Vec<Request> {
    (0..number)
        .map(|number| request(number, families))
        .collect()
}

fn allocate_all(ipam: &mut Ipam, requests: &[Request]) {
    for request in requests {
        black_box(ipam.allocate(request).expect("has free addresses"));
    }
}

fn failed(full: &Ipam, late: &Request) -> Duration {
    let mut full = full.clone();
    best(|| {
        each(10_000, |_| {
            let refusal = full.allocate(late);
            assert!(black_box(refusal).is_err());
        })
    })
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    black_box(work());
    start.elapsed()
}

/// The mean time of one of `times`.
fn each(times: u32, mut work: impl FnMut(u32)) -> Duration {
    timed(|| (0..times).for_each(&mut work)) / times
}

fn best(run: impl FnMut() -> Duration) -> Duration {
    std::iter::repeat_with(run)
        .take(RUNS)
        .min()
        .unwrap_or_default()
}
