//! What the cloud's part would do now, without doing it, and the end of what has no Service any more: for `herald aws`.

use std::{sync::Arc, time::Duration};

use herald_aws::{Inventory, Memory, NetworkCache, Orphan, Owner, Plan, Remedy, Site, Verdict};
use herald_spi::ServiceKey;
use tokio::time;

use super::{
    Goal, Options, Seen, carry_out,
    facts::{Facts, Input},
    look,
    round::{discover, survey},
    told,
};
use crate::{
    cluster::Classes,
    controller::{
        charge::{Charge, charge},
        request::may_adopt,
    },
    world::{AwsLeft, AwsNode, AwsService, AwsSlice, Change},
};

/// The cluster as it was listed.
#[derive(Debug, Default)]
pub struct Lists {
    /// Services of type LoadBalancer.
    pub services: Vec<AwsService>,
    /// Services of other types with Herald's finalizer.
    pub left: Vec<AwsLeft>,
    /// Endpoints.
    pub slices: Vec<AwsSlice>,
    /// Nodes.
    pub nodes: Vec<AwsNode>,
}

/// What a Service's next turn would do.
#[derive(Debug)]
pub struct Preview {
    /// Which.
    pub service: ServiceKey,
    /// What was seen and planned; or why nothing can be.
    pub seen: Result<Seen, Verdict>,
    /// Whether it ends with nothing left.
    pub releases: bool,
    /// What is wrong with the request, so that nothing but targets may change.
    pub refused: Option<String>,
}

/// A look at AWS that no turn follows.
pub struct Viewer {
    options: Options,
    facts: Facts,
    inventory: Inventory,
    /// Why nothing can be planned, if that is so; what is left can be seen all the same.
    site: Result<Site, Verdict>,
}

/// How long one thing's deletion is followed: AWS drains targets and lets go of interfaces in minutes.
const PATIENCE: Duration = Duration::from_secs(900);
/// Between two looks at what is going, unless the plan says more.
const PAUSE: u64 = 5;

impl Viewer {
    /// Surveys the region and reads the network.
    ///
    /// `lists` is asked for after the survey: a Service that is made meanwhile must not look as if it were gone.
    ///
    /// # Errors
    /// Why there are no lists; or the read of AWS that failed.
    pub async fn look_around<E>(
        options: Options,
        lists: impl Future<Output = Result<Lists, E>>,
    ) -> Result<Result<Self, Verdict>, E> {
        let surveyed = survey(&*options.aws, &options.settings.cluster).await;
        let lists = lists.await?;
        Ok(match surveyed {
            Ok(inventory) => Ok(Self::look_at_network(options, inventory, lists).await),
            Err(why) => Err(why),
        })
    }

    async fn look_at_network(options: Options, inventory: Inventory, lists: Lists) -> Self {
        let mut facts = Facts::default();
        for input in [
            Input::Services(Box::new(Change::Reset(lists.services))),
            Input::Left(Change::Reset(lists.left)),
            Input::Slices(Change::Reset(lists.slices)),
            Input::Nodes(Change::Reset(lists.nodes)),
        ] {
            facts.take(input);
        }
        let mut cache = NetworkCache::new(&options.settings.cluster, options.vpc.as_deref());
        let site = match cache.due(&facts.sought(), options.clock.now()) {
            Some(reading) => discover(&*options.aws, reading).await,
            None => Ok(Site::default()),
        };
        Self {
            options,
            facts,
            inventory,
            site,
        }
    }

