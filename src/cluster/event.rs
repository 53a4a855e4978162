//! Events on Services, as controller and agents write them.
//!
//! kube's recorder would fold one into an earlier one of the same reason and drop its words: the second address of a
//! Service would be told as the first.

use std::time::Duration;

use herald_spi::ServiceKey;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{Api, Client, api::PostParams, core::ObjectMeta};
use tokio::time;

use super::explain;

const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// What happened to a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceEvent {
    /// The Service.
    pub service: ServiceKey,
    /// Its uid.
    pub uid: String,
    /// Which part of Herald says it, as in `reportingController`.
    pub controller: &'static str,
    /// Which process of that part.
    pub instance: String,
    /// What was done or tried.
    pub action: &'static str,
    /// Why, in one word.
    pub reason: String,
    /// Details for people.
    pub note: String,
    /// Whether all is well.
    pub well: bool,
}

/// Writes one Event.
///
/// # Errors
/// Why it was not written, for people.
pub async fn tell(client: Client, told: ServiceEvent) -> Result<(), String> {
    let events: Api<Event> = Api::namespaced(client, &told.service.namespace);
    let event = event(told, Timestamp::now());
    match time::timeout(CALL_TIMEOUT, events.create(&PostParams::default(), &event)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(explain(&error)),
        Err(_) => Err("no answer".to_owned()),
    }
}

fn event(told: ServiceEvent, now: Timestamp) -> Event {
    let ServiceKey { namespace, name } = told.service;
    Event {
        metadata: ObjectMeta {
            // As client-go names them: the object and the moment.
            name: Some(format!("{name}.{:x}", now.as_nanosecond())),
            namespace: Some(namespace.clone()),
            ..ObjectMeta::default()
        },
        action: Some(told.action.to_owned()),
        event_time: Some(MicroTime(now)),
        note: Some(shorten(told.note)),
        reason: Some(told.reason),
        regarding: Some(ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Service".to_owned()),
            namespace: Some(namespace),
            name: Some(name),
            uid: Some(told.uid),
            ..ObjectReference::default()
        }),
        reporting_controller: Some(told.controller.to_owned()),
        reporting_instance: Some(told.instance),
        type_: Some(if told.well { "Normal" } else { "Warning" }.to_owned()),
        ..Event::default()
    }
}

/// The API server takes notes of at most 1,024 bytes.
fn shorten(mut note: String) -> String {
    const MOST: usize = 1024;
    const MORE: &str = "…";
    if note.len() > MOST {
        note.truncate(note.floor_char_boundary(MOST - MORE.len()));
        note.push_str(MORE);
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stands_on_its_service_and_names_who_says_it() {
        let told = ServiceEvent {
            service: ServiceKey::new("shop", "web"),
            uid: "uid-1".to_owned(),
            controller: "herald.dev/agent",
            instance: "b".to_owned(),
            action: "Announce",
            reason: "Moved".to_owned(),
            note: "moved".to_owned(),
            well: true,
        };
        let event = event(told, Timestamp::from_second(1_790_000_000).unwrap());
        assert_eq!(event.metadata.namespace.as_deref(), Some("shop"));
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

    #[test]
    fn notes_are_cut_to_the_bytes_that_the_api_server_takes() {
        assert_eq!(shorten("short".into()), "short");
        for wide in ["é", "x", "語"] {
            let note = shorten(wide.repeat(1025));
            assert!(note.len() <= 1024 && note.len() > 1015, "{}", note.len());
        }
    }
}
