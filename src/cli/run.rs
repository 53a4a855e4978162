//! From the command line to the part of Herald that does it.

use std::{future::Future, process::ExitCode};

use anyhow::Context as _;
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{
    AgentArgs, Cli, Command, ControllerArgs, DefaultProvider, Failover, NodePorts, ProcessArgs,
    aws, check, completion, crds, explain, import, metrics, pools, rebalance, status,
};
use crate::{agent, api::NodePortPolicy, cluster, controller, membership, telemetry};

/// Runs what the command line says. Errors go to standard error, with what to do about them.
#[must_use]
pub fn main() -> ExitCode {
    // kube needs one process-wide choice of cryptography before its first connection.
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    let result = match Cli::parse().command {
        Command::Controller(args) => run_controller(args),
        Command::Agent(args) => run_agent(args),
        #[cfg(feature = "lab")]
        Command::Lab(args) => crate::lab::run(args),
        #[cfg(feature = "lab")]
        Command::LabRole(role) => crate::lab::run_role(role),
        Command::Crds => crds::print(),
        Command::Completion(args) => completion::print(args.shell),
        Command::Metrics => metrics::print(),
        Command::Status(args) => return answer(status::show(args)),
        Command::Pools(args) => return answer(pools::show(args)),
        Command::Explain(args) => return answer(explain::show(args)),
        Command::Check(args) => return answer(check::run(args)),
        Command::Import(args) => return answer(import::run(args)),
        Command::Rebalance(args) => return answer(rebalance::ask(args)),
        Command::Aws(command) => return answer(aws::show(command)),
    };
    result.unwrap_or_else(|error| {
        eprintln!("herald: {error:#}");
        ExitCode::FAILURE
    })
}

/// Runs a command that answers a question: success when all is well, failure when something is not, and 2, as for a
/// wrong command line, when the answer could not be found.
fn answer(work: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    on_one_thread(work).unwrap_or_else(|error| {
        eprintln!("herald: {error:#}");
        ExitCode::from(2)
    })
}

fn run_controller(args: ControllerArgs) -> anyhow::Result<ExitCode> {
    start(&args.process);
    on_one_thread(async move {
        let client = cluster::connect().await?;
        let cloud = args.aws.options(&client).await?;
        let options = controller::Options {
            namespace: args.process.namespace,
            classes: args.default_provider.classes(),
            node_ports: match args.node_ports {
                NodePorts::Keep => NodePortPolicy::Keep,
                NodePorts::Disable => NodePortPolicy::Disable,
            },
            http: args.http,
            identity: identity(),
            cloud,
        };
        controller::run(client, options, stop_on_signals()?).await?;
        Ok(ExitCode::SUCCESS)
    })
}

fn run_agent(args: AgentArgs) -> anyhow::Result<ExitCode> {
    start(&args.process);
    on_one_thread(async move {
        let options = agent::Options {
            node: args.node_name.as_str().into(),
            namespace: args.process.namespace,
            peer_key_file: args.peer_key_file,
            peer_port: args.peer_port,
            state_file: args.state_file,
            times: args.failover.times(),
            http: args.http,
        };
        let client = cluster::connect().await?;
        agent::run(client, options, stop_on_signals()?).await?;
        Ok(ExitCode::SUCCESS)
    })
}

impl Failover {
    const fn times(self) -> membership::Config {
        match self {
            Self::Fast => membership::Config::FAST,
            Self::Normal => membership::Config::NORMAL,
            Self::Calm => membership::Config::CALM,
        }
    }
}

impl DefaultProvider {
    /// Which Services without a class are Herald's.
    pub(super) const fn classes(self) -> cluster::Classes {
        match self {
            Self::Layer2 => cluster::Classes::Default,
            Self::Node => cluster::Classes::OnNodes,
            Self::AwsNlb => cluster::Classes::OnAws,
            Self::None => cluster::Classes::OwnOnly,
        }
    }

    /// As it is written on the command line.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Layer2 => "layer2",
            Self::Node => "node",
            Self::AwsNlb => "aws-nlb",
            Self::None => "none",
        }
    }
}

fn start(process: &ProcessArgs) {
    telemetry::start_logging(process.log_format);
}

/// One thread is as fast where the API server is what one waits for, and needs a third less memory: the allocator keeps
/// an arena for each thread. What must not wait in the agent has threads of its own.
fn on_one_thread(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let result = runtime.block_on(work);
    // A call that hangs must not keep a process from ending that was told to.
    runtime.shutdown_background();
    result
}

fn stop_on_signals() -> anyhow::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let token = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("told to stop");
        token.cancel();
    });
    Ok(stop)
}

/// A name that no other process has, and that tells people where this one runs.
fn identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let host = if host.is_empty() { "herald" } else { host };
    format!("{host}_{:08x}", rand::random::<u32>())
}