    /// What every Service's next turn would do, or that of one.
    pub async fn preview(&self, classes: Classes, only: Option<&ServiceKey>) -> Vec<Preview> {
        let site = self.site.as_ref();
        let around = site.map(|site| {
            let nodes = Arc::new(self.facts.nodes(site));
            (nodes, Arc::new(site.network.clone()))
        });
        let mut previews = Vec::new();
        let services: Vec<_> = self.facts.services().cloned().collect();
        for service in services {
            let record = &service.record;
            if only.is_some_and(|only| *only != record.key) {
                continue;
            }
            let (releases, refused) = match charge(record, classes) {
                Charge::Nothing | Charge::Foreign(_) => continue,
                Charge::Release => (true, None),
                Charge::Serve(_) => (false, None),
                Charge::Hold(why) => (false, Some(why)),
            };
            let goal = match (releases, &around) {
                (true, _) => Ok(Goal::Gone),
                (false, Ok((nodes, network))) => {
                    let adopts = may_adopt(record).unwrap_or(false);
                    let scene = self
                        .facts
                        .scene(&service, nodes, network, refused.clone(), adopts);
                    Ok(Goal::Serve(Arc::new(scene)))
                }
                (false, Err(why)) => Err((*why).clone()),
            };
            let shown = record.kept_by_aws.then(|| told::hostname(record)).flatten();
            let seen = match goal {
                Ok(goal) => self.see(&record.key, &record.uid, &goal, shown).await,
                Err(why) => Err(why),
            };
            previews.push(Preview {
                seen,
                service: record.key.clone(),
                releases,
                refused,
            });
        }
        let left: Vec<_> = self.facts.all_left().cloned().collect();
        for left in left
            .iter()
            .filter(|left| only.is_none_or(|only| *only == left.key))
        {
            previews.push(Preview {
                seen: self.see(&left.key, &left.uid, &Goal::Gone, None).await,
                service: left.key.clone(),
                releases: true,
                refused: None,
            });
        }
        previews
    }

    async fn see(
        &self,
        service: &ServiceKey,
        uid: &str,
        goal: &Goal,
        shown: Option<&str>,
    ) -> Result<Seen, Verdict> {
        let Options {
            aws,
            settings,
            clock,
            ..
        } = &self.options;
        let mut memory = self.memory(uid);
        let owner = self.owner(service.clone(), uid);
        look(
            &**aws,
            &owner,
            goal,
            shown,
            settings,
            &mut memory,
            clock.now(),
        )
        .await
    }

    /// What has no Service any more.
    #[must_use]
    pub fn orphans(&self) -> Vec<Orphan> {
        self.inventory.orphans(&self.facts.uids())
    }

    /// Deletes an orphan, and follows it until nothing is left; `tell` hears of each look.
    ///
    /// # Errors
    /// What AWS, or a person, must do first.
    pub async fn delete(
        &self,
        orphan: &Orphan,
        mut tell: impl FnMut(&Plan),
    ) -> Result<(), Verdict> {
        let Options {
            aws,
            settings,
            clock,
            ..
        } = &self.options;
        let (namespace, name) = orphan
            .service
            .split_once('/')
            .unwrap_or(("", &orphan.service));
        let owner = self.owner(ServiceKey::new(namespace, name), &orphan.uid);
        let mut memory = Memory::of_orphan(&orphan.left, clock.now());
        let began = time::Instant::now();
        loop {
            let goal = Goal::Gone;
            let seen = look(
                &**aws,
                &owner,
                &goal,
                None,
                settings,
                &mut memory,
                clock.now(),
            )
            .await?;
            tell(&seen.plan);
            if seen.plan.gone {
                return Ok(());
            }
            let outcome = carry_out(&**aws, &owner, &seen.plan, &mut memory, clock).await;
            let trouble = outcome.troubles.iter().chain(&seen.plan.troubles).next();
            let hopeless = matches!(outcome.remedy, Some(Remedy::User))
                || seen.plan.steps.is_empty() && seen.plan.waits.is_empty();
            if let Some(trouble) = trouble
                && (hopeless || began.elapsed() >= PATIENCE)
            {
                return Err(Verdict {
                    remedy: Remedy::User,
                    refusal: trouble.refusal.clone(),
                    stops_all: true,
                });
            }
            let again = seen.plan.again().unwrap_or(PAUSE).clamp(1, 60);
            time::sleep(clock.until(herald_aws::Moment(clock.now().0 + again))).await;
        }
    }

    fn memory(&self, uid: &str) -> Memory {
        let now = self.options.clock.now();
        let mut memory = Memory::new(now);
        memory.survey(&self.inventory.of(uid), now);
        memory
    }

    fn owner(&self, service: ServiceKey, uid: &str) -> Owner {
        Owner {
            cluster: self.options.settings.cluster.clone(),
            uid: uid.to_owned(),
            service,
        }
    }
}
