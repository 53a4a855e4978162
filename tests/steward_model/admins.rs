//! What administrators do to pools, namespaces and nodes, and to Herald's own objects, at random.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use herald::{
    api::{FallbackPolicy, NodePortPolicy, RebalancePolicy},
    ipam::{Pool, Scope, Selector, Tenants},
    world::{
        HostFacts, HostRecord, NamespaceRecord, NodeRecord, PoolRecord, PoolUnfit, SliceRecord,
    },
};
use herald_spi::PoolName;

use crate::{dice::Dice, server::Server, users::NAMESPACES};

pub const POOLS: [&str; 4] = ["p0", "p1", "p2", "p3"];
const NODES: usize = 3;

/// The one universe of addresses: 10.0.0.1 to 10.0.0.12, and fd00::1 to fd00::6.
pub fn address(dice: &mut Dice) -> IpAddr {
    match dice.percent(70) {
        true => v4(1 + dice.below(12)),
        false => v6(1 + dice.below(6)),
    }
}

fn v4(number: usize) -> IpAddr {
    format!("10.0.0.{number}").parse().unwrap()
}

fn v6(number: usize) -> IpAddr {
    format!("fd00::{number}").parse().unwrap()
}

/// The cluster before anything happens.
pub fn found(dice: &mut Dice, server: &mut Server) {
    for name in NAMESPACES {
        let name = name.to_owned();
        let labels = BTreeMap::new();
        server.namespaces.set(NamespaceRecord { name, labels });
    }
    for number in 0..NODES {
        server.nodes.set(node(number));
    }
    let made = 2 + dice.below(3);
    for number in 0..made {
        let pool = new_pool(dice, number, server.now);
        server.put_pool(pool);
    }
}

/// One of them does something. Says what.
pub fn act(dice: &mut Dice, server: &mut Server) -> String {
    match dice.weigh(&[50, 6, 8, 25, 5]) {
        0 => write_pool(dice, server),
        1 => delete_pool(dice, server),
        2 => label_namespace(dice, server),
        3 => touch_node(dice, server),
        _ => delete_locks(dice, server),
    }
}

fn write_pool(dice: &mut Dice, server: &mut Server) -> String {
    let number = dice.below(POOLS.len());
    let name = PoolName::from(POOLS[number]);
    let known = server.pools.get(&name).cloned();
    let mut record = match known {
        Some(known) => known,
        None => new_pool(dice, number, server.now),
    };
    record.generation += 1;
    match dice.below(10) {
        0 => record.retention = *dice.pick(&[0, 60, 600]),
        1 => record.node_ports = *dice.pick(&[NodePortPolicy::Keep, NodePortPolicy::Disable]),
        2 => record.fallback = *dice.pick(&[FallbackPolicy::None, FallbackPolicy::Nodes]),
        3 => record.ignore_exclude_label = !record.ignore_exclude_label,
        4 if dice.percent(30) => {
            record.pool = Err(PoolUnfit {
                reason: "NotSupported",
                message: "not supported".to_owned(),
            });
        }
        _ => match &mut record.pool {
            Ok(pool) => edit_rules(dice, pool, number),
            Err(_) => record.pool = new_pool(dice, number, server.now).pool,
        },
    }
    let said = show(&record);
    server.put_pool(record);
    format!("writes {said}")
}

fn new_pool(dice: &mut Dice, number: usize, now: i64) -> PoolRecord {
    let name = PoolName::from(POOLS[number]);
    PoolRecord {
        pool: Ok(Pool::parse(name.clone(), now, &ranges(dice, number), &[]).unwrap()),
        name,
        resource_version: String::new(),
        generation: 0,
        retention: *dice.pick(&[0, 0, 60, 600]),
        node_ports: NodePortPolicy::Keep,
        fallback: FallbackPolicy::None,
        rules: Vec::new(),
        advertise: None,
        ignore_exclude_label: false,
        rebalance: RebalancePolicy::Manual,
        rebalance_asked: None,
        survey_asked: None,
        status: None,
    }
}

/// A slice of the universe for each pool, at times a bit of its neighbour's.
fn ranges(dice: &mut Dice, number: usize) -> Vec<String> {
    let first = 1 + number * 3 + dice.below(2);
    let last = (first + dice.below(4)).min(12);
    let mut ranges = vec![format!("{}-{}", v4(first), v4(last))];
    if dice.percent(50) {
        let first = 1 + number % 3 * 2;
        ranges.push(format!("{}-{}", v6(first), v6(first + dice.below(2))));
    }
    ranges
}

fn edit_rules(dice: &mut Dice, pool: &mut Pool, number: usize) {
    let name = pool.name.clone();
    let gold = || Selector::from([("tier", "gold")]);
    match dice.below(9) {
        0 | 1 => {
            let ranges = ranges(dice, number);
            pool.ranges = Pool::parse(name, 0, &ranges, &[]).unwrap().ranges;
        }
        2 => {
            let exclude = [address(dice).to_string()];
            let one = Pool::parse(name, 0, &exclude, &[]).unwrap().ranges;
            pool.exclude = if pool.exclude.is_empty() {
                one
            } else {
                Vec::new()
            };
        }
        3 => pool.automatic = dice.percent(75),
        4 => {
            pool.tenants = match dice.below(5) {
                0 => Tenants {
                    namespaces: Some([(*dice.pick(&NAMESPACES)).to_owned()].into()),
                    selector: None,
                },
                1 => Tenants {
                    namespaces: None,
                    selector: Some(gold()),
                },
                _ => Tenants::default(),
            };
        }
        5 => pool.service_selector = dice.percent(30).then(gold),
        6 => pool.shared_by = *dice.pick(&[Scope::Namespace, Scope::Cluster]),
        7 => pool.quota_per_namespace = *dice.pick(&[None, Some(1), Some(2), Some(0)]),
        _ => pool.priority = i32::try_from(dice.below(3)).unwrap(),
    }
}

