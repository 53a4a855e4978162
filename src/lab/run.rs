//! From the command line to the end of the lab.

use std::{
    fs::File,
    path::Path,
    process::ExitCode,
    sync::{Arc, Mutex},
};

use anyhow::Context as _;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{
    fmt::{self, MakeWriter},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use super::{
    LabArgs, Output, Provider, aws,
    cluster::Cluster,
    control_plane::{Binaries, ControlPlane},
    floor::Floor,
    progress::{Progress, Unmet},
    show::{self, Outcome},
    stay, switch,
};
use crate::telemetry;

/// As a shell tells of a program that was interrupted.
const INTERRUPTED: u8 = 130;

/// Runs the lab. To be called from the main thread: the lab's processes live as long as the thread that made them.
///
/// # Errors
/// When the lab cannot be set up at all; a step of the show that does not hold is an exit code.
pub fn run(args: LabArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let result = runtime.block_on(until_interrupted(&args));
    runtime.shutdown_background();
    result
}

/// The lab's processes log to where their standard error leads.
pub(super) fn log_to_stderr() {
    log_to(std::io::stderr);
}

fn log_to_file(path: &Path) -> anyhow::Result<()> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    log_to(Mutex::new(file));
    Ok(())
}

fn log_to(writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static) {
    let lines = fmt::layer()
        .with_ansi(false)
        .with_target(false)
        .with_writer(writer);
    tracing_subscriber::registry()
        .with(telemetry::logged("info,kube=warn"))
        .with(lines)
        .init();
}

async fn until_interrupted(args: &LabArgs) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut lab = Lab {
        args,
        progress: Progress::new(args.output == Output::Json),
        cluster: None,
        stage: None,
        outcome: None,
        floor: None,
    };
    let result = tokio::select! {
        result = lab.perform() => result,
        _ = interrupt.recv() => Ok(lab.interrupted()),
        _ = terminate.recv() => Ok(lab.interrupted()),
        _ = hang_up.recv() => Ok(lab.interrupted()),
    };
    if let Some(cluster) = lab.cluster.take() {
        cluster.stop().await;
    }
    if let Some(stage) = lab.stage.take() {
        stage.stop().await;
    }
    result
}

struct Lab<'a> {
    args: &'a LabArgs,
    progress: Progress,
    cluster: Option<Cluster>,
    stage: Option<aws::Stage>,
    outcome: Option<Outcome>,
    /// Swept when all else is gone.
    floor: Option<Arc<Floor>>,
}

