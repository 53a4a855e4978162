//! The controller's tasks: watches, election, the loop that decides, and the hands that write.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use herald_spi::{ServiceKey, Time};
use k8s_openapi::jiff::Timestamp;
use kube::{Api, Client, Resource, runtime::watcher};
use prometheus_client::registry::Registry;
use serde::de::DeserializeOwned;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{self, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{
    Input, Left, Notice, Outcome, Plan, Steward, cloud, events,
    execute::{Executor, Failure},
    metrics::Metrics,
    page, peer_key, pool_status,
    queue::Queue,
};
use crate::{
    api::{self, NodePortPolicy},
    cluster::{self, Classes, Reachability, pump},
    lease::{Leadership, Terms, campaign},
    telemetry::{self, Health},
    world::Change,
};

/// How the controller runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the Lease and the agents' key live.
    pub namespace: String,
    /// Which Services without a class are taken, and who serves them.
    pub classes: Classes,
    /// Whether node ports are kept where neither the Service nor its pool says.
    pub node_ports: NodePortPolicy,
    /// Where `/livez`, `/readyz`, `/metrics` and the status page are served.
    pub http: SocketAddr,
    /// This process among all controllers.
    pub identity: String,
    /// The part that makes balancers in AWS; `None`: there is none.
    pub cloud: Option<cloud::Options>,
}

/// Plans that are carried out at the same time.
const HANDS: usize = 32;
/// Watch events that wait for the loop; a full channel slows the watches down.
const INBOX: usize = 1024;
/// Objects in one answer of a list: each is held whole until the answer is read.
const PAGE: u32 = 200;
/// How often pool statuses and gauges are brought up to date, at most.
const SURVEY_EVERY: Duration = Duration::from_millis(500);
/// How long the clock is trusted to go on evenly: it may be set at any time.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

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
    info!(address = %listener.local_addr().context("no local address")?, "serving health, metrics and the status page");

    let mut tasks = JoinSet::new();
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
    let watches = Watches {
        client: client.clone(),
        sender,
        reachability: Reachability::default(),
    };
    watches.spawn_all(&mut tasks);

    let executor = Executor::new(client.clone(), leadership.clone());
    let beside_cloud = options.cloud.is_some();
    if let Some(cloud) = options.cloud {
        let surroundings = cloud::Surroundings {
            client: client.clone(),
            leadership: leadership.clone(),
            executor: executor.clone(),
            herald: herald.clone(),
            told: metrics.clone(),
            reachability: watches.reachability.clone(),
            classes: options.classes,
            node_ports: options.node_ports,
        };
        tasks.spawn(cloud::run(surroundings, cloud, &mut registry));
    }
    let (page, visitors, reading) =
        page::open(client.clone(), &options.namespace, &options.identity);
    tasks.spawn(reading);
    let (served, gate) = (health.clone(), telemetry::Gate::new(client.clone()));
    tasks.spawn(async move {
        if let Err(error) = telemetry::serve(listener, served, registry, page, gate).await {
            error!(%error, "the HTTP server ended");
        }
    });
    let mut mind = Mind {
        steward: Steward::new(options.classes)
            .with_node_ports(options.node_ports)
            .beside_cloud(beside_cloud),
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
        watches,
        endpoints: JoinSet::new(),
        visitors,
    };
    let ended = tokio::select! {
        () = stop.cancelled() => Ok(()),
        () = mind.turn(inbox) => Err(anyhow::anyhow!("the watches ended")),
        Some(_) = tasks.join_next() => Err(anyhow::anyhow!("a task that must not end has ended")),
        _ = electing.join_next() => Err(anyhow::anyhow!("the election ended")),
    };
    // Told to stop, everything ends; then no end is a fault, whichever was noticed first.
    let result = if stop.is_cancelled() { Ok(()) } else { ended };
    drop(mind);
    let _given_back = time::timeout(Duration::from_millis(1500), electing.join_next()).await;
    result
}

/// What it takes to start a watch.
struct Watches {
    client: Client,
    sender: mpsc::Sender<Input>,
    reachability: Reachability,
}

impl Watches {
    fn spawn_all(&self, tasks: &mut JoinSet<()>) {
        let config = || watcher::Config::default().page_size(PAGE);
        let balancers = config().fields("spec.type=LoadBalancer");
        self.spawn(tasks, balancers, cluster::service, Input::Services);
        self.spawn(tasks, config(), cluster::pool, Input::Pools);
        self.spawn(tasks, config(), cluster::allocation, Input::Allocations);
        self.spawn(tasks, config(), cluster::namespace, Input::Namespaces);
        self.spawn(tasks, config(), cluster::node, Input::Nodes);
        self.spawn(tasks, config(), cluster::host, Input::Hosts);
    }

    /// Endpoints are many, and only a Service that is served on nodes with an endpoint needs them.
    fn spawn_endpoints(&self, tasks: &mut JoinSet<()>) {
        let of_services = watcher::Config::default()
            .page_size(500)
            .labels("kubernetes.io/service-name");
        self.spawn(tasks, of_services, cluster::slice, Input::Slices);
    }

