//! Carries plans out against the API server.
//!
//! Every write names what it was decided from (a version, or that nothing must exist), so that a late one is
//! refused; and none starts once this process no longer leads.

use std::{future::Future, time::Duration};

use k8s_openapi::{api::core::v1::Service, jiff::Timestamp};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::json;
use tokio::time;

use super::{Lock, Outcome, Plan, StatusWrite, Unlock, status};
use crate::{
    api::{self, AddressAllocation, object_name},
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
    /// The object changed since the plan was made; the watch brings the new state.
    #[error("the object has changed meanwhile")]
    Stale,
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

    /// Takes the plan's steps in their order until one fails. What was done is told in any case.
    pub(super) async fn execute(&self, plan: &Plan) -> (Vec<Outcome>, Result<(), Failure>) {
        let mut outcomes = Vec::new();
        let result = self.steps(plan, &mut outcomes).await;
        (outcomes, result)
    }

    async fn steps(&self, plan: &Plan, outcomes: &mut Vec<Outcome>) -> Result<(), Failure> {
        if plan.ask_first
            && let Some(found) = self.still_there(plan).await?
        {
            outcomes.push(found);
            return Ok(());
        }
        for lock in &plan.locks {
            let outcome = self.lock(plan, lock).await?;
            let taken = matches!(outcome, Outcome::LockTaken { .. });
            outcomes.push(outcome);
            if taken {
                return Ok(());
            }
        }
        if let Some(write) = &plan.status {
            outcomes.extend(self.write_status(plan, write).await?);
        }
        for unlock in &plan.unlocks {
            outcomes.push(self.unlock(unlock).await?);
        }
        Ok(())
    }

    /// A Service that changed its type looks like a deleted one to the watch: ask.
    async fn still_there(&self, plan: &Plan) -> Result<Option<Outcome>, Failure> {
        let services = self.services(plan);
        let Some(service) = self.call(services.get_opt(&plan.service.name)).await? else {
            return Ok(None);
        };
        if let Some(record) = cluster::service(&service) {
            return Ok(Some(Outcome::Found(record)));
        }
        let condition = service
            .status
            .iter()
            .flat_map(|s| s.conditions.iter().flatten());
        let marked = condition
            .into_iter()
            .any(|c| c.type_ == api::CONDITION_ALLOCATED)
            || service
                .annotations()
                .contains_key(api::ANNOTATION_ALLOCATED_FROM);
        if marked {
            let nothing = StatusWrite {
                resource_version: service.resource_version().unwrap_or_default(),
                addresses: None,
                allocated_from: None,
                verdict: None,
                since: None,
            };
            self.write_status(plan, &nothing).await?;
        }
        Ok(None)
    }

    async fn lock(&self, plan: &Plan, lock: &Lock) -> Result<Outcome, Failure> {
        let locks: Api<AddressAllocation> = Api::all(self.client.clone());
        let name = object_name(lock.address);
        let mut wanted = AddressAllocation::new(&name, lock.spec.clone());
        wanted.metadata.resource_version.clone_from(&lock.replaces);
        let params = PostParams {
            field_manager: Some(api::CONTROLLER.to_owned()),
            ..PostParams::default()
        };
        let written = match lock.replaces {
            Some(_) => self.call(locks.replace(&name, &params, &wanted)).await,
            None => self.call(locks.create(&params, &wanted)).await,
        };
        match written {
            Ok(object) => locked(&object),
            // Not ours to make: see whose it is. After a lost reply it is our own.
            Err(Failure::Stale) if lock.replaces.is_none() => {
                let object = self.call(locks.get(&name)).await?;
                if object.spec.holders == lock.spec.holders {
                    return locked(&object);
                }
                let existing = cluster::allocation(&object).ok_or(Failure::Stale)?;
                Ok(Outcome::LockTaken {
                    service: plan.service.clone(),
                    existing,
                })
            }
            Err(failure) => Err(failure),
        }
    }

    async fn write_status(
        &self,
        plan: &Plan,
        write: &StatusWrite,
    ) -> Result<Option<Outcome>, Failure> {
        let patch = Patch::Apply(status::body(&plan.service, write, Timestamp::now()));
        let params = PatchParams::apply(api::CONTROLLER).force();
        let services = self.services(plan);
        match self
            .call(services.patch_status(&plan.service.name, &params, &patch))
            .await
        {
            Ok(service) => Ok(cluster::service(&service).map(Outcome::StatusWritten)),
            Err(Failure::Api(error)) if cluster::is_gone(&error) => Err(Failure::Stale),
            Err(failure) => Err(failure),
        }
    }

    async fn unlock(&self, unlock: &Unlock) -> Result<Outcome, Failure> {
        let gone = Outcome::Unlocked {
            address: unlock.address,
            holder: unlock.holder.clone(),
        };
        let Some((uid, resource_version)) = &unlock.object else {
            return Ok(gone);
        };
        let locks: Api<AddressAllocation> = Api::all(self.client.clone());
        let params = DeleteParams {
            preconditions: Some(Preconditions {
                uid: Some(uid.clone()),
                resource_version: Some(resource_version.clone()),
            }),
            ..DeleteParams::default()
        };
        match self
            .call(locks.delete(&object_name(unlock.address), &params))
            .await
        {
            Ok(_) => Ok(gone),
            Err(Failure::Api(error)) if cluster::is_gone(&error) => Ok(gone),
            Err(failure) => Err(failure),
        }
    }

    fn services(&self, plan: &Plan) -> Api<Service> {
        Api::namespaced(self.client.clone(), &plan.service.namespace)
    }

    async fn call<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
        if !self.leadership.holds() {
            return Err(Failure::NotLeading);
        }
        match time::timeout(CALL_TIMEOUT, call).await {
            Err(_) => Err(Failure::Timeout),
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => Err(Failure::Stale),
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

fn locked(object: &AddressAllocation) -> Result<Outcome, Failure> {
    cluster::allocation(object)
        .map(Outcome::Locked)
        .ok_or(Failure::Stale)
}
