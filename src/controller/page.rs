//! The status page of a running controller: what is read for it, and the routes `/`, `/status.json`, `/pools.json`.
//!
//! ```text
//!   browser ──▶ routes ──Visit──▶ Desk ──Ask──▶ the main loop: Services, nodes, locks, as it knows them
//!                 ▲                │ └────────▶ API server: NodeAnnouncements, pools, Events, the Lease
//!                 └────Picture─────┘
//! ```
//!
//! Nothing is watched for the page: a cluster whose page nobody looks at pays nothing. What is read serves everybody
//! who looks within two seconds, however many they are, and is forgotten when nobody has looked for a minute. The
//! answer does not depend on who leads.

mod desk;
mod read;
mod routes;

use std::sync::Arc;

use axum::Router;
use kube::Client;
use tokio::sync::{mpsc, oneshot};

use crate::{
    page::Picture,
    world::{AllocationRecord, NodeRecord, ServiceRecord},
};

/// Somebody who waits for a picture, or for why there is none.
type Visit = oneshot::Sender<Result<Arc<Picture>, String>>;
/// A question to the main loop; it answers nothing until every list has been read once.
pub(super) type Ask = oneshot::Sender<Option<Known>>;

/// Visits that wait; more are sent away.
const WAITING: usize = 64;

/// What the main loop knows.
#[derive(Debug)]
pub(super) struct Known {
    /// Whether this controller leads.
    pub(super) leads: bool,
    pub(super) services: Vec<Arc<ServiceRecord>>,
    pub(super) nodes: Vec<Arc<NodeRecord>>,
    /// Those of addresses that another host was found to use.
    pub(super) locks: Vec<Arc<AllocationRecord>>,
}

/// The routes, the questions that the main loop must answer, and the task that reads for the page.
pub(super) fn open(
    client: Client,
    namespace: &str,
    identity: &str,
) -> (
    Router,
    mpsc::Receiver<Ask>,
    impl Future<Output = ()> + Send + use<>,
) {
    let (visits, inbox) = mpsc::channel(WAITING);
    let (asks, visitors) = mpsc::channel(1);
    let reader = read::Reader::new(client, namespace);
    let desk = desk::Desk::new(reader, identity, asks);
    (routes::routes(visits), visitors, desk.sit(inbox))
}
