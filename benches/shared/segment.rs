//! The segment: a switch with two bridges, the nodes, the client, and the place of the API server.

use anyhow::Context as _;
use herald_spi::Mac;

use crate::station::Station;

/// The addresses of the one Service.
pub const VIPS: [&str; 2] = ["192.168.77.200", "fd77::200"];
/// The port that it is probed on.
pub const PORT: u16 = 7;

/// The client's hardware address.
pub const CLIENT_MAC: [u8; 6] = [2, 0, 0, 0, 0x77, 0xfe];

const LAN: &str = "br0";
/// The bridge of those who are cut off from the rest.
const ISLAND: &str = "br2";

/// Everything that is wired.
pub struct Segment {
    switch: Station,
    pub nodes: Vec<Station>,
    pub client: Station,
    /// Where agents reach the API server.
    pub control: Station,
}

impl Segment {
    pub fn new(nodes: u8) -> Self {
        let switch = Station::new();
        for bridge in [LAN, "br1", ISLAND] {
            switch.sh(&format!(
                "ip link add {bridge} type bridge forward_delay 0 mcast_snooping 0 && ip link set {bridge} up"
            ));
        }
        let client = Station::new();
        wire(
            &switch,
            &client,
            "client",
            "eth0",
            LAN,
            &Mac(CLIENT_MAC).to_string(),
        );
        client.sh("ip addr add 192.168.77.254/24 dev eth0; ip addr add fd77::fe/64 dev eth0 nodad");
        let control = Station::new();
        wire(
            &switch,
            &control,
            "control",
            "eth0",
            "br1",
            "02:00:00:00:99:fe",
        );
        control.sh("ip addr add 10.99.0.254/24 dev eth0");
        let nodes = (1..=nodes).map(|number| node(&switch, number)).collect();
        Self {
            switch,
            nodes,
            client,
            control,
        }
    }

    /// The index of the client's link.
    pub fn client_link(&self) -> anyhow::Result<u32> {
        // sysfs would show the namespace in which it was mounted.
        let shown = self.client.sh("ip -o link show eth0");
        let index = shown.split(':').next().context("no link is shown")?;
        Ok(index.parse()?)
    }

    /// Takes a node's port out of the bridge, or back: its carrier stays.
    pub fn cut_off(&self, node: usize, off: bool) {
        let to = if off {
            "nomaster".to_owned()
        } else {
            format!("master {LAN}")
        };
        self.switch.sh(&format!("ip link set lan{} {to}", node + 1));
    }

    /// Takes a node's carrier away, or gives it back.
    pub fn carrier(&self, node: usize, there: bool) {
        let state = if there { "up" } else { "down" };
        self.switch
            .sh(&format!("ip link set lan{} {state}", node + 1));
    }

    /// Puts these nodes on a segment of their own.
    pub fn part(&self, nodes: &[usize]) {
        for node in nodes {
            self.switch
                .sh(&format!("ip link set lan{} master {ISLAND}", node + 1));
        }
    }

    /// Brings all nodes together.
    pub fn heal(&self) {
        for node in 0..self.nodes.len() {
            self.cut_off(node, false);
        }
    }

    /// Unplugs the API server, or plugs it in.
    pub fn api_away(&self, away: bool) {
        let state = if away { "down" } else { "up" };
        self.switch.sh(&format!("ip link set control {state}"));
    }
}

fn node(switch: &Station, number: u8) -> Station {
    let node = Station::new();
    wire(
        switch,
        &node,
        &format!("lan{number}"),
        "eth0",
        LAN,
        &mac(0x77, number),
    );
    wire(
        switch,
        &node,
        &format!("ctl{number}"),
        "eth1",
        "br1",
        &mac(0x99, number),
    );
    // The kernel answers only for addresses that are on the NIC that was asked.
    node.sh(
        "sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2 net.ipv4.conf.all.rp_filter=0 \
         net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.eth0.keep_addr_on_down=1 \
         net.ipv4.ip_nonlocal_bind=1 net.ipv6.ip_nonlocal_bind=1",
    );
    node.sh(&format!(
        "ip addr add 192.168.77.{number}/24 dev eth0; ip addr add fd77::{number:x}/64 dev eth0 nodad; \
         ip addr add 10.99.0.{number}/24 dev eth1"
    ));
    // Deliverable here, and on no NIC, as kube-proxy makes it.
    for vip in VIPS {
        node.sh(&format!("ip route add local {vip} dev lo table local"));
    }
    node
}

fn wire(switch: &Station, station: &Station, port: &str, link: &str, bridge: &str, mac: &str) {
    let thread = station.thread;
    switch.sh(&format!(
        "ip link add {port} type veth peer name {link} netns {thread} && ip link set {port} master {bridge} up"
    ));
    station.sh(&format!("ip link set {link} address {mac} up"));
}

fn mac(network: u8, number: u8) -> String {
    format!("02:00:00:00:{network:02x}:{number:02x}")
}
