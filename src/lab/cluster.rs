//! The whole lab, and what can be asked of its parts.
//!
//! ```text
//!   Cluster ─┬─ ControlPlane          here
//!            ├─ controller            a process beside
//!            ├─ endpoints             a task
//!            └─ switch, nodes, client processes in namespaces, each at the end of a Line
//! ```

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use herald_spi::Mac;
use kube::Client;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{net::UnixListener, process::Child, task::JoinSet, time};

use super::{
    control_plane::ControlPlane,
    endpoints,
    floor::{Floor, write_private},
    kubeconfig, lifeline,
    line::{Attempt, ClientOrder, Greeting, Line, NodeOrder, SwitchOrder},
    port, role,
    segment::Segment,
    supervised::{self, Supervised},
    switch,
};

/// What the controller's log is called.
pub(super) const CONTROLLER: &str = "controller";
/// How long namespaces, cables and addresses may take.
const SETUP: Duration = Duration::from_secs(15);
/// How long an order may take that has no patience of its own.
const ORDER: Duration = Duration::from_secs(10);
/// How long the switch may take to kill its hosts and sweep the floor.
const SWEEP: Duration = Duration::from_secs(3);

/// A running lab; dropping it kills everything.
pub(super) struct Cluster {
    pub(super) segment: Segment,
    pub(super) control_plane: ControlPlane,
    pub(super) api: Client,
    /// Where the controller serves its status page.
    pub(super) page: SocketAddr,
    switch: Child,
    lines: BTreeMap<String, Line>,
    pids: BTreeMap<String, u32>,
    controller: Supervised,
    tasks: JoinSet<()>,
    pub(super) floor: Arc<Floor>,
}

impl Cluster {
    /// Starts the control plane and the segment, without Herald.
    pub(super) async fn start(
        floor: Arc<Floor>,
        control_plane: ControlPlane,
        nodes: u8,
    ) -> anyhow::Result<Self> {
        let segment = Segment::new(nodes);
        // The lab must not be in the way of anything on this machine.
        let page = port::free().await?;
        let key: [u8; 32] = rand::random();
        write_private(&supervised::peer_key(floor.dir()), &STANDARD.encode(key))?;
        let api = kubeconfig::client(floor.dir()).await?;
        let control = UnixListener::bind(role::control_socket(floor.dir()))
            .context("cannot listen on the control socket")?;
        let mut command = lifeline::role(&floor.log(switch::NAME))?;
        command.args(["switch", "--nodes", &nodes.to_string()]);
        command
            .args(["--parent", &std::process::id().to_string(), "--dir"])
            .arg(floor.dir());
        command.arg("--logs").arg(floor.logs());
        let switch = command.spawn().context("cannot start the switch")?;
        let mut cluster = Self {
            segment,
            control_plane,
            api,
            switch,
            lines: BTreeMap::new(),
            pids: BTreeMap::new(),
            controller: Supervised::controller(floor.dir(), floor.log(CONTROLLER), page),
            page,
            tasks: JoinSet::new(),
            floor,
        };
        match time::timeout(SETUP, cluster.join_all(&control)).await {
            Ok(joined) => joined?,
            Err(_) => bail!(
                "the hosts are not up after {SETUP:?}; missing: {}",
                cluster.missing()
            ),
        }
        cluster.tasks.spawn(endpoints::keep(
            cluster.api.clone(),
            cluster.segment.clone(),
        ));
        Ok(cluster)
    }

    /// Waits for the roles, connects them, and gives them their addresses.
    async fn join_all(&mut self, control: &UnixListener) -> anyhow::Result<()> {
        self.greet(control).await?;
        self.ask::<()>(switch::NAME, &SwitchOrder::Start).await?;
        while !self.missing().is_empty() {
            self.greet(control).await?;
        }
        let hosts: Vec<_> = self.segment.hosts().cloned().collect();
        for host in hosts {
            let pid = self.pid(&host.name)?;
            let plug = SwitchOrder::Plug {
                port: format!("to-{}", host.name),
                pid,
                mac: host.mac,
            };
            self.ask::<()>(switch::NAME, &plug).await?;
            let addresses = host.subnets();
            if host.name == self.segment.client.name {
                self.ask::<()>(&host.name, &ClientOrder::Join { addresses })
                    .await?;
            } else {
                let data_path = self.control_plane.data_path();
                let api_port = self.control_plane.port();
                let join = NodeOrder::Join {
                    addresses,
                    api_port,
                    data_path,
                };
                self.ask::<()>(&host.name, &join).await?;
            }
        }
        Ok(())
    }

    /// Takes in the next role.
    async fn greet(&mut self, control: &UnixListener) -> anyhow::Result<()> {
        let stream = tokio::select! {
            accepted = control.accept() => accepted.context("the control socket failed")?.0,
            status = self.switch.wait() => {
                bail!("the switch ended early: {}", status.context("unknown")?);
            }
        };
        let mut line = Line::new(stream);
        let greeting: Option<Greeting> = line.receive().await?;
        let greeting = greeting.context("a role ended before it greeted")?;
        if let Some(trouble) = greeting.trouble {
            bail!(trouble);
        }
        self.pids.insert(greeting.name.clone(), greeting.pid);
        self.lines.insert(greeting.name, line);
        Ok(())
    }

