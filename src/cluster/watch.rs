//! Watches that turn into [`Change`]s of records.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, pin_mut};
use kube::{
    Api, Resource,
    runtime::watcher::{self, watcher},
};
use serde::de::DeserializeOwned;
use tokio::{sync::mpsc, time};
use tracing::{info, warn};

use super::explain;
use crate::world::Change;

/// Says once that the API server cannot be watched, and once that it can be again, however many watches there are.
#[derive(Clone, Debug, Default)]
pub struct Reachability(Arc<Mutex<BTreeSet<String>>>);

impl Reachability {
    fn lost(&self, kind: &str, why: &str) {
        let mut lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lost.is_empty() {
            warn!(kind, "{why}; going on with what is known, and trying again");
        }
        lost.insert(kind.to_owned());
    }

    fn back(&self, kind: &str) {
        let mut lost = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lost.remove(kind) && lost.is_empty() {
            info!("the API server is watched again");
        }
    }
}

/// Watches `api` and sends what happens until the receiver is gone. Objects are projected as they arrive, so that
/// no more of them is kept than is needed; `project` may leave an object out.
///
/// The channel is bounded: a slow receiver slows the watch down, and nothing is lost.
pub async fn pump<K, T, M>(
    api: Api<K>,
    config: watcher::Config,
    project: impl Fn(&K) -> Option<T>,
    wrap: impl Fn(Change<T>) -> M,
    sender: mpsc::Sender<M>,
    reachability: Reachability,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    K::DynamicType: Default,
{
    let kind = K::kind(&K::DynamicType::default()).into_owned();
    let events = watcher(api, config);
    pin_mut!(events);
    let mut patience = Patience::default();
    while let Some(event) = events.next().await {
        let change = match event {
            Err(error) => {
                reachability.lost(&kind, &explain_watch(&error));
                patience.pause().await;
                continue;
            }
            // A list is about to be asked for: nobody has answered yet.
            Ok(watcher::Event::Init) => {
                if sender.send(wrap(Change::Relisting)).await.is_err() {
                    return;
                }
                continue;
            }
            Ok(watcher::Event::InitApply(object)) => project(&object).map(Change::Listed),
            Ok(watcher::Event::InitDone) => Some(Change::Complete),
            Ok(watcher::Event::Apply(object)) => project(&object).map(Change::Apply),
            Ok(watcher::Event::Delete(object)) => project(&object).map(Change::Delete),
        };
        reachability.back(&kind);
        patience = Patience::default();
        if let Some(change) = change
            && sender.send(wrap(change)).await.is_err()
        {
            return;
        }
    }
}

/// Whether a call failed because the object is not there.
#[must_use]
pub fn is_gone(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Pauses after failures: from 200 ms doubling to 5 s, less up to half of it, so that many agents do not come back at
/// once. kube's own backoff starts anew with every attempt to list, and is slow when it is not.
#[derive(Debug, Default)]
struct Patience {
    failures: u32,
}

impl Patience {
    async fn pause(&mut self) {
        let longest =
            Duration::from_millis(200 << self.failures.min(5)).min(Duration::from_secs(5));
        self.failures = self.failures.saturating_add(1);
        time::sleep(longest.mul_f64(rand::random_range(0.5..1.0))).await;
    }
}

fn explain_watch(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(source)
        | watcher::Error::WatchStartFailed(source)
        | watcher::Error::WatchFailed(source) => explain(source),
        watcher::Error::WatchError(status) => status.message.clone(),
        other => other.to_string(),
    }
}
