//! A node of the test: a thread in a network namespace of its own, plugged into a bridge.
//!
//! ```text
//!   test ─▶ unshare --net ─▶ this binary again, in a namespace of its own with a bridge
//!                              ├─ veth ── thread "node-0", unshared: eth0, Peers
//!                              └─ veth ── thread "node-1", unshared: eth0, Peers
//! ```

use std::{
    net::IpAddr,
    process::Command,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use herald::membership::{Config, Incarnation, Keys, OwnClaims, Peers, Setup, View};
use herald_spi::{IfIndex, Link, Links, Mac, NodeName, Place};
use tokio_util::sync::CancellationToken;

pub(crate) const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const OTHER_KEY: &str = "Hx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8=";
pub(crate) const PORT: u16 = 9471;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Family {
    V4,
    V6,
    Both,
}

/// A thread in a network namespace of its own, which runs the agent of one node.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) links: Links,
    pub(crate) peers: Peers,
    pub(crate) stop: CancellationToken,
    /// Freezes the thread for a while; dropped, it ends the thread without a goodbye.
    pub(crate) order: Option<tokio::sync::mpsc::UnboundedSender<Duration>>,
    pub(crate) thread: Option<thread::JoinHandle<()>>,
}

impl Node {
    pub(crate) fn eth0(&self) -> IfIndex {
        *self.links.keys().next().unwrap()
    }

    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.peers.view().borrow())
    }

    pub(crate) fn claim(&self, addresses: &[IpAddr], epoch: u64) {
        let place = |address: &IpAddr| Place {
            address: *address,
            interface: self.eth0(),
        };
        let claims: OwnClaims = addresses
            .iter()
            .map(|address| (place(address), epoch))
            .collect();
        self.peers.set_claims(claims);
    }

    pub(crate) fn wait(&self, what: &str, holds: impl Fn(&View) -> bool) -> Duration {
        let from = Instant::now();
        while !holds(&self.view()) {
            assert!(
                from.elapsed() < Duration::from_secs(10),
                "{}: {what}: {:#?}",
                self.name,
                self.view()
            );
            thread::sleep(Duration::from_millis(5));
        }
        from.elapsed()
    }

    pub(crate) fn kill(&mut self) {
        drop(self.order.take());
        self.thread.take().map(thread::JoinHandle::join);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What `outside` needs for these tests.
pub(crate) const BRIDGE: &str = "ip link add br0 type bridge";

pub(crate) fn bridge() {
    ip("link set lo up");
    // Like a switch that snoops and is asked to: group members are known by their reports only.
    ip("link add br0 type bridge mcast_snooping 1 mcast_querier 1");
    ip("link set br0 up");
}

/// A node with one interface per family given, all on the bridge.
pub(crate) fn node(number: usize, families: &[Family], key: &'static str) -> Node {
    let name = format!("node-{number}");
    let (tell_thread, thread_id) = mpsc::channel();
    let (plugged, wait_plugged) = mpsc::channel::<()>();
    let (tell_started, started) = mpsc::channel();
    let (order, mut orders) = tokio::sync::mpsc::unbounded_channel();
    let (stop, families) = (CancellationToken::new(), families.to_vec());
    let (token, named, count) = (stop.clone(), name.clone(), families.len());
    let thread = thread::spawn(move || {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        tell_thread.send(nix::unistd::gettid()).unwrap();
        wait_plugged.recv().unwrap();
        let links: Links = (0..count)
            .map(|at| configure(number, at, families[at]))
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (peers, mut task) = Peers::start(setup(&named, key), token).unwrap();
            peers.set_links(links.clone());
            tell_started.send((links, peers)).unwrap();
            loop {
                tokio::select! {
                    ended = &mut task => return ended.unwrap(),
                    order = orders.recv() => match order {
                        // With the thread sleeps everything on it.
                        Some(freeze) => thread::sleep(freeze),
                        None => return,
                    },
                }
            }
        });
    });
    let thread_id = thread_id.recv().unwrap();
    for at in 0..count {
        ip(&format!(
            "link add port{number}-{at} type veth peer name eth{at} netns {thread_id}"
        ));
        ip(&format!("link set port{number}-{at} master br0 up"));
    }
    plugged.send(()).unwrap();
    let (links, peers) = started.recv().unwrap();
    Node {
        name,
        links,
        peers,
        stop,
        order: Some(order),
        thread: Some(thread),
    }
}

/// Gives an interface its addresses, in the namespace of the calling thread.
fn configure(number: usize, at: usize, family: Family) -> (IfIndex, Link) {
    let (name, host) = (format!("eth{at}"), number + 1 + at * 100);
    let octet = |n: usize| u8::try_from(n).unwrap();
    let mac = Mac([2, 0, 0, 0, octet(at), octet(number + 1)]);
    ip(&format!("link set {name} address {mac}"));
    if family == Family::V4 {
        ip(&format!("link set {name} addrgenmode none"));
    }
    ip(&format!("link set {name} up"));
    if family != Family::V6 {
        ip(&format!("addr add 192.168.77.{host}/24 dev {name}"));
    }
    if family != Family::V4 {
        ip(&format!("addr add fd77::{host}/64 dev {name} nodad"));
        // The link-local address is of no use until it is known to be unique.
        while !ip(&format!("-o -6 addr show dev {name} scope link -tentative")).contains("fe80") {
            thread::sleep(Duration::from_millis(20));
        }
    }
    let index = ip(&format!("-o link show dev {name}"));
    let index = IfIndex(index.split(':').next().unwrap().parse().unwrap());
    let addresses = ip(&format!("-o addr show dev {name}"));
    let addresses = addresses
        .lines()
        .filter_map(|line| line.split_whitespace().nth(3));
    let addresses = addresses.map(|net| net.parse().unwrap()).collect();
    (
        index,
        Link {
            index,
            name,
            mac,
            up: true,
            addresses,
        },
    )
}

pub(crate) fn setup(name: &str, key: &str) -> Setup {
    Setup {
        pulse: Default::default(),
        config: Config::default(),
        me: NodeName::from(name),
        incarnation: Incarnation::starting(1, None),
        keys: Keys::parse(key).unwrap(),
        port: PORT,
        origin: tokio::time::Instant::now(),
    }
}

pub(crate) fn ip(arguments: &str) -> String {
    let done = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "ip {arguments}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).unwrap()
}
