//! A Herald process of the lab: the same binary again, which can be killed, and comes again otherwise.

use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use anyhow::{Context as _, bail};
use tokio::{process::Child, time};
use tracing::{info, warn};

use super::{
    environment::{self, Environment},
    kubeconfig, lifeline,
    rights::Who,
    role::Place,
};

/// Before a process that ended by itself is started again.
const PAUSE: Duration = Duration::from_secs(1);

/// A process, running or not.
#[derive(Debug)]
pub(super) struct Supervised {
    arguments: Vec<OsString>,
    kubeconfig: PathBuf,
    environment: Environment,
    log: PathBuf,
    child: Option<Child>,
    /// Whether it comes again when it ends.
    wanted: bool,
}

impl Supervised {
    /// The controller, which serves its page at this address; not running yet.
    pub(super) fn controller(dir: &Path, log: PathBuf, http: SocketAddr) -> Self {
        let arguments = ["controller", "--http", &http.to_string()];
        Self::new(
            dir,
            Who::Controller,
            log,
            arguments.map(OsString::from).into(),
        )
    }

    /// The agent of a node; not running yet.
    pub(super) fn agent(place: &Place, node: &str) -> Self {
        let mut arguments = ["agent", "--node-name", node].map(OsString::from).to_vec();
        arguments.extend(["--peer-key-file".into(), peer_key(&place.dir).into()]);
        let state = place.dir.join(format!("{}.json", agent_of(node)));
        arguments.extend(["--state-file".into(), state.into()]);
        Self::new(
            &place.dir,
            Who::Agent,
            place.logs.join(format!("{}.log", agent_of(node))),
            arguments,
        )
    }

    fn new(dir: &Path, who: Who, log: PathBuf, arguments: Vec<OsString>) -> Self {
        Self {
            arguments,
            kubeconfig: kubeconfig::path_of(dir, who),
            environment: Vec::new(),
            log,
            child: None,
            wanted: false,
        }
    }

    /// The same with more arguments, in an environment of its own.
    pub(super) fn with(mut self, arguments: &[&str], environment: Environment) -> Self {
        self.arguments.extend(arguments.iter().map(OsString::from));
        self.environment = environment;
        self
    }

    /// Starts it; gives its process id. To be called from a thread that lives as long as this process.
    pub(super) fn start(&mut self) -> anyhow::Result<u32> {
        if self.child.is_some() {
            bail!("it runs already");
        }
        let mut command = lifeline::herald(&self.log)?;
        command
            .args(&self.arguments)
            .env("KUBECONFIG", &self.kubeconfig);
        environment::set(&mut command, &self.environment);
        let child = command.spawn().context("cannot start it")?;
        let pid = child.id().context("it is gone already")?;
        info!(pid, command = ?self.arguments, "started");
        self.child = Some(child);
        self.wanted = true;
        Ok(pid)
    }

    /// Kills it with SIGKILL, and leaves it dead.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        self.wanted = false;
        let mut child = self.child.take().context("it does not run")?;
        child.kill().await.context("cannot kill it")?;
        info!(command = ?self.arguments, "killed");
        Ok(())
    }

    /// Ends it if it runs.
    pub(super) async fn leave(&mut self) {
        self.wanted = false;
        if let Some(mut child) = self.child.take() {
            lifeline::end(&mut child).await;
        }
    }

    /// Its process id while it runs.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Starts it again when it has ended by itself. May be dropped at any time.
    pub(super) async fn tend(&mut self) {
        if let Some(child) = &mut self.child {
            let status = child.wait().await;
            let status = status.map_or_else(|e| e.to_string(), |s: ExitStatus| s.to_string());
            warn!(status, command = ?self.arguments, "ended by itself");
            self.child = None;
        }
        if !self.wanted {
            std::future::pending::<()>().await;
        }
        time::sleep(PAUSE).await;
        if let Err(error) = self.start() {
            warn!("{error:#}");
        }
    }
}

/// Where the agents' heartbeat key lies.
pub(super) fn peer_key(dir: &Path) -> PathBuf {
    dir.join("peer.key")
}

/// What the log of a node's agent is called.
pub(super) fn agent_of(node: &str) -> String {
    format!("agent-{node}")
}
