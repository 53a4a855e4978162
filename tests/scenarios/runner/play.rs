//! Plays one script, step after step, and checks at its end what holds always.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use herald::cluster::Classes;
use serde_json::{Map, Value, json};
use tokio::time::{self, Instant};

use super::{
    cluster::{Cluster, KUBECTL, Picture, USER, Write, differences, target_of},
    expect::{self, Gaps, addresses, holders_of},
    object::{LOCK, SERVICE, Target, each_string, expand, long_strings},
    report,
    script::{Many, Run, RunOptions, Script, Step},
};
use crate::support::condition;

const POLL: Duration = Duration::from_millis(25);
/// How long nothing may be written at a script's end.
const CALM: Duration = Duration::from_millis(500);
/// Objects of an `apply-many` that are under way at once.
const AT_ONCE: usize = 16;

/// Plays a script in a fresh cluster; the failure is ready to be printed.
pub async fn play(cluster: &mut Cluster, script: &Script) -> Result<(), String> {
    let mut player = Player {
        cluster,
        settled: Picture::new(),
    };
    let began = player.begin(script).await;
    began.map_err(|fault| format!("{}: before its first step: {fault:#}", script.file))?;
    for (index, (step, line)) in script.steps.iter().enumerate() {
        if let Err(fault) = player.step(step).await {
            let seen = report::seen(player.cluster).await;
            let place = format!("{}, step {} (line {line})", script.file, index + 1);
            return Err(format!("{place}: {}\n  {fault:#}\n{seen}", script.name));
        }
    }
    if let Err(fault) = player.end().await {
        let seen = report::seen(player.cluster).await;
        return Err(format!("{}, at its end: {fault:#}\n{seen}", script.file));
    }
    Ok(())
}

struct Player<'a> {
    cluster: &'a mut Cluster,
    /// What there was at the last `settle`.
    settled: Picture,
}

