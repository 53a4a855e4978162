//! The cluster that a script runs in: the API server, spoken to as kubectl does, and the controller.
//!
//! On a real control plane a script's namespaces have a suffix of its own, since namespaces do not finish deleting
//! there; it is added to what is written and taken from everything that is read, so that scripts never see it.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, bail};
use herald::cluster::Classes;
use kube::Client;
use serde_json::{Value, json};
use tokio::time::{self, Instant};

use super::object::{
    ANNOUNCEMENTS, EVENT, KINDS, Kind, LEASE, LOCK, NAMESPACE, NODE, POOL, SERVICE, SLICE, Target,
    each_string,
};
use crate::support::Controller;

/// Who writes what scripts apply, and what they annotate.
pub const USER: &str = "scenario";
pub const KUBECTL: &str = "kubectl";

/// Every object that Herald writes, or might, with its version.
pub type Picture = BTreeMap<String, String>;

/// See the module.
pub struct Cluster {
    client: Client,
    /// The controller's, with no rights but its own.
    heralds: Client,
    suffix: String,
    controller: Option<Controller>,
    /// Another that waits for the first to die.
    standby: Option<Controller>,
    classes: Classes,
    pub real: bool,
    /// How long an expectation may take to come true.
    pub patience: Duration,
}

/// How a write is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    Apply,
    Merge,
}

impl Cluster {
    pub fn new(client: Client, heralds: Client, suffix: String, real: bool) -> Self {
        Self {
            client,
            heralds,
            suffix,
            controller: None,
            standby: None,
            classes: Classes::Default,
            real,
            patience: Duration::from_secs(if real { 30 } else { 20 }),
        }
    }

    // --- what is read and written ---

    async fn call(
        &self,
        method: &str,
        path: &str,
        content: &str,
        body: Option<&Value>,
    ) -> kube::Result<Value> {
        let body = body.map(|b| self.there(b.clone()).to_string());
        let body = body.unwrap_or_default().into_bytes();
        let start = Instant::now();
        loop {
            let request = http::Request::builder()
                .method(method)
                .uri(path)
                .header("content-type", content)
                .body(body.clone())
                .unwrap();
            match self.client.request::<Value>(request).await {
                // A real API server that is busy asks to try again, as it does of kubectl.
                Err(kube::Error::Api(status))
                    if status.code == 429 && start.elapsed() < self.patience =>
                {
                    time::sleep(Duration::from_millis(200)).await;
                }
                answer => return answer.map(|value| self.here(value)),
            }
        }
    }

    fn path(&self, target: &Target) -> String {
        let namespace = self.namespace(&target.namespace);
        format!(
            "{}/{}",
            target.kind.path(&namespace),
            self.object_name(target)
        )
    }

    fn object_name(&self, target: &Target) -> String {
        match target.kind.kind == NAMESPACE.kind {
            true => self.namespace(&target.name),
            false => target.name.clone(),
        }
    }

    /// The namespace's name in the cluster.
    fn namespace(&self, name: &str) -> String {
        let own = !name.is_empty() && name != "herald-system" && name.len() < 50;
        match own {
            true => format!("{name}{}", self.suffix),
            false => name.to_owned(),
        }
    }

    /// An object with the namespaces of the cluster.
    fn there(&self, mut object: Value) -> Value {
        let rename = |value: &mut Value| {
            if let Some(name) = value.as_str() {
                *value = self.namespace(name).into();
            }
        };
        if let Some(namespace) = object.pointer_mut("/metadata/namespace") {
            rename(namespace);
        }
        let each = match object["kind"].as_str() {
            Some("Namespace") => {
                rename(&mut object["metadata"]["name"]);
                None
            }
            Some("AddressPool") => object.pointer_mut("/spec/namespaces"),
            _ => None,
        };
        for name in each.and_then(Value::as_array_mut).into_iter().flatten() {
            rename(name);
        }
        let holders = object.pointer_mut("/spec/holders");
        for holder in holders.and_then(Value::as_array_mut).into_iter().flatten() {
            rename(&mut holder["namespace"]);
        }
        object
    }

