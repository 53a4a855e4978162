//! Addresses that another host used first.

use super::*;
use crate::{
    api::AnnouncementState::{self, Announcing, Conflict, NotCandidate},
    controller::Errand,
    world::{Announcement, Announcements, HostRecord, samples::node},
};

const MAC: &str = "02:00:00:00:00:99";

struct Said {
    node: &'static str,
    address: &'static str,
    state: AnnouncementState,
    began: i64,
}

/// A word of n1 that came just now.
fn says(address: &'static str, state: AnnouncementState, cluster: &Cluster) -> Said {
    Said {
        node: "n1",
        address,
        state,
        began: cluster.now,
    }
}

fn hosts(all: &[Said], cut: bool) -> Vec<HostRecord> {
    let of_node = |node: &&str| {
        let mut said: BTreeMap<IpAddr, Vec<Announcement>> = BTreeMap::new();
        for word in all.iter().filter(|word| word.node == *node) {
            let address = word.address.parse().unwrap();
            said.entry(address).or_default().push(Announcement {
                interface: "eth0".into(),
                state: word.state,
                since: api::moment(word.began),
                began: Some(word.began),
                mac: Some(MAC.into()),
                reason: None,
            });
        }
        HostRecord {
            name: (*node).into(),
            announcements: Some(Announcements { said, cut }),
            facts: None,
        }
    };
    ["n1", "n2"].iter().map(of_node).collect()
}

fn tell(cluster: &mut Cluster, all: &[Said]) {
    let look = cluster
        .steward
        .take(Input::Hosts(Change::Reset(hosts(all, false))));
    cluster.settle(look);
}

fn lan() -> Vec<PoolRecord> {
    vec![pool("lan", &["10.0.0.1-10.0.0.16"])]
}

fn cluster_of(pools: Vec<PoolRecord>, services: Vec<ServiceRecord>) -> Cluster {
    let mut cluster = Cluster::new(Vec::new(), services);
    cluster.nodes = vec![node("n1", "192.168.0.1"), node("n2", "192.168.0.2")];
    cluster.restart(pools);
    cluster
}

/// A Service with the first address.
fn cluster() -> Cluster {
    cluster_of(lan(), vec![service("web")])
}

fn announced(cluster: &Cluster) -> (bool, String) {
    let web = &cluster.services[&ServiceKey::new("default", "web")];
    let announced = web.announced.as_deref().unwrap();
    (announced.holds, announced.message.clone())
}

/// In quarantine are these.
#[track_caller]
fn expect_quarantined(cluster: &Cluster, addresses: &[&str]) {
    let left = cluster.locks.values().filter(|lock| {
        lock.holders.is_empty() && lock.foreign_use.is_some() && lock.awaited.is_none()
    });
    let left: Vec<_> = left.map(|lock| lock.key.to_string()).collect();
    assert_eq!(left, addresses);
    let counts = cluster.steward.ipam().counts(&"lan".into()).unwrap().v4;
    assert_eq!(counts.quarantined, addresses.len() as u128);
}

#[test]
fn an_address_that_another_host_used_first_is_replaced_and_nobody_gets_it_for_a_while() {
    let mut cluster = cluster();
    let word = says("10.0.0.1", AnnouncementState::InUse, &cluster);
    tell(&mut cluster, &[word]);
    cluster.expect("web", &["10.0.0.1"], "Allocated");
    cluster.pass(3);
    cluster.expect("web", &["10.0.0.2"], "Allocated");
    expect_quarantined(&cluster, &["10.0.0.1"]);
    let lock = cluster.lock("10.0.0.1");
    assert_eq!(lock.reserved_until, Some(cluster.now + 600));
    assert_eq!(lock.foreign_use.as_ref().unwrap().mac, MAC);
    let web = || ServiceKey::new("default", "web");
    let told: Vec<_> = cluster.events.iter().skip(1).collect();
    assert_eq!(
        told,
        [&(web(), "Allocated"), &(web(), "AddressReplaced")],
        "after NoPool"
    );
    let asks = asking(service("asks"), api::ANNOTATION_ADDRESSES, "10.0.0.1");
    cluster.apply(asks);
    cluster.expect("asks", &[], "AddressReserved");
    cluster.restart(lan());
    expect_quarantined(&cluster, &["10.0.0.1"]);
    cluster.pass(599);
    cluster.expect("asks", &[], "AddressReserved");
    cluster.pass(1);
    expect_quarantined(&cluster, &[]);
    cluster.expect("asks", &["10.0.0.1"], "Allocated");
    cluster.expect("web", &["10.0.0.2"], "Allocated");
}

