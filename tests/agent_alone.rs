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
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

const HERALD: &str = env!("CARGO_BIN_EXE_herald");
const INSIDE: &str = "HERALD_TEST_INSIDE_NETNS";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const MAC: &str = "02:00:00:00:00:01";
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

struct Client(Child);

struct Agent {
    process: Child,
    dir: PathBuf,
}

#[test]
fn an_agent_without_api_server_announces_what_it_remembers_and_nobody_else_has() {
    let test = "an_agent_without_api_server_announces_what_it_remembers_and_nobody_else_has";
    if outside(test) {
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
        let agent = Agent::start(&dir, "one", Command::new(HERALD));
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
    if outside(test) {
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
            let command = match name {
                "one" => Command::new(HERALD),
                _ => other.command(HERALD),
            };
            Agent::start(&dir, name, command)
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

impl Agent {
    fn start(dir: &Path, name: &str, mut command: Command) -> Self {
        fs::write(dir.join("keys"), KEY).unwrap();
        fs::write(dir.join("kubeconfig"), kubeconfig()).unwrap();
        let log = fs::File::create(dir.join("log")).unwrap();
        let file = |name: &str| dir.join(name).display().to_string();
        let port = match name {
            "one" => "9471",
            _ => "9999",
        };
        let process = command
            .args(["agent", "--node-name", name, "--http", "127.0.0.1:0"])
            .args(["--peer-port", port])
            .args(["--peer-key-file", &file("keys")])
            .args(["--state-file", &file("agent.json")])
            .env("KUBECONFIG", file("kubeconfig"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            process,
            dir: dir.to_owned(),
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ended = self.process.kill();
        let _ended = self.process.wait();
    }
}

impl Client {
    /// A namespace with an interface that shares a wire with this one's.
    fn plugged_in() -> Self {
        let mut sleeper = Command::new("unshare");
        let sleeper = sleeper.args(["--net", "sleep", "600"]);
        let client = Self(sleeper.spawn().unwrap());
        thread::sleep(Duration::from_millis(300));
        run("ip link set lo up");
        run(&format!(
            "ip link add eth0 type veth peer name eth0 netns {}",
            client.0.id()
        ));
        run(&format!("ip link set eth0 address {MAC} up"));
        run("ip addr add 192.168.77.1/24 dev eth0");
        client.run("ip link set eth0 up");
        client.run("ip addr add 192.168.77.9/24 dev eth0");
        client
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("nsenter");
        let target = self.0.id().to_string();
        command.args(["--target", &target, "--net"]);
        command.args(line.split(' '));
        command
    }

    fn run(&self, line: &str) -> String {
        output(&mut self.command(line))
    }

    /// Whether the agent answers for the address: the client asks when it has something to send.
    fn resolves(&self, address: &str) -> bool {
        let mut poke = self.command("bash -c");
        poke.arg(format!("echo > /dev/udp/{address}/9"))
            .stderr(Stdio::null());
        let _sent = poke.status();
        self.run(&format!("ip neigh show {address}")).contains(MAC)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// Nobody listens there.
fn kubeconfig() -> &'static str {
    r#"{"apiVersion": "v1", "kind": "Config", "current-context": "away",
        "clusters": [{"name": "away", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "away", "user": {}}],
        "contexts": [{"name": "away", "context": {"cluster": "away", "user": "away"}}]}"#
}

fn run(line: &str) -> String {
    let mut words = line.split(' ');
    output(Command::new(words.next().unwrap()).args(words))
}

fn output(command: &mut Command) -> String {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {done:?}");
    String::from_utf8(done.stdout).unwrap()
}

/// Runs the test once more in a network namespace of its own; true when that is done, or cannot be done.
fn outside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return false;
    }
    let unshare = |program: &Path| {
        let mut command = Command::new("unshare");
        if !nix::unistd::geteuid().is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        command.arg("--net").arg(program);
        command
    };
    let able = unshare("ip".as_ref())
        .args(["link", "add", "v0", "type", "veth"])
        .output();
    if !able.is_ok_and(|done| done.status.success()) {
        assert!(
            std::env::var_os("CI").is_none_or(|ci| ci != "true"),
            "needs root or user namespaces, and ip"
        );
        println!("skipped: needs root or user namespaces, and ip");
        return true;
    }
    let this = std::env::current_exe().unwrap();
    let done = unshare(&this)
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(done.success(), "failed inside the namespace");
    true
}