impl Player<'_> {
    async fn begin(&mut self, script: &Script) -> anyhow::Result<()> {
        self.cluster.ensure_namespace("default").await?;
        match script.steps.first() {
            Some((Step::Controller(_), _)) => Ok(()),
            _ => self.cluster.start_controller(Classes::Default).await,
        }
    }

    async fn step(&mut self, step: &Step) -> anyhow::Result<()> {
        match step {
            Step::Apply(objects) => {
                for object in objects {
                    self.apply(object).await?;
                }
            }
            Step::ApplyMany(many) => self.apply_many(many).await?,
            Step::Refused(refused) => {
                let (object, _) = expand(&refused.object)?;
                let target = target_of(&object)?;
                let answer = self.cluster.write(Write::Apply, &target, "", USER, &object);
                let words = match answer.await {
                    Ok(_) => bail!("the API server takes {}", target.text()),
                    Err(kube::Error::Api(status)) => status.message.clone(),
                    Err(other) => bail!(other),
                };
                let lacking = refused.words.all().iter().find(|w| !words.contains(*w));
                if let Some(lacking) = lacking {
                    bail!("the refusal lacks {lacking:?}: {words}");
                }
            }
            Step::Replace(objects) => {
                for object in objects {
                    let (object, _) = expand(object)?;
                    self.cluster.replace(&target_of(&object)?, object).await?;
                }
            }
            Step::Annotate(target, entries) => self.mark(target, "annotations", entries).await?,
            Step::Label(target, entries) => self.mark(target, "labels", entries).await?,
            Step::Patch(target, body) => {
                let body = long_strings(body.clone());
                let write = self.cluster.write(Write::Merge, target, "", KUBECTL, &body);
                write.await?;
            }
            Step::WriteStatus(target, manager, body) => {
                let write = self
                    .cluster
                    .write(Write::Merge, target, "/status", manager, body);
                write.await?;
            }
            Step::Delete(targets) => {
                for target in targets {
                    if !self.cluster.delete(target).await? {
                        bail!("{} is not there", target.text());
                    }
                }
            }
            Step::Settle(calm) => {
                let calm = Duration::try_from_secs_f64(*calm)?;
                self.settled = self.cluster.settle(calm).await?;
            }
            Step::Unchanged(target) => self.unchanged(target.as_ref()).await?,
            Step::Wait(seconds) => time::sleep(Duration::try_from_secs_f64(*seconds)?).await,
            Step::Restart => self.cluster.restart().await?,
            Step::Standby => self.cluster.start_standby(),
            Step::Controller(run) => self.run(run).await?,
            expectation => self.eventually(expectation).await?,
        }
        Ok(())
    }

    async fn eventually(&mut self, expectation: &Step) -> anyhow::Result<()> {
        let start = Instant::now();
        loop {
            let looked = Instant::now();
            let gaps = self.gaps(expectation).await?;
            if gaps.is_empty() {
                return Ok(());
            }
            if self.cluster.controller_died() {
                bail!("the controller has ended; {}", gaps.join("; "));
            }
            if start.elapsed() > self.cluster.patience {
                bail!("expected: {}", gaps.join("; "));
            }
            // A look at a thousand Services must not take the processor from those who write them.
            time::sleep(POLL.max(looked.elapsed() * 3)).await;
        }
    }

    async fn gaps(&self, expectation: &Step) -> anyhow::Result<Gaps> {
        let cluster = &*self.cluster;
        match expectation {
            Step::Expect(wanted) => expect::service(cluster, wanted).await,
            Step::ExpectPool(wanted) => expect::pool(cluster, wanted).await,
            Step::ExpectEvent(wanted) => expect::events(cluster, wanted).await,
            Step::ExpectLocks(wanted) => expect::locks(cluster, wanted).await,
            Step::ExpectTally(wanted) => expect::tally(cluster, wanted).await,
            Step::ExpectObject(target, part) => expect::object(cluster, target, part).await,
            other => bail!("{other:?} is no expectation"),
        }
    }

    /// Applies an object and, on its own, its status.
    async fn apply(&self, short: &Value) -> anyhow::Result<()> {
        let (object, status) = expand(short)?;
        let target = target_of(&object)?;
        if !target.namespace.is_empty() {
            self.cluster.ensure_namespace(&target.namespace).await?;
        }
        let write = self.cluster.write(Write::Apply, &target, "", USER, &object);
        write.await.with_context(|| target.text())?;
        if let Some(status) = status {
            let body = json!({ "status": status });
            let manager = "another-controller";
            let write = self
                .cluster
                .write(Write::Merge, &target, "/status", manager, &body);
            write.await.with_context(|| target.text())?;
        }
        Ok(())
    }

    async fn apply_many(&self, many: &Many) -> anyhow::Result<()> {
        let count = match self.cluster.real {
            true => many.real.unwrap_or(many.count),
            false => many.count,
        };
        let objects = (0..count).map(|number| {
            let mut object = many.object.clone();
            each_string(&mut object, &|text| {
                *text = text.replace('%', &number.to_string())
            });
            object
        });
        futures::stream::iter(objects)
            .map(|object| async move { self.apply(&object).await })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await
    }

    async fn mark(
        &self,
        target: &Target,
        what: &str,
        entries: &Map<String, Value>,
    ) -> anyhow::Result<()> {
        let entries = long_strings(entries.clone().into());
        let body = json!({ "metadata": { what: entries } });
        let write = self.cluster.write(Write::Merge, target, "", KUBECTL, &body);
        write.await?;
        Ok(())
    }

    async fn unchanged(&self, target: Option<&Target>) -> anyhow::Result<()> {
        let now = self.cluster.settle(CALM).await?;
        let wanted = target.map(Target::text);
        let only = |picture: &Picture| -> Picture {
            let wanted = |name: &str| wanted.as_ref().is_none_or(|w| w == name);
            let entries = picture.iter().filter(|(name, _)| wanted(name));
            entries.map(|(name, v)| (name.clone(), v.clone())).collect()
        };
        let (before, after) = (only(&self.settled), only(&now));
        if before != after || before.is_empty() {
            bail!(
                "changed since the last settle: {}",
                differences(&before, &after)
            );
        }
        Ok(())
    }

    async fn run(&mut self, run: &Run) -> anyhow::Result<()> {
        self.cluster.stop_controller().await;
        let Run::With(RunOptions { default_provider }) = run else {
            return Ok(());
        };
        let classes = match default_provider.as_deref() {
            None | Some("layer2") => Classes::Default,
            Some("none") => Classes::OwnOnly,
            Some(other) => bail!("the runner does not know the provider {other}"),
        };
        self.cluster.start_controller(classes).await
    }

    /// What holds at every script's end: the controller lives, has come to rest, and no address is held twice.
    async fn end(&mut self) -> anyhow::Result<()> {
        self.cluster.settle(CALM).await?;
        if self.cluster.controller_died() {
            bail!("the controller has ended");
        }
        let locks = self.cluster.list(&LOCK).await?;
        let mut published = BTreeMap::<String, Vec<String>>::new();
        for service in self.cluster.list(&SERVICE).await? {
            let mark = condition(&service["status"], herald::api::CONDITION_ALLOCATED);
            if mark.is_null() || mark["reason"] == "ForeignController" {
                continue;
            }
            let text = |key: &str| service["metadata"][key].as_str().unwrap_or_default();
            let name = format!("{}/{}", text("namespace"), text("name"));
            for address in addresses(&service) {
                published
                    .entry(address.to_owned())
                    .or_default()
                    .push(name.clone());
            }
        }
        for (address, services) in published {
            let lock = locks
                .iter()
                .find(|lock| lock["spec"]["address"] == *address);
            // Addresses of nodes have no locks; many Services may have them.
            let Some(lock) = lock else { continue };
            let holders = holders_of(lock);
            if let Some(other) = services.iter().find(|s| !holders.contains(s)) {
                bail!("{other} shows {address}, which {holders:?} hold");
            }
        }
        Ok(())
    }
}
