//! The controller's tasks: watches, election, the loop that decides, and the hands that write.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use herald_spi::{ServiceKey, Time};
use k8s_openapi::{
    api::core::v1::{Namespace, Service},
    jiff::Timestamp,
};
use kube::{Api, Client, runtime::watcher};
use prometheus_client::registry::Registry;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{self, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{
    Input, Outcome, Plan, Steward, events,
    execute::{Executor, Failure},
    metrics::Metrics,
    peer_key, pool_status,
    queue::Queue,
};
use crate::{
    api::{self, AddressAllocation, AddressPool},
    cluster::{self, Classes, Reachability, pump},
    lease::{Leadership, Terms, campaign},
    telemetry::{self, Health},
};

/// How the controller runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the Lease and the agents' key live.
    pub namespace: String,
    /// Which Services without a class are taken.
    pub classes: Classes,
    /// Where `/livez`, `/readyz` and `/metrics` are served.
    pub http: SocketAddr,
    /// This process among all controllers.
    pub identity: String,
}

/// Plans that are carried out at the same time.
const HANDS: usize = 32;
/// Watch events that wait for the loop; a full channel slows the watches down.
const INBOX: usize = 1024;
/// How often pool statuses and gauges are brought up to date, at most.
const SURVEY_EVERY: Duration = Duration::from_millis(500);

type Done = (Plan, Vec<Outcome>, Result<(), Failure>);

/// Runs until `stop`, then gives the Lease back.
///
/// # Errors
/// When the HTTP address is taken, or a task ends that must not.
pub async fn run(client: Client, options: Options, stop: CancellationToken) -> anyhow::Result<()> {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let health = Health::default();
    let listener = telemetry::bind(options.http).await?;
    info!(address = %listener.local_addr().context("no local address")?, "serving health and metrics");

    let mut tasks = JoinSet::new();
    let served = health.clone();
    tasks.spawn(async move {
        if let Err(error) = telemetry::serve(listener, served, registry).await {
            error!(%error, "the HTTP server ended");
        }
    });
    let (leadership, election) = campaign(
        client.clone(),
        &options.namespace,
        api::LEASE,
        &options.identity,
        Terms::default(),
        stop.clone(),
    );
    // In a set of its own: it outlives the others by the moment that giving the Lease back takes.
    let mut electing = JoinSet::new();
    electing.spawn(election);
    let (herald, publisher) = events::publisher(client.clone(), options.identity.clone());
    tasks.spawn(publisher);
    let (sender, inbox) = mpsc::channel(INBOX);
    watch(&client, &sender, &mut tasks);
    drop(sender);

    let executor = Executor::new(client.clone(), leadership.clone());
    let mut mind = Mind {
        steward: Steward::new(options.classes),
        queue: Queue::default(),
        executor,
        herald,
        metrics,
        health,
        leadership,
        active: false,
        started: Instant::now(),
        hands: JoinSet::new(),
        survey_due: true,
        surveying: JoinSet::new(),
        peer_key: (client, options.namespace, JoinSet::new()),
    };
    let result = tokio::select! {
        // Told to stop, everything ends; then no end is a fault.
        biased;
        () = stop.cancelled() => Ok(()),
        () = mind.turn(inbox) => Err(anyhow::anyhow!("the watches ended")),
        Some(_) = tasks.join_next() => Err(anyhow::anyhow!("a task that must not end has ended")),
        _ = electing.join_next() => Err(anyhow::anyhow!("the election ended")),
    };
    drop(mind);
    let _given_back = time::timeout(Duration::from_millis(1500), electing.join_next()).await;
    result
}

fn watch(client: &Client, sender: &mpsc::Sender<Input>, tasks: &mut JoinSet<()>) {
    let reachability = Reachability::default();
    let config = || watcher::Config::default().page_size(500);
    let balancers = config().fields("spec.type=LoadBalancer");
    let services: Api<Service> = Api::all(client.clone());
    tasks.spawn(pump(
        services,
        balancers,
        cluster::service,
        Input::Services,
        sender.clone(),
        reachability.clone(),
    ));
    let pools: Api<AddressPool> = Api::all(client.clone());
    tasks.spawn(pump(
        pools,
        config(),
        cluster::pool,
        Input::Pools,
        sender.clone(),
        reachability.clone(),
    ));
    let locks: Api<AddressAllocation> = Api::all(client.clone());
    tasks.spawn(pump(
        locks,
        config(),
        cluster::allocation,
        Input::Allocations,
        sender.clone(),
        reachability.clone(),
    ));
    let namespaces: Api<Namespace> = Api::all(client.clone());
    tasks.spawn(pump(
        namespaces,
        config(),
        cluster::namespace,
        Input::Namespaces,
        sender.clone(),
        reachability.clone(),
    ));
}

struct Mind {
    steward: Steward,
    queue: Queue,
    executor: Executor,
    herald: events::Herald,
    metrics: Metrics,
    health: Health,
    leadership: Leadership,
    /// Leading, and everything has been read and adopted.
    active: bool,
    started: Instant,
    hands: JoinSet<Done>,
    survey_due: bool,
    surveying: JoinSet<bool>,
    peer_key: (Client, String, JoinSet<()>),
}

