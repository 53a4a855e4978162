//! The agent's tasks: watches, peers, the provider, and the loop that draws conclusions.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use axum::Router;
use herald_layer2::Layer2;
use herald_spi::{Announcer as _, NodeName, Pulse, Report, Time};
use k8s_openapi::{
    api::{
        core::v1::{Node, Service},
        discovery::v1::EndpointSlice,
    },
    jiff::Timestamp,
};
use kube::{Api, Client, runtime::watcher};
use prometheus_client::registry::Registry;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::{
    account::{Beside, Since, account},
    check::{Checks, Outcome},
    dropped::{self, Dropped},
    events,
    facts::Watch,
    host,
    keys::Source,
    kube_proxy,
    lookup::{self, Published},
    memory::{self, Memory},
    metrics::Metrics,
    mind::Mind,
    moves::{Allowance, Move},
    prompt,
    report::{self, Account},
    soundness,
    survey::{self, Held, Order},
};
use crate::{
    api::{AddressAllocation, AddressPool, AgentFacts, HostFacts, WireSurvey},
    cluster::{self, Reachability, pump},
    footprint,
    membership::{self, Incarnation, Peers, Setup, View},
    telemetry::{self, Health},
};

/// How the agent runs.
#[derive(Clone, Debug)]
pub struct Options {
    /// The node's name in the cluster.
    pub node: NodeName,
    /// Where the Secret with the heartbeat keys lives.
    pub namespace: String,
    /// A file with the heartbeat keys, instead of the Secret.
    pub peer_key_file: Option<PathBuf>,
    /// The UDP port of the heartbeats.
    pub peer_port: u16,
    /// Where to remember what is known. Left out: a file in `/run/herald`.
    pub state_file: Option<PathBuf>,
    /// How often the heartbeats come, and how long a silence means death.
    pub times: membership::Config,
    /// Where `/livez`, `/readyz` and `/metrics` are served.
    pub http: SocketAddr,
}

/// Watch events that wait for the loop; a full channel slows the watches down.
const INBOX: usize = 1024;
/// Objects are listed so many at a time. A page is read whole, with all that the agent keeps nothing of, and the memory
/// that it takes for a moment stays with the process.
const PAGE: u32 = 100;
/// Reports of the provider that wait for the loop. It is read at once, so a full one means a stuck loop.
const REPORTS: usize = 16_384;
/// How long changes are gathered before conclusions are drawn.
const GATHER: Duration = Duration::from_millis(5);
/// How often kube-proxy is asked while a new address waits for it.
const ASK_KUBE_PROXY: Duration = Duration::from_millis(40);
/// The loop turns at least so often, to prove that it does.
const BEAT: Duration = Duration::from_secs(5);
/// Nothing is told of peers and addresses before there was time to hear of them.
const FIRST_REPORT: Duration = Duration::from_millis(1200);
/// How long handing over may take when told to stop.
const HAND_OVER: Duration = Duration::from_millis(1200);

