//! A segment in network namespaces: a switch, and stations that are plugged into it.

use std::{
    env,
    net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket},
    os::unix::process::CommandExt,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use herald_spi::{IfIndex, Mac};
use nix::sched::CloneFlags;

use crate::station::Station;

/// A station with one NIC, `eth0`.
pub struct Host {
    pub station: Station,
    pub index: IfIndex,
    pub mac: Mac,
}

/// An Ethernet segment.
pub struct Segment {
    pub switch: Station,
    plugged: std::cell::Cell<u8>,
}

impl Segment {
    pub fn new() -> Self {
        let switch = Station::new();
        switch.sh("ip link add br0 type bridge && ip link set br0 up");
        Self {
            switch,
            plugged: std::cell::Cell::new(0),
        }
    }

    /// A new station with `eth0`, addressed 192.168.77.N/24 and fd77::N/64.
    pub fn plug(&self) -> Host {
        let number = self.plugged.get() + 1;
        self.plugged.set(number);
        let station = Station::new();
        self.wire(&station, number);
        station.sh(&format!(
            "ip addr add 192.168.77.{number}/24 dev eth0; ip addr add fd77::{number}/64 dev eth0 nodad"
        ));
        let index = index_of(&station, "eth0");
        wait_for("eth0 is up", Duration::from_secs(5), || {
            station
                .sh("ip -6 addr show dev eth0 scope link")
                .contains("fe80")
                && !station.sh("ip -6 addr show dev eth0").contains("tentative")
        });
        Host {
            station,
            index,
            mac: Mac([2, 0, 0, 0, 0, number]),
        }
    }

    /// Wires a station to the switch. Its NIC gets the MAC 02:00:00:00:00:N.
    pub fn wire(&self, station: &Station, number: u8) {
        let peer = station.thread;
        self.switch.sh(&format!(
            "ip link add port{number} type veth peer name eth0 netns {peer} \
             && ip link set port{number} master br0 up"
        ));
        station.sh(&format!(
            "ip link set eth0 address 02:00:00:00:00:{number:02x} up"
        ));
    }
}

impl Host {
    /// The MAC in the kernel's neighbour cache.
    pub fn neighbour(&self, address: IpAddr) -> Option<Mac> {
        let line = self
            .station
            .sh(&format!("ip neigh show {address} dev eth0"));
        let mut words = line.split_whitespace();
        words.find(|word| *word == "lladdr")?;
        words.next()?.parse().ok()
    }

    /// Lets the kernel resolve the address, by sending a datagram to it.
    pub fn resolve(&self, address: IpAddr) -> Option<Mac> {
        self.knock(address);
        let until = Instant::now() + Duration::from_secs(4);
        while Instant::now() < until {
            if let Some(mac) = self.neighbour(address) {
                return Some(mac);
            }
            thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// Sends a datagram to the address.
    pub fn knock(&self, address: IpAddr) {
        self.station.run(move || {
            let any: IpAddr = if address.is_ipv4() {
                [0, 0, 0, 0].into()
            } else {
                Ipv6Addr::UNSPECIFIED.into()
            };
            let socket = UdpSocket::bind(SocketAddr::new(any, 0)).unwrap();
            drop(socket.send_to(b"?", SocketAddr::new(address, 9)));
        });
    }

    /// Puts a wrong entry into the kernel's neighbour cache.
    pub fn poison(&self, address: IpAddr) {
        self.station.sh(&format!(
            "ip neigh replace {address} lladdr 02:de:ad:00:00:00 nud stale dev eth0"
        ));
    }
}

pub fn index_of(station: &Station, name: &str) -> IfIndex {
    let line = station.sh(&format!("ip -o link show {name}"));
    IfIndex(line.split(':').next().unwrap().parse().unwrap())
}

/// Waits until something holds.
pub fn wait_for(what: &str, patience: Duration, mut holds: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !holds() {
        assert!(
            start.elapsed() < patience,
            "not within {patience:?}: {what}"
        );
        thread::sleep(Duration::from_millis(5));
    }
    start.elapsed()
}

/// Whether a program is installed. Under `CI=true` it has to be.
pub fn installed(program: &str) -> bool {
    let found = env::split_paths(&env::var_os("PATH").unwrap_or_default())
        .any(|directory| directory.join(program).is_file());
    if !found {
        eprintln!("skipped in part: needs {program}");
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "needs {program}");
    }
    found
}

/// Whether namespaces can be made. As another user than root, the test runs once more as root of a user namespace,
/// and this returns false in the first process when that run has passed.
pub fn can_make_namespaces() -> bool {
    const AGAIN: &str = "HERALD_TEST_IN_USER_NAMESPACE";
    if nix::unistd::geteuid().is_root() && try_namespace() {
        return true;
    }
    let thread = thread::current();
    let test = thread.name().expect("a test's thread has its name");
    if env::var_os(AGAIN).is_none() {
        let again = Command::new("unshare")
            .args(["--user", "--map-root-user", "--net", "--"])
            .arg(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env(AGAIN, "1")
            .process_group(0)
            .status();
        if let Ok(status) = again {
            match status.code() {
                Some(0) => return false,
                Some(101) => panic!("failed in a user namespace"),
                _ => {}
            }
        }
    }
    eprintln!("skipped: needs root or user namespaces");
    assert_ne!(
        env::var("CI").as_deref(),
        Ok("true"),
        "needs root or user namespaces"
    );
    false
}

fn try_namespace() -> bool {
    let attempt = thread::spawn(|| nix::sched::unshare(CloneFlags::CLONE_NEWNET).is_ok());
    attempt.join().unwrap_or(false)
}
