//! Frames that concern nobody: what they cost the agent.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use herald_layer2::frame::{arp, ndp};
use herald_spi::Mac;

use crate::{client::Client, cluster::Cluster, cost::Cost};

const SENDER: Mac = Mac([2, 0, 0, 0, 0x77, 0xfe]);
const NODE: Mac = Mac([2, 0, 0, 0, 0x77, 1]);
/// For local experiments (IEEE 802): nobody listens to it.
const OTHER_ETHERTYPE: [u8; 2] = [0x88, 0xb5];
/// What was sent last has arrived, and what it wakes has run.
const SETTLED: Duration = Duration::from_millis(300);

/// What a flood did.
#[derive(Clone, Copy, Debug)]
pub struct Flood {
    /// Frames that the node's NIC took.
    pub arrived: u64,
    /// Frames that the kernel handed to the agent.
    pub passed: u64,
    pub took: Duration,
    /// Of the agent, meanwhile.
    pub cpu: Duration,
}

/// Sends so many frames as fast as they go.
pub async fn unrelated(
    cluster: &Cluster<'_>,
    client: &Client,
    frames: u32,
) -> anyhow::Result<Flood> {
    let kinds = kinds();
    let passed = || -> anyhow::Result<u64> {
        let metrics = cluster.metrics()?;
        metrics
            .value("herald_layer2_frames_total")
            .context("no such metric")
    };
    let (passed_before, arrived_before) = (passed()?, cluster.received()?);
    let before = Cost::of(cluster.agent())?;
    let began = Instant::now();
    for frame in kinds.iter().cycle().take(usize::try_from(frames)?) {
        client.tap.send(frame)?;
    }
    let took = began.elapsed();
    tokio::time::sleep(SETTLED).await;
    // Before the metrics are asked for, which costs as well.
    let after = Cost::of(cluster.agent())?;
    Ok(Flood {
        arrived: cluster.received()? - arrived_before,
        passed: passed()? - passed_before,
        took,
        cpu: after.cpu - before.cpu,
    })
}

/// Requests and solicitations for others, and what is neither.
fn kinds() -> Vec<Vec<u8>> {
    let other = |to: Mac| [&to.0[..], &SENDER.0, &OTHER_ETHERTYPE, &[0x45; 86]].concat();
    let ours = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0xfe);
    let kinds = |number: u16| {
        let [high, low] = number.to_be_bytes();
        let target = Ipv4Addr::new(10, 9, 128 | high, low);
        // Of an announced address's group, and of another one.
        let same = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 1, 0xa, number);
        let another = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0xb, number);
        [
            arp::request(SENDER, [10, 9, 200, 254].into(), target),
            ndp::request(SENDER, ours, same),
            arp::probe(SENDER, target),
            ndp::request(SENDER, ours, another),
            other(Mac::BROADCAST),
            other(NODE),
        ]
    };
    (0..4_096).flat_map(kinds).collect()
}
