//! A LAN of namespaces, each with an agent: one bridge that carries the addresses, one that carries the InternalIPs.
//!
//! ```text
//!   test ─▶ unshare --net ─▶ this binary again: br0 (192.168.77.99), br1 (10.9.0.99)
//!                              ├─ eth0, mgmt ── host 1: 192.168.77.1, 10.9.0.1, herald agent
//!                              └─ eth0, mgmt ── host 2: ...
//! ```
//! The agents have no API server; what they know is in their state files.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy.toml exempts only the test functions themselves"
)]
#![allow(dead_code, reason = "each test file uses its own part")]

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::wire::{Agent, Client, HERALD, run};

/// The address that the agents announce.
pub const VIP: &str = "192.168.77.200";
/// What `outside` needs.
pub const BRIDGE: &str = "ip link add br0 type bridge";
/// Nobody listens there.
const AWAY: &str = "http://127.0.0.1:1";
/// Lets only what is sent to a node leave by `mgmt`, as a router would.
const ROUTED: &str = "add table netdev routed
    add chain netdev routed out { type filter hook egress device \"mgmt\" priority 0; }
    add rule netdev routed out ip daddr 224.0.0.254 drop
    add rule netdev routed out ip6 daddr ff02::114 drop";

/// One node.
pub struct Host {
    pub number: u8,
    pub client: Client,
    dir: PathBuf,
}

/// The two bridges.
pub fn bridges() {
    run("ip link set lo up");
    for (bridge, address) in [("br0", "192.168.77.99/24"), ("br1", "10.9.0.99/24")] {
        run(&format!(
            "ip link add {bridge} type bridge mcast_snooping 0"
        ));
        run(&format!("ip link set {bridge} up"));
        run(&format!("ip addr add {address} dev {bridge}"));
    }
}

/// A node that hangs on both, and what its agent remembers.
pub fn host(directory: &Path, number: u8) -> Host {
    let host = Host {
        number,
        client: Client::unplugged(),
        dir: directory.join(format!("host-{number}")),
    };
    fs::create_dir_all(&host.dir).unwrap();
    host.client.run("ip link set lo up");
    host.plug_eth0();
    host.client.plug("mgmt", &format!("m{number}"), "br1");
    host.client.run("ip link set mgmt up");
    host.client
        .run(&format!("ip addr add 10.9.0.{number}/24 dev mgmt"));
    host
}

impl Host {
    /// Its interface to the LAN.
    pub fn plug_eth0(&self) {
        let number = self.number;
        self.client.plug("eth0", &format!("p{number}"), "br0");
        self.client
            .run(&format!("ip link set eth0 address {} up", self.mac()));
        self.client
            .run(&format!("ip addr add 192.168.77.{number}/24 dev eth0"));
    }

    pub fn mac(&self) -> String {
        format!("02:00:00:00:00:0{}", self.number)
    }

    /// From now on its `mgmt` carries the second path and no segment.
    pub fn route_mgmt(&self) {
        let file = self.dir.join("routed.nft");
        fs::write(&file, ROUTED).unwrap();
        self.client.run(&format!("nft -f {}", file.display()));
    }

    /// Starts its agent as node `name`, which remembers an earlier life and whether it held the address.
    pub fn start(&self, name: &str, incarnation: u64, held: bool) -> Agent {
        let state = state(name, incarnation, held);
        fs::write(self.dir.join("agent.json"), state).unwrap();
        self.resume(name)
    }

    /// Starts its agent with what it remembers.
    pub fn resume(&self, name: &str) -> Agent {
        Agent::start(&self.dir, name, 9471, AWAY, self.client.command(HERALD))
    }
}

/// Waits until it holds; fails with what the agents said.
pub fn until(what: &str, agents: &[&Agent], holds: impl Fn() -> bool) {
    let from = Instant::now();
    while !holds() {
        let logs: Vec<_> = agents.iter().map(|agent| agent.log()).collect();
        assert!(
            from.elapsed() < Duration::from_secs(15),
            "{what}: {}",
            logs.join("\n---\n")
        );
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether it says that it announces the address.
pub fn announces(agent: &Agent) -> bool {
    let log = agent.log();
    let mut lines = log.lines().filter(|line| line.contains("announcing"));
    lines.any(|line| line.contains(VIP))
}

/// How many lines of its log have the words.
pub fn says(agent: &Agent, words: &str) -> usize {
    let log = agent.log();
    log.lines().filter(|line| line.contains(words)).count()
}

fn state(name: &str, incarnation: u64, held: bool) -> String {
    let fit =
        r#"{"excluded":false,"out_of_service":false,"network_unavailable":false,"deleting":false}"#;
    let claims = if held {
        format!(r#"{{"address":"{VIP}","interface":"eth0","epoch":4,"held":true}}"#)
    } else {
        String::new()
    };
    format!(
        r#"{{"version":1,"node":"{name}","incarnation":{incarnation},
        "nodes":{{"one":{fit},"two":{fit},"three":{fit}}},
        "rules":[[{{"interfaces":["eth0"],"nodes":"Every","services":null,"preferred":[]}}]],
        "addresses":{{"{VIP}":{{"rules":0,"ignoreExcludeLabel":false,
            "services":[{{"key":{{"namespace":"default","name":"web"}},"created":1,"policy":"Cluster"}}]}}}},
        "claims":[{claims}],"macs":[],
        "nodeAddresses":{{"one":"10.9.0.1","two":"10.9.0.2","three":"10.9.0.3"}}}}"#
    )
}
