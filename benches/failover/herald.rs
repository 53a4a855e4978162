//! Herald on the segment: the stand-in API server, the controller, and an agent on every node.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    case::Guard,
    control_plane::{ControlPlane, log_file},
    process::Process,
    segment::{Segment, VIPS},
};

/// The nodes that are preferred, the first most: so both addresses are always on one node.
const RANKED: usize = 5;
/// How long an agent listens before it takes part, and some more.
const LISTENING: Duration = Duration::from_millis(1_500);
/// Half as long again as the promise gives.
const OUTAGE: Duration = Duration::from_millis(1_500);
const PATIENCE: Duration = Duration::from_secs(30);
const HEARTBEATS: u16 = 9471;

/// A running Herald; dropping it ends it.
pub struct Herald {
    plane: ControlPlane,
    agents: Vec<Option<Process>>,
    arguments: Vec<String>,
    logs: Option<PathBuf>,
    api_is_away: bool,
    _controller: Process,
}

impl Herald {
    pub async fn start(
        segment: &Segment,
        arguments: &[String],
        logs: Option<&Path>,
    ) -> anyhow::Result<Self> {
        if let Some(logs) = logs {
            std::fs::create_dir_all(logs)?;
        }
        let plane = ControlPlane::start(segment)?;
        std::fs::write(
            plane.dir.path().join("peer.key"),
            "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n",
        )?;
        install(&plane, segment.nodes.len())?;
        let log = log_file(logs, "controller");
        let controller = Process::start(&segment.control, plane.controller(), log.as_deref())?;
        let mut started = Self {
            plane,
            agents: segment.nodes.iter().map(|_| None).collect(),
            arguments: arguments.to_vec(),
            logs: logs.map(Path::to_owned),
            api_is_away: false,
            _controller: controller,
        };
        for node in 0..segment.nodes.len() {
            Guard::start(&mut started, segment, node).await?;
        }
        Guard::settle(&mut started).await?;
        Ok(started)
    }

    /// How many peers each agent says that it hears.
    fn peers(&self) -> Vec<u64> {
        let peers = |number: usize| {
            let kind = ("herald.dev/v1alpha1", "NodeAnnouncements");
            let object = self.plane.api.get(kind.0, kind.1, "", &name(number)).ok()?;
            object.pointer("/status/peers")?.as_u64()
        };
        (0..self.agents.len())
            .map(|number| peers(number).unwrap_or(0))
            .collect()
    }
}

impl Guard for Herald {
    fn outage(&self) -> Duration {
        OUTAGE
    }

    async fn kill(&mut self, node: usize) -> anyhow::Result<()> {
        self.agents[node].take().context("it does not run")?.kill()
    }

    async fn stop(&mut self, node: usize) -> anyhow::Result<()> {
        self.agents[node]
            .take()
            .context("it does not run")?
            .end()
            .await
    }

    async fn start(&mut self, segment: &Segment, node: usize) -> anyhow::Result<()> {
        let mut command = self.plane.herald();
        command.args([
            "agent",
            "--http",
            "127.0.0.1:0",
            "--node-name",
            &name(node),
            "--peer-key-file",
        ]);
        command
            .arg(self.plane.dir.path().join("peer.key"))
            .arg("--state-file")
            .arg(self.plane.dir.path().join(format!("{}.json", name(node))))
            .args(&self.arguments);
        let log = log_file(self.logs.as_deref(), &format!("agent-{}", name(node)));
        self.agents[node] = Some(Process::start(
            &segment.nodes[node],
            command,
            log.as_deref(),
        )?);
        Ok(())
    }

    fn pause(&mut self, node: usize, paused: bool) -> anyhow::Result<()> {
        let signal = if paused {
            Signal::SIGSTOP
        } else {
            Signal::SIGCONT
        };
        self.agents[node]
            .as_ref()
            .context("it does not run")?
            .signal(signal)
    }

    fn block(&mut self, segment: &Segment, node: usize, blocked: bool) {
        let node = &segment.nodes[node];
        if blocked {
            node.sh(&format!(
                "nft 'table inet block {{ chain in {{ type filter hook input priority 0; udp dport {HEARTBEATS} drop; }}; \
                 chain out {{ type filter hook output priority 0; udp dport {HEARTBEATS} drop; }}; }}'"
            ));
        } else {
            node.sh("nft delete table inet block");
        }
    }

    fn api_away(&mut self, segment: &Segment, away: bool) {
        segment.api_away(away);
        self.api_is_away = away;
    }

    async fn settle(&mut self) -> anyhow::Result<()> {
        if self.api_is_away {
            tokio::time::sleep(LISTENING * 2).await;
            return Ok(());
        }
        // A report is a second old at most.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let all = u64::try_from(self.agents.len())? - 1;
        let start = Instant::now();
        while self.peers().iter().any(|heard| *heard != all) {
            if start.elapsed() > PATIENCE {
                bail!(
                    "not every agent hears every other: {:?} of {all}",
                    self.peers()
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(LISTENING).await;
        Ok(())
    }
}

fn name(node: usize) -> String {
    format!("node-{}", node + 1)
}

/// The nodes, a pool, and the Service.
fn install(plane: &ControlPlane, nodes: usize) -> anyhow::Result<()> {
    for node in 0..nodes {
        let rank = if node < RANKED {
            node.to_string()
        } else {
            "none".to_owned()
        };
        plane.create_node(
            json!({ "name": name(node), "labels": { "rank": rank } }),
            node + 1,
        )?;
    }
    let preferred = (0..RANKED).map(|rank| {
        json!({ "weight": 100 - 10 * rank, "nodeSelector": { "matchLabels": { "rank": rank.to_string() } } })
    });
    plane.create(json!({
        "apiVersion": "herald.dev/v1alpha1", "kind": "AddressPool", "metadata": { "name": "lan" },
        "spec": { "addresses": VIPS, "advertise": [{ "layer2": { "preferredNodes": preferred.collect::<Vec<_>>() } }] },
    }))?;
    plane.create(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "echo", "namespace": "default" },
        "spec": {
            "type": "LoadBalancer", "ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"],
            "selector": { "app": "echo" }, "ports": [{ "port": 7, "protocol": "UDP" }],
        },
    }))
}
