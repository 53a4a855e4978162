//! Carries plans out against the API server.
//!
//! Every write names what it was decided from (a version, or that nothing must exist), so that a late one is
//! refused; and none starts once this process no longer leads.

use std::{future::Future, time::Duration};

use herald_spi::ServiceKey;
use k8s_openapi::{api::core::v1::Service, jiff::Timestamp};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::json;
use tokio::time;

use super::{
    Outcome, Plan,
    errand::{Call, Errand, Found, Reply, Stale},
    node_ports::NodePortPatch,
    status,
};
use crate::{
    api::{self, AddressAllocation},
    cluster::{self, explain},
    lease::Leadership,
};

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a plan was not carried out to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Another controller leads now.
    #[error("this controller no longer leads")]
    NotLeading,
    /// The plan was made from an old state.
    #[error(transparent)]
    Stale(#[from] Stale),
    /// The API server did not answer.
    #[error("the API server did not answer within {CALL_TIMEOUT:?}")]
    Timeout,
    /// The API server refused, or could not be reached.
    #[error("{}", explain(.0))]
    Api(#[from] kube::Error),
}

/// The means to carry out plans.
#[derive(Clone)]
pub(super) struct Executor {
    client: Client,
    leadership: Leadership,
}

impl Executor {
    pub(super) fn new(client: Client, leadership: Leadership) -> Self {
        Self { client, leadership }
    }

    /// Runs the errand until its end or a failure. What was done is told in any case.
    pub(super) async fn execute(&self, plan: Plan) -> (Plan, Vec<Outcome>, Result<(), Failure>) {
        let mut errand = Errand::new(plan);
        let result = self.walk(&mut errand).await;
        let (plan, outcomes) = errand.end();
        (plan, outcomes, result)
    }

    async fn walk(&self, errand: &mut Errand) -> Result<(), Failure> {
        while let Some(call) = errand.call() {
            let reply = self.ask(&errand.plan().service, call).await?;
            errand.heed(reply)?;
        }
        Ok(())
    }

    async fn ask(&self, service: &ServiceKey, call: Call<'_>) -> Result<Reply, Failure> {
        let services = || self.services(&service.namespace);
        let locks = || Api::<AddressAllocation>::all(self.client.clone());
        match call {
            Call::ReadService => Ok(match self.call(services().get_opt(&service.name)).await? {
                Some(service) => Reply::Service(found(&service)),
                None => Reply::Gone,
            }),
            Call::WriteStatus(write) => {
                let patch = Patch::Apply(status::body(service, write, Timestamp::now()));
                let params = PatchParams::apply(api::CONTROLLER).force();
                let services = services();
                let written = services.patch_status(&service.name, &params, &patch);
                self.decided(written, |service| Some(Reply::Service(found(&service))))
                    .await
            }
            Call::PatchNodePorts(patch) => {
                let written = self.patch_node_ports(service, patch);
                match written.await {
                    Ok(service) => Ok(Reply::Service(found(&service))),
                    Err(Failure::Stale(_)) => Ok(Reply::Stale),
                    Err(Failure::Api(error)) if cluster::is_gone(&error) => Ok(Reply::Gone),
                    Err(failure) => Err(failure),
                }
            }
            Call::CreateLock(key, spec) => {
                let object = AddressAllocation::new(&key.object_name(), spec.clone());
                self.decided(locks().create(&post(), &object), record).await
            }
            Call::ReplaceLock(key, spec, version) => {
                let name = key.object_name();
                let mut object = AddressAllocation::new(&name, spec.clone());
                object.metadata.resource_version = Some(version.to_owned());
                self.decided(locks().replace(&name, &post(), &object), record)
                    .await
            }
            Call::ReadLock(key) => self.decided(locks().get(&key.object_name()), record).await,
            Call::DeleteLock(key, version) => {
                let params = DeleteParams {
                    preconditions: Some(Preconditions {
                        uid: Some(version.uid.clone()),
                        resource_version: Some(version.resource_version.clone()),
                    }),
                    ..DeleteParams::default()
                };
                let name = key.object_name();
                self.decided(locks().delete(&name, &params), |_| Some(Reply::Deleted))
                    .await
            }
        }
    }

    /// Switches node ports.
    pub(super) async fn patch_node_ports(
        &self,
        service: &ServiceKey,
        patch: &NodePortPatch,
    ) -> Result<Service, Failure> {
        let patch: Patch<()> = Patch::Json(patch.json());
        let params = PatchParams {
            field_manager: Some(api::CONTROLLER.to_owned()),
            ..PatchParams::default()
        };
        let services = self.services(&service.namespace);
        match self
            .call(services.patch(&service.name, &params, &patch))
            .await
        {
            Err(Failure::Api(kube::Error::Api(status))) if NodePortPatch::came_late(&status) => {
                Err(Failure::Stale(Stale))
            }
            written => written,
        }
    }

    /// The reply of a call, where the API server's refusal is one too.
    async fn decided<T>(
        &self,
        call: impl Future<Output = kube::Result<T>>,
        reply: impl FnOnce(T) -> Option<Reply>,
    ) -> Result<Reply, Failure> {
        match self.call(call).await {
            Ok(answer) => reply(answer).ok_or(Failure::Stale(Stale)),
            Err(Failure::Stale(_)) => Ok(Reply::Stale),
            Err(Failure::Api(error)) if cluster::is_gone(&error) => Ok(Reply::Gone),
            Err(failure) => Err(failure),
        }
    }

    /// The Services of a namespace.
    pub(super) fn services(&self, namespace: &str) -> Api<Service> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// Makes a call while this process leads, and does not wait for ever.
    pub(super) async fn call<T>(
        &self,
        call: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Failure> {
        if !self.leadership.holds() {
            return Err(Failure::NotLeading);
        }
        match time::timeout(CALL_TIMEOUT, call).await {
            Err(_) => Err(Failure::Timeout),
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => Err(Failure::Stale(Stale)),
            Ok(result) => Ok(result?),
        }
    }

    /// Writes a pool's status.
    pub(super) async fn write_pool_status(
        &self,
        name: &str,
        status: &api::AddressPoolStatus,
    ) -> Result<(), Failure> {
        let pools: Api<api::AddressPool> = Api::all(self.client.clone());
        let body = json!({
            "apiVersion": format!("{}/{}", api::GROUP, api::VERSION),
            "kind": "AddressPool",
            "metadata": { "name": name },
            "status": status,
        });
        let params = PatchParams::apply(api::CONTROLLER).force();
        match self
            .call(pools.patch_status(name, &params, &Patch::Apply(&body)))
            .await
        {
            Ok(_) => Ok(()),
            Err(Failure::Api(error)) if cluster::is_gone(&error) => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}

fn found(service: &Service) -> Found {
    if let Some(record) = cluster::service(service) {
        return Found::Balancer(Box::new(record));
    }
    let conditions = service
        .status
        .iter()
        .flat_map(|s| s.conditions.iter().flatten());
    let marked = conditions
        .into_iter()
        .any(|c| api::CONDITIONS.contains(&c.type_.as_str()))
        || service
            .annotations()
            .contains_key(api::ANNOTATION_ALLOCATED_FROM);
    Found::OtherType {
        marked,
        resource_version: service.resource_version().unwrap_or_default(),
    }
}

fn record(object: AddressAllocation) -> Option<Reply> {
    cluster::allocation(&object).map(|lock| Reply::Lock(Box::new(lock)))
}

fn post() -> PostParams {
    PostParams {
        field_manager: Some(api::CONTROLLER.to_owned()),
        ..PostParams::default()
    }
}