/// Runs until `stop`, then hands over.
///
/// # Errors
/// When the agent cannot work at all: no `CAP_NET_RAW`, a port that is taken, ill keys; or when a task ends that
/// must not.
pub async fn run(client: Client, options: Options, stop: CancellationToken) -> anyhow::Result<()> {
    let mut registry = Registry::default();
    let metrics = Metrics::register(&mut registry);
    let health = Health::default();
    let listener = telemetry::bind(options.http).await?;
    info!(address = %listener.local_addr().context("no local address")?, node = %options.node, "serving health and metrics");
    let mut tasks = JoinSet::new();
    let (served, gate) = (health.clone(), telemetry::Gate::new(client.clone()));
    tasks.spawn(async move {
        let more = Router::new();
        if let Err(error) = telemetry::serve(listener, served, registry, more, gate).await {
            error!(%error, "the HTTP server ended");
        }
    });
    health.beat();

    let (report_sender, reports) = mpsc::channel(REPORTS);
    // Peers wait for a dead time after the last heartbeat, and have asked the wire by then.
    let times = &options.times;
    let lost_after = times.dead_after.saturating_sub(times.heartbeat);
    let pulse = Arc::new(Pulse::new(lost_after));
    let layer2 = start_layer2(report_sender, Arc::clone(&pulse))?;
    let _first_time = metrics.parts.layer2.set(layer2.counters());
    let origin = Instant::now();
    let state_file = options
        .state_file
        .unwrap_or_else(|| memory::file::usual(&options.node));
    let recalled = memory::file::recall(&state_file, &options.node).unwrap_or_default();
    let source = match &options.peer_key_file {
        Some(path) => Source::File(path.clone()),
        None => Source::Secret(client.clone(), options.namespace.clone()),
    };
    let read = tokio::select! {
        read = source.first() => read?,
        never = beating(&health) => never,
        () = stop.cancelled() => return Ok(()),
    };
    let setup = Setup {
        config: options.times,
        me: options.node.clone(),
        incarnation: incarnation(&recalled),
        keys: read.keys,
        port: options.peer_port,
        origin,
        pulse,
    };
    let silence = CancellationToken::new();
    prompt::tell();
    let (peers, mut hearing) = start_peers(setup, silence.clone()).await?;
    let _first_time = metrics.parts.peers.set(peers.counters());
    let rekeyed = peers.clone();
    tasks.spawn(source.follow(read.text, move |keys| rekeyed.set_keys(keys)));

    let (watch_sender, watches) = mpsc::channel(INBOX);
    watch(&client, &watch_sender, &mut tasks);
    drop(watch_sender);
    let (account_sender, accounts) = watch::channel(Arc::default());
    let (ask_sender, asked) = mpsc::channel(1);
    let (found_sender, found) = mpsc::channel(1);
    tasks.spawn(lookup::follow(client.clone(), asked, found_sender));
    let (move_sender, moves) = mpsc::channel(events::BACKLOG);
    tasks.spawn(events::publish(
        client.clone(),
        options.node.as_str().to_owned(),
        moves,
    ));
    tasks.spawn(report::keep(
        client,
        options.node.as_str().to_owned(),
        accounts,
    ));

    let (host_sender, host) = watch::channel(None);
    tasks.spawn(host::keep(host_sender));

    let (impaired_sender, impaired) = watch::channel(false);
    tasks.spawn(soundness::watch_kube_proxy(impaired_sender));
    let (memory_sender, memories) = watch::channel(Arc::default());
    let bursts = memories.clone();
    tasks.spawn(async { footprint::keep_small(bursts).await });
    tasks.spawn(memory::file::keep(
        state_file,
        options.node.clone(),
        memories,
        memory::file::Pace::default(),
    ));

    let (order_sender, orders) = mpsc::channel(1);
    let (held_sender, held) = watch::channel(Held::default());
    let (survey_sender, surveyed) = watch::channel(None);
    tasks.spawn(survey::keep(orders, held, survey_sender));

    let view = peers.view();
    let mind = Mind::new(options.node, view.borrow().clone(), recalled);
    peers.set_nodes(mind.node_addresses());
    let turning = Turning {
        mind,
        layer2,
        peers,
        view,
        watches,
        reports,
        host,
        impaired,
        account: account_sender,
        memory: memory_sender,
        moves: move_sender,
        ask_about_strangers: ask_sender,
        found,
        allowance: Allowance::default(),
        dropped: Dropped::default(),
        orders: order_sender,
        held: held_sender,
        surveyed,
        surveying: false,
        metrics,
        health,
        origin,
        since: Since::new(),
        dirty: true,
        settled: false,
    };
    let ending = stop.child_token();
    let _with_this_function = ending.clone().drop_guard();
    let mut deciding = prompt::run("decisions", move || turning.turn(ending))?;
    let result = tokio::select! {
        result = &mut deciding => result.context("the decisions ended")?,
        Some(_) = tasks.join_next() => Err(anyhow::anyhow!("a task that must not end has ended")),
        _ = &mut hearing => Err(anyhow::anyhow!("the heartbeats ended")),
    };
    silence.cancel();
    let _said_goodbye = time::timeout(Duration::from_millis(200), hearing).await;
    result
}