#[test]
fn the_next_controller_goes_on_wherever_the_last_one_died() {
    for steps in 0..=5 {
        for still_seen in [true, false] {
            let mut cluster = cluster();
            let word = || Said {
                node: "n1",
                address: "10.0.0.1",
                state: AnnouncementState::InUse,
                began: 1_000_000,
            };
            tell(&mut cluster, &[word()]);
            cluster.now += 3;
            cluster.steward.tick(cluster.now);
            let web = ServiceKey::new("default", "web");
            let mut left = steps;
            while left > 0 {
                let plan = cluster.steward.plan(&web);
                let mut errand = Errand::new(plan);
                while left > 0
                    && let Some(call) = errand.call()
                {
                    let reply = cluster.answer(&web, call);
                    errand.heed(reply).unwrap();
                    left -= 1;
                }
                if errand.call().is_some() {
                    break;
                }
                let (plan, outcomes) = errand.end();
                let finished = cluster.steward.finish(&plan, outcomes, true);
                if finished.look.is_empty() {
                    break;
                }
            }
            // The agents list the address no longer once the status does not name it.
            let is_moved = cluster.of("web").0 == ["10.0.0.2"];
            cluster.restart(lan());
            let said = if still_seen && !is_moved {
                vec![word()]
            } else {
                Vec::new()
            };
            tell(&mut cluster, &said);
            cluster.pass(3);
            if is_moved || still_seen {
                cluster.expect("web", &["10.0.0.2"], "Allocated");
                expect_quarantined(&cluster, &["10.0.0.1"]);
                assert_eq!(cluster.locked(), ["10.0.0.1", "10.0.0.2"]);
            } else {
                cluster.expect("web", &["10.0.0.1"], "Allocated");
                expect_quarantined(&cluster, &[]);
                assert_eq!(cluster.locked(), ["10.0.0.1"]);
                assert_eq!(cluster.lock("10.0.0.1").foreign_use, None);
            }
            assert_eq!(is_moved, steps > 2, "the status is the third call");
        }
    }
}

#[test]
fn an_address_that_was_ever_announced_stays() {
    let others = [
        vec![("n2", Announcing)],
        vec![("n2", Conflict)],
        vec![("n2", Announcing), ("n2", NotCandidate)],
    ];
    for words in others {
        for steps in [vec![0], vec![0, 60], vec![60]] {
            let mut cluster = cluster();
            // Another node announced it, once, and its report went with it.
            for (node, state) in &words {
                let word = says("10.0.0.1", *state, &cluster);
                tell(&mut cluster, &[Said { node, ..word }]);
                for seconds in &steps {
                    cluster.pass(*seconds);
                }
            }
            tell(&mut cluster, &[]);
            cluster.pass(10);
            cluster.restart(lan());
            let word = says("10.0.0.1", AnnouncementState::InUse, &cluster);
            tell(&mut cluster, &[word]);
            cluster.pass(700);
            cluster.expect("web", &["10.0.0.1"], "Allocated");
            let (holds, message) = announced(&cluster);
            assert!(!holds && message.contains(MAC), "{message}");
            assert!(message.contains("may have been announced"), "{message}");
        }
    }
}

#[test]
fn an_address_that_was_announced_for_long_costs_one_write_more_and_only_when_it_is_not() {
    let mut cluster = cluster();
    let word = says("10.0.0.1", Announcing, &cluster);
    tell(&mut cluster, &[word]);
    assert!(cluster.lock("10.0.0.1").unannounced_since.is_some());
    let version = cluster.lock("10.0.0.1").resource_version.clone();
    tell(&mut cluster, &[]);
    cluster.pass(2);
    assert_eq!(cluster.lock("10.0.0.1").resource_version, version);
    cluster.pass(1);
    assert_eq!(cluster.lock("10.0.0.1").unannounced_since, None);
    assert!(!announced(&cluster).0);
}

#[test]
fn what_herald_did_not_choose_stays() {
    let word = |cluster: &Cluster| says("10.0.0.1", AnnouncementState::InUse, cluster);
    let stays = |mut cluster: Cluster, why: &str| {
        let word = word(&cluster);
        tell(&mut cluster, &[word]);
        cluster.pass(60);
        cluster.expect("web", &["10.0.0.1"], "Allocated");
        let (holds, message) = announced(&cluster);
        assert!(!holds && message.contains(why), "{message}");
        expect_quarantined(&cluster, &[]);
    };
    let asks = asking(service("web"), api::ANNOTATION_ADDRESSES, "10.0.0.1");
    stays(cluster_of(lan(), vec![asks]), "the Service asks for it");

    let mut adopted = cluster();
    adopted.locks.clear();
    adopted.restart(lan());
    stays(adopted, "may have been announced");

    let share = |name: &str, port: &str| {
        let mut service = asking(service(name), api::ANNOTATION_SHARING_KEY, "k");
        service.ports[0].port = port.parse().unwrap();
        service
    };
    let shared = cluster_of(lan(), vec![share("web", "TCP/80"), share("b", "TCP/81")]);
    shared.expect("b", &["10.0.0.1"], "Allocated");
    stays(shared, "other Services have it too");

    let alone = cluster_of(vec![pool("lan", &["10.0.0.1"])], vec![service("web")]);
    stays(alone, "the pools have no other");
}

