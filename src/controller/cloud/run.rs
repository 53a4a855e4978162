//! The tasks of the cloud's part: watches, shared reads, and the hands that take turns.

use std::{
    collections::BTreeSet,
    fmt::{self, Debug},
    sync::Arc,
    time::Duration,
};

use futures::future::BoxFuture;
use herald_aws::{
    Call, Failure, Inventory, Moment, Network, NetworkCache, Node, Reply, Settings, Site, Sought,
    Verdict,
};
use herald_spi::ServiceKey;
use kube::{Api, Client, Resource, runtime::watcher};
use prometheus_client::registry::Registry;
use serde::de::DeserializeOwned;
use tokio::{sync::mpsc, task::JoinSet, time};
use tracing::{debug, error, info, warn};

use super::{
    Aws, Clock,
    desk::{Calls, Desk},
    facts::{Dirty, Facts, Input},
    job::{self, Done, End, Job, Task, Tools},
    metrics::{Attempts, Metrics},
    round,
    shared::{READ_AGAIN, Shared},
    sweep::Sweep,
};
use crate::{
    api::NodePortPolicy,
    cluster::{self, Classes, Reachability, pump},
    controller::{
        charge::{Charge, charge},
        events::Herald,
        execute::Executor,
        metrics::Metrics as Told,
        node_ports::Wish,
        request::may_adopt,
    },
    lease::Leadership,
    world::{AwsService, Change, Keyed as _},
};

/// How the cloud's part runs.
#[derive(Clone)]
pub struct Options {
    /// AWS.
    pub aws: Arc<dyn Aws>,
    /// What the operator says once for all Services.
    pub settings: Settings,
    /// The VPC; `None`: that of the nodes.
    pub vpc: Option<String>,
    /// Its time.
    pub clock: Clock,
    /// What whoever makes the calls counts.
    pub attempts: Attempts,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { settings, vpc, .. } = self;
        f.debug_struct("Options")
            .field("settings", settings)
            .field("vpc", vpc)
            .finish_non_exhaustive()
    }
}

/// What the cloud's part shares with the rest of the controller.
pub(in crate::controller) struct Surroundings {
    pub(in crate::controller) client: Client,
    pub(in crate::controller) leadership: Leadership,
    pub(in crate::controller) executor: Executor,
    pub(in crate::controller) herald: Herald,
    pub(in crate::controller) told: Told,
    pub(in crate::controller) reachability: Reachability,
    pub(in crate::controller) classes: Classes,
    pub(in crate::controller) node_ports: NodePortPolicy,
}

/// Turns at the same time.
const HANDS: usize = 16;
/// Watch events that wait; a full channel slows the watches down.
const INBOX: usize = 1024;
const PAGE: u32 = 200;
/// No call to AWS takes longer.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Surveys of the region are so many seconds apart, more or less.
const SURVEY_EVERY: u64 = 2700;
/// The second one comes sooner: whoever is to be deleted then need not wait for it.
const SURVEY_SOON: u64 = 300;
/// Who deletes may want one sooner, but not sooner than this after the last.
const SURVEY_AT_MOST: u64 = 300;
/// An orphan is told of after two surveys.
const SWEEP_AFTER: u64 = 960;
/// A turn whose Service is behind what was written is put off by so much.
const CATCH_UP: u64 = 1;

/// Runs for ever.
pub(in crate::controller) fn run(
    surroundings: Surroundings,
    options: Options,
    registry: &mut Registry,
) -> impl Future<Output = ()> + Send + use<> {
    let metrics = Metrics::register(registry, &options.attempts);
    let aws = Guarded {
        aws: options.aws,
        leadership: surroundings.leadership.clone(),
    };
    let (cluster, vpc) = (options.settings.cluster.clone(), options.vpc);
    let mind = Mind {
        tools: Tools {
            aws: Arc::new(aws),
            executor: surroundings.executor.clone(),
            settings: Arc::new(options.settings),
            clock: options.clock,
        },
        metrics,
        surroundings,
        facts: Facts::default(),
        desk: Desk::default(),
        active: false,
        hands: JoinSet::new(),
        reads: JoinSet::new(),
        survey: Shared::default(),
        cache: NetworkCache::new(&cluster, vpc.as_deref()),
        vpc,
        reading_network: false,
        network_fault: None,
        network: None,
        nodes: Arc::default(),
        sought: Sought::default(),
        sweep: Sweep::default(),
    };
    mind.turn()
}

