//! The client: a host that is no node, and what it can be asked to do.

mod ear;
pub(super) mod http;

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use herald_spi::Mac;
use serde_json::json;
use tokio::time;

use self::ear::Ear;
use super::{
    line::{Attempt, ClientOrder, Line},
    wire::Wire,
};

/// How long one request may take when it is expected to be answered.
const PATIENT: Duration = Duration::from_secs(2);
/// How long one request may take while the client waits for an address to come back.
const IMPATIENT: Duration = Duration::from_millis(250);
/// Between two requests.
const PACE: Duration = Duration::from_millis(10);
/// How often the wire is asked for who answers, and how long each time.
const QUESTIONS: u32 = 5;
const LISTEN: Duration = Duration::from_millis(100);

/// Serves orders until the lab hangs up.
pub(super) async fn serve(mut line: Line) -> anyhow::Result<()> {
    let wire = Wire::open().await?;
    while let Some(order) = line.receive().await? {
        let answer = match order {
            ClientOrder::Join { addresses } => wire.join(&addresses).await.map(|()| json!(null)),
            ClientOrder::Fetch {
                address,
                port,
                times,
            } => Ok(json!(fetch(SocketAddr::new(address, port), times).await)),
            ClientOrder::Neighbour(address) => wire.neighbour(address).await.map(|mac| json!(mac)),
            ClientOrder::Recover {
                address,
                port,
                give_up,
            } => recover(&wire, SocketAddr::new(address, port), give_up)
                .await
                .map(|a| json!(a)),
            ClientOrder::WhoAnswers { address, port } => {
                who_answers(&wire, SocketAddr::new(address, port))
                    .await
                    .map(|macs| json!(macs))
            }
        };
        line.answer(answer).await?;
    }
    Ok(())
}

async fn fetch(at: SocketAddr, times: u32) -> Vec<Attempt> {
    let mut attempts = Vec::new();
    for _ in 0..times {
        attempts.push(attempt(at, PATIENT).await);
        time::sleep(PACE).await;
    }
    attempts
}

/// Asks for the address anew before each request: an entry that still leads to the last owner is not used.
async fn recover(wire: &Wire, at: SocketAddr, give_up: Duration) -> anyhow::Result<Vec<Attempt>> {
    let began = Instant::now();
    let mut attempts = Vec::new();
    loop {
        wire.forget(at.ip()).await?;
        let attempt = attempt(at, IMPATIENT).await;
        let answered = attempt.outcome.is_ok();
        attempts.push(attempt);
        if answered || began.elapsed() > give_up {
            return Ok(attempts);
        }
        time::sleep(PACE).await;
    }
}

async fn who_answers(wire: &Wire, at: SocketAddr) -> anyhow::Result<BTreeSet<Mac>> {
    let ear = Ear::open(at.ip())?;
    let mut heard = BTreeSet::new();
    for _ in 0..QUESTIONS {
        wire.forget(at.ip()).await?;
        // The request makes the kernel ask; whether it is answered does not matter here.
        let asked = attempt(at, IMPATIENT).await;
        time::sleep(LISTEN.saturating_sub(asked.took)).await;
        heard.extend(ear.heard(at.ip())?);
    }
    Ok(heard)
}

async fn attempt(at: SocketAddr, patience: Duration) -> Attempt {
    let began = Instant::now();
    let outcome = match time::timeout(patience, http::get(at)).await {
        Ok(outcome) => outcome.map_err(|error| format!("{error:#}")),
        Err(_) => Err(format!("no answer within {} ms", patience.as_millis())),
    };
    Attempt {
        took: began.elapsed(),
        outcome,
    }
}

/// A host and a port as in a URL, without the port that needs no mention.
pub(super) fn url(address: IpAddr, port: u16) -> String {
    match (SocketAddr::new(address, port), port) {
        (SocketAddr::V4(at), 80) => format!("http://{}/", at.ip()),
        (SocketAddr::V6(at), 80) => format!("http://[{}]/", at.ip()),
        (at, _) => format!("http://{at}/"),
    }
}
