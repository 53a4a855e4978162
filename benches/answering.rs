//! How fast addresses are answered for, and what that costs: `cargo bench --bench answering`.
//!
//! A node and a client on one Ethernet segment, each in a network namespace. The node runs the real `herald agent`; the
//! API server and the controller are on a second network. The client asks by turns, by ARP and by NDP, for an address on
//! the node's NIC, for which the kernel answers, and for a Service's address, for which the agent answers; so both meet
//! the same machine at the same time. All of that is done with few, many and very many addresses.
//!
//! ```text
//!   client ──eth0── br0 ──eth0── node-1 ──eth1── br1 ── API server, controller
//! ```
//!
//! Needs root and iproute2. All traffic stays in the namespaces.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that cannot go on has nothing to say"
)]

#[path = "answering/client.rs"]
mod client;
#[path = "answering/cluster.rs"]
mod cluster;
#[path = "shared/control_plane.rs"]
mod control_plane;
#[path = "answering/cost.rs"]
mod cost;
#[path = "answering/figures.rs"]
mod figures;
#[path = "answering/flood.rs"]
mod flood;
#[path = "shared/machine.rs"]
mod machine;
#[path = "shared/namespaces.rs"]
mod namespaces;
#[allow(dead_code, reason = "shared with the benchmark of failover")]
#[path = "shared/process.rs"]
mod process;
#[allow(dead_code, reason = "shared with the benchmark of failover")]
#[path = "shared/segment.rs"]
mod segment;
#[allow(
    dead_code,
    reason = "shared with the tests of layer 2, which use all of it"
)]
#[path = "../providers/layer2/tests/netns/station.rs"]
mod station;

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Parser;
use client::Client;
use cluster::Cluster;
use cost::Cost;
use figures::{Board, Measured};
use segment::Segment;

/// What the command line takes.
#[derive(Debug, Parser)]
#[command(
    name = "cargo bench --bench answering --",
    after_help = "Examples:\n  cargo bench --bench answering\n  cargo bench --bench answering -- --addresses 2 --requests 20000\n  \
    cargo bench --bench answering -- --addresses 1000 --idle 60 -o json"
)]
struct Options {
    /// How many addresses are announced, from one measurement to the next; half of them are IPv6.
    #[arg(long, value_delimiter = ',', default_values_t = [2, 1_000, 10_000], value_parser = clap::value_parser!(u32).range(2..=cluster::ROOM))]
    addresses: Vec<u32>,
    /// How often each of kernel and agent is asked, by ARP and by NDP.
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..))]
    requests: u32,
    /// How many frames are sent that concern nobody.
    #[arg(long, default_value_t = 200_000)]
    unrelated: u32,
    /// For how many seconds the agent is watched while it has nothing to do.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    idle: u64,
    /// More arguments for the agent.
    #[arg(long = "agent", value_name = "ARGUMENT", allow_hyphen_values = true)]
    agent: Vec<String>,
    /// How the result is told.
    #[arg(short, long, value_enum, default_value_t)]
    output: figures::Format,
    /// Where the logs of the agent and the controller go; left out: they are dropped.
    #[arg(long, value_name = "DIR")]
    keep_logs: Option<std::path::PathBuf>,
    /// Cargo says this.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    namespaces::run("answering", options.bench, 1, measure(&options))
}

async fn measure(options: &Options) -> anyhow::Result<()> {
    if options.output == figures::Format::Text {
        machine::print();
    }
    let segment = Segment::new(1);
    let mut cluster = Cluster::start(&segment, &options.agent, options.keep_logs.as_deref())
        .context("Herald does not come up")?;
    let client = Client::open(&segment)?;
    let mut board = Board::new(options.output);
    for &addresses in &options.addresses {
        eprintln!("{addresses} addresses: until they are announced …");
        cluster.grow(addresses / 2)?;
        cluster.until_calm().await?;
        eprintln!(
            "{addresses} addresses: {} requests of each kind …",
            options.requests
        );
        let latencies = client.measure(options.requests, &cluster.addresses()?)?;
        eprintln!("{addresses} addresses: {} s of silence …", options.idle);
        let idle = idle(&cluster, Duration::from_secs(options.idle)).await?;
        eprintln!(
            "{addresses} addresses: {} unrelated frames …",
            options.unrelated
        );
        let flood = flood::unrelated(&cluster, &client, options.unrelated).await?;
        board.add(Measured {
            addresses,
            latencies,
            idle,
            flood,
        });
    }
    board.tell();
    Ok(())
}

/// What share of a core the agent takes while nobody asks.
async fn idle(cluster: &Cluster<'_>, span: Duration) -> anyhow::Result<figures::Idle> {
    let (began, before) = (Instant::now(), Cost::of(cluster.agent())?);
    tokio::time::sleep(span).await;
    let after = Cost::of(cluster.agent())?;
    let share = (after.cpu - before.cpu).as_secs_f64() / began.elapsed().as_secs_f64();
    Ok(figures::Idle {
        share,
        resident: after.resident,
        anonymous: after.anonymous,
    })
}
