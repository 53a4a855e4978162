//! The quiet part of the show: who announces, what the client's table says, who answers.

use std::collections::BTreeSet;

use super::{
    super::{
        client::url,
        cluster::Cluster,
        look::{self, Announcers, Seen, until},
        progress::{Progress, Unmet},
        supervised::agent_of,
    },
    PATIENCE, Target, list, owner,
};

/// How many requests of each family are made.
const REQUESTS: u32 = 10;

/// Waits until each address has exactly one announcer.
pub(super) async fn announced(
    cluster: &Cluster,
    progress: &mut Progress,
    services: &[Seen],
) -> Result<Announcers, Unmet> {
    let work = async {
        let api = &cluster.api;
        let found = until(PATIENCE, async || {
            let announcers = of(&look::announcers(api).await?, services);
            let each = announcers.values().all(|nodes| nodes.len() == 1);
            Ok(if each {
                Ok(announcers)
            } else {
                Err(list(&announcers))
            })
        });
        match found.await {
            Ok(announcers) => {
                let seen = list(&announcers);
                Ok((announcers, seen))
            }
            Err(last) => {
                let nodes = cluster
                    .segment
                    .nodes
                    .iter()
                    .map(|node| agent_of(&node.name));
                Err(nodes.fold(Unmet::new(last), Unmet::suspecting))
            }
        }
    };
    progress
        .step("announced", "one node announces each address", work)
        .await
}

/// Only the addresses of these Services, those without an announcer included.
fn of(announcers: &Announcers, services: &[Seen]) -> Announcers {
    let addresses = services.iter().flat_map(|service| &service.addresses);
    addresses
        .map(|address| {
            (
                *address,
                announcers.get(address).cloned().unwrap_or_default(),
            )
        })
        .collect()
}

/// The client's kernel, asked by a request, found the node that announces.
pub(super) async fn neighbour(
    cluster: &mut Cluster,
    progress: &mut Progress,
    target: Target,
    announcers: &Announcers,
) -> Result<(), Unmet> {
    let Target { address, port } = target;
    let node = owner(announcers, address)
        .and_then(|name| cluster.segment.node(name))
        .cloned();
    let node = node.ok_or_else(|| Unmet::new(format!("{address} has no single announcer")))?;
    let expected = format!(
        "the client's neighbour table has {address} at {} ({})",
        node.mac, node.name
    );
    let work = async {
        cluster.fetch(address, port, 1).await?;
        let found = cluster.neighbour(address).await?;
        match found {
            Some(mac) if mac == node.mac => {
                let seen = format!(
                    "the client's table has {address} at {mac}, which is {}",
                    node.name
                );
                Ok(((), seen))
            }
            Some(mac) => {
                let name = cluster.segment.name_of(mac).unwrap_or("nobody here");
                Err(Unmet::new(format!("{mac} ({name})")).suspecting(agent_of(&node.name)))
            }
            None => Err(Unmet::new("no entry").suspecting(agent_of(&node.name))),
        }
    };
    progress.step("neighbour", &expected, work).await
}

/// Every request is answered.
pub(super) async fn requests(
    cluster: &mut Cluster,
    progress: &mut Progress,
    target: Target,
) -> Result<(), Unmet> {
    let Target { address, port } = target;
    let url = url(address, port);
    let expected = format!("{REQUESTS} requests to {url} are answered");
    let work = async {
        let attempts = cluster.fetch(address, port, REQUESTS).await?;
        let answers: Vec<_> = attempts
            .iter()
            .filter_map(|a| a.outcome.as_deref().ok())
            .collect();
        let backends: BTreeSet<_> = answers.iter().copied().collect();
        let backends = backends.into_iter().collect::<Vec<_>>().join(", ");
        let slowest = attempts
            .iter()
            .map(|attempt| attempt.took)
            .max()
            .unwrap_or_default();
        let seen = format!(
            "{} of {REQUESTS} at {url} by {backends} within {:.1} ms",
            answers.len(),
            slowest.as_secs_f64() * 1000.0
        );
        if answers.len() == attempts.len() {
            return Ok(((), seen));
        }
        let failure = attempts
            .iter()
            .find_map(|attempt| attempt.outcome.as_ref().err());
        Err(Unmet::new(format!(
            "{seen}; {}",
            failure.map_or("", String::as_str)
        )))
    };
    progress.step("answered", &expected, work).await
}
