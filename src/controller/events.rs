//! Events on Services: one per transition, best effort.
//!
//! A refusal that is over within two seconds makes no Event: applying a Service a moment before its pool is no news.

use std::{collections::BTreeMap, time::Duration};

use herald_spi::ServiceKey;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{Api, Client, api::PostParams, core::ObjectMeta};
use tokio::{
    sync::mpsc,
    time::{self, Instant},
};
use tracing::warn;

use super::Notice;
use crate::{api, cluster::explain};

/// How long a refusal must last to be told.
const PATIENCE: Duration = Duration::from_secs(2);
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Events that wait to be sent; more are dropped, with a word in the log.
const BACKLOG: usize = 16_384;

/// The sending end; a full queue drops the Event, never the work.
#[derive(Clone)]
pub(super) struct Herald(mpsc::Sender<(ServiceKey, Notice)>);

impl Herald {
    pub(super) fn tell(&self, service: ServiceKey, notice: Notice) {
        if self.0.try_send((service, notice)).is_err() {
            warn!("too many Events at once; one is dropped");
        }
    }
}

/// The channel and the task that sends what comes through it.
pub(super) fn publisher(client: Client, instance: String) -> (Herald, impl Future<Output = ()>) {
    let (sender, mut receiver) = mpsc::channel::<(ServiceKey, Notice)>(BACKLOG);
    let task = async move {
        let mut held_back: BTreeMap<ServiceKey, (Instant, Notice)> = BTreeMap::new();
        loop {
            let due = held_back
                .iter()
                .min_by_key(|(_, (due, _))| *due)
                .map(|(key, (due, _))| (key.clone(), *due));
            let wait = async {
                match &due {
                    Some((_, due)) => time::sleep_until(*due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                message = receiver.recv() => match message {
                    None => return,
                    Some((service, notice)) if notice.verdict.holds => {
                        held_back.remove(&service);
                        publish(&client, &instance, &service, notice).await;
                    }
                    Some((service, notice)) => {
                        held_back.insert(service, (Instant::now() + PATIENCE, notice));
                    }
                },
                () = wait => {
                    if let Some((service, _)) = due
                        && let Some((_, notice)) = held_back.remove(&service)
                    {
                        publish(&client, &instance, &service, notice).await;
                    }
                }
            }
        }
    };
    (Herald(sender), task)
}

/// Writes one Event. kube's recorder would fold it into an earlier one of the same reason and drop its words: the
/// second address of a Service would be told as the first.
async fn publish(client: &Client, instance: &str, service: &ServiceKey, notice: Notice) {
    let now = Timestamp::now();
    let event = Event {
        metadata: ObjectMeta {
            // As client-go names them: the object and the moment.
            name: Some(format!("{}.{:x}", service.name, now.as_nanosecond())),
            namespace: Some(service.namespace.clone()),
            ..ObjectMeta::default()
        },
        action: Some("Allocate".to_owned()),
        event_time: Some(MicroTime(now)),
        note: Some(notice.verdict.message.chars().take(1024).collect()),
        reason: Some(notice.verdict.reason.to_string()),
        regarding: Some(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Service".to_owned()),
            namespace: Some(service.namespace.clone()),
            name: Some(service.name.clone()),
            uid: Some(notice.uid),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(api::CONTROLLER.to_owned()),
        reporting_instance: Some(instance.to_owned()),
        type_: Some(
            if notice.verdict.holds {
                "Normal"
            } else {
                "Warning"
            }
            .to_owned(),
        ),
        ..Event::default()
    };
    let events: Api<Event> = Api::namespaced(client.clone(), &service.namespace);
    match time::timeout(CALL_TIMEOUT, events.create(&PostParams::default(), &event)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => warn!(%service, why = explain(&error), "an Event was not written"),
        Err(_) => warn!(%service, "an Event was not written: no answer"),
    }
}
