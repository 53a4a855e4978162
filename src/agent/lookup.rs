//! Whose hardware addresses are those of Herald nodes: asked of the API server when a stranger claims an address.
//!
//! ```text
//!   a MAC that nobody here knows ─▶ Strangers ──due──▶ follow: lists NodeAnnouncements ──▶ Published ─▶ a peer's MAC
//! ```
//!
//! A node that was never heard is no stranger: what it claims is settled with it and not defended against it. Its agent
//! has written its addresses in its own `NodeAnnouncements`, and they are read when they matter and not before, every
//! 30 s at most. While the API server is away the state file must do. [`Strangers`] is pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use herald_spi::{Mac, NodeName, Time};
use kube::{Api, Client, api::ListParams};
use tokio::{sync::mpsc, time};
use tracing::debug;

use crate::{
    api::NodeAnnouncements,
    cluster::{Pages, explain},
};

/// The least time between two questions.
const PACE: Duration = Duration::from_secs(30);
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How many objects come in one answer.
const PAGE: u32 = 100;
/// How many hardware addresses are taken from the answers, and how many strangers are kept in mind.
const MOST: usize = 4_096;
const MOST_STRANGERS: usize = 64;

/// The hardware addresses of all nodes, as their agents wrote them.
pub(super) type Published = BTreeMap<Mac, NodeName>;

/// The unknown, and what was found out.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    published: Published,
    unknown: BTreeSet<Mac>,
    asked: Option<Time>,
}

impl Strangers {
    /// A host claims an address, and nobody here knows it.
    pub(super) fn meet(&mut self, mac: Mac) {
        if !self.published.contains_key(&mac) && self.unknown.len() < MOST_STRANGERS {
            self.unknown.insert(mac);
        }
    }

    /// Whether to ask now; then it counts as asked.
    pub(super) fn ask(&mut self, now: Time) -> bool {
        let rested = self.asked.is_none_or(|at| now.since(at) >= PACE);
        let ask = rested && !self.unknown.is_empty();
        if ask {
            self.asked = Some(now);
            // Who is still there is met again.
            self.unknown.clear();
        }
        ask
    }

    /// Takes an answer. Says whether anything changed.
    pub(super) fn learn(&mut self, published: Published) -> bool {
        let changed = self.published != published;
        self.published = published;
        changed
    }

    /// What was found out last.
    pub(super) fn published(&self) -> &Published {
        &self.published
    }
}

/// Reads the hardware addresses of all nodes each time it is asked to, until nobody can ask any more.
pub(super) async fn follow(
    client: Client,
    mut asked: mpsc::Receiver<()>,
    found: mpsc::Sender<Published>,
) {
    let api: Api<NodeAnnouncements> = Api::all(client);
    while asked.recv().await.is_some() {
        match time::timeout(CALL_TIMEOUT, read(&api)).await {
            Ok(Ok(published)) => {
                if found.send(published).await.is_err() {
                    return;
                }
            }
            Ok(Err(error)) => debug!(why = explain(&error), "whose MAC it is was not read"),
            Err(_) => debug!("whose MAC it is was not read in time"),
        }
    }
}

async fn read(api: &Api<NodeAnnouncements>) -> kube::Result<Published> {
    let mut published = Published::new();
    let mut pages = Pages::of(ListParams::default().limit(PAGE));
    while let Some(params) = pages.next() {
        let page = api.list(params).await?;
        for object in pages.take(page) {
            take(&mut published, object);
        }
    }
    Ok(published)
}

fn take(published: &mut Published, object: NodeAnnouncements) {
    let (Some(node), Some(status)) = (object.metadata.name, object.status) else {
        return;
    };
    let node = NodeName::new(node);
    let macs = status
        .macs
        .iter()
        .filter_map(|text| text.parse::<Mac>().ok());
    for mac in macs.filter(|mac| mac.is_unicast()) {
        if published.len() < MOST {
            published.insert(mac, node.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{NodeAnnouncementsSpec, NodeAnnouncementsStatus};

    const ONE: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn at(seconds: u64) -> Time {
        Time::from_start(Duration::from_secs(seconds))
    }

    #[test]
    fn strangers_are_asked_about_at_most_every_thirty_seconds_and_while_they_are_met() {
        let mut strangers = Strangers::default();
        assert!(!strangers.ask(at(0)), "nobody is unknown");
        strangers.meet(ONE);
        assert!(strangers.ask(at(1)));
        strangers.meet(ONE);
        assert!(!strangers.ask(at(30)) && strangers.ask(at(31)));
        assert!(!strangers.ask(at(100)), "not met again");
        assert!(strangers.learn([(ONE, "one".into())].into()));
        assert!(!strangers.learn([(ONE, "one".into())].into()));
        strangers.meet(ONE);
        assert!(!strangers.ask(at(200)), "it is known");
        for n in 0..=255 {
            strangers.meet(Mac([2, 9, 9, 9, 9, n]));
        }
        assert!(strangers.unknown.len() <= MOST_STRANGERS);
    }

    #[test]
    fn what_is_no_hardware_address_of_a_host_is_passed_over() {
        let mut object = NodeAnnouncements::new("one", NodeAnnouncementsSpec {});
        let macs = [
            "02:00:00:00:00:01",
            "ff:ff:ff:ff:ff:ff",
            "00:00:00:00:00:00",
            "02:00",
            "",
        ];
        object.status = Some(NodeAnnouncementsStatus {
            macs: macs.map(str::to_owned).to_vec(),
            ..NodeAnnouncementsStatus::default()
        });
        let mut published = Published::new();
        take(&mut published, object);
        assert_eq!(published, [(ONE, "one".into())].into());
    }
}
