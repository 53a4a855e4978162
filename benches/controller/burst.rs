//! Thousands of Services at once: how fast Herald addresses them, and how fast a plain client writes the same.
//!
//! Each figure is the median of rounds, each on a fresh server, the plain client and Herald taking turns. Herald runs
//! twice in a round: over Services that are there when it begins, which is what the plain client finds too, and while
//! they are being created, which takes from the same server and machine.

use std::time::Duration;

use crate::{
    audit::{Audit, Writes, per_service},
    board::{Board, median, rate},
    objects, plain,
    program::{Cost, Program},
    server::{Kind, Server},
    watcher::{self, Watcher},
};

/// The least part of the plain client's rate.
const LEAST: f64 = 0.8;
/// The most writes for one Service; a pool's status for all of them together comes on top.
const MOST_WRITES: f64 = 3.0;
/// What else may be written while it lasts, per Service: pool statuses twice a second, and the peer key.
const ASIDE: f64 = 0.05;

#[derive(Clone, Copy)]
pub struct Size {
    pub services: u32,
    pub rounds: u32,
}

/// One run of one side.
struct Run {
    /// Until the last Service had its address.
    addressed: Duration,
    /// Until the last Event, too.
    told: Duration,
    cost: Cost,
    writes: Writes,
    /// Plans that were cut short and tried again.
    again: usize,
}

impl Run {
    fn addressed(&self) -> Duration {
        self.addressed
    }

    fn told(&self) -> Duration {
        self.told
    }
}

type Measure = fn(&Run) -> Duration;

/// When the Services come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Come {
    Before,
    Meanwhile,
}

pub async fn run(kind: &Kind, size: Size, board: &mut Board) -> anyhow::Result<()> {
    let (mut plain, mut herald, mut live) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..size.rounds {
        plain.push(plain_client(kind, size.services).await?);
        herald.push(controller(kind, size.services, Come::Before).await?);
        live.push(controller(kind, size.services, Come::Meanwhile).await?);
    }
    let services = size.services;
    let rates = |runs: &[Run], of: Measure| median(runs.iter().map(|run| rate(services, of(run))));
    let all = |runs: &[Run], of: Measure| {
        let figures: Vec<_> = runs
            .iter()
            .map(|run| format!("{:.0}", rate(services, of(run))))
            .collect();
        figures.join(" ")
    };
    let line = |rate: f64, each: String| {
        format!("{:>16}   each round: {each}", format!("{rate:.0} per s"))
    };
    let bare = rates(&plain, Run::told);
    println!("{services} Services, median of {} rounds", size.rounds);
    board.show(
        "plain client: all three writes",
        line(bare, all(&plain, Run::told)),
    );
    let at_least = format!("of the plain client's rate, at least {LEAST}");
    let until: [(_, _, Measure); 2] = [
        ("Herald: addressed", "  addressed", Run::addressed),
        (
            "Herald: addressed, and every Event written",
            "  with Events",
            Run::told,
        ),
    ];
    for (what, share, of) in until {
        let ours = rates(&herald, of);
        board.show(what, line(ours, all(&herald, of)));
        let ratio = ours / bare;
        board.target(share, format!("{ratio:.2}"), &at_least, ratio >= LEAST);
    }
    let late = rates(&live, Run::addressed);
    board.show(
        "Herald: addressed, while 32 creators make them",
        line(late, all(&live, Run::addressed)),
    );
    for (who, runs) in [
        ("plain client", &plain),
        ("Herald", &herald),
        ("Herald meanwhile", &live),
    ] {
        let Some(last) = runs.last() else { continue };
        let (per, words) = per_service(&last.writes, services);
        let what = format!("  {who}: writes per Service");
        let kept = per <= MOST_WRITES + ASIDE;
        board.target(
            &what,
            format!("{per:.3}"),
            &format!("at most 3, and pool statuses ({words})"),
            kept,
        );
        let cpu = median(runs.iter().map(|run| run.cost.cpu.as_secs_f64())) * 1000.0
            / f64::from(services);
        let again: usize = runs.iter().map(|run| run.again).sum();
        let Cost { resident, peak, .. } = last.cost;
        board.show(
            &format!("  {who}: CPU per 1,000 Services"),
            format!(
                "{cpu:>14.2} s   {resident:.0} MiB then, {peak:.0} at most; {again} tried again"
            ),
        );
    }
    Ok(())
}

async fn plain_client(kind: &Kind, services: u32) -> anyhow::Result<Run> {
    let server = Server::start(kind).await?;
    objects::create_services(&server.client, services).await?;
    let watcher = Watcher::start(&server.client, services).await?;
    let audit = Audit::start(&server).await?;
    let mut program = plain::start(&server)?;
    let (begun, _) = program.said(plain::BEGINS).await?;
    let addressed = watcher.done().await? - begun;
    let (ended, _) = program.said(plain::ENDS).await?;
    let run = Run {
        addressed,
        told: addressed.max(ended - begun),
        cost: program.cost()?,
        writes: audit.writes(&server).await?,
        again: 0,
    };
    program.kill().await?;
    server.stop().await?;
    Ok(run)
}

async fn controller(kind: &Kind, services: u32, come: Come) -> anyhow::Result<Run> {
    const SERVES: &str = "recorded addresses are adopted";
    let server = Server::start(kind).await?;
    if come == Come::Before {
        objects::create_services(&server.client, services).await?;
    }
    let watcher = Watcher::start(&server.client, services).await?;
    let audit = Audit::start(&server).await?;
    let mut program = Program::controller(&server.kubeconfig)?;
    let (mut begun, _) = program.said(SERVES).await?;
    if come == Come::Meanwhile {
        begun = std::time::Instant::now();
        objects::create_services(&server.client, services).await?;
    }
    let addressed = watcher.done().await? - begun;
    let told = watcher::events(&server.client, services).await? - begun;
    let mut writes = audit.writes(&server).await?;
    if let (Come::Meanwhile, Some(number)) = (come, writes.get_mut("services")) {
        // Their creation, which is not Herald's.
        *number = number.saturating_sub(u64::from(services));
    }
    let run = Run {
        addressed,
        told,
        cost: program.cost()?,
        writes,
        again: program.times("trying again"),
    };
    program.end().await?;
    server.stop().await?;
    Ok(run)
}
