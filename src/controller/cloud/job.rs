//! One turn of a Service: what a hand does while nobody else touches the Service.
//!
//! ```text
//!   look ─▶ plan ─▶ finalizer, where something is to be made ─▶ calls ─▶ node ports ─▶ status
//!                                                         Gone ─▶ words off ─▶ finalizer off
//! ```

use std::sync::Arc;

use herald_aws::{
    Call, Memory, Moment, Outcome, Owner, Plan, Remedy, Reply, Settings, State, Verdict,
};
use herald_spi::ServiceKey;
use k8s_openapi::api::core::v1::Service;

use super::{
    Aws, Clock,
    round::{self, Goal, Scene, Seen},
    told,
    write::{self, Words},
};
use crate::{
    api, cluster,
    controller::{
        Notice,
        execute::{Executor, Failure},
        node_ports::{Contest, Need, Wish, decide, standing},
    },
    world::{AwsLeft, AwsService, ServiceRecord},
};

/// The means of every turn.
#[derive(Clone)]
pub(super) struct Tools {
    pub(super) aws: Arc<dyn Aws>,
    pub(super) executor: Executor,
    pub(super) settings: Arc<Settings>,
    pub(super) clock: Clock,
}

/// What the turn is for.
#[derive(Clone, Debug)]
pub(super) enum Task {
    /// The Service has its balancer.
    Serve {
        service: Arc<AwsService>,
        scene: Arc<Scene>,
        wish: Wish,
    },
    /// Nothing is left of it.
    Release(Arc<AwsService>),
    /// The same, of a Service of another type.
    ReleaseLeft(Arc<AwsLeft>),
    /// AWS cannot be read, and so nothing is done.
    Blind(Arc<AwsService>, Verdict),
    /// The same, of one that goes.
    Stuck(Arc<AwsService>, Verdict),
    /// Another controller has it.
    Foreign(Arc<AwsService>, String),
}

/// A turn.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) key: ServiceKey,
    pub(super) uid: String,
    /// Its number.
    pub(super) turn: u64,
    /// So many turns before it have failed alike.
    pub(super) failures: u32,
    pub(super) task: Task,
    pub(super) keep: Keep,
    /// The one read that tells whether waiting is over, where nothing else has changed.
    pub(super) glance: Option<Call>,
}

/// What the turns of one Service remember of each other.
#[derive(Debug)]
pub(super) struct Keep {
    pub(super) memory: Memory,
    pub(super) contest: Contest,
    /// The version of the Service that was written last: what the watch tells up to there is no news.
    pub(super) written: u64,
    /// What was told last of a Service that has no condition for it.
    told: Option<api::Verdict>,
}

impl Keep {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            memory: Memory::new(now),
            contest: Contest::default(),
            written: 0,
            told: None,
        }
    }

    fn note(&mut self, answer: &Service) {
        let version = answer.metadata.resource_version.as_deref();
        let version = version.and_then(|version| version.parse().ok());
        self.written = self.written.max(version.unwrap_or(0));
    }
}

/// A turn that is over.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) key: ServiceKey,
    pub(super) uid: String,
    pub(super) turn: u64,
    pub(super) keep: Keep,
    pub(super) heard: Heard,
    pub(super) end: End,
}

/// What others hear of a turn.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// What people are told.
    pub(super) notices: Vec<Notice>,
    /// Whether the network is another than was read.
    pub(super) doubts_network: bool,
}

/// How a turn ended.
#[derive(Debug)]
pub(super) enum End {
    /// AWS is still making the balancer.
    StillProvisioning,
    /// What was planned, and what came of it.
    Went(Box<Plan>, Option<Remedy>),
    /// There was nothing to do.
    Told,
    /// Nothing is left, and the finalizer is off.
    Gone,
    /// The API server did not take a write.
    Unwritten(Failure),
}

impl Task {
    /// Whether it ends with nothing left.
    pub(super) fn releases(&self) -> bool {
        matches!(self, Self::Release(_) | Self::ReleaseLeft(_))
    }
}

/// Does a turn to its end.
pub(super) async fn run(tools: Tools, job: Job) -> Done {
    let Job {
        key,
        uid,
        turn: number,
        failures,
        task,
        mut keep,
        glance,
    } = job;
    let mut heard = Heard::default();
    let before = (glance, failures);
    let end = match turn(&tools, &key, task, &mut keep, before, &mut heard).await {
        Ok(end) => end,
        Err(failure) => End::Unwritten(failure),
    };
    Done {
        key,
        uid,
        turn: number,
        keep,
        heard,
        end,
    }
}

