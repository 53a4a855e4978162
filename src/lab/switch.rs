//! The switch: the namespace with the bridge, in which all hosts' cables end, and the parent of all hosts.
//!
//! It is also who sweeps the floor: when the lab has died without a chance to do so, the switch kills the hosts and
//! removes the lab's directory.

use std::time::Duration;

use anyhow::bail;
use nix::sys::signal::Signal;
use tokio::{
    process::Child,
    signal::unix::{SignalKind, signal},
    time,
};

use super::{
    floor, lifeline,
    line::{Line, SwitchOrder},
    namespace,
    role::{self, Place},
    segment::Segment,
    wire::Wire,
};

/// The name by which the switch greets.
pub(super) const NAME: &str = "switch";

/// Runs the switch of a lab with that many nodes.
pub(super) fn run(place: &Place, nodes: u8) -> anyhow::Result<()> {
    let prepared =
        namespace::enter_first().and_then(|()| lifeline::tie(place.parent, Signal::SIGTERM));
    let result = role::run(NAME, place, prepared, async |line| {
        let mut hosts = Vec::new();
        let result = serve(line, place, nodes, &mut hosts).await;
        for host in &mut hosts {
            lifeline::end(host).await;
        }
        result
    });
    floor::sweep(&place.dir);
    result
}

async fn serve(
    mut line: Line,
    place: &Place,
    nodes: u8,
    hosts: &mut Vec<Child>,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let wire = Wire::open().await?;
    loop {
        tokio::select! {
            order = line.receive() => match order? {
                Some(SwitchOrder::Start) => {
                    line.answer(start(&wire, place, nodes, hosts).await).await?;
                }
                Some(SwitchOrder::Plug { port, pid, mac }) => {
                    line.answer(wire.plug(&port, pid, mac).await).await?;
                }
                None => return Ok(()),
            },
            _ = terminate.recv() => return Ok(()),
            dead = any_dead(hosts) => bail!("a host is gone: {dead}"),
        }
    }
}

async fn start(
    wire: &Wire,
    place: &Place,
    nodes: u8,
    hosts: &mut Vec<Child>,
) -> anyhow::Result<()> {
    wire.make_bridge().await?;
    for host in Segment::new(nodes).hosts() {
        let log = place.logs.join(format!("{}.log", host.name));
        let mut command = lifeline::role(&log)?;
        command
            .args(["host", "--name", &host.name])
            .args(place.arguments());
        hosts.push(command.spawn()?);
    }
    Ok(())
}

/// Waits until a host ends, which it does not do by itself.
async fn any_dead(hosts: &mut [Child]) -> String {
    loop {
        for host in &mut *hosts {
            if let Ok(Some(status)) = host.try_wait() {
                return status.to_string();
            }
        }
        time::sleep(Duration::from_millis(200)).await;
    }
}
