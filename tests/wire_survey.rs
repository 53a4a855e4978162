//! `herald check --wire` with a real agent on a real wire: a second host has an address of the pool, and a DHCP server
//! gives out some of its range.
//!
//! ```text
//!   here: API server, agent one, herald check
//!     └─ veth ── there: a DHCP server
//!                  └─ macvlan ── a third host, with free addresses of the pool, and with one that is held
//! ```
//! Needs `ip`, and root or user namespaces; says so and skips otherwise, and fails instead under `CI=true`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy.toml exempts only the test functions themselves"
)]

use std::{
    net::{Ipv4Addr, UdpSocket},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use herald_layer2::{
    frame::{Frame, decode},
    tap::Tap,
};
use namespace::outside;
use serde_json::{Value, json};
use support::{Cluster, eventually};
use wire::{Agent, Client, HERALD, VETH, run};

mod namespace;
mod support;
mod wire;

const FOREIGN: &str = "02:00:00:00:00:99";
/// Set where this binary is to be a DHCP server.
const SERVES: &str = "HERALD_TEST_SERVES_DHCP";
/// What it gives out.
const RANGE: std::ops::RangeInclusive<u8> = 215..=240;
const ELSE: u8 = 100;

/// The server: offers what is wanted if that is in its range, else another address. Not a test unless told so.
#[test]
fn serves_dhcp() {
    if std::env::var_os(SERVES).is_none() {
        return;
    }
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).unwrap();
    // Without a default route a broadcast needs to be told where to go.
    socket.bind_device(Some(b"eth0")).unwrap();
    let any = std::net::SocketAddr::from(([0, 0, 0, 0], 67));
    socket.bind(&any.into()).unwrap();
    let socket = UdpSocket::from(socket);
    socket.set_broadcast(true).unwrap();
    println!("serving");
    let mut buffer = [0; 1500];
    loop {
        let (length, _) = socket.recv_from(&mut buffer).unwrap();
        let question = &buffer[..length];
        let wanted = question
            .windows(6)
            .skip(240)
            .find(|window| window[..2] == [50, 4]);
        let last = wanted.map_or(0, |window| window[5]);
        let last = if RANGE.contains(&last) { last } else { ELSE };
        let mut offer = question[..240].to_vec();
        offer[0] = 2;
        offer[16..20].copy_from_slice(&[192, 168, 77, last]);
        offer.extend([53, 1, 2, 54, 4, 192, 168, 77, 9, 51, 4, 0, 0, 0, 60, 255]);
        let to = (Ipv4Addr::BROADCAST, 68);
        socket.send_to(&offer, to).unwrap();
    }
}

struct Server(Child);