/// AWS, for the leader alone and in bounded time.
struct Guarded {
    aws: Arc<dyn Aws>,
    leadership: Leadership,
}

impl Guarded {
    fn check(&self) -> Result<(), Failure> {
        if self.leadership.holds() {
            Ok(())
        } else {
            Err(unheard("this controller no longer leads"))
        }
    }
}

fn unheard(why: &str) -> Failure {
    Failure::new(Failure::NO_ANSWER, why)
}

fn too_long<T>(_: time::error::Elapsed) -> Result<T, Failure> {
    Err(unheard(&format!(
        "AWS did not answer within {CALL_TIMEOUT:?}"
    )))
}

impl Aws for Guarded {
    fn execute(&self, call: Call) -> BoxFuture<'_, Result<Reply, Failure>> {
        Box::pin(async move {
            self.check()?;
            debug!(%call, "calling AWS");
            time::timeout(CALL_TIMEOUT, self.aws.execute(call))
                .await
                .unwrap_or_else(too_long)
        })
    }
}

/// A shared read that is over.
enum Read {
    Survey(Moment, Result<Inventory, Verdict>),
    Network(Result<Site, Verdict>),
}

struct Mind {
    tools: Tools,
    metrics: Metrics,
    surroundings: Surroundings,
    facts: Facts,
    desk: Desk,
    /// Leading, and every list has been read.
    active: bool,
    hands: JoinSet<Done>,
    reads: JoinSet<Read>,
    survey: Shared<Inventory>,
    cache: NetworkCache,
    vpc: Option<String>,
    reading_network: bool,
    /// Why there is no network yet.
    network_fault: Option<Verdict>,
    network: Option<Arc<Network>>,
    nodes: Arc<Vec<Node>>,
    /// The instances of the nodes.
    sought: Sought,
    sweep: Sweep,
}

impl Mind {
    async fn turn(mut self) {
        let (sender, mut inbox) = mpsc::channel(INBOX);
        let mut watches = JoinSet::new();
        self.watch(&mut watches, sender);
        let mut leadership = self.surroundings.leadership.clone();
        loop {
            self.activate();
            self.read_what_is_shared();
            self.put_hands_to_work();
            let pause = self.pause();
            tokio::select! {
                input = inbox.recv() => match input {
                    Some(input) => self.hear(input),
                    None => return,
                },
                Some(done) = self.hands.join_next() => match done {
                    Ok(done) => self.done(done),
                    // Nobody knows what it was at; a process that begins anew looks.
                    Err(error) => return error!(%error, "a turn ended in the middle"),
                },
                Some(read) = self.reads.join_next() => match read {
                    Ok(read) => self.take_read(read),
                    Err(error) => return error!(%error, "a read of AWS ended in the middle"),
                },
                changed = leadership.changed() => match changed {
                    Some(true) => {}
                    Some(false) => self.rest().await,
                    None => return,
                },
                Some(_) = watches.join_next() => return,
                () = time::sleep(pause) => {}
            }
        }
    }

    fn watch(&self, tasks: &mut JoinSet<()>, sender: mpsc::Sender<Input>) {
        let config = || watcher::Config::default().page_size(PAGE);
        let balancers = config().fields("spec.type=LoadBalancer");
        let others = config().fields("spec.type!=LoadBalancer");
        let slices = config().labels("kubernetes.io/service-name");
        self.spawn(tasks, &sender, balancers, cluster::aws_service, |change| {
            Input::Services(Box::new(change))
        });
        self.spawn(tasks, &sender, others, cluster::aws_left, Input::Left);
        self.spawn(tasks, &sender, slices, cluster::aws_slice, Input::Slices);
        self.spawn(tasks, &sender, config(), cluster::aws_node, Input::Nodes);
    }

