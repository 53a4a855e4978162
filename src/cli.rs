//! The command line: what can be said, and which part of Herald does it.

mod aws;
mod check;
mod completion;
mod crds;
mod explain;
mod import;
mod metrics;
mod output;
mod pools;
mod reading;
mod rebalance;
mod run;
mod status;
mod watching;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use self::output::Format;
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
        herald status                       every Service, its address, and who announces it\n  \
        herald pools                        every pool, and how many addresses are left\n  \
        herald explain default/web          why a Service has the address it has, or none\n  \
        herald check                        what keeps addresses from working, and what repairs it\n  \
        herald rebalance                    spread addresses evenly again after a node's return\n  \
        herald import metallb               say another load balancer's pools in Herald's words\n\n\
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
    /// Print what makes a shell complete Herald's commands.
    #[command(after_help = COMPLETION_HELP)]
    Completion(CompletionArgs),
    /// Print every metric that controller and agent serve, as a table: name, kind, labels, meaning.
    Metrics,
    /// Show every Service of type LoadBalancer, its address, and the node that announces it.
    #[command(after_help = STATUS_HELP)]
    Status(StatusArgs),
    /// Show every pool: whether it gives out addresses, and how many are left.
    #[command(after_help = POOLS_HELP)]
    Pools(PoolsArgs),
    /// Show step by step why a Service has the address it has, or none, and what would make it work.
    #[command(after_help = EXPLAIN_HELP)]
    Explain(ExplainArgs),
    /// Look for what makes load balancing fail in practice, and tell what repairs it.
    #[command(after_help = CHECK_HELP)]
    Check(CheckArgs),
    /// Say pools and Services of MetalLB, kube-vip, PureLB or Cilium in Herald's words; every address stays.
    #[command(after_help = IMPORT_HELP)]
    Import(ImportArgs),
    /// Move addresses back to preferred nodes, and evenly over equal ones, one a second and without a break.
    #[command(after_help = REBALANCE_HELP)]
    Rebalance(RebalanceArgs),
    /// Look at what the controller makes in AWS.
    #[command(subcommand)]
    Aws(aws::AwsCommand),
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
    /// Whether Services keep their node ports where neither the Service nor its pool says.
    #[arg(long, value_enum, default_value_t)]
    node_ports: NodePorts,
    /// Where to serve /livez and /readyz, and the status page and /metrics: these to this host, and elsewhere by TLS to
    /// whom the API server lets `get` the path.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9470")]
    http: SocketAddr,
    #[command(flatten)]
    aws: aws::AwsArgs,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum DefaultProvider {
    #[default]
    Layer2,
    Node,
    AwsNlb,
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum NodePorts {
    #[default]
    Keep,
    Disable,
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
    /// File in which to remember what it knows, for a start without the API server. Left out:
    /// /run/herald/agent-NODE.json
    #[arg(long, value_name = "FILE")]
    state_file: Option<PathBuf>,
    /// How soon a silent agent counts as dead. Agents of different settings bear each other: the slower counts.
    #[arg(long, value_enum, default_value_t, value_name = "SETTING")]
    failover: Failover,
    /// Where to serve /livez and /readyz, and /metrics: this to this host, and elsewhere by TLS to whom the API server
    /// lets `get` the path.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9472")]
    http: SocketAddr,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Failover {
    /// After 100 ms, with 40 heartbeats a second: for a few nodes with processor time to spare, since whoever stands
    /// still for 75 ms loses its addresses.
    Fast,
    /// After 400 ms, with 10 heartbeats a second.
    #[default]
    Normal,
    /// After 800 ms, with 5 heartbeats a second: for hundreds of nodes on one segment.
    Calm,
}

#[derive(Debug, Args)]
struct StatusArgs {
    /// Only the Services of this namespace. Left out: those of all.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// How the answer looks.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Show it again whenever it changes, until Ctrl-C.
    #[arg(short, long)]
    watch: bool,
}

#[derive(Debug, Args)]
struct PoolsArgs {
    /// How the answer looks.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    /// Show it again whenever it changes, until Ctrl-C.
    #[arg(short, long)]
    watch: bool,
}

#[derive(Debug, Args)]
struct ExplainArgs {
    /// The Service: NAMESPACE/NAME, or NAME with --namespace.
    #[arg(value_name = "NAMESPACE/NAME")]
    service: String,
    /// The Service's namespace, where its name stands alone [default: default].
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// What the controller runs with: which provider serves Services without a class.
    #[arg(long, value_enum, default_value_t)]
    default_provider: DefaultProvider,
    #[command(flatten)]
    aws: aws::AwsArgs,
    /// How the answer looks.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct CheckArgs {
    /// Namespace of Herald's own objects.
    #[arg(short, long, env = "HERALD_NAMESPACE", default_value = crate::api::DEFAULT_NAMESPACE)]
    namespace: String,
    /// Also let agents ask the wire whether a host or a DHCP server uses free addresses of the pools.
    #[arg(long)]
    wire: bool,
    /// How long to wait for the agents' answers, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 120, requires = "wire")]
    timeout: u64,
    /// Show only what is amiss, or could not be found out.
    #[arg(short, long)]
    quiet: bool,
    /// How the answer looks.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct RebalanceArgs {
    /// The pools whose addresses may move. Left out: all.
    #[arg(value_name = "POOL")]
    pools: Vec<String>,
    /// Show what would move, and ask for nothing.
    #[arg(long)]
    dry_run: bool,
    /// Ask, and do not wait until it is done.
    #[arg(long, conflicts_with = "dry_run")]
    no_wait: bool,
    /// How the answer looks.
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

#[derive(Debug, Args)]
struct CompletionArgs {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    shell: clap_complete::Shell,
}

const COMPLETION_HELP: &str = "Examples:
  source <(herald completion bash)      in this shell
  herald completion bash > /etc/bash_completion.d/herald
  herald completion zsh > \"${fpath[1]}/_herald\"
  herald completion fish > ~/.config/fish/completions/herald.fish";

#[derive(Debug, Args)]
struct ImportArgs {
    /// Whose pools and Services.
    #[arg(value_enum, value_name = "SOURCE")]
    source: ImportSource,
    /// Read these files instead of the cluster: YAML or JSON, a folder, or - for standard input.
    #[arg(short, long = "filename", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Show what would change in the cluster, and print nothing to apply.
    #[arg(long)]
    check: bool,
    /// How the answer looks; left out: manifests, and a table with --check.
    #[arg(short, long, value_enum)]
    output: Option<Format>,
}

/// Whose it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ImportSource {
    /// IPAddressPools, L2Advertisements, and the annotations of Services.
    Metallb,
    /// The ConfigMap kubevip, and the annotations of Services.
    KubeVip,
    /// ServiceGroups, and the annotations of Services.
    Purelb,
    /// CiliumLoadBalancerIPPools, CiliumL2AnnouncementPolicies, and the annotations of Services.
    Cilium,
}

const IMPORT_HELP: &str = "Examples:
  herald import metallb --check         what would change in the cluster; changes nothing
  herald import metallb > herald.yaml   look at it first
  herald import metallb | kubectl apply --server-side -f -
  herald import kube-vip -f kubevip.yaml -f services.yaml
  herald import cilium -o json | jq .notes

Manifests go to standard output, and what has no counterpart to standard error. Nothing is written to the cluster.
Services get annotations alone, so apply them with --server-side. Every address that a Service has is in one of the
pools; an address that was in none is in a pool of its own. A version or a field that is not known ends the import.
docs/migrate/ has the order of steps that keeps traffic flowing.
Exit codes: 0 done (with --check: nothing would change), 1 with --check: something would, 2 it could not be read.";

const STATUS_HELP: &str = "Examples:
  herald status                         every Service of Herald's
  herald status -n team-a -o wide       those of one namespace, everything there is to say
  herald status -w                      go on, and show what changes
  herald status -o json | jq -r '.services[] | select(.well | not) | .name'

All is well when every Service has its addresses and each is announced. With --watch Ctrl-C ends with 0.
Colours only on a terminal, and none with NO_COLOR set.
Exit codes: 0 all is well, 1 something is not, 2 it could not be found out.";

const POOLS_HELP: &str = "Examples:
  herald pools                          capacity, used, reserved and free, by family
  herald pools -o wide                  also who may use a pool, its quota, and why it is not Ready
  herald pools -w                       go on, and show what changes

All is well when every pool is Ready and none is Degraded. With --watch Ctrl-C ends with 0.
Colours only on a terminal, and none with NO_COLOR set.
Exit codes: 0 all is well, 1 something is not, 2 it could not be found out.";

const EXPLAIN_HELP: &str = "Examples:
  herald explain default/web            what it asks for, which pools were tried, who announces it
  herald explain web -n default         the same
  herald explain default/web -o json    the same for scripts
  herald explain shop/web --aws-cluster-name prod
                                        also how AWS finds the targets of its balancer

Decided by the same code as in the controller, from what the cluster says now. Nothing is changed.
All is well when the Service has its addresses and each is announced.
Exit codes: 0 all is well, 1 something is not, 2 it could not be found out.";

const CHECK_HELP: &str = "Examples:
  herald check                          everything that can be found out by reading
  herald check --wire                   also ask the wire for hosts and DHCP servers on free addresses of the pools
  herald check --quiet                  only what is amiss
  herald check -o json | jq -r '.findings[] | select(.severity == \"fail\") | .repair'

Each line has a word that docs/check.md explains, and what repairs it. What may not be read is a line too, with the
right that is missing; nothing is given up for it.
Without --wire nothing is changed and nothing sent. With it the annotation herald.dev/survey is written on the pools, so
it needs the right to patch addresspools; one agent of each segment then asks for up to 4,096 free addresses of it, 100
a second (ARP probes, neighbor solicitations), and sends one DHCPDISCOVER, which takes no lease.
Exit codes: 0 all is well, 1 something is amiss, 2 something could not be found out and nothing else is amiss.";

const REBALANCE_HELP: &str = "Examples:
  herald rebalance --dry-run            what would move from where to where
  herald rebalance                      do it, and show each move
  herald rebalance lan --no-wait        addresses of one pool alone; the agents go on by themselves
  herald rebalance -o json | jq .moves

A node that comes back takes no address back until somebody says this (or its pool says rebalance: Automatic). The new
owner announces before the old one stops, so no packet is lost; a TCP connection goes on only if the new node gives it
to the same endpoint. It writes the annotation herald.dev/rebalance on the pools, so it needs the right to patch them;
the agents start when nothing has come or gone for 5 s, and end when all is even, or after 10 minutes. Ctrl-C ends the
watching alone. Exit codes: 0 done, asked for or nothing to do, 1 some moves were not made, 2 it could not be asked for.";