fn delete_pool(dice: &mut Dice, server: &mut Server) -> String {
    let names: Vec<_> = server.pools.iter().map(|pool| pool.name.clone()).collect();
    match dice.any(names) {
        Some(name) => {
            server.delete_pool(&name);
            format!("deletes pool {name}")
        }
        None => write_pool(dice, server),
    }
}

fn label_namespace(dice: &mut Dice, server: &mut Server) -> String {
    let name = (*dice.pick(&NAMESPACES)).to_owned();
    let mut labels = BTreeMap::new();
    if dice.percent(50) {
        labels.insert("tier".to_owned(), "gold".to_owned());
    }
    let said = format!("labels namespace {name} {labels:?}");
    server.namespaces.set(NamespaceRecord { name, labels });
    said
}

fn node(number: usize) -> NodeRecord {
    NodeRecord {
        name: format!("n{number}").as_str().into(),
        uid: format!("n{number}"),
        labels: BTreeMap::new(),
        excluded: false,
        out_of_service: false,
        network_unavailable: false,
        deleting: false,
        being_scaled_down: false,
        ready: true,
        external_ips: Vec::new(),
        internal_ips: vec![format!("192.168.0.{}", number + 1).parse().unwrap()],
    }
}

fn touch_node(dice: &mut Dice, server: &mut Server) -> String {
    let number = dice.below(NODES);
    let mut record = node(number);
    let name = record.name.clone();
    match dice.below(8) {
        0 if server.nodes.remove(&name, |_| {}).is_some() => return format!("node {name} goes"),
        1 => record.ready = false,
        2 => record.excluded = true,
        3 => record.being_scaled_down = true,
        4 => {
            let outside = format!("203.0.113.{}", number + 1);
            record.external_ips.push(outside.parse().unwrap());
        }
        5 => {
            let host = host(dice, &record);
            let said = format!("agent says {host:?}");
            server.hosts.set(host);
            return said;
        }
        6 => {
            let Some(service) = dice.any(server.services.keys().cloned()) else {
                return "nothing".to_owned();
            };
            let said = format!("{name} has an endpoint of {service}");
            server.slices.set(SliceRecord {
                key: (service.namespace.clone(), format!("{}-x", service.name)),
                service,
                ready: if dice.percent(80) {
                    [name].into()
                } else {
                    BTreeSet::new()
                },
                terminating: BTreeSet::new(),
            });
            return said;
        }
        _ => {}
    }
    let said = format!(
        "node {name}: {:?} ready={}",
        record.external_ips, record.ready
    );
    server.nodes.set(record);
    said
}

fn host(dice: &mut Dice, node: &NodeRecord) -> HostRecord {
    let addresses = node.internal_ips.iter().copied();
    HostRecord {
        name: node.name.clone(),
        announcements: None,
        facts: Some(HostFacts {
            kube_proxy_mode: Some((*dice.pick(&["nftables", "iptables", "ipvs"])).to_owned()),
            addresses: addresses.collect(),
            listening: match dice.percent(30) {
                true => ["TCP/8080".parse().unwrap()].into(),
                false => BTreeSet::new(),
            },
        }),
    }
}

/// Somebody deletes what is Herald's.
fn delete_locks(dice: &mut Dice, server: &mut Server) -> String {
    let locks: Vec<_> = server.locks.iter().map(|lock| lock.key).collect();
    if dice.percent(5) {
        locks
            .into_iter()
            .for_each(|key| server.delete_lock_by_hand(key));
        return "deletes all locks by hand".to_owned();
    }
    match dice.any(locks) {
        Some(key) => {
            server.delete_lock_by_hand(key);
            format!("deletes the lock of {key} by hand")
        }
        None => "finds no lock".to_owned(),
    }
}

fn show(record: &PoolRecord) -> String {
    let shown = record.pool.as_ref().map(|pool| {
        let list = |ranges: &[herald::ipam::Range]| {
            ranges
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        format!(
            "{} without {}; automatic={} priority={} tenants={:?}/{} gold={} {:?} quota={:?}",
            list(&pool.ranges),
            list(&pool.exclude),
            pool.automatic,
            pool.priority,
            pool.tenants.namespaces,
            pool.tenants.selector.is_some(),
            pool.service_selector.is_some(),
            pool.shared_by,
            pool.quota_per_namespace
        )
    });
    let shown = shown.unwrap_or_else(|unfit| unfit.reason.to_owned());
    let (retention, fallback) = (record.retention, record.fallback);
    format!(
        "pool {} {shown} retention={retention} {fallback:?} {:?}",
        record.name, record.node_ports
    )
}
