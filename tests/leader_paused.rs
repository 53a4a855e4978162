//! Two controllers, one Lease: what a leader that was paused or cut off in the middle of its writes may still do.
//!
//! ```text
//!   herald controller "one" ──┐                     ┌── churn: Services come, go and ask for other addresses
//!   herald controller "two" ──┴──▶ stand-in API ◀───┴── witness: a watch that sees every status there ever was
//! ```
//! `HERALD_CHURN_SEED=N` plays the same churn again; the processes' own timing stays theirs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail"
)]

#[path = "leader_paused/process.rs"]
mod process;
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt as _, pin_mut};
use herald_apiserver::{Action, Fault};
use k8s_openapi::api::core::v1::Service;
use kube::{Api, api::WatchParams, core::WatchEvent};
use nix::sys::signal::Signal;
use process::Controller;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use support::{Cluster, eventually};
use tokio::{task::JoinHandle, time};

/// Services that come and go, and addresses for them: few, so that what one gives back another gets at once.
const SERVICES: u32 = 36;
const ADDRESSES: u32 = 40;
const SERVES: &str = "recorded addresses are adopted";
/// The Lease runs out 5 s after its last renewal was seen, and is looked at every second.
const TAKEOVER: Duration = Duration::from_millis(6500);
const KINDS: [&str; 2] = ["services", "addressallocations"];

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_paused_in_the_middle_of_its_writes_wakes_up_harmless() {
    let scene = Scene::start("paused").await;
    let mut leader = Controller::start(&scene.cluster, "one");
    leader.said(SERVES, 1).await;
    let mut other = Controller::start(&scene.cluster, "two");
    time::sleep(Duration::from_millis(500)).await;
    // Each of them is once the one that sleeps.
    for round in 1..=2 {
        scene.slow_down(leader.token);
        time::sleep(Duration::from_millis(scene.random(200..700))).await;
        leader.signal(Signal::SIGSTOP);
        let paused = Instant::now();
        let (took_over, _) = other.said(SERVES, round / 2 + 1).await;
        let after = took_over - paused;
        println!("round {round}: {} took over after {after:?}", other.token);
        assert!(after < TAKEOVER, "the successor came after {after:?}");
        // Time for the new leader to give away what the old one thinks is its to give.
        time::sleep(Duration::from_secs(2)).await;
        scene.cluster.api.faults().clear();
        let writes = scene.count_writes(leader.token);
        leader.signal(Signal::SIGCONT);
        time::sleep(Duration::from_secs(1)).await;
        let woken = scene.hits(&writes);
        time::sleep(Duration::from_secs(2)).await;
        println!(
            "round {round}: {} writes of {} after it woke",
            woken, leader.token
        );
        assert_eq!(scene.hits(&writes), woken, "it goes on writing");
        scene.cluster.api.faults().clear();
        assert!(other.leads(&scene.cluster), "the successor leads on");
        std::mem::swap(&mut leader, &mut other);
    }
    scene.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_cut_off_stops_before_its_successor_starts() {
    let scene = Scene::start("cut off").await;
    let leader = Controller::start(&scene.cluster, "one");
    leader.said(SERVES, 1).await;
    let other = Controller::start(&scene.cluster, "two");
    time::sleep(Duration::from_millis(500)).await;
    scene.slow_down(leader.token);
    time::sleep(Duration::from_millis(scene.random(200..700))).await;
    let faults = scene.cluster.api.faults();
    // The last writes take effect, and the leader never hears of it.
    for kind in KINDS {
        faults.add(
            Fault::new(Action::LoseReply)
                .client(leader.token)
                .resource(kind)
                .times(8),
        );
    }
    time::sleep(Duration::from_millis(150)).await;
    faults.add(Fault::new(Action::Partition).client(leader.token));
    let cut = Instant::now();
    let (stopped, _) = leader.said("leads=false", 1).await;
    let (started, _) = other.said("leads=true", 1).await;
    println!(
        "silent after {:?}, replaced after {:?}",
        stopped - cut,
        started - cut
    );
    assert!(stopped < started, "two led at once");
    assert!(
        started - cut < TAKEOVER,
        "the successor came after {:?}",
        started - cut
    );
    time::sleep(Duration::from_secs(2)).await;
    faults.clear();
    let writes = scene.count_writes(leader.token);
    time::sleep(Duration::from_secs(4)).await;
    assert_eq!(scene.hits(&writes), 0, "it writes without leading");
    assert!(other.leads(&scene.cluster), "the successor leads on");
    scene.end().await;
}

/// A cluster in which something happens all the time, and a witness of it.
struct Scene {
    cluster: Arc<Cluster>,
    witness: JoinHandle<()>,
    /// What the witness saw that must never be.
    wrong: Arc<Mutex<Vec<String>>>,
    churn: JoinHandle<()>,
    enough: Arc<AtomicBool>,
    dice: Mutex<StdRng>,
}

impl Scene {
    async fn start(what: &str) -> Self {
        let seed = std::env::var("HERALD_CHURN_SEED")
            .map_or_else(|_| rand::random(), |s| s.parse().unwrap());
        println!("{what}: HERALD_CHURN_SEED={seed}");
        let cluster = Arc::new(Cluster::start().await);
        cluster.pool(
            "lan",
            json!({ "addresses": [format!("10.1.0.1-{}", address(ADDRESSES))] }),
        );
        let wrong = Arc::default();
        let witness = tokio::spawn(witness(Arc::clone(&cluster), Arc::clone(&wrong)));
        let enough = Arc::new(AtomicBool::new(false));
        let dice = || StdRng::seed_from_u64(seed);
        let churn = tokio::spawn(churn(Arc::clone(&cluster), Arc::clone(&enough), dice()));
        Self {
            cluster,
            witness,
            wrong,
            churn,
            enough,
            dice: Mutex::new(dice()),
        }
    }

    fn random(&self, range: std::ops::Range<u64>) -> u64 {
        self.dice.lock().unwrap().random_range(range)
    }

    /// Keeps a controller in the middle of its plans; some of its writes arrive when another one leads already.
    fn slow_down(&self, token: &str) {
        let faults = self.cluster.api.faults();
        for kind in KINDS {
            for verb in ["create", "update", "patch", "delete"] {
                let late = |millis| {
                    Fault::new(Action::Delay { millis })
                        .client(token)
                        .verb(verb)
                        .resource(kind)
                };
                faults.add(late(7000).times(2));
                faults.add(late(150));
            }
        }
    }

    /// Rules that only count what a client writes from now on, but for the Lease and the Events.
    fn count_writes(&self, token: &str) -> Vec<u64> {
        let verbs = ["create", "update", "patch", "delete"];
        let count = |kind| {
            verbs.map(|verb| {
                let rule = Fault::new(Action::Delay { millis: 0 })
                    .client(token)
                    .verb(verb)
                    .resource(kind);
                self.cluster.api.faults().add(rule)
            })
        };
        KINDS.into_iter().flat_map(count).collect()
    }

    fn hits(&self, rules: &[u64]) -> u64 {
        let faults = self.cluster.api.faults();
        rules.iter().map(|rule| faults.hits(*rule)).sum()
    }

    /// Lets everything come to rest: then each Service has one address, each address one lock that names it, and
    /// there is no other lock.
    async fn end(self) {
        self.enough.store(true, Ordering::Release);
        self.churn.await.unwrap();
        let locks = eventually("all is consistent", async || consistent(&self.cluster)).await;
        println!("{locks} Services with an address and a lock each");
        self.witness.abort();
        let wrong = self.wrong.lock().unwrap();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

/// Follows every status of every Service in the order in which they were written.
async fn witness(cluster: Arc<Cluster>, wrong: Arc<Mutex<Vec<String>>>) {
    let services: Api<Service> = Api::all(cluster.client());
    let start = cluster.api.resource_version().to_string();
    let params = WatchParams::default().timeout(290);
    let events = services.watch(&params, &start).await.unwrap();
    pin_mut!(events);
    let mut held: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    while let Some(event) = events.next().await {
        let (service, there) = match event.unwrap() {
            WatchEvent::Added(service) | WatchEvent::Modified(service) => (service, true),
            WatchEvent::Deleted(service) => (service, false),
            WatchEvent::Bookmark(_) => continue,
            WatchEvent::Error(status) => panic!("{status:?}"),
        };
        let name = service.metadata.name.unwrap();
        let balancer = service.status.and_then(|s| s.load_balancer);
        let ingress = balancer.and_then(|b| b.ingress).unwrap_or_default();
        let addresses: BTreeSet<_> = ingress
            .into_iter()
            .filter_map(|i| i.ip)
            .filter(|_| there)
            .collect();
        for (other, theirs) in &held {
            if let Some(address) = theirs
                .intersection(&addresses)
                .next()
                .filter(|_| *other != name)
            {
                let version = service.metadata.resource_version.as_deref().unwrap_or("?");
                wrong.lock().unwrap().push(format!(
                    "{address} is {other}'s and {name}'s at version {version}"
                ));
            }
        }
        held.insert(name, addresses);
    }
    panic!("the witness's watch ended");
}

/// Creates, deletes and moves Services until it is enough, then leaves all of them wishing for nothing special.
async fn churn(cluster: Arc<Cluster>, enough: Arc<AtomicBool>, mut dice: StdRng) {
    let name = |at: u32| format!("web-{at:02}");
    let ask = |at: u32, what: serde_json::Value| {
        let body = json!({ "metadata": { "annotations": { "herald.dev/addresses": what } } });
        cluster
            .api
            .merge_patch("v1", "Service", "default", &name(at), "", body)
            .unwrap();
    };
    let mut there = BTreeSet::new();
    while !enough.load(Ordering::Acquire) {
        let at = dice.random_range(0..SERVICES);
        if there.insert(at) {
            cluster.service(&name(at), json!({}), json!({}));
        } else if dice.random_bool(0.5) {
            cluster
                .api
                .delete("v1", "Service", "default", &name(at))
                .unwrap();
            there.remove(&at);
        } else if dice.random_bool(0.7) {
            ask(at, json!(address(dice.random_range(1..=ADDRESSES))));
        } else {
            ask(at, json!(null));
        }
        time::sleep(Duration::from_millis(dice.random_range(2..25))).await;
    }
    for at in there {
        ask(at, json!(null));
    }
}

fn address(number: u32) -> String {
    format!("10.1.0.{number}")
}

/// How many Services have one address and one lock each; otherwise what is not so.
fn consistent(cluster: &Cluster) -> Result<usize, Vec<String>> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut wrong = Vec::new();
    let mut locks = BTreeMap::new();
    for lock in cluster
        .api
        .list("herald.dev/v1alpha1", "AddressAllocation", "", "")
        .unwrap()
    {
        let holders = lock["spec"]["holders"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let uids: Vec<_> = holders.iter().map(|holder| text(&holder["uid"])).collect();
        locks.insert(text(&lock["spec"]["address"]), uids);
    }
    let services = cluster
        .api
        .list(
            "v1",
            "Service",
            "default",
            "fieldSelector=spec.type%3DLoadBalancer",
        )
        .unwrap();
    for service in &services {
        let (name, uid) = (
            text(&service["metadata"]["name"]),
            text(&service["metadata"]["uid"]),
        );
        let (addresses, reason, _) = cluster.outcome(&name);
        match addresses.as_slice() {
            [address] if reason == "Allocated" => match locks.remove(address) {
                Some(holders) if holders == [uid.as_str()] => {}
                lock => wrong.push(format!(
                    "{name} ({uid}) has {address}, whose lock says {lock:?}"
                )),
            },
            _ => wrong.push(format!("{name} has {addresses:?}: {reason}")),
        }
    }
    wrong.extend(
        locks
            .iter()
            .map(|(address, holders)| format!("{address} is locked for {holders:?}")),
    );
    if wrong.is_empty() {
        Ok(services.len())
    } else {
        Err(wrong)
    }
}