async fn turn(
    tools: &Tools,
    key: &ServiceKey,
    task: Task,
    keep: &mut Keep,
    (glance, failures): (Option<Call>, u32),
    heard: &mut Heard,
) -> Result<End, Failure> {
    match task {
        Task::Foreign(service, evidence) => {
            let told = told::foreign(&evidence);
            let words = Words {
                told,
                node_ports: None,
            };
            say(tools, &service.record, words, keep, heard).await?;
            Ok(End::Told)
        }
        Task::Blind(service, why) => say_blind(tools, &service.record, why, keep, heard).await,
        Task::Stuck(service, why) => {
            let remedy = why.remedy;
            say_going(tools, &service.record, &Err(why), u32::MAX, keep, heard).await?;
            Ok(End::Went(Box::default(), Some(remedy)))
        }
        Task::Serve {
            service,
            scene,
            wish,
        } => {
            if let Some(call) = glance
                && is_provisioning(tools, call).await
            {
                return Ok(End::StillProvisioning);
            }
            serve(tools, &service, scene, wish, keep, heard).await
        }
        Task::Release(service) => {
            release_service(tools, key, &service, keep, failures, heard).await
        }
        Task::ReleaseLeft(left) => release_left(tools, key, &left, keep, failures, heard).await,
    }
}

async fn release_service(
    tools: &Tools,
    key: &ServiceKey,
    service: &AwsService,
    keep: &mut Keep,
    failures: u32,
    heard: &mut Heard,
) -> Result<End, Failure> {
    let record = &service.record;
    let owner = owner(tools, key, &record.uid);
    let came = release(tools, &owner, keep).await;
    say_going(tools, record, &came, failures, keep, heard).await?;
    if let Some(end) = not_gone(came) {
        return Ok(end);
    }
    let mut version = record.resource_version.clone();
    if !record.deleting {
        let cleared = write::clear(&tools.executor, record).await?;
        version = cleared.metadata.resource_version.unwrap_or(version);
    }
    write::set_finalizer(&tools.executor, key, &version, &service.finalizers, false).await?;
    Ok(End::Gone)
}

/// A Service of another type has no condition for it: an Event tells.
async fn release_left(
    tools: &Tools,
    key: &ServiceKey,
    left: &AwsLeft,
    keep: &mut Keep,
    failures: u32,
    heard: &mut Heard,
) -> Result<End, Failure> {
    let owner = owner(tools, key, &left.uid);
    let came = release(tools, &owner, keep).await;
    if let Some(verdict) = told::going(&came, failures) {
        let reason = |verdict: &api::Verdict| verdict.reason;
        let is_news = keep.told.as_ref().map(reason) != Some(reason(&verdict));
        if is_news {
            heard.notices.push(Notice {
                uid: left.uid.clone(),
                type_: api::CONDITION_PROVISIONED,
                verdict: verdict.clone(),
            });
        }
        keep.told = Some(verdict);
    }
    if let Some(end) = not_gone(came) {
        return Ok(end);
    }
    let version = &left.resource_version;
    write::set_finalizer(&tools.executor, key, version, &left.finalizers, false).await?;
    Ok(End::Gone)
}

/// How a release ends that has left something.
fn not_gone(came: Result<(Seen, Outcome), Verdict>) -> Option<End> {
    match came {
        Ok((seen, _)) if seen.plan.gone => None,
        Ok((seen, outcome)) => Some(End::Went(Box::new(seen.plan), outcome.remedy)),
        Err(why) => Some(End::Went(Box::default(), Some(why.remedy))),
    }
}

fn owner(tools: &Tools, key: &ServiceKey, uid: &str) -> Owner {
    Owner {
        cluster: tools.settings.cluster.clone(),
        uid: uid.to_owned(),
        service: key.clone(),
    }
}

async fn is_provisioning(tools: &Tools, call: Call) -> bool {
    let provisioning = |read: &herald_aws::BalancerRead| read.state == State::Provisioning;
    match tools.aws.execute(call).await {
        Ok(Reply::Balancers(read)) => !read.is_empty() && read.iter().all(provisioning),
        _ => false,
    }
}

