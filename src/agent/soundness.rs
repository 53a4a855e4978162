//! Which nodes work, as a preference: a node that is not ready, or whose kube-proxy is not healthy, keeps what it owns,
//! and others come first when an owner must be chosen.
//!
//! Both are damped, for both flicker: kubelets that are late with a report, a kube-proxy that restarts. Pure but for
//! [`watch_kube_proxy`].

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use herald_spi::{NodeName, Time};
use tokio::{sync::watch, time};
use tracing::{info, warn};

use super::kube_proxy;
use crate::placement::NodeFacts;

/// A node's readiness counts when it has lasted for so long.
const LASTS: Duration = Duration::from_secs(10);
/// How often kube-proxy is asked.
const PACE: Duration = Duration::from_secs(2);
/// So many bad answers in a row count.
const BAD: u32 = 3;
/// Where kube-proxy tells its health, by its defaults.
const ADDRESS: &str = "127.0.0.1:10256";
const PATH: &str = "/healthz";

/// Which nodes have been not ready for a while.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    unready: BTreeSet<NodeName>,
    /// Nodes that say otherwise than they count, and since when.
    doubted: BTreeMap<NodeName, Time>,
}

impl Readiness {
    /// When a doubt will have lasted for long enough to count.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.doubted.values().min().map(|since| *since + LASTS)
    }

    /// Takes in who is ready, and tells placement who has not been for a while.
    pub(super) fn notice<'a>(
        &mut self,
        now: Time,
        ready: impl Iterator<Item = (&'a NodeName, bool)>,
        facts: &mut BTreeMap<NodeName, NodeFacts>,
    ) {
        for (node, ready) in ready {
            if ready != self.unready.contains(node) {
                self.doubted.remove(node);
                continue;
            }
            let since = *self.doubted.entry(node.clone()).or_insert(now);
            if now.since(since) < LASTS {
                continue;
            }
            self.doubted.remove(node);
            if ready {
                self.unready.remove(node);
            } else {
                self.unready.insert(node.clone());
            }
        }
        self.unready.retain(|node| facts.contains_key(node));
        self.doubted.retain(|node, _| facts.contains_key(node));
        for node in &self.unready {
            if let Some(facts) = facts.get_mut(node) {
                facts.unready = true;
            }
        }
    }
}

/// Whether kube-proxy works. One that never said that it does is not asked for it: there may be none.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    known: bool,
    bad: u32,
}

impl Pulse {
    /// Takes in an answer. Whether kube-proxy is not healthy.
    pub(super) fn beat(&mut self, healthy: bool) -> bool {
        self.known |= healthy;
        self.bad = if healthy {
            0
        } else {
            self.bad.saturating_add(1)
        };
        self.known && self.bad >= BAD
    }
}

/// Asks kube-proxy for its health, until nobody wants to know.
pub(super) async fn watch_kube_proxy(impaired: watch::Sender<bool>) {
    let mut pulse = Pulse::default();
    while !impaired.is_closed() {
        let healthy = kube_proxy::ask(ADDRESS, PATH).await.is_some();
        let is = pulse.beat(healthy);
        impaired.send_if_modified(|was| {
            let changed = *was != is;
            match (changed, is) {
                (true, true) => warn!(
                    reason = "KubeProxyUnhealthy",
                    "kube-proxy is not healthy; other nodes are preferred"
                ),
                (true, false) => info!("kube-proxy is healthy again"),
                _ => {}
            }
            *was = is;
            changed
        });
        time::sleep(PACE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_counts_when_it_lasts_and_a_flicker_does_not() {
        let node = NodeName::from("a");
        let mut readiness = Readiness::default();
        let mut unready_at = |seconds: u64, ready: bool| {
            let mut facts = BTreeMap::from([(node.clone(), NodeFacts::default())]);
            let now = Time::from_start(Duration::from_secs(seconds));
            readiness.notice(now, [(&node, ready)].into_iter(), &mut facts);
            facts.values().any(|facts| facts.unready)
        };
        for (seconds, ready, unready) in [
            (0, true, false),
            (5, false, false),
            (14, false, false),
            (14, true, false),
            (20, false, false),
            (29, false, false),
            (30, false, true),
            (31, true, true),
            (35, false, true),
            (36, true, true),
            (45, true, true),
            (46, true, false),
        ] {
            assert_eq!(unready_at(seconds, ready), unready, "at {seconds} s");
        }
    }

    #[test]
    fn three_bad_answers_of_a_known_kube_proxy_count() {
        let mut pulse = Pulse::default();
        assert!((0..100).all(|_| !pulse.beat(false)), "there may be none");
        assert!(!pulse.beat(true));
        assert_eq!(
            [false; 4].map(|healthy| pulse.beat(healthy)),
            [false, false, true, true]
        );
        assert!(!pulse.beat(true));
    }
}
