//! Looking on the wire for hosts on a pool's free addresses, when somebody asks by the pool's annotation.
//!
//! ```text
//!   pools' annotations ──Desk──▶ Order ──channel──▶ keep ──▶ layer2's survey, one per interface
//!                                                    └──▶ WireSurvey ──▶ report
//! ```
//!
//! Of the agents that hear each other on a segment the one with the first name asks; the others tell that it does. What
//! has a lock, is announced, or is claimed by a peer is held, and is never asked for: the list of what is held is kept
//! up to date while a survey runs.

mod plan;

use std::{collections::BTreeSet, net::IpAddr, sync::Arc, time::Duration};

use futures::{StreamExt as _, stream::FuturesUnordered};
use herald_layer2::survey::{Found, Plan, survey};
use herald_spi::{Link, PoolName, Time};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::requests::Requests;
use crate::api::{Answered, DhcpOffer, SurveyedInterface, WireSurvey};
pub(super) use plan::{Job, jobs};

/// Requests for several pools come one after the other, and are one.
const GATHER: Duration = Duration::from_secs(1);
/// As many answers and offers as the report may hold.
const MOST_ANSWERS: usize = 100;
const MOST_OFFERS: usize = 16;
/// As many pools and interfaces.
const MOST_POOLS: usize = 100;
const MOST_INTERFACES: usize = 64;
const LONGEST_REQUEST: usize = 64;
const LONGEST_ERROR: usize = 256;

/// The addresses that are held now.
pub(super) type Held = Arc<BTreeSet<IpAddr>>;

/// Who asked for what. Pure.
#[derive(Debug, Default)]
pub(super) struct Desk {
    requests: Requests,
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    request: String,
    pools: BTreeSet<PoolName>,
    due: Time,
}

/// What to look for.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) request: String,
    pub(super) pools: BTreeSet<PoolName>,
    pub(super) jobs: Vec<Job>,
}

impl Desk {
    /// Takes in what all pools say now: only a value that changes is a request.
    pub(super) fn notice(&mut self, now: Time, pools: &[(&PoolName, Option<&str>)]) {
        let anew = self.requests.notice(now, pools.iter().copied());
        for (name, said) in pools.iter().filter(|(name, _)| anew.contains(name)) {
            let said = said.unwrap_or_default();
            let same = self
                .waiting
                .take()
                .filter(|waiting| waiting.request == said);
            let mut pools = same.map(|waiting| waiting.pools).unwrap_or_default();
            pools.insert((*name).clone());
            self.waiting = Some(Waiting {
                request: said.to_owned(),
                pools,
                due: now + GATHER,
            });
        }
    }

    /// When [`Self::due`] has something.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        Some(self.waiting.as_ref()?.due)
    }

    /// What is asked for, once nothing more comes: the request, and for which pools.
    pub(super) fn due(&mut self, now: Time) -> Option<(String, BTreeSet<PoolName>)> {
        let waiting = self.waiting.take_if(|waiting| waiting.due <= now)?;
        Some((waiting.request, waiting.pools))
    }
}

/// Carries orders out, the newest at once, until nobody gives any. What is found is told as it comes.
pub(super) async fn keep(
    mut orders: mpsc::Receiver<Order>,
    held: watch::Receiver<Held>,
    told: watch::Sender<Option<WireSurvey>>,
) {
    let mut next = orders.recv().await;
    while let Some(order) = next {
        info!(
            request = order.request,
            pools = order.pools.len(),
            interfaces = order.jobs.len(),
            "asking the wire"
        );
        let working = carry_out(order, &held, &told);
        next = tokio::select! {
            () = working => orders.recv().await,
            newer = orders.recv() => newer,
        };
    }
}

async fn carry_out(
    order: Order,
    held: &watch::Receiver<Held>,
    told: &watch::Sender<Option<WireSurvey>>,
) {
    let begun = WireSurvey {
        request: order.request.chars().take(LONGEST_REQUEST).collect(),
        done: false,
        pools: order
            .pools
            .iter()
            .take(MOST_POOLS)
            .map(ToString::to_string)
            .collect(),
        interfaces: order
            .jobs
            .iter()
            .take(MOST_INTERFACES)
            .map(Job::line)
            .collect(),
    };
    told.send_replace(Some(begun));
    let own = order.jobs.into_iter().take(MOST_INTERFACES).enumerate();
    let own = own.filter_map(|(at, job)| Some((at, job.link, job.plan?)));
    let mut running: FuturesUnordered<_> = own
        .map(|(at, link, plan)| ask(at, link, plan, held, told))
        .collect();
    while running.next().await.is_some() {}
    told.send_modify(|told| {
        if let Some(told) = told {
            told.done = true;
        }
    });
}

/// Asks on one link, and keeps its line of the report.
async fn ask(
    at: usize,
    link: Link,
    plan: Plan,
    held: &watch::Receiver<Held>,
    told: &watch::Sender<Option<WireSurvey>>,
) {
    let is_held = |address| held.borrow().contains(&address);
    let tell = |found: &Found| amend(told, at, |line| fill(line, found));
    match survey(&link, plan, is_held, tell).await {
        Ok(found) => {
            for (address, mac) in &found.answered {
                warn!(reason = "AddressAnswered", %address, %mac, interface = link.name,
                    "a host has a free address of a pool; take it from that host, or exclude it from the pool");
            }
            for offer in &found.offers {
                info!(server = %offer.server, address = %offer.address, interface = link.name, "a DHCP server offers an address");
            }
            amend(told, at, |line| fill(line, &found));
        }
        Err(error) => {
            warn!(interface = link.name, reason = error.reason(), %error, "cannot ask the wire");
            let error: String = error.to_string().chars().take(LONGEST_ERROR).collect();
            amend(told, at, |line| line.error = Some(error));
        }
    }
}

fn amend(
    told: &watch::Sender<Option<WireSurvey>>,
    at: usize,
    change: impl FnOnce(&mut SurveyedInterface),
) {
    told.send_modify(|told| {
        if let Some(line) = told.as_mut().and_then(|told| told.interfaces.get_mut(at)) {
            change(line);
        }
    });
}

fn fill(line: &mut SurveyedInterface, found: &Found) {
    line.asked = u32::try_from(found.asked).unwrap_or(u32::MAX);
    let answered = found.answered.iter().take(MOST_ANSWERS);
    line.answered = answered
        .map(|(address, mac)| Answered {
            address: address.to_string(),
            mac: mac.to_string(),
        })
        .collect();
    let offers = found.offers.iter().take(MOST_OFFERS);
    line.offers = offers
        .map(|offer| DhcpOffer {
            server: offer.server.to_string(),
            mac: offer.mac.to_string(),
            address: offer.address.to_string(),
        })
        .collect();
}