    fn spawn<K, T>(
        &self,
        tasks: &mut JoinSet<()>,
        config: watcher::Config,
        project: fn(&K) -> Option<T>,
        wrap: fn(Change<T>) -> Input,
    ) where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
        T: Send + 'static,
    {
        tasks.spawn(pump(
            Api::<K>::all(self.client.clone()),
            config,
            project,
            wrap,
            self.sender.clone(),
            self.reachability.clone(),
        ));
    }
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
    watches: Watches,
    /// The watch on endpoints, once it is needed.
    endpoints: JoinSet<()>,
    /// Somebody looks at the status page.
    visitors: mpsc::Receiver<page::Ask>,
}

impl Mind {
    async fn turn(&mut self, mut inbox: mpsc::Receiver<Input>) {
        let mut survey = time::interval(SURVEY_EVERY);
        survey.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut leadership = self.leadership.clone();
        loop {
            self.health.beat();
            self.tick();
            self.activate();
            self.put_hands_to_work();
            let pause = self.pause();
            let due = async {
                match pause {
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
                Some(ask) = self.visitors.recv() => self.show(ask),
                () = due => {}
            }
        }
    }

    fn now(&self) -> Time {
        Time::from_start(self.started.elapsed())
    }

    /// How long nothing needs to be done if nothing is heard.
    fn pause(&self) -> Option<Duration> {
        let retry = self.queue.next_due().map(|due| due.since(self.now()));
        let clock = self.steward.next_due().map(|due| {
            let seconds = due.saturating_sub(Timestamp::now().as_second()).max(1);
            Duration::from_secs(seconds.unsigned_abs()).min(LONGEST_PAUSE)
        });
        retry.into_iter().chain(clock).min()
    }

    /// Lets the steward know what time it is.
    fn tick(&mut self) {
        let look = self.steward.tick(Timestamp::now().as_second());
        self.survey_due |= !look.is_empty();
        self.look_at(look);
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
        self.survey_due = true;
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
                break;
            };
            let plan = self.steward.plan(&key);
            let roused = self.steward.roused();
            self.look_at(roused);
            if plan.is_empty() {
                self.queue.done(&key);
                continue;
            }
            let executor = self.executor.clone();
            self.hands
                .spawn(async move { executor.execute(plan).await });
        }
        if self.steward.needs_endpoints() && self.endpoints.is_empty() {
            self.watches.spawn_endpoints(&mut self.endpoints);
        }
    }

    fn done(&mut self, (plan, outcomes, result): Done) {
        let key = &plan.service;
        for outcome in &outcomes {
            log(key, outcome);
        }
        let finished = self.steward.finish(&plan, outcomes, result.is_ok());
        self.survey_due = true;
        match result {
            Ok(()) => {
                self.queue.done(key);
                if !finished.cut_short {
                    self.announce(&plan.service, plan.notices);
                }
            }
            Err(failure) => {
                self.metrics.failed();
                match failure {
                    Failure::Stale(_) | Failure::NotLeading => {
                        debug!(service = %key, %failure, "again")
                    }
                    _ => warn!(service = %key, %failure, "not written; trying again"),
                }
                self.queue
                    .failed(self.now(), self.steward.seniority(key), key);
            }
        }
        self.look_at(finished.look);
    }

    /// Hands out what is known, each record as it is: nothing is copied.
    fn show(&self, ask: page::Ask) {
        let known = self.steward.synced().then(|| page::Known {
            leads: self.leadership.holds(),
            services: self.steward.services().cloned().collect(),
            nodes: self.steward.nodes().cloned().collect(),
            locks: self.steward.foreign_locks().cloned().collect(),
        });
        // Whoever asked may be gone.
        drop(ask.send(known));
    }

    fn announce(&self, service: &ServiceKey, notices: Vec<Notice>) {
        for notice in notices {
            self.metrics.told(notice.verdict.reason.as_str());
            info!(%service, reason = %notice.verdict.reason, "{}", notice.verdict.message);
            self.herald.tell(service.clone(), notice);
        }
    }

    /// Brings pool statuses and gauges up to date; one round at a time.
    fn survey(&mut self) {
        if !std::mem::take(&mut self.survey_due) {
            return;
        }
        self.metrics.survey(&self.steward, self.active);
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
        Outcome::Locked(lock) => debug!(%service, lock = %lock.key, "locked"),
        Outcome::LockTaken(existing) => {
            info!(%service, lock = %existing.key, "the lock is not as was thought; choosing again");
        }
        Outcome::LockGone { key, .. } => {
            debug!(%service, lock = %key, "the lock is gone; choosing again")
        }
        Outcome::StatusWritten(_) => debug!(%service, "status written"),
        Outcome::NodePortsSwitched(record) => {
            info!(%service, on = record.allocates_node_ports, "node ports switched");
        }
        Outcome::Ended => debug!(%service, "gone"),
        Outcome::Found(_) => debug!(%service, "still there"),
        Outcome::Unlocked {
            key,
            left: Left::Memory | Left::Deleted(_),
            ..
        } => info!(%service, lock = %key, "released"),
        Outcome::Unlocked {
            key,
            left: Left::Remains(lock),
            ..
        } if lock.holders.is_empty() => match &lock.foreign_use {
            Some(foreign) => {
                info!(%service, lock = %key, mac = %foreign.mac, "in quarantine: another host has it");
            }
            None => info!(%service, lock = %key, "kept for its return"),
        },
        Outcome::Unlocked { key, .. } => info!(%service, lock = %key, "left to those who share it"),
    }
}
