//! The plain client: what the same writes cost when nothing is decided, watched or waited for.
//!
//! For each Service one after the other: the lock is created, the status applied, the Event created, in Herald's own
//! words; 32 Services at the same time, from a process shaped like the controller's.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context as _;
use herald::api::{self, AddressAllocation, AddressAllocationSpec, Holder, Reason, Verdict};
use k8s_openapi::{
    api::{
        core::v1::{ObjectReference, Service},
        events::v1::Event,
    },
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
    core::ObjectMeta,
};
use serde_json::json;

use crate::{
    objects::{NAMESPACE, POOL, address, crowd},
    program::{Program, parent_gone},
    server::{self, Server},
    watcher::{self, Metadata},
};

/// The word that makes this binary the plain client.
pub const ROLE: &str = "plain-client";
/// Said before the first write and after the last answer.
pub const BEGINS: &str = "the Services are read; writing";
pub const ENDS: &str = "all is written";

/// Writes for every Service there is.
pub async fn play() -> anyhow::Result<ExitCode> {
    let kubeconfig = std::env::var_os("KUBECONFIG").context("no KUBECONFIG")?;
    let client = server::client(kubeconfig.as_ref()).await?;
    let services = Arc::new(watcher::services(&client).await?);
    let number = u32::try_from(services.len())?;
    eprintln!("{BEGINS}");
    crowd(number, |at| {
        let (client, services) = (client.clone(), Arc::clone(&services));
        async move {
            let service = services.get(at as usize).context("one too many")?;
            write(&client, service, at).await
        }
    })
    .await?;
    eprintln!("{ENDS}");
    parent_gone().await;
    Ok(ExitCode::SUCCESS)
}

/// Starts it.
pub fn start(server: &Server) -> anyhow::Result<Program> {
    Program::role(ROLE, &[], Some(&server.kubeconfig))
}

async fn write(client: &Client, service: &Metadata, number: u32) -> anyhow::Result<()> {
    let address = address(number);
    let verdict = Verdict::yes(Reason::ALLOCATED, format!("{address} from pool {POOL}"));

    let spec = AddressAllocationSpec {
        address: address.to_string(),
        pool: POOL.to_owned(),
        holders: vec![Holder {
            namespace: NAMESPACE.to_owned(),
            name: service.name.clone(),
            uid: service.uid.clone(),
            ..Holder::default()
        }],
        ..AddressAllocationSpec::default()
    };
    let lock = AddressAllocation::new(&api::object_name(address.into()), spec);
    let locks: Api<AddressAllocation> = Api::all(client.clone());
    let params = PostParams {
        field_manager: Some(api::CONTROLLER.to_owned()),
        ..PostParams::default()
    };
    locks.create(&params, &lock).await?;

    let condition = api::condition(api::CONDITION_ALLOCATED, &verdict, Timestamp::now());
    let status = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "namespace": NAMESPACE, "name": service.name, "resourceVersion": service.resource_version,
            "annotations": { (api::ANNOTATION_ALLOCATED_FROM): POOL },
        },
        "status": {
            "loadBalancer": { "ingress": [{ "ip": address, "ipMode": "VIP" }] },
            "conditions": [condition],
        },
    });
    let services: Api<Service> = Api::namespaced(client.clone(), NAMESPACE);
    let params = PatchParams::apply(api::CONTROLLER).force();
    services
        .patch_status(&service.name, &params, &Patch::Apply(status))
        .await?;

    let events: Api<Event> = Api::namespaced(client.clone(), NAMESPACE);
    let event = event(service, &verdict);
    events.create(&PostParams::default(), &event).await?;
    Ok(())
}

fn event(service: &Metadata, verdict: &Verdict) -> Event {
    let now = Timestamp::now();
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{}.{:x}", service.name, now.as_nanosecond())),
            namespace: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        action: Some("Allocate".to_owned()),
        event_time: Some(MicroTime(now)),
        note: Some(verdict.message.clone()),
        reason: Some(verdict.reason.to_string()),
        regarding: Some(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Service".to_owned()),
            namespace: Some(NAMESPACE.to_owned()),
            name: Some(service.name.clone()),
            uid: Some(service.uid.clone()),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(api::CONTROLLER.to_owned()),
        reporting_instance: Some("plain".to_owned()),
        type_: Some("Normal".to_owned()),
        ..Event::default()
    }
}
