//! How long a client waits when a node fails: `cargo bench --bench failover`.
//!
//! Nodes and a client on one Ethernet segment, each in a network namespace, with a second network for the API server.
//! Every node runs the real `herald agent` and answers datagrams and connections to the addresses of one dual-stack
//! Service. The client sends 1,000 probes a second to each address and drops its neighbour entries every 50 ms, so that
//! it has to ask again and again. An answer that takes longer than 50 ms is lost; lost time is the number of lost probes,
//! in milliseconds. keepalived runs on the same segment, before the same client.
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
#[path = "failover/figures.rs"]
mod figures;
#[path = "failover/herald.rs"]
mod herald_cluster;
#[path = "failover/keepalived.rs"]
mod keepalived;
#[path = "shared/machine.rs"]
mod machine;
#[path = "failover/prober.rs"]
mod prober;
#[path = "failover/process.rs"]
mod process;
#[path = "failover/segment.rs"]
mod segment;
#[allow(
    dead_code,
    reason = "shared with the tests of layer 2, which use all of it"
)]
#[path = "../providers/layer2/tests/netns/station.rs"]
mod station;

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use case::{Case, Guard};
use clap::Parser;
use figures::{Board, Run};
use segment::Segment;

/// The time after which a settled segment is measured again.
const CALM: Duration = Duration::from_millis(300);

/// What the command line takes.
#[derive(Debug, Parser)]
#[command(
    name = "cargo bench --bench failover --",
    after_help = "Examples:\n  cargo bench --bench failover\n  cargo bench --bench failover -- --case killed --nodes 30\n  \
    cargo bench --bench failover -- --runs 5 --skip-keepalived -o json"
)]
struct Options {
    /// How many nodes announce.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=60))]
    nodes: u8,
    /// How often each case is played.
    #[arg(long, default_value_t = 50)]
    runs: usize,
    /// Only these cases; left out: all.
    #[arg(long = "case", value_enum, value_name = "CASE")]
    cases: Vec<Case>,
    /// The API server is away during each case.
    #[arg(long)]
    api_dead: bool,
    /// Leaves keepalived out.
    #[arg(long)]
    skip_keepalived: bool,
    /// Leaves Herald out.
    #[arg(long)]
    skip_herald: bool,
    /// More arguments for every agent, such as `--agent=--failover=fast`.
    #[arg(long = "agent", value_name = "ARGUMENT", allow_hyphen_values = true)]
    agent: Vec<String>,
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
    let _already_chosen = rustls::crypto::ring::default_provider().install_default();
    let options = Options::parse();
    // Without it this is `cargo test --all-targets`, where unoptimised figures would mean nothing.
    if !options.bench {
        println!("run me with: cargo bench --bench failover");
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let result = runtime.block_on(measure(&options));
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(options: &Options) -> anyhow::Result<()> {
    anyhow::ensure!(
        nix::unistd::geteuid().is_root(),
        "needs root, for network namespaces"
    );
    if options.output == figures::Format::Text {
        machine::print();
        println!(
            "nodes:  {}, {} runs of each case\n",
            options.nodes, options.runs
        );
    }
    let mut board = Board::new(options.output);
    if !options.skip_herald {
        let segment = Segment::new(options.nodes);
        let mut herald =
            herald_cluster::Herald::start(&segment, &options.agent, options.keep_logs.as_deref())
                .await
                .context("Herald does not come up")?;
        let name = if options.api_dead {
            "herald, API away"
        } else {
            "herald"
        };
        play(options, name, &segment, &mut herald, &mut board).await?;
    }
    if !options.skip_keepalived {
        match keepalived::find() {
            None => eprintln!(
                "keepalived is not installed, and so not compared (apt-get install keepalived)"
            ),
            Some(program) => {
                for setting in keepalived::SETTINGS {
                    let segment = Segment::new(options.nodes);
                    let mut guard =
                        keepalived::Keepalived::start(&segment, &program, setting).await?;
                    play(options, setting.name, &segment, &mut guard, &mut board).await?;
                }
            }
        }
    }
    board.tell();
    Ok(())
}

/// Plays every case that the guard can play.
async fn play(
    options: &Options,
    name: &str,
    segment: &Segment,
    guard: &mut impl Guard,
    board: &mut Board,
) -> anyhow::Result<()> {
    let _answering = answering::start(segment)?;
    let client = prober::Client::start(segment)?;
    client.until_answered(Duration::from_secs(30)).await?;
    let wanted = |case: &Case| options.cases.is_empty() || options.cases.contains(case);
    let cases: Vec<_> = Case::all()
        .filter(|case| wanted(case) && guard.plays(*case))
        .collect();
    for case in cases {
        let mut runs = Vec::new();
        for number in 1..=options.runs {
            eprint!("\r{name}: {case}, run {number} of {}   ", options.runs);
            guard
                .settle(segment)
                .await
                .with_context(|| format!("before {case}"))?;
            tokio::time::sleep(CALM).await;
            let owners = client.owners();
            let owner = owners[0].context("nobody answers")?;
            if options.api_dead {
                guard.api_away(segment, true);
            }
            client.begin();
            case.play(segment, guard, owner).await?;
            if options.api_dead {
                guard.api_away(segment, false);
            }
            guard
                .settle(segment)
                .await
                .with_context(|| format!("after {case}"))?;
            runs.push(Run::of(client.end().await, owners));
        }
        eprintln!();
        board.add(name, case, &runs);
    }
    Ok(())
}