    fn spawn<K, T>(
        &self,
        tasks: &mut JoinSet<()>,
        sender: &mpsc::Sender<Input>,
        config: watcher::Config,
        project: fn(&K) -> Option<T>,
        wrap: fn(Change<T>) -> Input,
    ) where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
        T: Send + 'static,
    {
        tasks.spawn(pump(
            Api::<K>::all(self.surroundings.client.clone()),
            config,
            project,
            wrap,
            sender.clone(),
            self.surroundings.reachability.clone(),
        ));
    }

    fn now(&self) -> Moment {
        self.tools.clock.now()
    }

    /// How long nothing is due.
    fn pause(&self) -> Duration {
        const LONGEST: Duration = Duration::from_secs(60);
        if !self.active {
            return LONGEST;
        }
        let busy = self.hands.len() >= HANDS;
        let turn = self.desk.next_due().filter(|_| !busy);
        let survey = (self.wants_surveys() && !self.survey.reading).then_some(self.survey.due);
        let network = self.wants_network() && !self.reading_network;
        let network = network.then(|| self.cache.next_due(&self.sought)).flatten();
        let due = turn.into_iter().chain(survey).chain(network).min();
        due.map_or(LONGEST, |due| self.tools.clock.until(due).min(LONGEST))
    }

    /// Whether the region is to be known: somebody has, had or gets something there. Once it is looked at anyway, for
    /// nobody else knows of what was left.
    fn wants_surveys(&self) -> bool {
        self.desk.calls() > Calls::None || self.survey.value.is_none() || self.sweep.found_any()
    }

    fn wants_network(&self) -> bool {
        self.desk.calls() == Calls::All
    }

    /// Starts once this process leads and every list has been read.
    fn activate(&mut self) {
        if self.active || !self.facts.synced() || !self.surroundings.leadership.holds() {
            return;
        }
        self.active = true;
        self.survey = Shared::default();
        self.cache = NetworkCache::new(&self.tools.settings.cluster, self.vpc.as_deref());
        self.reading_network = false;
        self.network_fault = None;
        self.network = None;
        self.sweep = Sweep::default();
        self.sought = self.facts.sought();
        let keys: BTreeSet<_> = self
            .facts
            .services()
            .map(|s| s.record.key.clone())
            .collect();
        let left = self.facts.all_left().map(|left| left.key.clone());
        for key in keys.into_iter().chain(left.collect::<Vec<_>>()) {
            self.look_at(&key, true);
        }
        info!(services = self.desk.len(), "serving by balancers in AWS");
    }

    /// Another leads: what is under way ends here, and what it has made the other sees. Nothing of it comes in later, when
    /// this process may lead again.
    async fn rest(&mut self) {
        self.active = false;
        self.hands.shutdown().await;
        self.reads.shutdown().await;
        self.desk.clear();
    }

    fn hear(&mut self, input: Input) {
        let of_services = matches!(input, Input::Services(_) | Input::Left(_));
        match self.facts.take(input) {
            Dirty::Some(keys) if self.active => {
                for key in keys {
                    self.look_at(&key, !of_services);
                }
            }
            Dirty::All if self.active => {
                self.sought = self.facts.sought();
                if self.see_nodes() {
                    self.look_at_all();
                }
            }
            Dirty::Some(_) | Dirty::All => {}
        }
    }

    /// A turn soon: for the Service's own sake, or for what it is reached by.
    fn look_at(&mut self, key: &ServiceKey, anyway: bool) {
        let soon = Moment(self.now().0 + 1);
        let (uid, version, calls) = match (self.facts.service(key), self.facts.left(key)) {
            (Some(service), _) => {
                let calls = match charge(&service.record, self.surroundings.classes) {
                    Charge::Nothing => {
                        self.desk.drop_unit(key);
                        return;
                    }
                    Charge::Foreign(_) => Calls::None,
                    Charge::Release => Calls::Left,
                    Charge::Serve(_) | Charge::Hold(_) => Calls::All,
                };
                (service.record.uid.clone(), service.version(), calls)
            }
            (None, Some(left)) => (left.uid.clone(), left.version(), Calls::Left),
            (None, None) => {
                self.desk.drop_unit(key);
                return;
            }
        };
        let version = (!anyway).then_some(version);
        self.desk.look_at(key, &uid, soon, version, calls);
    }

