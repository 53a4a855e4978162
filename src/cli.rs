//! The command line: what can be said, and which part of Herald does it.

mod crds;
mod run;
mod status;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::telemetry::LogFormat;

pub use run::main;

/// Addresses that work for Kubernetes Services of type LoadBalancer.
#[derive(Debug, Parser)]
#[command(
    name = "herald",
    version,
    arg_required_else_help = true,
    after_help = "Examples:\n  \
        herald lab                          try everything on this machine, without a cluster\n  \
        herald crds | kubectl apply -f -    install the resource definitions\n  \
        herald status                       every Service, its address, and who announces it\n\n\
        The cluster is found as kubectl finds it: KUBECONFIG, ~/.kube/config, or the service account in a pod."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Give Services their addresses (one leads, others wait).
    Controller(ControllerArgs),
    /// Announce addresses from this node.
    Agent(AgentArgs),
    /// Try Herald on this machine: a small cluster of network namespaces, without anything installed.
    #[cfg(feature = "lab")]
    Lab(crate::lab::LabArgs),
    #[cfg(feature = "lab")]
    #[command(hide = true)]
    LabRole(crate::lab::LabRole),
    /// Print the custom resource definitions as YAML.
    Crds,
    /// Show every Service of type LoadBalancer, its address, and the node that announces it.
    #[command(
        after_help = "Exit code 0 only when every Service has its addresses and each is announced by one node."
    )]
    Status(StatusArgs),
}

/// What both processes take.
#[derive(Debug, Args)]
struct ProcessArgs {
    /// Namespace of Herald's own objects.
    #[arg(long, env = "HERALD_NAMESPACE", default_value = crate::api::DEFAULT_NAMESPACE)]
    namespace: String,
    /// How log lines look. What is logged: HERALD_LOG, for example `info,herald=debug`.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

#[derive(Debug, Args)]
struct ControllerArgs {
    #[command(flatten)]
    process: ProcessArgs,
    /// Which provider serves Services without a class; `none` leaves them alone.
    #[arg(long, value_enum, default_value_t)]
    default_provider: DefaultProvider,
    /// Where to serve /livez, /readyz and /metrics.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9470")]
    http: SocketAddr,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum DefaultProvider {
    #[default]
    Layer2,
    None,
}

#[derive(Debug, Args)]
struct AgentArgs {
    #[command(flatten)]
    process: ProcessArgs,
    /// This node's name, as in `kubectl get nodes`.
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    node_name: String,
    /// File with the heartbeat keys: base64 of 32 bytes, one key per line, the first signs, all verify. Left out:
    /// the Secret herald-peer-key in the namespace.
    #[arg(long, value_name = "FILE")]
    peer_key_file: Option<PathBuf>,
    /// UDP port of the heartbeats between agents.
    #[arg(long, value_name = "PORT", default_value_t = 9471)]
    peer_port: u16,
    /// Where to serve /livez, /readyz and /metrics.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9472")]
    http: SocketAddr,
}

#[derive(Debug, Args)]
struct StatusArgs {
    /// How the answer looks.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    #[default]
    Table,
    Json,
}
