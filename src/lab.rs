//! `herald lab`: Herald on one machine, with nothing else installed.
//!
//! A small cluster of network namespaces: nodes and a client on one Ethernet segment, a stand-in API server (or real
//! binaries), the controller and one agent per node as processes of their own. It applies `examples/`, shows that
//! addresses are given, announced and answered for, kills an owner's agent, and shows that another takes over.
//!
//! ```text
//!   host      lab: API server, show, endpoints        controller
//!                │ control.sock    │ api.sock
//!   switch       │             br0 ┼──────────┬──────────┬──────────┐
//!                ├── to-node-1  to-node-2  to-node-3  to-client     │  veth pairs
//!   node-N    eth0: agent, forwarder (kube-proxy's place), backend, 127.0.0.1:PORT ──▶ api.sock
//!   client    eth0: requests, neighbour table
//! ```
//!
//! With `--provider aws-nlb` there is no segment: the controller makes balancers in an AWS on this machine (`aws`).
//!
//! Invariants: nothing outside the lab's own namespaces is changed, but for that AWS; every process dies with the lab (`lifeline`),
//! whose directory is removed even then (`switch`); namespaces are made before any thread.

mod aws;
mod backend;
mod client;
mod cluster;
mod control_plane;
mod endpoints;
mod environment;
mod floor;
mod forwarder;
mod host;
mod kubeconfig;
mod lifeline;
mod line;
mod look;
mod namespace;
mod node;
mod objects;
mod port;
mod progress;
mod relay;
mod rights;
mod role;
mod run;
mod segment;
mod show;
mod stay;
mod supervised;
mod switch;
mod wire;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand, ValueEnum, value_parser};

pub use run::run;

const HELP: &str = "\
Examples:
  herald lab                     addresses on a segment of three nodes; stays up until Ctrl-C
  herald lab --once -o json      the same as a test
  moto_server -p 5566 &
  AWS_ENDPOINT_URL=http://127.0.0.1:5566 herald lab --provider aws-nlb

layer2 needs Linux, and either root or the right to make user namespaces; no other program. What \
carries traffic from a node to a backend is a small forwarder of the lab's own, in kube-proxy's place.

aws-nlb needs an AWS on this machine, at AWS_ENDPOINT_URL, such as moto: the lab makes a VPC there, \
with an instance for each node. Credentials are neither needed nor used.";

/// What `herald lab` takes.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct LabArgs {
    /// What is shown: addresses that agents announce on a segment, or Network Load Balancers in an AWS on this machine.
    #[arg(long, value_enum, default_value_t)]
    provider: Provider,
    /// End after the show; exit code 0 only if every step held.
    #[arg(long)]
    once: bool,
    /// How many nodes there are.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = value_parser!(u8).range(2..=9))]
    nodes: u8,
    /// Where the logs of all processes are kept. Left out: they go when the lab ends.
    #[arg(long, value_name = "DIR")]
    keep_logs: Option<PathBuf>,
    /// Port of the API server at 127.0.0.1; 0 takes any.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Directory with `etcd` and `kube-apiserver`, to use these instead of the stand-in; `kube-controller-manager`
    /// and `kube-proxy` (which needs `nft`) are used if they are there.
    #[arg(long, value_name = "DIR", env = "KUBEBUILDER_ASSETS")]
    control_plane: Option<PathBuf>,
    /// How the result is told. With `json` progress goes to standard error.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Provider {
    #[default]
    Layer2,
    AwsNlb,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    #[default]
    Text,
    Json,
}

/// The lab's own processes, started by the lab itself.
#[derive(Debug, Args)]
pub struct LabRole {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// The namespace with the bridge.
    Switch {
        #[command(flatten)]
        place: role::Place,
        #[arg(long)]
        nodes: u8,
    },
    /// A node or the client.
    Host {
        #[command(flatten)]
        place: role::Place,
        #[arg(long)]
        name: String,
    },
    /// Another program, tied to the process that starts it.
    Exec {
        #[arg(long)]
        parent: u32,
        #[arg(last = true)]
        command: Vec<OsString>,
    },
}

/// Plays a role. To be called from the main thread, before any other thread is made.
///
/// # Errors
/// When the role cannot be played to its end.
pub fn run_role(role: LabRole) -> anyhow::Result<ExitCode> {
    match role.role {
        Role::Exec { parent, command } => return lifeline::exec(parent, command),
        Role::Switch { place, nodes } => {
            run::log_to_stderr();
            switch::run(&place, nodes)?;
        }
        Role::Host { place, name } => {
            run::log_to_stderr();
            host::run(&place, &name)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
