//! What happens to the owner, and who looks after the addresses meanwhile.

use std::{fmt, time::Duration};

use clap::ValueEnum;
use tokio::time::sleep;

use crate::{Options, segment::Segment};

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Case {
    /// Nothing: what is lost then is the machine's fault.
    Nothing,
    /// The owner's agent is killed (SIGKILL).
    Killed,
    /// The owner's port is taken out of the bridge; its carrier stays.
    CutOff,
    /// The owner loses its carrier.
    CarrierLost,
    /// The owner's NIC is set down; the other network still works.
    NicDown,
    /// The owner's heartbeats are blocked; the wire works.
    HeartbeatsBlocked,
    /// The owner's agent stands still, and wakes.
    Paused,
    /// The owner and every second node are on an island, and come back.
    PartitionAndHeal,
    /// The owner's agent is told to end.
    GracefulStop,
    /// All agents are restarted, one after another.
    RollingRestart,
    /// The API server is away, for long.
    ApiAway,
}

/// Who moves the addresses.
pub trait Guard {
    /// How long a fault lasts: for longer than it should take to get over it.
    fn outage(&self) -> Duration;
    /// Kills a node's process.
    async fn kill(&mut self, node: usize) -> anyhow::Result<()>;
    /// Ends a node's process as an administrator would.
    async fn stop(&mut self, node: usize) -> anyhow::Result<()>;
    /// Starts a node's process again.
    async fn start(&mut self, segment: &Segment, node: usize) -> anyhow::Result<()>;
    /// Halts a node's process, or lets it go on.
    fn pause(&mut self, node: usize, paused: bool) -> anyhow::Result<()>;
    /// Blocks a node's heartbeats, or lets them through.
    fn block(&mut self, segment: &Segment, node: usize, blocked: bool);
    /// Takes the API server away, or brings it back.
    fn api_away(&mut self, segment: &Segment, away: bool);
    /// Waits until every node could take over.
    async fn settle(&mut self) -> anyhow::Result<()>;
}

impl Case {
    pub fn all() -> impl Iterator<Item = Self> {
        Self::value_variants().iter().copied()
    }

    /// The fault and its end.
    pub async fn play(
        self,
        options: &Options,
        segment: &Segment,
        guard: &mut impl Guard,
        owner: usize,
    ) -> anyhow::Result<()> {
        let outage = guard.outage();
        match self {
            Self::Nothing => sleep(outage).await,
            Self::Killed => {
                guard.kill(owner).await?;
                sleep(outage).await;
                guard.start(segment, owner).await?;
            }
            Self::CutOff => {
                segment.cut_off(owner, true);
                sleep(outage).await;
                segment.cut_off(owner, false);
            }
            Self::CarrierLost => {
                segment.carrier(owner, false);
                sleep(outage).await;
                segment.carrier(owner, true);
            }
            Self::NicDown => {
                let node = &segment.nodes[owner];
                node.sh("ip link set eth0 down");
                sleep(outage).await;
                node.sh("ip link set eth0 up");
            }
            Self::HeartbeatsBlocked => {
                guard.block(segment, owner, true);
                sleep(outage).await;
                guard.block(segment, owner, false);
            }
            Self::Paused => {
                guard.pause(owner, true)?;
                sleep(outage).await;
                guard.pause(owner, false)?;
            }
            Self::PartitionAndHeal => {
                let others = (0..segment.nodes.len()).filter(|node| *node != owner);
                let island: Vec<_> = others.skip(1).step_by(2).chain([owner]).collect();
                segment.part(&island);
                sleep(outage).await;
                segment.heal();
            }
            Self::GracefulStop => {
                guard.stop(owner).await?;
                sleep(outage).await;
                guard.start(segment, owner).await?;
            }
            Self::RollingRestart => {
                for node in 0..segment.nodes.len() {
                    guard.stop(node).await?;
                    guard.start(segment, node).await?;
                    guard.settle().await?;
                }
            }
            Self::ApiAway => {
                guard.api_away(segment, true);
                sleep(options.api_outage()).await;
                guard.api_away(segment, false);
            }
        }
        Ok(())
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nothing => "nothing happens",
            Self::Killed => "agent killed",
            Self::CutOff => "node cut off",
            Self::CarrierLost => "carrier lost",
            Self::NicDown => "NIC down",
            Self::HeartbeatsBlocked => "heartbeats blocked",
            Self::Paused => "agent paused",
            Self::PartitionAndHeal => "partition and heal",
            Self::GracefulStop => "graceful stop",
            Self::RollingRestart => "rolling restart",
            Self::ApiAway => "API server away",
        })
    }
}