/// Starts the heartbeats. The receiver is told when they end.
async fn start_peers(
    setup: Setup,
    silence: CancellationToken,
) -> anyhow::Result<(Peers, oneshot::Receiver<()>)> {
    let (start, started) = oneshot::channel();
    let speaking = async move || match Peers::start(setup, silence) {
        Ok((peers, speaking)) => {
            let _given_up = start.send(Ok(peers));
            let _said_goodbye = speaking.await;
        }
        Err(error) => {
            let _given_up = start.send(Err(error));
        }
    };
    let ended = prompt::run("heartbeats", speaking)?;
    Ok((started.await.context("the heartbeats ended")??, ended))
}

fn start_layer2(reports: mpsc::Sender<Report>, pulse: Arc<Pulse>) -> anyhow::Result<Layer2> {
    let sink = move |report| {
        // The loop is gone, or so far behind that losing an answer is the least of it: the question is put again.
        let _lost = reports.try_send(report);
    };
    let options = herald_layer2::Options {
        pulse,
        ..herald_layer2::Options::default()
    };
    Layer2::start(options, sink).context("cannot announce on this node")
}

/// Waiting is no being stuck.
async fn beating(health: &Health) -> ! {
    loop {
        health.beat();
        time::sleep(BEAT).await;
    }
}

fn incarnation(recalled: &Memory) -> Incarnation {
    let now = Timestamp::now().as_microsecond();
    let last = Some(Incarnation(recalled.incarnation));
    Incarnation::starting(u64::try_from(now).unwrap_or(1), last)
}

fn watch(client: &Client, sender: &mpsc::Sender<Watch>, tasks: &mut JoinSet<()>) {
    let reachability = Reachability::default();
    let config = || watcher::Config::default().page_size(PAGE);
    let balancers = config().fields("spec.type=LoadBalancer");
    let of_services = config().labels("kubernetes.io/service-name,!service.kubernetes.io/headless");
    macro_rules! pump {
        ($kind:ty, $config:expr, $project:expr, $wrap:expr) => {
            let api: Api<$kind> = Api::all(client.clone());
            tasks.spawn(pump(
                api,
                $config,
                $project,
                $wrap,
                sender.clone(),
                reachability.clone(),
            ));
        };
    }
    let service = |object: &Service| cluster::service(object).map(Into::into);
    let lock = |object: &AddressAllocation| cluster::allocation(object).map(Into::into);
    pump!(Service, balancers, service, Watch::Services);
    let pools = |change| Watch::Pools(Box::new(change));
    pump!(AddressPool, config(), cluster::pool, pools);
    pump!(AddressAllocation, config(), lock, Watch::Locks);
    pump!(Node, config(), cluster::node, Watch::Nodes);
    pump!(EndpointSlice, of_services, cluster::slice, Watch::Slices);
}

struct Turning {
    mind: Mind,
    layer2: Layer2,
    peers: Peers,
    view: watch::Receiver<Arc<View>>,
    watches: mpsc::Receiver<Watch>,
    reports: mpsc::Receiver<Report>,
    host: watch::Receiver<Option<HostFacts>>,
    impaired: watch::Receiver<bool>,
    account: watch::Sender<Arc<Account>>,
    memory: watch::Sender<Arc<Memory>>,
    moves: mpsc::Sender<Move>,
    ask_about_strangers: mpsc::Sender<()>,
    found: mpsc::Receiver<Published>,
    allowance: Allowance,
    dropped: Dropped,
    orders: mpsc::Sender<Order>,
    held: watch::Sender<Held>,
    surveyed: watch::Receiver<Option<WireSurvey>>,
    surveying: bool,
    metrics: Metrics,
    health: Health,
    origin: Instant,
    since: Since,
    dirty: bool,
    settled: bool,
}