    fn missing(&self) -> String {
        let hosts = self.segment.hosts().map(|host| host.name.as_str());
        let missing = hosts
            .chain([switch::NAME])
            .filter(|name| !self.lines.contains_key(*name));
        missing.collect::<Vec<_>>().join(", ")
    }

    /// Starts the controller and all agents.
    pub(super) async fn start_herald(&mut self) -> anyhow::Result<()> {
        self.controller.start().context("the controller")?;
        for node in self.segment.nodes.clone() {
            self.start_agent(&node.name).await?;
        }
        Ok(())
    }

    /// Starts a node's agent.
    pub(super) async fn start_agent(&mut self, node: &str) -> anyhow::Result<u32> {
        self.ask(node, &NodeOrder::StartAgent).await
    }

    /// Kills a node's agent with SIGKILL and leaves it dead.
    pub(super) async fn kill_agent(&mut self, node: &str) -> anyhow::Result<()> {
        self.ask(node, &NodeOrder::KillAgent).await
    }

    /// The process id of a node's agent, if it runs.
    pub(super) async fn agent(&mut self, node: &str) -> anyhow::Result<Option<u32>> {
        self.ask(node, &NodeOrder::Agent).await
    }

    /// The client makes requests, a new connection each.
    pub(super) async fn fetch(
        &mut self,
        address: IpAddr,
        port: u16,
        times: u32,
    ) -> anyhow::Result<Vec<Attempt>> {
        self.ask_client(
            &ClientOrder::Fetch {
                address,
                port,
                times,
            },
            ORDER * (times + 1),
        )
        .await
    }

    /// What the client's neighbour table says.
    pub(super) async fn neighbour(&mut self, address: IpAddr) -> anyhow::Result<Option<Mac>> {
        self.ask_client(&ClientOrder::Neighbour(address), ORDER)
            .await
    }

    /// The client asks for the address and makes requests until one is answered.
    pub(super) async fn recover(
        &mut self,
        address: IpAddr,
        port: u16,
        give_up: Duration,
    ) -> anyhow::Result<Vec<Attempt>> {
        self.ask_client(
            &ClientOrder::Recover {
                address,
                port,
                give_up,
            },
            give_up + ORDER,
        )
        .await
    }

    /// All hardware addresses that claim the address when the client asks.
    pub(super) async fn who_answers(
        &mut self,
        address: IpAddr,
        port: u16,
    ) -> anyhow::Result<Vec<Mac>> {
        self.ask_client(&ClientOrder::WhoAnswers { address, port }, ORDER)
            .await
    }

    /// A host's process id.
    pub(super) fn pid(&self, host: &str) -> anyhow::Result<u32> {
        self.pids
            .get(host)
            .copied()
            .with_context(|| format!("{host} is not there"))
    }

    /// Keeps the controller running, until something ends that cannot come again: then the lab is over.
    pub(super) async fn failed(&mut self) -> anyhow::Error {
        loop {
            tokio::select! {
                why = self.control_plane.failed() => return anyhow!(why),
                status = self.switch.wait() => {
                    let status = status.map_or_else(|e| e.to_string(), |s| s.to_string());
                    return anyhow!("the segment is gone: {status}");
                }
                () = self.controller.tend() => {}
            }
        }
    }

    /// Ends everything, and waits until it has ended.
    pub(super) async fn stop(mut self) {
        for node in self.segment.nodes.clone() {
            // A node that does not answer is killed with the switch.
            drop(self.ask::<()>(&node.name, &NodeOrder::Leave).await);
        }
        self.controller.leave().await;
        self.control_plane.stop().await;
        // The switch sees that the lab hung up.
        self.lines.clear();
        if time::timeout(SWEEP, self.switch.wait()).await.is_err() {
            lifeline::end(&mut self.switch).await;
        }
    }

    async fn ask_client<A: DeserializeOwned>(
        &mut self,
        order: &ClientOrder,
        patience: Duration,
    ) -> anyhow::Result<A> {
        let client = self.segment.client.name.clone();
        self.ask_patiently(&client, order, patience).await
    }

    async fn ask<A: DeserializeOwned>(
        &mut self,
        host: &str,
        order: &impl Serialize,
    ) -> anyhow::Result<A> {
        self.ask_patiently(host, order, ORDER).await
    }

    async fn ask_patiently<A: DeserializeOwned>(
        &mut self,
        host: &str,
        order: &impl Serialize,
        patience: Duration,
    ) -> anyhow::Result<A> {
        let line = self
            .lines
            .get_mut(host)
            .with_context(|| format!("{host} is not there"))?;
        line.ask(order, patience)
            .await
            .with_context(|| host.to_owned())
    }
}