#[test]
fn an_old_report_and_that_of_a_node_that_is_gone_move_nothing() {
    for (node, age, moves) in [
        ("n1", 0, true),
        ("n1", 299, true),
        ("n1", 400, false),
        ("n2", 0, false),
    ] {
        let mut cluster = cluster();
        cluster.nodes.pop();
        cluster.restart(lan());
        let word = says("10.0.0.1", AnnouncementState::InUse, &cluster);
        let began = cluster.now - age;
        tell(
            &mut cluster,
            &[Said {
                node,
                began,
                ..word
            }],
        );
        cluster.pass(10);
        let address = if moves { "10.0.0.2" } else { "10.0.0.1" };
        cluster.expect("web", &[address], "Allocated");
    }
}

#[test]
fn while_a_list_is_cut_nothing_is_replaced() {
    let mut cluster = cluster();
    let word = says("10.0.0.1", AnnouncementState::InUse, &cluster);
    let hosts = hosts(&[word], true);
    let look = cluster.steward.take(Input::Hosts(Change::Reset(hosts)));
    cluster.settle(look);
    cluster.pass(60);
    cluster.expect("web", &["10.0.0.1"], "Allocated");
    assert!(!announced(&cluster).0);
}

#[test]
fn one_that_waits_for_another_address_gets_it_when_it_frees() {
    let pools = || vec![pool("lan", &["10.0.0.1-10.0.0.2"])];
    let mut cluster = cluster_of(pools(), vec![service("web")]);
    cluster.apply(service("other"));
    let word = says("10.0.0.1", AnnouncementState::InUse, &cluster);
    tell(&mut cluster, &[word]);
    cluster.pass(3);
    cluster.expect("web", &["10.0.0.1"], "Allocated");
    cluster.delete("other");
    cluster.expect("web", &["10.0.0.2"], "Allocated");
}

#[test]
fn a_host_that_answers_for_everything_does_not_use_the_pool_up() {
    let answer_for_all = |cluster: &mut Cluster| {
        let in_use = AnnouncementState::InUse;
        let words = |cluster: &Cluster| -> Vec<Said> {
            let names = ["a", "b", "web"];
            let shown = names.iter().filter_map(|name| {
                let key = ServiceKey::new("default", *name);
                let address = cluster.services.get(&key)?.status_addresses().next()?;
                Some(says(address.to_string().leak(), in_use, cluster))
            });
            shown.collect()
        };
        for _ in 0..20 {
            let all = words(cluster);
            tell(cluster, &all);
            cluster.pass(5);
        }
    };
    let mut cluster = cluster();
    answer_for_all(&mut cluster);
    cluster.expect("web", &["10.0.0.4"], "Allocated");
    expect_quarantined(&cluster, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]);
    assert!(announced(&cluster).1.contains("3 that the Service left"));
    let gone = cluster.now;
    // The first one is over, and there is room for one more.
    cluster.pass(600 - 5 * 20 + 10);
    answer_for_all(&mut cluster);
    assert!(cluster.now > gone);
    let (addresses, _) = cluster.of("web");
    assert_ne!(addresses, ["10.0.0.4"]);
    assert!(cluster.locks.len() <= 4, "{:?}", cluster.locked());

    let small = vec![pool("lan", &["10.0.0.1-10.0.0.10"])];
    let all = vec![service("a"), service("b"), service("web")];
    let mut cluster = cluster_of(small, all);
    answer_for_all(&mut cluster);
    let counts = cluster.steward.ipam().counts(&"lan".into()).unwrap().v4;
    assert_eq!((counts.used, counts.quarantined), (3, 5));
}

#[test]
fn a_quarantine_dies_with_its_pool_and_outlives_its_service() {
    for pools in [lan(), Vec::new()] {
        let mut cluster = cluster();
        let word = says("10.0.0.1", AnnouncementState::InUse, &cluster);
        tell(&mut cluster, &[word]);
        cluster.pass(3);
        cluster.delete("web");
        expect_quarantined(&cluster, &["10.0.0.1"]);
        let stays = !pools.is_empty();
        cluster.pools(pools);
        assert_eq!(cluster.locks.len(), usize::from(stays));
    }
}

#[test]
fn of_two_families_the_one_that_is_in_use_is_replaced() {
    let pools = || vec![pool("lan", &["10.0.0.1-10.0.0.9", "fd00::1-fd00::9"])];
    let mut cluster = cluster_of(pools(), vec![dual(service("web"))]);
    let word = says("fd00::1", AnnouncementState::InUse, &cluster);
    tell(&mut cluster, &[word]);
    cluster.pass(3);
    cluster.expect("web", &["10.0.0.1", "fd00::2"], "Allocated");
    assert_eq!(cluster.locked(), ["10.0.0.1", "fd00::1", "fd00::2"]);
}