async fn serve(
    tools: &Tools,
    service: &Arc<AwsService>,
    scene: Arc<Scene>,
    wish: Wish,
    keep: &mut Keep,
    heard: &mut Heard,
) -> Result<End, Failure> {
    let mut record = service.record.clone();
    let owner = owner(tools, &record.key, &record.uid);
    let refused = scene.refused.clone();
    let published = record
        .kept_by_aws
        .then(|| told::hostname(&record))
        .flatten();
    let seen = round::look(
        &*tools.aws,
        &owner,
        &Goal::Serve(scene),
        published,
        &tools.settings,
        &mut keep.memory,
        tools.clock.now(),
    )
    .await;
    let seen = match seen {
        Ok(seen) => seen,
        Err(why) => return say_blind(tools, &record, why, keep, heard).await,
    };
    if !seen.plan.steps.is_empty() && !record.kept_by_aws {
        let version = &record.resource_version;
        let written = write::set_finalizer(
            &tools.executor,
            &record.key,
            version,
            &service.finalizers,
            true,
        );
        let written = written.await?;
        keep.note(&written);
        take(&mut record, &written);
        keep.memory.begins_with_nothing();
    }
    let outcome = round::carry_out(
        &*tools.aws,
        &owner,
        &seen.plan,
        &mut keep.memory,
        &tools.clock,
    )
    .await;
    heard.doubts_network |= outcome.doubts_network || seen.plan.doubts_network();
    let node_ports = if refused.is_some() {
        // What it asks of its node ports nobody can tell: they stay, and so does what was said of them.
        record.node_ports.as_ref().and_then(standing)
    } else {
        node_ports(tools, &mut record, wish, &seen, keep).await?
    };
    if let Some(told) = told::serving(&record, &seen, &outcome, refused.as_deref()) {
        let words = Words { told, node_ports };
        say(tools, &record, words, keep, heard).await?;
    }
    Ok(End::Went(
        Box::new(seen.plan.rest(&outcome)),
        outcome.remedy,
    ))
}

/// Deletes what there is.
async fn release(
    tools: &Tools,
    owner: &Owner,
    keep: &mut Keep,
) -> Result<(Seen, Outcome), Verdict> {
    let mut seen = round::look(
        &*tools.aws,
        owner,
        &Goal::Gone,
        None,
        &tools.settings,
        &mut keep.memory,
        tools.clock.now(),
    )
    .await?;
    let outcome = round::carry_out(
        &*tools.aws,
        owner,
        &seen.plan,
        &mut keep.memory,
        &tools.clock,
    )
    .await;
    seen.plan = seen.plan.rest(&outcome);
    Ok((seen, outcome))
}

/// Switches node ports as was asked for; what the condition shall say then.
async fn node_ports(
    tools: &Tools,
    record: &mut ServiceRecord,
    wish: Wish,
    seen: &Seen,
    keep: &mut Keep,
) -> Result<Option<api::Verdict>, Failure> {
    let need = if seen.on_nodes {
        Need::Because(
            "the balancer's targets are instances, reached at their node ports; with \
             aws-load-balancer-nlb-target-type: ip they are the pods"
                .to_owned(),
        )
    } else {
        Need::None
    };
    let now = i64::try_from(tools.clock.now().0).unwrap_or(i64::MAX);
    keep.contest.noticed(record, wish, &need, now);
    let decision = decide(record, wish, &need, &keep.contest, now);
    if let Some(patch) = decision.patch {
        let switched = tools.executor.patch_node_ports(&record.key, &patch).await?;
        keep.note(&switched);
        take(record, &switched);
        if !patch.allocate {
            keep.contest.patched(&record.uid);
        }
    }
    Ok(decision.verdict)
}

/// Takes in the API server's answer.
fn take(record: &mut ServiceRecord, answer: &Service) {
    if let Some(answer) = cluster::service(answer) {
        *record = answer;
    }
}

async fn say(
    tools: &Tools,
    record: &ServiceRecord,
    words: Words,
    keep: &mut Keep,
    heard: &mut Heard,
) -> Result<(), Failure> {
    if let Some(written) = write::write(&tools.executor, record, &words).await? {
        keep.note(&written);
        heard.notices.extend(write::notices(record, &words));
    }
    Ok(())
}

async fn say_going(
    tools: &Tools,
    record: &ServiceRecord,
    came: &Result<(Seen, Outcome), Verdict>,
    failures: u32,
    keep: &mut Keep,
    heard: &mut Heard,
) -> Result<(), Failure> {
    let Some(verdict) = told::going(came, failures) else {
        return Ok(());
    };
    let words = Words {
        told: told::as_it_is(record, verdict),
        node_ports: record.node_ports.as_ref().and_then(standing),
    };
    say(tools, record, words, keep, heard).await
}

async fn say_blind(
    tools: &Tools,
    record: &ServiceRecord,
    why: Verdict,
    keep: &mut Keep,
    heard: &mut Heard,
) -> Result<End, Failure> {
    if let Some(told) = told::blind(record, &why) {
        let words = Words {
            told,
            node_ports: record.node_ports.as_ref().and_then(standing),
        };
        say(tools, record, words, keep, heard).await?;
    }
    Ok(End::Went(Box::default(), Some(why.remedy)))
}
