//! How long a client waits when a node fails: `cargo bench --bench failover`.
//!
//! Nodes and a client on one Ethernet segment, each in a network namespace, with a second network for the API server.
//! Every node runs the real `herald agent` and answers datagrams and connections to the addresses of one dual-stack
//! Service. The client sends 1,000 probes a second to each address and drops its neighbour entries every 50 ms, so that
//! it has to ask again and again. An answer that takes longer than 50 ms is lost; lost time is the number of lost probes,
//! in milliseconds. A question that two hosts answer tells of two owners. keepalived runs on a like segment, before a like
//! client.
//!
//! ```text
//!   client ──eth0── br0 ──eth0── node-1 … node-N ──eth1── br1 ── API server, controller
//! ```
//!
//! Needs root, iproute2 and nftables; keepalived where it is to be compared. All traffic stays in the namespaces.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on has nothing to say"
)]

#[path = "failover/answering.rs"]
mod answering;
#[path = "failover/case.rs"]
mod case;
#[path = "failover/connection.rs"]
mod connection;
#[path = "shared/control_plane.rs"]
mod control_plane;
#[path = "failover/figures.rs"]
mod figures;
#[path = "failover/herald.rs"]
mod herald_cluster;
#[path = "failover/keepalived.rs"]
mod keepalived;
#[path = "shared/machine.rs"]
mod machine;
#[path = "shared/namespaces.rs"]
mod namespaces;
#[path = "failover/prober.rs"]
mod prober;
#[path = "shared/process.rs"]
mod process;
#[path = "shared/segment.rs"]
mod segment;
#[allow(
    dead_code,
    reason = "shared with the tests of layer 2, which use all of it"
)]
#[path = "../providers/layer2/tests/netns/station.rs"]
mod station;
#[path = "failover/trial.rs"]
mod trial;
#[path = "failover/witness.rs"]
mod witness;

use std::{process::ExitCode, time::Duration};

use case::Case;
use clap::{Parser, ValueEnum};
use figures::Board;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use trial::{Contestant, Trial};

/// Whether agents reach the API server while something fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Api {
    There,
    Away,
    /// Each case is played with it and without it.
    #[default]
    Both,
}

/// What the command line takes.
#[derive(Debug, Parser)]
#[command(
    name = "cargo bench --bench failover --",
    after_help = "Examples:\n  cargo bench --bench failover\n  cargo bench --bench failover -- --jobs 4\n  \
    cargo bench --bench failover -- --case killed --case cut-off --nodes 30 --api there\n  \
    cargo bench --bench failover -- --case cut-off --agent=--failover=fast\n  \
    cargo bench --bench failover -- --runs 5 --skip-keepalived -o json"
)]
struct Options {
    /// How many nodes announce.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=60))]
    nodes: u8,
    /// How often each case is played.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Only these cases; left out: all.
    #[arg(long = "case", value_enum, value_name = "CASE")]
    cases: Vec<Case>,
    /// Whether Herald's agents reach the API server meanwhile.
    #[arg(long, value_enum, default_value_t)]
    api: Api,
    /// How long the API server is away in the case of that name, in seconds.
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    api_outage: u64,
    /// Leaves keepalived out.
    #[arg(long)]
    skip_keepalived: bool,
    /// Leaves Herald out.
    #[arg(long)]
    skip_herald: bool,
    /// More arguments for every agent, such as `--agent=--failover=fast`.
    #[arg(long = "agent", value_name = "ARGUMENT", allow_hyphen_values = true)]
    agent: Vec<String>,
    /// How many cases are played at the same time, each on a segment of its own.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..))]
    jobs: u8,
    /// How the result is told.
    #[arg(short, long, value_enum, default_value_t)]
    output: figures::Format,
    /// Where the logs of agents and the controller go; left out: they are dropped.
    #[arg(long, value_name = "DIR")]
    keep_logs: Option<std::path::PathBuf>,
    /// Cargo says this.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    namespaces::run("failover", options.bench, 2, measure(&options))
}

async fn measure(options: &Options) -> anyhow::Result<()> {
    if options.output == figures::Format::Text {
        machine::print();
        println!(
            "nodes:  {}, {} runs of each case, {} at a time\n",
            options.nodes, options.runs, options.jobs
        );
    }
    let trials = options.trials();
    let mut board = Board::new(options.output);
    let mut played = stream::iter(&trials)
        .map(async |trial| anyhow::Ok((trial, trial.play(options).await?)))
        .buffer_unordered(options.jobs.into());
    while let Some((trial, runs)) = played.try_next().await? {
        board.add(trial, &runs);
    }
    board.tell();
    Ok(())
}

impl Options {
    /// Everything that is to be played, in this order.
    fn trials(&self) -> Vec<Trial> {
        let cases: Vec<_> = Case::all()
            .filter(|case| self.cases.is_empty() || self.cases.contains(case))
            .collect();
        let mut contestants = Vec::new();
        if !self.skip_herald {
            if self.api != Api::Away {
                contestants.push(Contestant::Herald { api_away: false });
            }
            if self.api != Api::There {
                contestants.push(Contestant::Herald { api_away: true });
            }
        }
        if !self.skip_keepalived {
            match keepalived::find() {
                None => eprintln!(
                    "keepalived is not installed, and so not compared (apt-get install keepalived)"
                ),
                Some(_) => contestants.extend(keepalived::SETTINGS.map(Contestant::Keepalived)),
            }
        }
        let of = |contestant: Contestant| {
            let played = cases.iter().filter(move |case| contestant.plays(**case));
            played.map(move |case| Trial {
                contestant,
                case: *case,
            })
        };
        contestants.into_iter().flat_map(of).collect()
    }

    fn api_outage(&self) -> Duration {
        Duration::from_secs(self.api_outage)
    }
}
