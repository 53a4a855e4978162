//! One task reads for all who look at the page.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot},
    time,
};

use super::{
    Ask, Known, Visit,
    read::{Leader, Moves, Reader},
};
use crate::{
    page::{Lead, Picture},
    survey::{Pool, Pools, Report, conflicts, is_heralds, nodes, survey},
};

/// How long a picture serves.
const FRESH: Duration = Duration::from_secs(2);
/// After how long without a visitor everything is forgotten.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// How long the main loop may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Desk {
    reader: Reader,
    identity: String,
    asks: mpsc::Sender<Ask>,
    picture: Option<(Instant, Arc<Picture>)>,
    said: Said,
}

/// What the API server said last of each thing, for the time when it says nothing.
#[derive(Default)]
struct Said {
    reports: Option<Vec<Report>>,
    pools: Option<Vec<Pool>>,
    moves: Option<Moves>,
    leader: Option<Leader>,
}

impl Desk {
    pub(super) fn new(reader: Reader, identity: &str, asks: mpsc::Sender<Ask>) -> Self {
        Self {
            reader,
            identity: identity.to_owned(),
            asks,
            picture: None,
            said: Said::default(),
        }
    }

    /// Serves visitors one after the other: those who come while it reads get what it reads. Does not end by itself.
    pub(super) async fn sit(mut self, mut inbox: mpsc::Receiver<Visit>) {
        loop {
            match time::timeout(FORGOTTEN, inbox.recv()).await {
                Ok(Some(visit)) => {
                    if !visit.is_closed() {
                        let picture = self.picture().await;
                        drop(visit.send(picture));
                    }
                }
                Ok(None) => std::future::pending().await,
                Err(_) => {
                    self.picture = None;
                    self.said = Said::default();
                }
            }
        }
    }

    async fn picture(&mut self) -> Result<Arc<Picture>, String> {
        if let Some((read, picture)) = &self.picture
            && read.elapsed() < FRESH
        {
            return Ok(Arc::clone(picture));
        }
        let picture = Arc::new(self.look().await?);
        self.picture = Some((Instant::now(), Arc::clone(&picture)));
        Ok(picture)
    }

    async fn look(&mut self) -> Result<Picture, String> {
        let reader = &self.reader;
        let (reports, pools, moves, leader) = tokio::join!(
            reader.reports(),
            reader.pools(),
            reader.moves(),
            reader.leader()
        );
        let said = &mut self.said;
        let mut unread = Vec::new();
        let told = [
            keep(&mut said.reports, reports, "NodeAnnouncements"),
            keep(&mut said.pools, pools, "pools"),
            keep(&mut said.moves, moves, "moves"),
            keep(&mut said.leader, leader, "the Lease"),
        ];
        unread.extend(told.into_iter().flatten());
        // Without a word of the agents every address would be called unannounced.
        let Some(reports) = said.reports.as_deref() else {
            return Err(unread.join("; "));
        };
        let known = known(&self.asks).await?;
        let services = known.services.iter().map(|service| &**service);
        let status = survey(services.filter(|service| is_heralds(service)), reports);
        let moves = said.moves.clone().unwrap_or_default();
        let leader = said.leader.clone().unwrap_or_default();
        Ok(Picture {
            read: Timestamp::now().as_second(),
            nodes: nodes(known.nodes.iter().map(|node| &**node), reports),
            conflicts: conflicts(reports, &status, known.locks.iter().map(|lock| &**lock)),
            status,
            pools: Pools::new(said.pools.clone().unwrap_or_default()),
            moves: moves.moves,
            moves_cut: moves.cut,
            lead: Lead {
                me: self.identity.clone(),
                leads: known.leads,
                holder: leader.holder,
                since: leader.since,
            },
            unread,
        })
    }
}

/// Keeps what was read. If it was not, what was read before stays, and the words say so.
fn keep<T>(said: &mut Option<T>, read: Result<T, String>, what: &str) -> Option<String> {
    match read {
        Ok(read) => {
            *said = Some(read);
            None
        }
        Err(why) => Some(match said {
            Some(_) => format!("{what} cannot be read, so they are shown as they were: {why}"),
            None => format!("{what} cannot be read: {why}"),
        }),
    }
}

async fn known(asks: &mpsc::Sender<Ask>) -> Result<Known, String> {
    let (ask, answer) = oneshot::channel();
    let work = async {
        asks.send(ask).await.ok()?;
        answer.await.ok()
    };
    match time::timeout(PATIENCE, work).await {
        Ok(Some(Some(known))) => Ok(known),
        Ok(Some(None)) => Err("this controller is still reading its first lists".to_owned()),
        Ok(None) => Err("this controller ends".to_owned()),
        Err(_) => Err("this controller is too busy to say how it stands".to_owned()),
    }
}
