//! The latest Events that Herald wrote on a Service.

use k8s_openapi::{api::core::v1, jiff::Timestamp};
use kube::ResourceExt as _;

use super::{model::Event, scene::Scene};
use crate::api;

/// Herald's Events on the Service as it is now, the latest last.
pub(super) fn events(scene: &Scene) -> Vec<Event> {
    let uid = scene.service.uid();
    let mut events: Vec<_> = scene
        .events
        .iter()
        .flatten()
        .filter(|event| is_heralds(event))
        .filter(|event| event.involved_object.uid == uid || event.involved_object.uid.is_none())
        .map(|event| (when(event), event))
        .collect();
    events.sort_by_key(|(when, _)| *when);
    events
        .into_iter()
        .map(|(when, event)| Event {
            when: second(when),
            type_: event.type_.clone().unwrap_or_default(),
            reason: event.reason.clone().unwrap_or_default(),
            message: event.message.clone().unwrap_or_default(),
            by: event.reporting_component.clone().unwrap_or_default(),
        })
        .collect()
}

fn is_heralds(event: &v1::Event) -> bool {
    let by = event.reporting_component.as_deref();
    by.is_some_and(|by| [api::CONTROLLER, api::AGENT].contains(&by))
}

fn when(event: &v1::Event) -> Timestamp {
    let series = event
        .series
        .as_ref()
        .and_then(|s| s.last_observed_time.as_ref());
    let precise = series.or(event.event_time.as_ref()).map(|time| time.0);
    let last = event.last_timestamp.as_ref().map(|time| time.0);
    let made = event
        .metadata
        .creation_timestamp
        .as_ref()
        .map(|time| time.0);
    precise.or(last).or(made).unwrap_or_default()
}

/// A moment to the second, RFC 3339.
fn second(moment: Timestamp) -> String {
    Timestamp::from_second(moment.as_second())
        .unwrap_or(moment)
        .to_string()
}
