//! Events on Services: one per transition, best effort.
//!
//! A refusal that is over within two seconds makes no Event: applying a Service a moment before its pool is no news.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use herald_spi::ServiceKey;
use kube::Client;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{self, Instant},
};
use tracing::warn;

use super::Notice;
use crate::{
    api::{self, Reason},
    cluster::{self, ServiceEvent},
};

/// How long a refusal must last to be told.
const PATIENCE: Duration = Duration::from_secs(2);
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

async fn publish(client: Client, instance: String, service: ServiceKey, notice: Notice) {
    let told = ServiceEvent {
        service: service.clone(),
        uid: notice.uid,
        controller: api::CONTROLLER,
        instance,
        action: match notice.type_ {
            api::CONDITION_NODE_PORTS => "SwitchNodePorts",
            api::CONDITION_ANNOUNCED => "Announce",
            api::CONDITION_PROVISIONED => "Provision",
            _ => "Allocate",
        },
        reason: notice.verdict.reason.to_string(),
        note: notice.verdict.message,
        well: notice.verdict.holds,
    };
    if let Err(why) = cluster::tell(client, told).await {
        warn!(%service, why, "an Event was not written");
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