    /// Takes in who the nodes are. Whether anything changed.
    fn see_nodes(&mut self) -> bool {
        let Some(site) = self.cache.site() else {
            return false;
        };
        let nodes = self.facts.nodes(site);
        let changed = *self.nodes != nodes;
        if changed {
            self.nodes = Arc::new(nodes);
        }
        changed
    }

    /// The shared reads, each when it is due and somebody is there for whom to read.
    fn read_what_is_shared(&mut self) {
        if !self.active {
            return;
        }
        let now = self.now();
        if self.desk.wants_survey(now) {
            let last = self.survey.value.as_ref().map_or(0, |(_, at)| at.0);
            self.survey.hasten(Moment(last + SURVEY_AT_MOST));
        }
        if self.wants_surveys() && self.survey.wants(now) {
            self.survey.reading = true;
            let tools = self.tools.clone();
            self.reads.spawn(async move {
                let found = round::survey(&*tools.aws, &tools.settings.cluster).await;
                Read::Survey(now, found)
            });
        }
        if self.reading_network || !self.wants_network() {
            return;
        }
        if let Some(reading) = self.cache.due(&self.sought, now) {
            self.reading_network = true;
            let tools = self.tools.clone();
            self.reads
                .spawn(async move { Read::Network(round::discover(&*tools.aws, reading).await) });
        }
    }

    fn take_read(&mut self, read: Read) {
        let now = self.now();
        match read {
            Read::Survey(at, Ok(inventory)) => {
                self.tell_orphans(&inventory, at);
                let first = self.survey.value.is_none();
                let pause = if first && self.desk.calls() > Calls::None {
                    SURVEY_SOON
                } else if self.sweep.is_unsure() {
                    SWEEP_AFTER
                } else {
                    SURVEY_EVERY
                };
                if self.survey.succeed(inventory, at, Moment(now.0 + pause)) {
                    info!("the region was surveyed again");
                }
                for (key, _) in self.desk.keys() {
                    if first || self.facts.service(&key).is_none_or(|s| self.releases(s)) {
                        self.look_at(&key, true);
                    }
                }
            }
            Read::Survey(_, Err(why)) => {
                let refusal = why.refusal.clone();
                if self.survey.fail(why, now) {
                    warn!(%refusal, "the region was not surveyed; trying again, later and later");
                }
                // Who serves goes on by what was known; who knows nothing yet, and who wants to be sure, is told.
                if self.survey.value.is_none() {
                    self.look_at_all();
                }
            }
            Read::Network(came) => {
                self.reading_network = false;
                match self.cache.take(came) {
                    Ok(()) => self.see_network(),
                    Err(why) => {
                        let known = self.network_fault.as_ref().map(|why| why.refusal.reason);
                        if known != Some(why.refusal.reason) {
                            warn!(%why.refusal, "the network was not read; trying again");
                        }
                        self.network_fault = Some(why);
                        if self.network.is_none() {
                            self.look_at_all();
                        }
                    }
                }
            }
        }
    }

    fn see_network(&mut self) {
        self.network_fault = None;
        let Some(site) = self.cache.site() else {
            return;
        };
        let same = self.network.as_deref() == Some(&site.network);
        if !same {
            self.network = Some(Arc::new(site.network.clone()));
        }
        if self.see_nodes() || !same {
            self.look_at_all();
        }
    }

    fn look_at_all(&mut self) {
        for (key, _) in self.desk.keys() {
            self.look_at(&key, true);
        }
    }

    fn releases(&self, service: &AwsService) -> bool {
        charge(&service.record, self.surroundings.classes) == Charge::Release
    }

    fn tell_orphans(&mut self, inventory: &Inventory, at: Moment) {
        let (all, news) = self.sweep.take(inventory, &self.facts.uids(), at);
        self.metrics.orphans(all);
        for orphan in news {
            let left: Vec<_> = orphan.left.all().collect();
            warn!(
                service = orphan.service,
                uid = orphan.uid,
                left = left.join(" "),
                "its Service is gone; `herald aws orphans --delete` deletes it"
            );
        }
    }

