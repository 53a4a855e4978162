//! A wire between two network namespaces, and agents on it.
//!
//! ```text
//!   test ─▶ unshare --net ─▶ this binary again: eth0, and what the test starts
//!                              └─ veth ── client: a shell in a namespace of its own
//! ```
//! Needs `ip`, and root or user namespaces; says so and skips otherwise, and fails instead under `CI=true`.

#![allow(
    clippy::unwrap_used,
    reason = "a test fails by panicking; clippy.toml exempts only the test functions themselves"
)]
#![allow(dead_code, reason = "each test file uses its own part")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

pub const HERALD: &str = env!("CARGO_BIN_EXE_herald");
/// The hardware address of this namespace's interface.
pub const MAC: &str = "02:00:00:00:00:01";
pub const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Another host on the wire.
pub struct Client(Child);

/// A process that ends with the test.
pub struct Process {
    child: Child,
    /// What it reads as long as it runs.
    _kubeconfig: Option<tempfile::TempDir>,
}

/// A running agent; dropping it kills it.
pub struct Agent {
    process: Process,
    pub dir: PathBuf,
}

impl Agent {
    /// Starts one that keeps its files in `dir` and finds its API server at a URL.
    pub fn start(dir: &Path, name: &str, peer_port: u16, api: &str, command: Command) -> Self {
        Self::start_as("{}", "127.0.0.1:0", dir, name, peer_port, api, command)
    }

    /// The same, as a user of its kubeconfig, and serving its metrics at an address.
    pub fn start_as(
        user: &str,
        http: &str,
        dir: &Path,
        name: &str,
        peer_port: u16,
        api: &str,
        mut command: Command,
    ) -> Self {
        fs::write(dir.join("keys"), KEY).unwrap();
        fs::write(dir.join("kubeconfig"), kubeconfig(api, user)).unwrap();
        let log = fs::File::create(dir.join("log")).unwrap();
        let file = |name: &str| dir.join(name).display().to_string();
        let process = command
            .args(["agent", "--node-name", name, "--http", http])
            .args(["--peer-port", &peer_port.to_string()])
            .args(["--peer-key-file", &file("keys")])
            .args(["--state-file", &file("agent.json")])
            .env("KUBECONFIG", file("kubeconfig"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            process: Process::of(process),
            dir: dir.to_owned(),
        }
    }

    /// All that it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap()
    }

    /// Whether it has not ended.
    pub fn runs(&mut self) -> bool {
        self.process.child.try_wait().unwrap().is_none()
    }

    /// What it serves at `/metrics`; only of one in this namespace.
    pub fn metrics(&self) -> String {
        let log = self.log();
        let mut words = log.split([' ', '"', '=', ',']);
        let address = words.find(|word| word.starts_with("127.0.0.1:")).unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        let request =
            format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Process {
    const fn of(child: Child) -> Self {
        Self {
            child,
            _kubeconfig: None,
        }
    }

    /// `herald controller`, on the cluster of a kubeconfig.
    pub fn controller(
        kubeconfig: (tempfile::TempDir, PathBuf),
        arguments: &[&str],
        log: &Path,
    ) -> Self {
        let (directory, kubeconfig) = kubeconfig;
        let log = fs::File::create(log).unwrap();
        let child = Command::new(HERALD)
            .arg("controller")
            .args(arguments)
            .env("KUBECONFIG", kubeconfig)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self {
            child,
            _kubeconfig: Some(directory),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

impl Client {
    /// A namespace with an interface that shares a wire with this one's.
    pub fn plugged_in() -> Self {
        let client = Self::unplugged();
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

    /// A third host whose interface shares the wire with this one's.
    pub fn beside(&self, interface: &str, mac: &str) -> Self {
        let third = Self::unplugged();
        let id = third.0.id();
        self.run(&format!(
            "ip link add link eth0 name {interface} address {mac} netns {id} type macvlan mode bridge"
        ));
        third.run(&format!("ip link set {interface} up"));
        third
    }

    /// A namespace without any wire.
    pub fn unplugged() -> Self {
        let mut sleeper = Command::new("unshare");
        let sleeper = sleeper.args(["--net", "sleep", "600"]);
        let client = Self(sleeper.spawn().unwrap());
        thread::sleep(Duration::from_millis(300));
        client
    }

    /// Gives it an interface that hangs on `port` of a bridge here.
    pub fn plug(&self, interface: &str, port: &str, bridge: &str) {
        let id = self.0.id();
        run(&format!(
            "ip link add {port} type veth peer name {interface} netns {id}"
        ));
        run(&format!("ip link set {port} master {bridge} up"));
    }

    /// A command that runs there.
    pub fn command(&self, line: &str) -> Command {
        let mut command = Command::new("nsenter");
        let target = self.0.id().to_string();
        command.args(["--target", &target, "--net"]);
        command.args(line.split(' '));
        command
    }

    /// Runs a command there.
    pub fn run(&self, line: &str) -> String {
        output(&mut self.command(line))
    }

    /// Whether the agent answers for the address: the client asks when it has something to send.
    pub fn resolves(&self, address: &str) -> bool {
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

fn kubeconfig(api: &str, user: &str) -> String {
    r#"{"apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": "API"}}],
        "users": [{"name": "test", "user": USER}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}]}"#
        .replace("API", api)
        .replace("USER", user)
}

/// Runs a command here.
pub fn run(line: &str) -> String {
    let mut words = line.split(' ');
    output(Command::new(words.next().unwrap()).args(words))
}

fn output(command: &mut Command) -> String {
    let done = command.output().unwrap();
    assert!(done.status.success(), "{command:?}: {done:?}");
    String::from_utf8(done.stdout).unwrap()
}

/// What `outside` needs for a wire.
pub const VETH: &str = "ip link add v0 type veth";
