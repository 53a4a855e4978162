//! An agent whose API server is away: the real process, with nothing but its state file and the wire.
//!
//! ```text
//!   test ─▶ unshare --net ─▶ this binary again: eth0, herald agent, no API server
//!                              └─ veth ── client: a shell in a namespace of its own
//! ```
//! Needs `ip`, and root or user namespaces; says so and skips otherwise, and fails instead under `CI=true`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy.toml exempts only the test functions themselves"
)]

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use namespace::outside;
use wire::{Agent, Client, HERALD, MAC, VETH};

mod namespace;
mod wire;

/// Nobody listens there.
const AWAY: &str = "http://127.0.0.1:1";

/// What an agent of this version and of node one has written: two addresses of one pool.
const STATE: &str = r#"{"version":1,"node":"one","incarnation":7,
    "nodes":{"one":{"excluded":false,"out_of_service":false,"network_unavailable":false,"deleting":false}},
    "rules":[[{"interfaces":null,"nodes":"Every","services":null,"preferred":[]}]],
    "addresses":{
        "192.168.77.200":{"rules":0,"ignoreExcludeLabel":false,
            "services":[{"key":{"namespace":"default","name":"web"},"created":1,"policy":"Cluster"}]},
        "192.168.77.201":{"rules":0,"ignoreExcludeLabel":false,
            "services":[{"key":{"namespace":"default","name":"taken"},"created":1,"policy":"Cluster"}]}},
    "claims":[{"address":"192.168.77.200","interface":"eth0","epoch":4,"held":true}],
    "macs":["02:00:00:00:00:01"]}"#;

#[test]
fn an_agent_without_api_server_announces_what_it_remembers_and_nobody_else_has() {
    let test = "an_agent_without_api_server_announces_what_it_remembers_and_nobody_else_has";
    if outside(test, &[VETH]) {
        return;
    }
    let client = Client::plugged_in();
    // By now another host has one of the two.
    client.run("ip addr add 192.168.77.201/32 dev eth0");
    let dir = std::env::temp_dir().join(format!("herald-alone-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("agent.json"), STATE).unwrap();
    for round in 0..2 {
        client.run("ip neigh flush all");
        let agent = Agent::start(&dir, "one", 9471, AWAY, Command::new(HERALD));
        let from = Instant::now();
        while !client.resolves("192.168.77.200") {
            assert!(from.elapsed() < Duration::from_secs(10), "{}", agent.log());
            thread::sleep(Duration::from_millis(50));
        }
        // It listens for a second before it claims.
        assert!(from.elapsed() > Duration::from_millis(900), "{round}");
        thread::sleep(Duration::from_secs(2));
        let log = agent.log();
        let announced = |address: &str| {
            let mut lines = log.lines().filter(|line| line.contains("announcing"));
            lines.any(|line| line.contains(address))
        };
        assert!(announced("192.168.77.200"), "{log}");
        assert!(!announced("192.168.77.201"), "{log}");
        // And so it goes on from life to life.
        drop(agent);
        let state = fs::read_to_string(dir.join("agent.json")).unwrap();
        assert!(
            state.contains("192.168.77.200") && state.contains("\"held\":true"),
            "{state}"
        );
    }
    fs::remove_dir_all(&dir).unwrap();
}

/// Their heartbeats go to different ports, as if a firewall stood between them; both begin at the same time.
#[test]
fn two_agents_that_share_a_wire_and_cannot_hear_each_other_come_to_one_owner() {
    let test = "two_agents_that_share_a_wire_and_cannot_hear_each_other_come_to_one_owner";
    if outside(test, &[VETH]) {
        return;
    }
    let other = Client::plugged_in();
    other.run("ip link set lo up");
    let link = other.run("ip -br link show eth0");
    let other_mac = link
        .split_whitespace()
        .find(|word| word.len() == MAC.len() && word.contains(':'));
    let macs = format!("\"{MAC}\",\"{}\"", other_mac.unwrap());
    let dir = std::env::temp_dir().join(format!("herald-unheard-{}", std::process::id()));
    for round in 0..3 {
        let agents = ["one", "two"].map(|name| {
            let dir = dir.join(name);
            fs::create_dir_all(&dir).unwrap();
            let state = STATE.replace("\"one\"", &format!("\"{name}\""));
            let state = state.replace(
                &format!("\"macs\":[\"{MAC}\"]"),
                &format!("\"macs\":[{macs}]"),
            );
            fs::write(dir.join("agent.json"), state).unwrap();
            let (port, command) = match name {
                "one" => (9471, Command::new(HERALD)),
                _ => (9999, other.command(HERALD)),
            };
            Agent::start(&dir, name, port, AWAY, command)
        });
        let held = |agent: &Agent| {
            let state = fs::read_to_string(agent.dir.join("agent.json")).unwrap();
            state.matches("\"held\":true").count()
        };
        // Listening for a second, half a second of dispute, and the file comes a second later at most.
        thread::sleep(Duration::from_millis(4_500));
        for _ in 0..5 {
            let owned = agents.iter().map(held).sum::<usize>();
            let logs = agents.iter().map(Agent::log).collect::<String>();
            assert_eq!(owned, 2, "round {round}: one owner for each of two: {logs}");
            assert!(!logs.contains("AddressConflict"), "{logs}");
            thread::sleep(Duration::from_millis(500));
        }
    }
    fs::remove_dir_all(&dir).unwrap();
}