impl Mind {
    async fn turn(&mut self, mut inbox: mpsc::Receiver<Input>) {
        let mut survey = time::interval(SURVEY_EVERY);
        survey.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut leadership = self.leadership.clone();
        loop {
            self.health.beat();
            self.activate();
            self.put_hands_to_work();
            let due = self.queue.next_due().map(|due| due.since(self.now()));
            let due = async {
                match due {
                    Some(pause) => time::sleep(pause).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                input = inbox.recv() => match input {
                    Some(input) => self.hear(input),
                    None => return,
                },
                Some(done) = self.hands.join_next() => if let Ok(done) = done { self.done(done) },
                Some(clean) = self.surveying.join_next() => self.survey_due |= !clean.unwrap_or(false),
                Some(_) = self.peer_key.2.join_next() => {}
                changed = leadership.changed() => match changed {
                    Some(leads) => self.lead(leads),
                    None => return,
                },
                _ = survey.tick() => self.survey(),
                () = due => {}
            }
        }
    }

    fn now(&self) -> Time {
        Time::from_start(self.started.elapsed())
    }

    fn hear(&mut self, input: Input) {
        let look = self.steward.take(input);
        self.survey_due = true;
        self.look_at(look);
    }

    fn look_at(&mut self, services: BTreeSet<ServiceKey>) {
        if self.active {
            for key in services {
                self.queue.push(self.steward.seniority(&key), key);
            }
        }
    }

    fn lead(&mut self, leads: bool) {
        self.metrics.leads(leads);
        if leads {
            let (client, namespace, tasks) = &mut self.peer_key;
            tasks.spawn(peer_key::ensure(client.clone(), namespace.clone()));
        } else {
            self.active = false;
            self.steward.rest();
            self.queue.clear();
            self.peer_key.2.abort_all();
        }
    }

    /// Starts to decide once this process leads and every list has been read.
    fn activate(&mut self) {
        self.health.set_ready(self.steward.synced());
        if !self.active && self.leadership.holds() && self.steward.synced() {
            let look = self.steward.begin();
            info!(
                services = look.len(),
                locks = self.steward.locks(),
                "recorded addresses are adopted; serving"
            );
            self.active = true;
            self.survey_due = true;
            self.look_at(look);
        }
    }

    fn put_hands_to_work(&mut self) {
        let now = self.now();
        while self.active && self.hands.len() < HANDS {
            let Some(key) = self.queue.pop(now) else {
                return;
            };
            let plan = self.steward.plan(&key);
            if plan.is_empty() {
                self.queue.done(&key);
                continue;
            }
            let executor = self.executor.clone();
            self.hands.spawn(async move {
                let (outcomes, result) = executor.execute(&plan).await;
                (plan, outcomes, result)
            });
        }
    }

    fn done(&mut self, (plan, outcomes, result): Done) {
        let key = &plan.service;
        let mut look = BTreeSet::new();
        let mut cut_short = false;
        for outcome in outcomes {
            log(key, &outcome);
            cut_short |= matches!(outcome, Outcome::LockTaken { .. } | Outcome::Found(_));
            look.extend(self.steward.settle(outcome));
        }
        self.survey_due = true;
        match result {
            Ok(()) => {
                self.queue.done(key);
                if cut_short {
                    look.insert(key.clone());
                } else if let Some(notice) = plan.notice {
                    self.metrics.told(notice.verdict.reason.as_str());
                    info!(service = %key, reason = %notice.verdict.reason, "{}", notice.verdict.message);
                    self.herald.tell(plan.service.clone(), notice);
                }
            }
            Err(failure) => {
                self.metrics.failed();
                match failure {
                    Failure::Stale | Failure::NotLeading => {
                        debug!(service = %key, %failure, "again")
                    }
                    _ => warn!(service = %key, %failure, "not written; trying again"),
                }
                self.queue
                    .failed(self.now(), self.steward.seniority(key), key);
            }
        }
        self.look_at(look);
    }

    /// Brings pool statuses and gauges up to date; one round at a time.
    fn survey(&mut self) {
        if !std::mem::take(&mut self.survey_due) {
            return;
        }
        self.metrics.survey(&self.steward);
        if !self.active {
            return;
        }
        if !self.surveying.is_empty() {
            self.survey_due = true;
            return;
        }
        let outdated = pool_status::outdated(&self.steward, Timestamp::now());
        let executor = self.executor.clone();
        self.surveying.spawn(async move {
            let mut clean = true;
            for (pool, status) in outdated {
                if let Err(failure) = executor.write_pool_status(pool.as_str(), &status).await {
                    debug!(%pool, %failure, "pool status not written; trying again");
                    clean = false;
                }
            }
            clean
        });
    }
}

fn log(service: &ServiceKey, outcome: &Outcome) {
    match outcome {
        Outcome::Locked(lock) => debug!(%service, address = %lock.address, "locked"),
        Outcome::LockTaken { existing, .. } => {
            warn!(%service, address = %existing.address, "the address is already locked by another Service; choosing again");
        }
        Outcome::StatusWritten(_) => debug!(%service, "status written"),
        Outcome::Found(_) => debug!(%service, "still there"),
        Outcome::Unlocked { address, .. } => info!(%service, %address, "released"),
    }
}