    /// An object with the namespaces of the script.
    fn here(&self, mut object: Value) -> Value {
        if !self.suffix.is_empty() {
            each_string(&mut object, &|text| {
                *text = text.replace(&self.suffix, "");
            });
        }
        object
    }

    /// Applies or patches; `subresource` is empty or `/status`.
    pub async fn write(
        &self,
        how: Write,
        target: &Target,
        subresource: &str,
        manager: &str,
        body: &Value,
    ) -> kube::Result<Value> {
        let (content, force) = match how {
            Write::Apply => ("application/apply-patch+yaml", "&force=true"),
            Write::Merge => ("application/merge-patch+json", ""),
        };
        let path = self.path(target);
        let path = format!("{path}{subresource}?fieldManager={manager}{force}");
        self.call("PATCH", &path, content, Some(body)).await
    }

    /// Replaces an object whatever its version.
    pub async fn replace(&self, target: &Target, mut object: Value) -> anyhow::Result<Value> {
        let live = self.get(target).await?.context("it is not there")?;
        object["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
        let path = format!("{}?fieldManager={KUBECTL}", self.path(target));
        let answer = self.call("PUT", &path, "application/json", Some(&object));
        Ok(answer.await?)
    }

    /// An object; `None` if it is not there.
    pub async fn get(&self, target: &Target) -> anyhow::Result<Option<Value>> {
        absent(self.call("GET", &self.path(target), "", None).await)
    }

    pub async fn delete(&self, target: &Target) -> anyhow::Result<bool> {
        let path = self.path(target);
        let answer = self.call("DELETE", &path, "application/json", None).await;
        Ok(absent(answer)?.is_some())
    }

    /// All objects of a kind.
    pub async fn list(&self, kind: &Kind) -> anyhow::Result<Vec<Value>> {
        let mut list = self.call("GET", &kind.path(""), "", None).await?;
        let mut items = match list["items"].take() {
            Value::Array(items) => items,
            _ => Vec::new(),
        };
        let hidden = |item: &Value| item["metadata"]["name"] == "kubernetes";
        items.retain(|item| !hidden(item));
        for item in &mut items {
            item["kind"] = kind.kind.into();
        }
        Ok(items)
    }

    /// Makes a namespace if it is not there.
    pub async fn ensure_namespace(&self, name: &str) -> anyhow::Result<()> {
        let target = Target::new(&NAMESPACE, name)?;
        if self.get(&target).await?.is_none() {
            let body =
                json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
            self.write(Write::Apply, &target, "", USER, &body).await?;
        }
        Ok(())
    }

    // --- the controller ---

    /// Starts a controller, and waits until it leads.
    pub async fn start_controller(&mut self, classes: Classes) -> anyhow::Result<()> {
        self.classes = classes;
        let controller = Controller::start(self.heralds.clone(), classes);
        self.wait_for_leader(controller).await
    }

    async fn wait_for_leader(&mut self, controller: Controller) -> anyhow::Result<()> {
        let lease = herald_thing(&LEASE, herald::api::LEASE);
        let start = Instant::now();
        loop {
            let holder = self.get(&lease).await?;
            if holder.is_some_and(|l| l["spec"]["holderIdentity"] == *controller.identity) {
                break;
            }
            if start.elapsed() > Duration::from_secs(20) {
                bail!("the controller does not lead after 20 s");
            }
            time::sleep(Duration::from_millis(20)).await;
        }
        self.controller = Some(controller);
        Ok(())
    }

    /// Starts one that waits for the first to die.
    pub fn start_standby(&mut self) {
        self.standby = Some(Controller::start(self.heralds.clone(), self.classes));
    }

    /// Ends it, and a standby, as SIGTERM would.
    pub async fn stop_controller(&mut self) {
        if let Some(standby) = self.standby.take() {
            standby.stop().await;
        }
        if let Some(controller) = self.controller.take() {
            controller.stop().await;
        }
    }

    /// Ends it as SIGKILL would; the standby, or another, goes on. The Lease goes, so that scripts need not wait until it has run
    /// out; what the dead one left behind otherwise stays.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        if let Some(controller) = self.controller.take() {
            controller.kill();
        }
        self.delete(&herald_thing(&LEASE, herald::api::LEASE))
            .await?;
        match self.standby.take() {
            Some(standby) => self.wait_for_leader(standby).await,
            None => self.start_controller(self.classes).await,
        }
    }

    /// Whether the controller has ended of its own accord.
    pub fn controller_died(&self) -> bool {
        self.controller.as_ref().is_some_and(Controller::has_ended)
    }

    // --- the whole ---

    /// Every object that Herald writes, or might, with its version.
    pub async fn picture(&self) -> anyhow::Result<Picture> {
        let mut picture = Picture::new();
        for kind in [&SERVICE, &POOL, &LOCK, &EVENT, &NODE, &NAMESPACE] {
            for item in self.list(kind).await? {
                let metadata = &item["metadata"];
                let text = |key: &str| metadata[key].as_str().unwrap_or_default();
                let namespace = Some(text("namespace")).filter(|n| !n.is_empty());
                let place = namespace.map_or_else(String::new, |n| format!("{n}/"));
                let name = format!("{} {place}{}", kind.word, text("name"));
                picture.insert(name, text("resourceVersion").to_owned());
            }
        }
        Ok(picture)
    }

    /// Waits until nothing is written for a while; the picture then.
    pub async fn settle(&self, calm: Duration) -> anyhow::Result<Picture> {
        let start = Instant::now();
        let mut last = self.picture().await?;
        let mut took = start.elapsed();
        let mut since = Instant::now();
        loop {
            time::sleep(Duration::from_millis(100).max(took * 3)).await;
            let looked = Instant::now();
            let now = self.picture().await?;
            took = looked.elapsed();
            if now != last {
                if start.elapsed() > self.patience + calm {
                    bail!(
                        "the controller goes on writing: {}",
                        differences(&last, &now)
                    );
                }
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > calm {
                return Ok(last);
            }
        }
    }

    /// Takes away what a script has left, so that the next one starts afresh.
    pub async fn clear(&mut self) -> anyhow::Result<()> {
        self.stop_controller().await;
        let namespaced = [&SERVICE, &SLICE, &EVENT];
        let others = [&POOL, &LOCK, &NODE, &ANNOUNCEMENTS];
        for kind in namespaced.into_iter().chain(others) {
            for item in self.list(kind).await? {
                let text = |key: &str| item["metadata"][key].as_str().unwrap_or_default();
                let target = Target {
                    kind,
                    namespace: text("namespace").to_owned(),
                    name: text("name").to_owned(),
                };
                if !item["metadata"]["finalizers"].is_null() {
                    let none = json!({ "metadata": { "finalizers": null } });
                    self.write(Write::Merge, &target, "", USER, &none).await?;
                }
                self.delete(&target).await?;
            }
        }
        self.delete(&herald_thing(&LEASE, herald::api::LEASE))
            .await?;
        Ok(())
    }
}

/// Something in Herald's own namespace.
fn herald_thing(kind: &'static Kind, name: &str) -> Target {
    Target {
        kind,
        namespace: "herald-system".to_owned(),
        name: name.to_owned(),
    }
}

/// What two pictures differ in.
pub fn differences(before: &Picture, after: &Picture) -> String {
    let names = before.keys().chain(after.keys());
    let mut changed: Vec<_> = names
        .filter(|name| before.get(*name) != after.get(*name))
        .map(String::as_str)
        .collect();
    changed.sort_unstable();
    changed.dedup();
    changed.join(", ")
}

fn absent(answer: kube::Result<Value>) -> anyhow::Result<Option<Value>> {
    match answer {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(None),
        other => Ok(Some(other?)),
    }
}

/// The target that an object is.
pub fn target_of(object: &Value) -> anyhow::Result<Target> {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
    let kind = KINDS.iter().find(|k| object["kind"] == k.kind);
    let name = text("name");
    if name.is_empty() {
        bail!("an object without a name: {object}");
    }
    Ok(Target {
        kind: kind.context("an unknown kind")?,
        namespace: text("namespace").to_owned(),
        name: name.to_owned(),
    })
}
