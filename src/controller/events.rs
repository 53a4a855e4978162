//! Events on Services: one per transition, best effort.
//!
//! A refusal that is over within two seconds makes no Event: applying a Service a moment before its pool is no news.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use herald_spi::ServiceKey;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{Api, Client, api::PostParams, core::ObjectMeta};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{self, Instant},
};
use tracing::warn;

use super::Notice;
use crate::{
    api::{self, Reason},
    cluster::explain,
};

/// How long a refusal must last to be told.
const PATIENCE: Duration = Duration::from_secs(2);
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Events that are sent at the same time.
const AT_ONCE: usize = 16;
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
        let mut held_back = HeldBack::default();
        let mut sending = JoinSet::new();
        loop {
            let due = held_back.first_due();
            let wait = async {
                match due {
                    Some(due) => time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            let told = tokio::select! {
                message = receiver.recv(), if sending.len() < AT_ONCE => match message {
                    None => return,
                    Some((service, notice)) => held_back.take(service, notice),
                },
                () = wait, if sending.len() < AT_ONCE => held_back.next(Instant::now()),
                Some(_) = sending.join_next() => None,
            };
            if let Some((service, notice)) = told {
                sending.spawn(publish(client.clone(), instance.clone(), service, notice));
            }
        }
    };
    (Herald(sender), task)
}

/// Refusals that may be over soon.
#[derive(Default)]
struct HeldBack {
    notices: BTreeMap<(ServiceKey, &'static str), (Instant, Notice)>,
    dues: BTreeSet<(Instant, ServiceKey, &'static str)>,
}

impl HeldBack {
    /// A notice to send at once; a refusal is kept, and one that it contradicts is forgotten.
    fn take(&mut self, service: ServiceKey, notice: Notice) -> Option<(ServiceKey, Notice)> {
        let type_ = notice.type_;
        self.forget(&service, type_);
        // What was replaced stays so.
        if notice.verdict.holds || notice.verdict.reason == Reason::ADDRESS_REPLACED {
            return Some((service, notice));
        }
        let due = Instant::now() + PATIENCE;
        self.dues.insert((due, service.clone(), type_));
        self.notices.insert((service, type_), (due, notice));
        None
    }

    fn first_due(&self) -> Option<Instant> {
        self.dues.first().map(|(due, ..)| *due)
    }

    /// The first that has been kept for long enough.
    fn next(&mut self, now: Instant) -> Option<(ServiceKey, Notice)> {
        let (due, service, type_) = self.dues.first().filter(|(due, ..)| *due <= now).cloned()?;
        self.dues.remove(&(due, service.clone(), type_));
        let (_, notice) = self.notices.remove(&(service.clone(), type_))?;
        Some((service, notice))
    }

    fn forget(&mut self, service: &ServiceKey, type_: &'static str) {
        let key = (service.clone(), type_);
        if let Some((due, _)) = self.notices.remove(&key) {
            let (service, type_) = key;
            self.dues.remove(&(due, service, type_));
        }
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

/// Writes one Event. kube's recorder would fold it into an earlier one of the same reason and drop its words: the
/// second address of a Service would be told as the first.
async fn publish(client: Client, instance: String, service: ServiceKey, notice: Notice) {
    let now = Timestamp::now();
    let event = Event {
        metadata: ObjectMeta {
            // As client-go names them: the object and the moment.
            name: Some(format!("{}.{:x}", service.name, now.as_nanosecond())),
            namespace: Some(service.namespace.clone()),
            ..ObjectMeta::default()
        },
        action: Some(
            match notice.type_ {
                api::CONDITION_NODE_PORTS => "SwitchNodePorts",
                api::CONDITION_ANNOUNCED => "Announce",
                _ => "Allocate",
            }
            .to_owned(),
        ),
        event_time: Some(MicroTime(now)),
        note: Some(shorten(notice.verdict.message)),
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
        reporting_instance: Some(instance),
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
    let events: Api<Event> = Api::namespaced(client, &service.namespace);
    match time::timeout(CALL_TIMEOUT, events.create(&PostParams::default(), &event)).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => warn!(%service, why = explain(&error), "an Event was not written"),
        Err(_) => warn!(%service, "an Event was not written: no answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Verdict;

    fn notice(holds: bool) -> Notice {
        Notice {
            uid: "u".into(),
            type_: api::CONDITION_ALLOCATED,
            verdict: Verdict {
                holds,
                reason: Reason::ALLOCATED,
                message: String::new(),
            },
        }
    }

    #[test]
    fn notes_are_cut_to_the_bytes_that_the_api_server_takes() {
        assert_eq!(shorten("short".into()), "short");
        for wide in ["é", "x", "語"] {
            let note = shorten(wide.repeat(1025));
            assert!(note.len() <= 1024 && note.len() > 1015, "{}", note.len());
        }
    }

    #[test]
    fn a_refusal_that_is_over_soon_is_no_news() {
        let web = || ServiceKey::new("default", "web");
        let mut held_back = HeldBack::default();
        assert_eq!(held_back.take(web(), notice(false)), None);
        assert_eq!(held_back.next(Instant::now()), None);
        assert!(held_back.take(web(), notice(true)).is_some());
        assert_eq!(held_back.first_due(), None);
        held_back.take(web(), notice(false));
        held_back.take(web(), notice(false));
        let later = Instant::now() + PATIENCE;
        assert_eq!(held_back.next(later), Some((web(), notice(false))));
        assert_eq!(held_back.next(later), None, "once");
    }
}