impl Lab<'_> {
    async fn perform(&mut self) -> anyhow::Result<ExitCode> {
        let floor = Arc::new(Floor::new(self.args.keep_logs.as_deref())?);
        self.floor = Some(Arc::clone(&floor));
        log_to_file(&floor.log("lab"))?;
        let binaries = self
            .args
            .control_plane
            .as_deref()
            .map(Binaries::find)
            .transpose()?;
        let account = match self.args.provider {
            Provider::Layer2 => None,
            Provider::AwsNlb => Some(aws::Account::find().await?),
        };
        self.introduce(binaries.as_ref());
        let shown = match account {
            None => self.show(floor, binaries).await,
            Some(account) => self.show_aws(floor, binaries, account).await,
        };
        match shown {
            Ok(outcome) => self.outcome = Some(outcome),
            Err(unmet) => self.explain(&unmet),
        }
        self.conclude()?;
        if self.outcome.is_none() {
            return Ok(ExitCode::FAILURE);
        }
        if self.args.once {
            return Ok(ExitCode::SUCCESS);
        }
        match (&mut self.cluster, &mut self.stage) {
            (Some(cluster), _) => {
                stay::invite(cluster, &self.progress).await?;
                Err(stay::follow(cluster, &self.progress).await)
            }
            (None, Some(stage)) => {
                aws::invite(stage, &self.progress);
                Err(aws::follow(stage, &self.progress).await)
            }
            (None, None) => Ok(ExitCode::SUCCESS),
        }
    }

    fn introduce(&self, binaries: Option<&Binaries>) {
        let nodes = self.args.nodes;
        let plane = binaries.map_or("a stand-in API server, in memory".to_owned(), |binaries| {
            format!(
                "etcd, kube-apiserver{} of {}",
                binaries.extras(),
                binaries.dir.display()
            )
        });
        if self.args.provider == Provider::AwsNlb {
            return self.progress.say(&format!(
                "Herald lab: {nodes} nodes in an AWS on this machine.\n  control plane    {plane}\n",
            ));
        }
        let carrier = match binaries.and_then(|binaries| binaries.kube_proxy.as_ref()) {
            None => "a small forwarder of the lab's own, which stands where kube-proxy stands",
            Some(_) => "kube-proxy, in nftables mode",
        };
        self.progress.say(&format!(
            "Herald lab: {nodes} nodes and a client on one Ethernet segment, inside this machine alone.\n  \
             control plane    {plane}\n  node to backend  {carrier}\n",
        ));
    }

    async fn show(
        &mut self,
        floor: Arc<Floor>,
        binaries: Option<Binaries>,
    ) -> Result<Outcome, Unmet> {
        let control_plane = self.control_plane(&floor, binaries).await?;
        let nodes = self.args.nodes;
        let expected = "nodes and a client on one Ethernet segment";
        let work = async {
            let cluster = Cluster::start(floor, control_plane, nodes).await;
            let cluster = cluster.map_err(|e| Unmet::from(e).suspecting(switch::NAME))?;
            Ok((
                cluster,
                format!("{nodes} nodes and a client on one segment"),
            ))
        };
        let cluster = self.progress.step("cluster", expected, work).await?;
        show::run(self.cluster.insert(cluster), &mut self.progress).await
    }

    async fn show_aws(
        &mut self,
        floor: Arc<Floor>,
        binaries: Option<Binaries>,
        account: aws::Account,
    ) -> Result<Outcome, Unmet> {
        let control_plane = self.control_plane(&floor, binaries).await?;
        let nodes = self.args.nodes;
        let progress = &mut self.progress;
        let stage = aws::set(floor, control_plane, account, nodes, progress).await?;
        aws::run(self.stage.insert(stage), progress).await?;
        Ok(Outcome { failover: None })
    }

    async fn control_plane(
        &mut self,
        floor: &Floor,
        binaries: Option<Binaries>,
    ) -> Result<ControlPlane, Unmet> {
        let port = self.args.port;
        let work = async {
            let control_plane = ControlPlane::start(binaries, floor, port).await;
            let control_plane = control_plane.map_err(|e| {
                Unmet::from(e)
                    .suspecting("etcd")
                    .suspecting("kube-apiserver")
            })?;
            let seen = format!("the API server serves at {}", control_plane.access().url);
            Ok((control_plane, seen))
        };
        self.progress
            .step("api", "the API server serves", work)
            .await
    }

    /// Shows what may tell why a step did not hold.
    fn explain(&self, unmet: &Unmet) {
        let Some(floor) = &self.floor else { return };
        for process in &unmet.suspects {
            let lines = floor.tail(process);
            if lines.is_empty() {
                continue;
            }
            self.progress.say(&format!("\n{process}, its last lines:"));
            for line in &lines {
                self.progress.say(&format!("  {line}"));
            }
        }
        self.progress.say(&if floor.keeps_logs() {
            format!("\nAll logs are in {}", floor.logs().display())
        } else {
            "\nTo keep all logs: herald lab --keep-logs DIR".to_owned()
        });
    }

    fn conclude(&self) -> anyhow::Result<()> {
        let held = self.outcome.is_some();
        if self.args.output == Output::Json {
            let result = json!({
                "held": held,
                "nodes": self.args.nodes,
                "failoverSeconds": self.outcome.and_then(|o| o.failover).map(|took| took.as_secs_f64()),
                "steps": self.progress.steps,
            });
            println!("{}", serde_json::to_string_pretty(&result)?);
        } else if held && self.args.once {
            self.progress.say("\nEvery step held.");
        }
        Ok(())
    }

    /// In the middle of the show that is no success; after it, it is the way to end.
    fn interrupted(&self) -> ExitCode {
        if self.outcome.is_some() {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(INTERRUPTED)
        }
    }
}
