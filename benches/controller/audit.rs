//! How many writes an API server took, by kind.
//!
//! The stand-in is asked for the history of each kind, which holds every write that changed something. kube-apiserver
//! counts every request that it answered, also the refused ones.

use std::{collections::BTreeMap, pin::pin, time::Duration};

use futures::TryStreamExt as _;
use kube::{Client, core::WatchEvent};
use tokio::time;

use crate::{
    server::{Kind, Server},
    watcher::{KINDS, Object, Versions, get, now},
};

/// Writes by kind.
pub type Writes = BTreeMap<&'static str, u64>;

/// A moment from which on writes are counted.
pub enum Audit {
    Since(String),
    Beyond(Writes),
}

impl Audit {
    pub async fn start(server: &Server) -> anyhow::Result<Self> {
        match server.kind {
            Kind::Standin => {
                let version = now(&server.client).await?;
                Ok(Self::Since(version))
            }
            Kind::Real(_) => Ok(Self::Beyond(requests(&server.client).await?)),
        }
    }

    /// What was written since.
    pub async fn writes(&self, server: &Server) -> anyhow::Result<Writes> {
        match self {
            Self::Since(version) => history(&server.client, version).await,
            Self::Beyond(before) => {
                let mut writes = requests(&server.client).await?;
                for (kind, number) in &mut writes {
                    *number -= before.get(kind).copied().unwrap_or(0);
                }
                Ok(writes)
            }
        }
    }
}

/// In words, per Service, without those Leases that are renewed every second whatever happens.
pub fn per_service(writes: &Writes, services: u32) -> (f64, String) {
    let counted = || {
        writes
            .iter()
            .filter(|(kind, number)| **kind != "leases" && **number > 0)
    };
    let words: Vec<_> = counted()
        .map(|(kind, number)| format!("{number} {kind}"))
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "a few thousands")]
    let all = counted().map(|(_, number)| *number).sum::<u64>() as f64;
    (all / f64::from(services), words.join(", "))
}

async fn history(client: &Client, version: &str) -> anyhow::Result<Writes> {
    let mut writes = Writes::new();
    for (kind, path) in KINDS {
        let path = format!("{path}?watch=1&resourceVersion={version}&timeoutSeconds=60");
        let mut events = pin!(client.request_events::<Object>(get(&path)?).await?);
        let mut number = 0;
        // History comes at once; what is silent has told it.
        while let Ok(event) = time::timeout(Duration::from_millis(500), events.try_next()).await {
            match event? {
                Some(WatchEvent::Added(_) | WatchEvent::Modified(_) | WatchEvent::Deleted(_)) => {
                    number += 1
                }
                Some(WatchEvent::Bookmark(_)) => {}
                Some(WatchEvent::Error(status)) => {
                    anyhow::bail!("no history of {kind}: {}", status.message)
                }
                None => break,
            }
        }
        writes.insert(kind, number);
    }
    Ok(writes)
}

/// The counters of kube-apiserver.
async fn requests(client: &Client) -> anyhow::Result<Writes> {
    let metrics = client.request_text(get("/metrics")?).await?;
    let mut writes = Writes::new();
    for line in metrics.lines() {
        let Some((labels, number)) = line
            .strip_prefix("apiserver_request_total{")
            .and_then(|rest| rest.rsplit_once("} "))
        else {
            continue;
        };
        let label = |name: &str| {
            let start = labels
                .split(',')
                .find_map(|l| l.strip_prefix(name)?.strip_prefix("=\""));
            start.unwrap_or_default().trim_end_matches('"')
        };
        let written = ["POST", "PUT", "PATCH", "APPLY", "DELETE"].contains(&label("verb"));
        if let Some((kind, _)) = KINDS
            .iter()
            .find(|(kind, _)| *kind == label("resource") && written)
        {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a counter"
            )]
            let number = number.parse::<f64>().unwrap_or(0.0) as u64;
            *writes.entry(kind).or_default() += number;
        }
    }
    Ok(writes)
}

/// How many objects are not as they were.
pub fn differences(before: &Versions, after: &Versions) -> usize {
    let changed = before
        .iter()
        .filter(|(key, version)| after.get(*key) != Some(*version));
    let new = after.keys().filter(|key| !before.contains_key(*key));
    changed.count() + new.count()
}
