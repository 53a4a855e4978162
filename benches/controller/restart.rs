//! Ten thousand Services that have their addresses: a restart and a resync, which write nothing, and the memory.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time;

use crate::{
    audit::differences,
    board::Board,
    objects, plain,
    program::Program,
    server::{Kind, Server},
    watcher::{self, Watcher},
};

/// What the controller may keep resident, in MiB.
const MOST_RESIDENT: f64 = 60.0;
/// Long enough for a controller that writes without need to do so.
const SETTLED: Duration = Duration::from_secs(5);
const SERVES: &str = "recorded addresses are adopted";

pub async fn run(kind: &Kind, services: u32, board: &mut Board) -> anyhow::Result<()> {
    println!("{services} Services that have their addresses");
    let server = Server::start(kind).await?;
    let watcher = Watcher::start(&server.client, services).await?;
    let first = Program::controller(&server.kubeconfig)?;
    objects::create_services(&server.client, services).await?;
    watcher.done().await?;
    watcher::events(&server.client, services).await?;
    time::sleep(SETTLED).await;
    resident(
        board,
        "memory of the controller that addressed them",
        &first,
    )?;
    first.end().await?;

    let before = watcher::versions(&server.client).await?;
    let started = Instant::now();
    let mut second = Program::controller(&server.kubeconfig)?;
    let (adopted, line) = second.said(SERVES).await?;
    board.show(
        "restart: until recorded addresses are adopted",
        format!("{:>16.2?}", adopted - started),
    );
    let all = format!("locks={services}");
    board.target(
        "  locks adopted",
        if line.contains(&all) { &all } else { &line },
        "all",
        line.contains(&all),
    );
    let cpu = second.cost()?.cpu;
    time::sleep(SETTLED).await;
    unchanged(
        board,
        "  objects written, but for the Lease",
        &before,
        &server,
    )
    .await?;
    resident(board, "memory after the restart", &second)?;
    let cpu_then = second.cost()?.cpu;
    board.show(
        "  CPU until adopted, and 5 s later",
        format!("{cpu:>16.2?}   {cpu_then:.2?}"),
    );

    if matches!(kind, Kind::Standin) {
        relist(&server).await?;
        time::sleep(SETTLED).await;
        unchanged(
            board,
            "every watch expired (410): objects written",
            &before,
            &server,
        )
        .await?;
        board.show(
            "  CPU of that",
            format!("{:>16.2?}", second.cost()?.cpu.saturating_sub(cpu_then)),
        );
        resident(board, "memory after the relist", &second)?;
    }
    second.end().await?;
    server.stop().await
}

/// For profilers: a server with Services that a plain client has addressed, until Ctrl-C.
pub async fn hold(kind: &Kind, services: u32) -> anyhow::Result<()> {
    let server = Server::start(kind).await?;
    objects::create_services(&server.client, services).await?;
    let mut client = plain::start(&server)?;
    client.said(plain::ENDS).await?;
    println!(
        "KUBECONFIG={} herald controller   # finds {services} Services with their addresses",
        server.kubeconfig.display()
    );
    std::future::pending().await
}

/// Ends every watch and forgets the history, so that each has to list again.
async fn relist(server: &Server) -> anyhow::Result<()> {
    let post =
        |path: &str, body: Value| http::Request::post(path).body(body.to_string().into_bytes());
    let client = &server.client;
    let _: Value = client
        .request(post("/herald-faults/compact", Value::Null)?)
        .await?;
    let cut = json!({ "verb": "watch", "fault": { "action": "cutWatch" } });
    let _: Value = client.request(post("/herald-faults", cut)?).await?;
    time::sleep(Duration::from_millis(50)).await;
    let none = http::Request::delete("/herald-faults").body(Vec::new())?;
    let _: Value = client.request(none).await?;
    Ok(())
}

async fn unchanged(
    board: &mut Board,
    what: &str,
    before: &watcher::Versions,
    server: &Server,
) -> anyhow::Result<()> {
    let after = watcher::versions(&server.client).await?;
    let changed = differences(before, &after);
    board.target(
        what,
        changed.to_string(),
        &format!("none of {}", before.len()),
        changed == 0,
    );
    Ok(())
}

fn resident(board: &mut Board, what: &str, program: &Program) -> anyhow::Result<()> {
    let cost = program.cost()?;
    let value = format!("{:.1} MiB", cost.resident);
    let target = format!("under {MOST_RESIDENT} MiB ({:.1} at most)", cost.peak);
    board.target(what, value, &target, cost.resident < MOST_RESIDENT);
    Ok(())
}