    fn put_hands_to_work(&mut self) {
        self.metrics.serves(self.desk.len());
        let now = self.now();
        while self.active && self.hands.len() < HANDS {
            let Some(key) = self.desk.pop(now) else {
                break;
            };
            match self.job(&key) {
                Begun::Job(job) => {
                    let tools = self.tools.clone();
                    self.hands.spawn(job::run(tools, *job));
                }
                Begun::NotYet(seconds) => self.desk.put_off(&key, Moment(now.0 + seconds)),
                Begun::Never => self.desk.drop_unit(&key),
            }
        }
    }

    fn job(&mut self, key: &ServiceKey) -> Begun {
        let (task, version) = match (self.facts.service(key), self.facts.left(key)) {
            (Some(service), _) => {
                let service = Arc::clone(service);
                let version = service.version();
                match self.task(service) {
                    Ok(task) => (task, version),
                    Err(begun) => return begun,
                }
            }
            (None, Some(left)) => (Task::ReleaseLeft(Arc::clone(left)), left.version()),
            (None, None) => return Begun::Never,
        };
        let task = match (task, &self.survey.fault) {
            (task, _) if !task.releases() || self.survey.value.is_some() => task,
            // Nobody knows yet what is to be deleted.
            (Task::Release(service), Some(fault)) => Task::Stuck(service, fault.clone()),
            _ => return Begun::NotYet(READ_AGAIN),
        };
        if !self.desk.has_caught_up(key, version) {
            return Begun::NotYet(CATCH_UP);
        }
        let survey = self.survey.value.as_ref();
        let survey = survey.map(|(inventory, at)| (&**inventory, *at));
        match self.desk.begin(key, task, survey) {
            Some(job) => Begun::Job(Box::new(job)),
            None => Begun::Never,
        }
    }

    /// What the turn of a Service is for.
    fn task(&self, service: Arc<AwsService>) -> Result<Task, Begun> {
        let record = &service.record;
        let (wish, refused) = match charge(record, self.surroundings.classes) {
            Charge::Nothing => return Err(Begun::Never),
            Charge::Foreign(evidence) => return Ok(Task::Foreign(service, evidence)),
            Charge::Release => return Ok(Task::Release(service)),
            Charge::Serve(wish) => (wish, None),
            Charge::Hold(why) => (Wish::Keep, Some(why)),
        };
        let fault = self
            .survey
            .fault
            .as_ref()
            .filter(|_| self.survey.value.is_none());
        let of_network = self.network_fault.as_ref();
        let fault = fault.or(of_network.filter(|_| self.network.is_none()));
        if let Some(fault) = fault {
            return Ok(Task::Blind(service, fault.clone()));
        }
        let (Some(network), Some(_)) = (&self.network, &self.survey.value) else {
            return Err(Begun::NotYet(1));
        };
        let adopts = may_adopt(record).unwrap_or(false);
        let scene = self
            .facts
            .scene(&service, &self.nodes, network, refused, adopts);
        let wish = match (wish, self.surroundings.node_ports) {
            (Wish::Keep, NodePortPolicy::Disable) if scene.refused.is_none() => Wish::Disable,
            (wish, _) => wish,
        };
        Ok(Task::Serve {
            service,
            scene: Arc::new(scene),
            wish,
        })
    }

    fn done(&mut self, done: Done) {
        let Done {
            key,
            uid,
            turn,
            keep,
            heard,
            end,
        } = done;
        let now = self.now();
        if heard.doubts_network {
            self.cache.doubt(now);
        }
        match &end {
            End::Gone => info!(service = %key, "nothing is left of it in AWS"),
            End::Unwritten(failure) => debug!(service = %key, %failure, "not written; again"),
            End::Went(rest, remedy) if !rest.is_quiet() => {
                debug!(service = %key, ?remedy, "{rest}");
            }
            End::Went(..) | End::Told | End::StillProvisioning => {}
        }
        for notice in heard.notices {
            self.surroundings.told.told(notice.verdict.reason.as_str());
            info!(service = %key, reason = %notice.verdict.reason, "{}", notice.verdict.message);
            self.surroundings.herald.tell(key.clone(), notice);
        }
        self.desk.end((&key, &uid, turn), keep, &end, now);
    }
}

/// Whether a turn begins.
enum Begun {
    Job(Box<Job>),
    /// In so many seconds.
    NotYet(u64),
    /// There is nothing to do for it.
    Never,
}
