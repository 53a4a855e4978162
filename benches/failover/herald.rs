//! Herald on the segment: the stand-in API server, the controller, and an agent on every node.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, bail};
use herald_apiserver::ApiServer;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::{
    case::Guard,
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
const KUBECONFIG: &str = "kubeconfig";

/// A running Herald; dropping it ends it.
pub struct Herald {
    api: ApiServer,
    agents: Vec<Option<Process>>,
    arguments: Vec<String>,
    dir: tempfile::TempDir,
    logs: Option<PathBuf>,
    api_is_away: bool,
    _controller: Process,
    _serving: JoinSet<()>,
}

impl Herald {
    pub async fn start(
        segment: &Segment,
        arguments: &[String],
        logs: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        if let Some(logs) = logs {
            std::fs::create_dir_all(logs)?;
        }
        let api = ApiServer::builder()
            .build()
            .map_err(|status| anyhow!("{status}"))?;
        let mut serving = JoinSet::new();
        let listener = segment
            .control
            .run(|| TcpListener::bind("10.99.0.254:6443"))?;
        let url = format!("http://{}", listener.local_addr()?);
        std::fs::write(dir.path().join(KUBECONFIG), kubeconfig(&url))?;
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let served = api.clone();
        serving.spawn(async move { drop(served.serve(listener).await) });
        std::fs::write(
            dir.path().join("peer.key"),
            "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n",
        )?;
        install(&api, segment.nodes.len())?;
        let mut command = herald(&dir.path().join(KUBECONFIG));
        command.args(["controller", "--http", "127.0.0.1:0"]);
        let log = |name: &str| logs.map(|dir| dir.join(format!("{name}.log")));
        // Beside the API server, which it keeps when that is away for the agents.
        let controller = Process::start(&segment.control, command, log("controller").as_deref())?;
        let mut started = Self {
            api,
            agents: segment.nodes.iter().map(|_| None).collect(),
            arguments: arguments.to_vec(),
            dir,
            logs: logs.map(Path::to_owned),
            api_is_away: false,
            _controller: controller,
            _serving: serving,
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
            let object = self.api.get(kind.0, kind.1, "", &name(number)).ok()?;
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
        let mut command = herald(&self.dir.path().join(KUBECONFIG));
        command.args([
            "agent",
            "--http",
            "127.0.0.1:0",
            "--node-name",
            &name(node),
            "--peer-key-file",
        ]);
        command
            .arg(self.dir.path().join("peer.key"))
            .arg("--state-file")
            .arg(self.dir.path().join(format!("{}.json", name(node))))
            .args(&self.arguments);
        let log = self
            .logs
            .as_ref()
            .map(|dir| dir.join(format!("agent-{}.log", name(node))));
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

fn herald(kubeconfig: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_herald"));
    command.env("KUBECONFIG", kubeconfig);
    command
}

fn name(node: usize) -> String {
    format!("node-{}", node + 1)
}

fn kubeconfig(url: &str) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "bench",
        "clusters": [{ "name": "bench", "cluster": { "server": url } }],
        "users": [{ "name": "bench", "user": {} }],
        "contexts": [{ "name": "bench", "context": { "cluster": "bench", "user": "bench" } }],
    })
    .to_string()
}

/// Herald's resources, the nodes, a pool, and the Service.
fn install(api: &ApiServer, nodes: usize) -> anyhow::Result<()> {
    let create = |object: Value| {
        let created = api.create(object);
        created.map_err(|status| anyhow!("{status}"))
    };
    for definition in herald::api::crds() {
        create(serde_json::to_value(definition)?)?;
    }
    for namespace in ["default", herald::api::DEFAULT_NAMESPACE] {
        // The server may have made it.
        drop(create(
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } }),
        ));
    }
    for node in 0..nodes {
        let rank = if node < RANKED {
            node.to_string()
        } else {
            "none".to_owned()
        };
        create(json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": { "name": name(node), "labels": { "rank": rank } },
            "status": { "conditions": [{ "type": "Ready", "status": "True", "reason": "Bench", "message": "" }] },
        }))?;
    }
    let preferred = (0..RANKED).map(|rank| {
        json!({ "weight": 100 - 10 * rank, "nodeSelector": { "matchLabels": { "rank": rank.to_string() } } })
    });
    create(json!({
        "apiVersion": "herald.dev/v1alpha1", "kind": "AddressPool", "metadata": { "name": "lan" },
        "spec": { "addresses": VIPS, "advertise": [{ "layer2": { "preferredNodes": preferred.collect::<Vec<_>>() } }] },
    }))?;
    create(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "name": "echo", "namespace": "default" },
        "spec": {
            "type": "LoadBalancer", "ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"],
            "selector": { "app": "echo" }, "ports": [{ "port": 7, "protocol": "UDP" }],
        },
    }))?;
    Ok(())
}