impl Turning {
    async fn turn(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut leaving_until: Option<Instant> = None;
        let mut next_question = Instant::now();
        loop {
            let next_check = self
                .mind
                .next_check()
                .map(|at| self.origin + at.since_start());
            self.health.beat();
            let dropped = dropped::counts(&self.peers.counters());
            self.dirty |= self.dropped.notice(self.now(), Timestamp::now(), dropped);
            if self.dirty {
                self.gather().await;
                self.conclude();
            }
            if leaving_until.is_some_and(|until| self.mind.output.done || Instant::now() >= until) {
                info!("handed over");
                return Ok(());
            }
            let deadline = self.deadline(leaving_until);
            tokio::select! {
                watch = self.watches.recv() => self.watch(watch.context("the watches ended")?),
                report = self.reports.recv() => self.report(report.context("the layer 2 thread ended")?),
                changed = self.view.changed() => {
                    changed.context("the heartbeats ended")?;
                    self.look_at_peers();
                }
                found = self.found.recv() => {
                    self.dirty |= self.mind.learn_macs(found.context("looking up nodes ended")?);
                }
                changed = self.host.changed() => {
                    changed.context("looking at the host ended")?;
                    self.dirty = true;
                }
                changed = self.surveyed.changed() => {
                    changed.context("asking the wire ended")?;
                    self.dirty = true;
                }
                changed = self.impaired.changed() => {
                    changed.context("asking kube-proxy ended")?;
                    let impaired = *self.impaired.borrow_and_update();
                    self.mind.set_impaired(impaired);
                    self.peers.set_impaired(impaired);
                    self.dirty = true;
                }
                () = time::sleep_until(next_question), if self.mind.waits_for_kube_proxy() => {
                    let metrics = kube_proxy::ask(kube_proxy::ADDRESS, kube_proxy::METRICS).await;
                    let now = self.now();
                    self.dirty |= self.mind.kube_proxy(now, metrics.as_deref());
                    next_question = Instant::now() + ASK_KUBE_PROXY;
                }
                () = time::sleep_until(next_check.unwrap_or_else(Instant::now)), if next_check.is_some() => self.check(),
                () = stop.cancelled(), if leaving_until.is_none() => {
                    let now = self.now();
                    self.mind.leave(now);
                    self.peers.leave();
                    self.dirty = true;
                    leaving_until = Some(Instant::now() + HAND_OVER);
                }
                () = time::sleep_until(deadline) => self.dirty = true,
                () = time::sleep(BEAT) => {}
            }
        }
    }

    fn now(&self) -> Time {
        Time::from_start(self.origin.elapsed())
    }

    fn deadline(&self, leaving_until: Option<Instant>) -> Instant {
        let next = self.origin + self.mind.next_deadline().since_start();
        let first_report = Some(self.origin + FIRST_REPORT).filter(|at| *at > Instant::now());
        [leaving_until, first_report]
            .into_iter()
            .flatten()
            .fold(next, Instant::min)
    }

    /// Lets changes that come together be seen together.
    async fn gather(&mut self) {
        time::sleep(GATHER).await;
        while let Ok(watch) = self.watches.try_recv() {
            self.watch(watch);
        }
        while let Ok(report) = self.reports.try_recv() {
            self.report(report);
        }
        if self.view.has_changed().unwrap_or(false) {
            self.look_at_peers();
        }
    }

    fn watch(&mut self, watch: Watch) {
        self.dirty |= self.mind.watch(watch);
        self.peers.set_nodes(self.mind.node_addresses());
    }

    /// Checks change nothing that placement decides by.
    fn check(&mut self) {
        let now = self.now();
        if let Some(desired) = self.mind.check(now) {
            self.layer2.set_desired(Arc::new(desired));
        }
        self.dirty |= self.mind.checks.take_changed();
    }

