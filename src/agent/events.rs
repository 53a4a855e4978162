//! Writes Events on Services: an address moved to this node. Best effort; what cannot be written soon is dropped.

use std::time::Duration;

use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{Api, Client, api::PostParams, core::ObjectMeta};
use tokio::{sync::mpsc, time};
use tracing::warn;

use super::moves::Move;
use crate::{api, cluster::explain};

/// Moves that wait to be told; see [`super::moves::Allowance`].
pub(super) const BACKLOG: usize = 32;
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Tells moves until the sender is gone.
pub(super) async fn publish(client: Client, node: String, mut moves: mpsc::Receiver<Move>) {
    let mut failing = false;
    while let Some(told) = moves.recv().await {
        let Some((service, event)) = event(&node, told, Timestamp::now()) else {
            continue;
        };
        let events: Api<Event> = Api::namespaced(client.clone(), &service);
        let params = PostParams::default();
        let written = time::timeout(CALL_TIMEOUT, events.create(&params, &event)).await;
        let why = match written {
            Ok(Ok(_)) => {
                failing = false;
                continue;
            }
            Ok(Err(error)) => explain(&error),
            Err(_) => "no answer".to_owned(),
        };
        if !std::mem::replace(&mut failing, true) {
            warn!(why, "an Event was not written");
        }
    }
}

/// The namespace and the Event in it.
fn event(node: &str, told: Move, now: Timestamp) -> Option<(String, Event)> {
    let (service, uid) = told.service?;
    let event = Event {
        metadata: ObjectMeta {
            // As client-go names them: the object and the moment.
            name: Some(format!("{}.{:x}", service.name, now.as_nanosecond())),
            namespace: Some(service.namespace.clone()),
            ..ObjectMeta::default()
        },
        action: Some("Announce".to_owned()),
        event_time: Some(MicroTime(now)),
        note: Some(told.note),
        reason: Some("Moved".to_owned()),
        regarding: Some(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Service".to_owned()),
            namespace: Some(service.namespace.clone()),
            name: Some(service.name),
            uid: Some(uid),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(api::AGENT.to_owned()),
        reporting_instance: Some(node.to_owned()),
        type_: Some("Normal".to_owned()),
        ..Event::default()
    };
    Some((service.namespace, event))
}

#[cfg(test)]
mod tests {
    use herald_spi::ServiceKey;

    use super::*;

    #[test]
    fn an_event_stands_on_its_service_and_names_the_node() {
        let told = Move {
            service: Some((ServiceKey::new("shop", "web"), "uid-1".to_owned())),
            note: "moved".to_owned(),
            without_owner: None,
        };
        let nobody = Move {
            service: None,
            ..told.clone()
        };
        let now = Timestamp::from_second(1_790_000_000).unwrap();
        assert!(event("b", nobody, now).is_none());
        let (namespace, event) = event("b", told, now).unwrap();
        assert_eq!(namespace, "shop");
        let regarding = event.regarding.unwrap();
        assert_eq!(
            (regarding.name.as_deref(), regarding.uid.as_deref()),
            (Some("web"), Some("uid-1"))
        );
        assert_eq!(
            (event.reason.as_deref(), event.reporting_instance.as_deref()),
            (Some("Moved"), Some("b"))
        );
    }
}