impl Server {
    fn start(there: &Client) -> Self {
        let this = std::env::current_exe().unwrap();
        let mut command = there.command(this.to_str().unwrap());
        command
            .args(["serves_dhcp", "--exact", "--nocapture"])
            .env(SERVES, "1")
            .stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// What agent one sends: the targets of its probes, and its DHCP messages.
fn listen(stop: Arc<AtomicBool>) -> thread::JoinHandle<(Vec<String>, Vec<Vec<u8>>)> {
    let tap = Tap::open(herald_spi::IfIndex(index())).unwrap();
    let own: herald_spi::Mac = wire::MAC.parse().unwrap();
    thread::spawn(move || {
        let (mut probes, mut dhcp) = (Vec::new(), Vec::new());
        while !stop.load(Ordering::Relaxed) {
            let Some(frame) = tap.next(Duration::from_millis(50)).unwrap() else {
                continue;
            };
            if frame[6..12] != own.0 {
                continue;
            }
            match decode(&frame) {
                Ok(Frame::Arp(arp)) if arp.is_probe() => probes.push(arp.target().to_string()),
                Ok(Frame::Ndp(ndp)) if ndp.is_probe() => probes.push(ndp.target().to_string()),
                _ if frame[12..14] == [8, 0] && frame[23] == 17 && frame[36..38] == [0, 67] => {
                    dhcp.push(frame)
                }
                _ => {}
            }
        }
        (probes, dhcp)
    })
}

/// The kernel's number of this namespace's interface; the file system may show those of another one.
fn index() -> u32 {
    let line = run("ip -o link show eth0");
    line.split(':').next().unwrap().parse().unwrap()
}

fn herald(directory: &std::path::Path) -> Command {
    let mut command = Command::new(HERALD);
    command.args(["check", "--wire", "--timeout", "60", "-o", "json"]);
    command.env("KUBECONFIG", directory.join("kubeconfig"));
    command
}

/// What `herald check --wire` says of the wire: `severity word message`.
async fn check(directory: &std::path::Path) -> Vec<String> {
    let mut command = herald(directory);
    let done = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let answer: Value = serde_json::from_slice(&done.stdout).unwrap();
    let words = [
        "Wire",
        "WireNotAsked",
        "AddressAnswered",
        "DhcpInPool",
        "WireUnanswered",
        "WireIncomplete",
        "AddressConflict",
    ];
    let findings = answer["findings"].as_array().unwrap().iter();
    let of_wire = findings.filter(|it| words.iter().any(|word| it["word"] == *word));
    of_wire
        .map(|it| {
            let word = |key: &str| it[key].as_str().unwrap().to_owned();
            format!("{} {} {}", word("severity"), word("word"), word("message"))
        })
        .collect()
}

#[test]
fn a_second_host_and_a_dhcp_server_on_the_pool_are_found_and_so_is_their_end() {
    let test = "a_second_host_and_a_dhcp_server_on_the_pool_are_found_and_so_is_their_end";
    if outside(test, &[VETH]) {
        return;
    }
    let there = Client::plugged_in();
    run("ip addr add fd77::1/64 dev eth0 nodad");
    let third = there.beside("m0", FOREIGN);
    third.run("ip addr add 192.168.77.210/32 dev m0");
    third.run("ip addr add 192.168.77.216/32 dev m0");
    third.run("ip addr add fd77::203/128 dev m0 nodad");
    let directory = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let cluster = Cluster::start().await;
        cluster.create(json!({
            "apiVersion": "v1", "kind": "Node", "metadata": { "name": "one" },
            "status": { "conditions": [{ "type": "Ready", "status": "True" }] },
        }));
        cluster.pool("lan", json!({ "addresses": ["192.168.77.205-192.168.77.230", "fd77::200-fd77::205"] }));
        // Held, and answered for by the third host: it must neither be asked for nor told.
        cluster.create(json!({
            "apiVersion": "herald.dev/v1alpha1", "kind": "AddressAllocation",
            "metadata": { "name": herald::api::object_name("192.168.77.216".parse().unwrap()) },
            "spec": {
                "address": "192.168.77.216", "pool": "lan",
                "holders": [{ "namespace": "default", "name": "web", "uid": "u-1" }],
            },
        }));
        let api = format!("http://{}", cluster.address);
        let one = Agent::start(directory.path(), "one", 9471, &api, Command::new(HERALD));
        eventually("the agent reports", async || {
            let object = cluster.api.get("herald.dev/v1alpha1", "NodeAnnouncements", "", "one");
            let version = object.map(|it| it["status"]["agent"]["version"].clone());
            match version {
                Ok(Value::String(_)) => Ok(()),
                other => Err((format!("{other:?}"), one.log())),
            }
        })
        .await;

        let stop = Arc::new(AtomicBool::new(false));
        let heard = listen(Arc::clone(&stop));
        let server = Server::start(&there);
        // It speaks up when it is there; a question before that would be lost.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let found = check(directory.path()).await;
        let expected = [
            format!("fail AddressAnswered the host with {FOREIGN} answers for 192.168.77.210, fd77::203, which no Service holds, as one (eth0) sees"),
        ];
        assert_eq!(found, expected, "the server's range was not asked for\n{}", one.log());

        // Of a pool that begins in the server's range, an address of it is offered.
        let pool = json!({ "spec": { "addresses": ["192.168.77.217-192.168.77.230"] } });
        cluster.api.merge_patch("herald.dev/v1alpha1", "AddressPool", "", "lan", "", pool).unwrap();
        let found = check(directory.path()).await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("fail DhcpInPool the DHCP server 192.168.77.9 ("), "{found:?}");
        assert!(found[0].contains(") offers 192.168.77.217, as one (eth0) sees"), "{found:?}");

        drop((server, third));
        let found = check(directory.path()).await;
        assert_eq!(found, ["ok Wire nobody answers for 14 free addresses, and no DHCP server offers one of a pool"]);
        stop.store(true, Ordering::Relaxed);
        let (probes, dhcp) = heard.join().unwrap();
        assert!(probes.iter().all(|target| target != "192.168.77.216"), "held, and asked for");
        for target in ["192.168.77.205", "192.168.77.230", "fd77::200"] {
            assert!(probes.iter().any(|it| it == target), "{target} was not asked for: {probes:?}");
        }
        assert_eq!(dhcp.len(), 3, "one question for each check");
        for frame in dhcp {
            assert_eq!(frame[278..285], [99, 130, 83, 99, 53, 1, 1], "a DISCOVER, never a REQUEST");
        }
    });
}