    fn report(&mut self, report: Report) {
        let links = matches!(report, Report::Links(_));
        let now = self.now();
        if matches!(&report, Report::Answered { question, .. } if Checks::asked(*question)) {
            if let Some(finding) = self.mind.checked(now, &report) {
                self.metrics.checked(finding.outcome);
            }
            self.dirty |= self.mind.checks.take_changed();
            return;
        }
        self.mind.report(now, report);
        if links {
            self.peers.set_links(self.mind.links.clone());
        }
        self.dirty = true;
    }

    fn look_at_peers(&mut self) {
        let view = self.view.borrow_and_update().clone();
        let now = self.now();
        for silence in self.mind.view(now, view) {
            self.metrics.detected(silence);
        }
        self.dirty = true;
    }

    fn conclude(&mut self) {
        self.dirty = false;
        let now = self.now();
        let clock = Timestamp::now();
        #[expect(
            clippy::cast_precision_loss,
            reason = "kube-proxy tells the time as a float too"
        )]
        let unix = clock.as_microsecond() as f64 / 1e6;
        let Some((desired, claims)) = self.mind.conclude(now, unix) else {
            return;
        };
        self.layer2.set_desired(Arc::new(desired));
        self.peers.set_silent(self.mind.silent_links());
        self.peers.set_claims(claims);
        self.tell_moves(now);
        self.survey(now);
        if self.mind.asks_about_strangers(now) {
            // A question that waits is as good as this one.
            let _waiting = self.ask_about_strangers.try_send(());
        }
        if std::mem::replace(&mut self.settled, self.mind.output.settled) != self.settled {
            self.peers.set_settled(self.settled);
        }
        self.health.set_ready(self.mind.ready());
        self.memory.send_if_modified(|known| {
            let memory = self.mind.remember();
            let changed = !Arc::ptr_eq(known, memory);
            *known = Arc::clone(memory);
            changed
        });
        if self.origin.elapsed() < FIRST_REPORT {
            return;
        }
        let host = self.host.borrow_and_update().clone();
        let beside = Beside {
            host,
            agent: AgentFacts {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                key: self.peers.key_id(),
                dropped: self.dropped.tell(),
                kube_proxy_unhealthy: *self.impaired.borrow(),
            },
            survey: self.surveyed.borrow_and_update().clone(),
        };
        let account = account(&self.mind, beside, now, clock, &mut self.since);
        self.metrics.survey(&account);
        self.metrics
            .disagree(self.mind.peers_not_ready(), self.mind.peers_silent());
        let failing = self.mind.checks.failing();
        let doubled = failing.filter(|(.., outcome)| matches!(outcome, Outcome::WrongMac(_)));
        self.metrics.doubled(doubled.count());
        // What is only remembered is no news to the cluster.
        if !self.mind.is_told() {
            return;
        }
        self.account.send_if_modified(|known| {
            let changed = **known != account;
            if changed {
                *known = Arc::new(account);
            }
            changed
        });
    }

    /// Lets the wire be asked, and tells what is held as long as that goes on.
    fn survey(&mut self, now: Time) {
        let order = self.mind.survey(now, rand::random);
        let done = self.surveyed.borrow().as_ref().is_some_and(|it| it.done);
        self.surveying = order.is_some() || (self.surveying && !done);
        if self.surveying {
            self.held.send_replace(self.mind.held());
        }
        if let Some(order) = order {
            // One that waits is taken in a moment, and whoever asked may ask again.
            let _waiting = self.orders.try_send(order);
        }
    }

    fn tell_moves(&mut self, now: Time) {
        for told in self.mind.moves(now) {
            if let Some(without_owner) = told.without_owner {
                self.metrics.took_over(without_owner);
            }
            if self.allowance.take(now) {
                // A full queue means that the API server is away; the log has it.
                let _dropped = self.moves.try_send(told);
            }
        }
    }
}
