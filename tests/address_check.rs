//! An address that another node announces, checked by this one, with real processes: the heartbeats pass, the wire
//! is made to fail for ARP and NDP alone, and the API server is told.
//!
//! ```text
//!   here: API server, agent one, which owns nothing
//!     └─ veth ── there: agent two, which has no API server and announces what it remembers
//!                  └─ macvlan ── a third host
//! ```
//! Needs `ip` and `nft`, and root or user namespaces; says so and skips otherwise, and fails instead under `CI=true`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy.toml exempts only the test functions themselves"
)]

use std::{fs, process::Command};

use namespace::outside;
use serde_json::{Value, json};
use support::{Cluster, eventually};
use wire::{Agent, Client, HERALD, VETH, run};

mod namespace;
mod support;
mod wire;

/// What agent two remembers: one address of each family.
const STATE: &str = r#"{"version":1,"node":"two","incarnation":7,
    "nodes":{"two":{"excluded":false,"out_of_service":false,"network_unavailable":false,"deleting":false}},
    "rules":[[{"interfaces":null,"nodes":"Every","services":null,"preferred":[]}]],
    "addresses":{
        "192.168.77.200":{"rules":0,"ignoreExcludeLabel":false,
            "services":[{"key":{"namespace":"default","name":"web"},"created":1,"policy":"Cluster"}]},
        "fd77::200":{"rules":0,"ignoreExcludeLabel":false,
            "services":[{"key":{"namespace":"default","name":"web"},"created":1,"policy":"Cluster"}]}},
    "claims":[],"macs":[]}"#;
const FOREIGN: &str = "02:00:00:00:00:99";
/// Drops the questions, whoever asks, before any program sees them.
const DEAF: &str = "add table netdev deaf
    add chain netdev deaf in { type filter hook ingress device \"eth0\" priority 0; }
    add rule netdev deaf in ether type arp drop
    add rule netdev deaf in icmpv6 type nd-neighbor-solicit drop";

/// The checks of agent one, as the cluster sees them.
fn checks(cluster: &Cluster) -> Value {
    let object = cluster
        .api
        .get("herald.dev/v1alpha1", "NodeAnnouncements", "", "one");
    object.map_or(Value::Null, |object| object["status"]["checks"].clone())
}

/// Waits until exactly these addresses fail in this way.
async fn expect(
    cluster: &Cluster,
    agents: &[&Agent],
    failed: &[(&str, &str, Option<&str>)],
) -> Value {
    let logs = || agents.iter().map(|agent| agent.log()).collect::<String>();
    eventually("the checks", async || {
        let checks = checks(cluster);
        let found: Vec<_> = checks["failed"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|check| {
                let text = |key: &str| check[key].as_str();
                assert_eq!(
                    (text("owner"), text("interface")),
                    (Some("two"), Some("eth0"))
                );
                let address = text("address").unwrap_or_default().to_owned();
                let outcome = text("outcome").unwrap_or_default().to_owned();
                (address, outcome, text("mac").map(str::to_owned))
            })
            .collect();
        let found: Vec<_> = found
            .iter()
            .map(|(address, outcome, mac)| (address.as_str(), outcome.as_str(), mac.as_deref()))
            .collect();
        if checks["checked"] == 2 && checks["failing"] == failed.len() && found == failed {
            Ok(checks.clone())
        } else {
            Err((checks.clone(), logs()))
        }
    })
    .await
}

#[test]
fn an_owner_that_is_heard_and_not_reached_is_told_and_so_is_the_end_of_it() {
    let test = "an_owner_that_is_heard_and_not_reached_is_told_and_so_is_the_end_of_it";
    if outside(test, &[VETH, "nft add table netdev deaf"]) {
        return;
    }
    let there = Client::plugged_in();
    run("ip addr add fd77::1/64 dev eth0 nodad");
    there.run("ip addr add fd77::9/64 dev eth0 nodad");
    there.run("ip link set lo up");
    let directory = tempfile::tempdir().unwrap();
    let [here_files, there_files] = ["one", "two"].map(|name| {
        let path = directory.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    });
    fs::write(there_files.join("agent.json"), STATE).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let cluster = Cluster::start().await;
        cluster.create(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "one"}}));
        let api = format!("http://{}", cluster.address);
        let one = Agent::start(&here_files, "one", 9471, &api, Command::new(HERALD));
        let away = "http://127.0.0.1:1";
        let two = Agent::start(&there_files, "two", 9471, away, there.command(HERALD));
        let agents = [&one, &two];
        expect(&cluster, &agents, &[]).await;

        let deaf = directory.path().join("deaf.nft");
        fs::write(&deaf, DEAF).unwrap();
        there.run(&format!("nft -f {}", deaf.display()));
        let unanswered = [
            ("192.168.77.200", "Unanswered", None),
            ("fd77::200", "Unanswered", None),
        ];
        expect(&cluster, &agents, &unanswered).await;

        // A third host has one of them, and both can answer again.
        let third = there.beside("m0", FOREIGN);
        third.run("ip addr add 192.168.77.200/32 dev m0");
        there.run("nft delete table netdev deaf");
        let wrong = [("192.168.77.200", "WrongMac", Some(FOREIGN))];
        let told = expect(&cluster, &agents, &wrong).await;
        // What is known is written once.
        tokio::time::sleep(std::time::Duration::from_secs(12)).await;
        assert_eq!(checks(&cluster), told);
        let metrics = one.metrics();
        let sample = |line: &str| metrics.lines().any(|it| it == line);
        assert!(sample("herald_agent_addresses_doubled 1"), "{metrics}");
        // The agent is heard, and the cluster has no such Node.
        assert!(sample("herald_agent_peers_not_ready 1"), "{metrics}");
        drop(third);
        expect(&cluster, &agents, &[]).await;

        let (log, metrics) = (one.log(), one.metrics());
        let lines = |word: &str| log.lines().filter(|line| line.contains(word)).count();
        assert_eq!(lines("does not answer for it"), 2, "{log}");
        assert_eq!(lines("another host than its owner"), 1, "{log}");
        assert_eq!(lines("reaches its owner again"), 2, "{log}");
        let sample = |line: &str| metrics.lines().any(|it| it == line);
        assert!(sample("herald_agent_addresses_unreached 0"), "{metrics}");
        assert!(sample("herald_agent_addresses_checked 2"), "{metrics}");
        for outcome in ["reached", "unanswered", "wrong_mac"] {
            let counter = format!("herald_address_checks_total{{outcome=\"{outcome}\"}}");
            assert!(metrics.contains(&counter), "{metrics}");
        }
        assert!(!two.log().contains("AddressConflict"), "{}", two.log());
    });
}
