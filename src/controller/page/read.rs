//! What the page needs and the controller does not watch.

use std::{fmt::Debug, time::Duration};

use k8s_openapi::{
    api::{coordination::v1::Lease, events::v1::Event},
    jiff::Timestamp,
};
use kube::{Api, Client, api::ListParams};
use serde::de::DeserializeOwned;
use tokio::time;

use crate::{
    api::{self, AddressPool, NodeAnnouncements},
    cluster::{self, Pages, explain},
    survey::{Move, Pool, Report},
};

/// How long the API server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Objects in one answer: reports of a node may have a thousand addresses each.
const PAGE: u32 = 20;
const PAGE_OF_SMALL: u32 = 250;
/// Events that are looked at, at most: they come in the order of their names, so the latest are among all.
const EVENTS: usize = 2_000;
/// The latest of them, which are kept.
const MOVES: usize = 200;
/// A Lease that has not been renewed for so much longer than it lasts is nobody's, whatever the clocks say.
const LATE: i64 = 10;

/// Reads from the API server, each thing as it is there now.
pub(super) struct Reader {
    client: Client,
    namespace: String,
}

/// The latest moves.
#[derive(Clone, Debug, Default)]
pub(super) struct Moves {
    /// The latest first.
    pub(super) moves: Vec<Move>,
    /// There are more.
    pub(super) cut: bool,
}

/// Who leads by the Lease.
#[derive(Clone, Debug, Default)]
pub(super) struct Leader {
    pub(super) holder: Option<String>,
    pub(super) since: Option<i64>,
}

impl Reader {
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
        }
    }

    /// What the nodes say.
    pub(super) async fn reports(&self) -> Result<Vec<Report>, String> {
        let api: Api<NodeAnnouncements> = Api::all(self.client.clone());
        let params = ListParams::default().limit(PAGE);
        let (reports, _) = list(&api, params, usize::MAX, cluster::report).await?;
        Ok(reports)
    }

    /// The pools.
    pub(super) async fn pools(&self) -> Result<Vec<Pool>, String> {
        let api: Api<AddressPool> = Api::all(self.client.clone());
        let params = ListParams::default().limit(PAGE_OF_SMALL);
        let (pools, _) = list(&api, params, usize::MAX, cluster::pool_line).await?;
        Ok(pools)
    }

    /// The moves that the API server remembers.
    pub(super) async fn moves(&self) -> Result<Moves, String> {
        let api: Api<Event> = Api::all(self.client.clone());
        let params = ListParams::default()
            .fields(&format!("reason={}", api::EVENT_MOVED))
            .limit(PAGE_OF_SMALL);
        let (mut moves, cut) = list(&api, params, EVENTS, cluster::moved).await?;
        moves.sort_by(|a, b| (b.when, &b.service).cmp(&(a.when, &a.service)));
        let cut = cut || moves.len() > MOVES;
        moves.truncate(MOVES);
        Ok(Moves { moves, cut })
    }

    /// Who leads.
    pub(super) async fn leader(&self) -> Result<Leader, String> {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &self.namespace);
        let lease = answer(api.get_opt(api::LEASE))
            .await?
            .map_err(|error| explain(&error))?;
        Ok(lease.map_or_else(Leader::default, |lease| {
            leader(&lease, Timestamp::now().as_second())
        }))
    }
}

fn leader(lease: &Lease, now: i64) -> Leader {
    let spec = lease.spec.clone().unwrap_or_default();
    let renewed = spec.renew_time.map_or(0, |time| time.0.as_second());
    let lasts = i64::from(spec.lease_duration_seconds.unwrap_or(0));
    let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
    Leader {
        holder: holder.filter(|_| now - renewed <= lasts + LATE),
        since: spec.acquire_time.map(|time| time.0.as_second()),
    }
}

/// Page by page, each object projected as it comes, up to so many objects; and whether there are more.
async fn list<K, T>(
    api: &Api<K>,
    params: ListParams,
    most: usize,
    project: fn(&K) -> Option<T>,
) -> Result<(Vec<T>, bool), String>
where
    K: Clone + DeserializeOwned + Debug,
{
    let mut pages = Pages::of(params);
    let (mut items, mut seen) = (Vec::new(), 0);
    while let Some(params) = pages.next() {
        if seen >= most {
            return Ok((items, true));
        }
        match answer(api.list(params)).await? {
            Ok(page) => {
                seen += page.items.len();
                items.extend(pages.take(page).iter().filter_map(project));
            }
            Err(error) if pages.begins_anew(&error) => {
                items.clear();
                seen = 0;
            }
            Err(error) => return Err(explain(&error)),
        }
    }
    Ok((items, false))
}

async fn answer<T>(
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<Result<T, kube::Error>, String> {
    let answer = time::timeout(PATIENCE, call).await;
    answer.map_err(|_| format!("the API server did not answer within {PATIENCE:?}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lease_that_nobody_renews_is_nobodys() {
        let lease = |holder: &str| {
            let lease = json!({
                "metadata": { "name": "herald-controller" },
                "spec": {
                    "holderIdentity": holder, "leaseDurationSeconds": 5,
                    "acquireTime": "2026-01-01T00:00:00.000000Z",
                    "renewTime": "2026-01-01T01:00:00.000000Z",
                },
            });
            serde_json::from_value::<Lease>(lease).unwrap()
        };
        let renewed: Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
        let renewed = renewed.as_second();
        for (name, now, holder) in [
            ("a", renewed + 1, Some("a")),
            ("a", renewed - 30, Some("a")),
            ("a", renewed + 15, Some("a")),
            ("a", renewed + 16, None),
            ("", renewed + 1, None),
        ] {
            assert_eq!(leader(&lease(name), now).holder.as_deref(), holder);
        }
    }
}
