//! Herald on the segment: the stand-in API server, the controller, and the one agent with its Services.

use std::{
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, ensure};
use serde_json::{Value, json};

use crate::{
    control_plane::{ControlPlane, log_file},
    process::Process,
    segment::Segment,
    station::Station,
};

/// How many addresses there may be.
pub const ROOM: i64 = 60_000;
/// The node's own addresses on the NIC, for which the kernel answers; the Services' are from the same subnets.
pub const NODES_OWN: (Ipv4Addr, Ipv6Addr) = (
    Ipv4Addr::new(10, 9, 255, 254),
    Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1),
);
const POOL: [&str; 2] = ["10.9.0.0/17", "fd77::a:0/112"];
const NODE: &str = "node-1";
const METRICS: &str = "127.0.0.1:9472";
/// Announcements leave at a bounded rate: those of 10,000 addresses take two minutes.
const PATIENCE: Duration = Duration::from_secs(300);

/// A running Herald; dropping it ends it.
pub struct Cluster<'a> {
    plane: ControlPlane,
    services: u32,
    agent: Process,
    node: &'a Station,
    _controller: Process,
}

impl<'a> Cluster<'a> {
    pub fn start(
        segment: &'a Segment,
        arguments: &[String],
        logs: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let node = &segment.nodes[0];
        let (own, _) = NODES_OWN;
        node.sh(&format!("ip addr add {own}/16 dev eth0"));
        if let Some(logs) = logs {
            std::fs::create_dir_all(logs)?;
        }
        let plane = ControlPlane::start(segment)?;
        plane.create_node(json!({ "name": NODE }), 1)?;
        plane.create(json!({
            "apiVersion": "herald.dev/v1alpha1", "kind": "AddressPool", "metadata": { "name": "lan" },
            "spec": { "addresses": POOL, "advertise": [{ "layer2": { "interfaces": ["eth0"] } }] },
        }))?;
        let mut agent = plane.herald();
        agent
            .args(["agent", "--node-name", NODE, "--http", METRICS])
            .arg("--state-file")
            .arg(plane.dir.path().join("state.json"))
            .args(arguments);
        let log = |name| log_file(logs, name);
        Ok(Self {
            services: 0,
            _controller: Process::start(
                &segment.control,
                plane.controller(),
                log("controller").as_deref(),
            )?,
            agent: Process::start(node, agent, log("agent").as_deref())?,
            node,
            plane,
        })
    }

    /// The agent's process.
    pub fn agent(&self) -> u32 {
        self.agent.id()
    }

    /// Makes Services until there are so many, with an address of each family.
    pub fn grow(&mut self, services: u32) -> anyhow::Result<()> {
        for number in self.services..services {
            self.plane.create(json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": { "name": name(number), "namespace": "default" },
                "spec": {
                    "type": "LoadBalancer", "allocateLoadBalancerNodePorts": false,
                    "ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"],
                    "selector": { "app": "web" }, "ports": [{ "port": 80 }],
                },
            }))?;
        }
        self.services = self.services.max(services);
        Ok(())
    }

    /// Waits until all addresses are announced, and the bursts of announcements are over.
    pub async fn until_calm(&self) -> anyhow::Result<()> {
        let all = u64::from(self.services) * 2;
        // Each is told again once in 45 to 75 s.
        let refreshes = all / 20 + 5;
        let (began, mut told) = (Instant::now(), None);
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            // It may not listen yet.
            let metrics = self.metrics().unwrap_or_default();
            let announced = metrics.value("herald_agent_addresses_announced");
            let now = metrics.value("herald_layer2_gratuitous_total");
            let burst = now.zip(told.replace(now).flatten());
            let calm = burst.is_some_and(|(now, before)| now - before <= refreshes);
            if announced == Some(all) && calm {
                return Ok(());
            }
            ensure!(
                began.elapsed() < PATIENCE,
                "of {all} addresses {} are announced after {PATIENCE:?}",
                announced.unwrap_or(0)
            );
        }
    }

    /// The addresses of all Services.
    pub fn addresses(&self) -> anyhow::Result<Vec<IpAddr>> {
        let mut addresses = Vec::new();
        for number in 0..self.services {
            let service = self
                .plane
                .api
                .get("v1", "Service", "default", &name(number));
            let service = service.map_err(|status| anyhow!("{status}"))?;
            let ingress = service.pointer("/status/loadBalancer/ingress");
            let given = ingress.and_then(Value::as_array).context("no address")?;
            for address in given {
                addresses.push(address["ip"].as_str().context("no address")?.parse()?);
            }
        }
        Ok(addresses)
    }

    /// How many frames the node's NIC has taken.
    pub fn received(&self) -> anyhow::Result<u64> {
        let devices = self.node.sh("cat /proc/net/dev");
        let line = devices
            .lines()
            .find_map(|line| line.trim().strip_prefix("eth0:"));
        let frames = line.and_then(|line| line.split_whitespace().nth(1));
        Ok(frames.context("no eth0")?.parse()?)
    }

    /// What the agent counts.
    pub fn metrics(&self) -> anyhow::Result<Metrics> {
        let read = || {
            let mut stream = TcpStream::connect(METRICS)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            write!(
                stream,
                "GET /metrics HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n"
            )?;
            let mut text = String::new();
            stream.read_to_string(&mut text).map(|_| text)
        };
        Ok(Metrics(self.node.run(read)?))
    }
}

/// Metrics as text.
#[derive(Default)]
pub struct Metrics(String);

impl Metrics {
    pub fn value(&self, name: &str) -> Option<u64> {
        let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
        self.0.lines().find_map(value)
    }
}

fn name(number: u32) -> String {
    format!("web-{number:05}")
}
