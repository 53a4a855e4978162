//! Leader election: the effects. One task tends the Lease and tells who asks whether this process leads.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use herald_spi::Time;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{Api, Client, api::PostParams, core::ObjectMeta};
use tokio::{sync::watch, time};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Decision, Elector, Observed, Terms};
use crate::cluster::explain;

/// Why the Lease could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ElectionError {
    /// The API server refused or did not answer.
    #[error("the lease {name} could not be {action}: {}", explain(source))]
    Api {
        /// `read` or `written`.
        action: &'static str,
        /// The Lease's name.
        name: String,
        /// What the client says.
        source: kube::Error,
    },
    /// The call took longer than the terms allow.
    #[error("the API server did not answer within {0:?}")]
    Timeout(Duration),
}

/// Whether this process leads, and until when it may count on that.
#[derive(Clone, Debug)]
pub struct Leadership {
    started: Instant,
    /// Milliseconds since `started` until which writes are allowed; 0: not leading.
    until: Arc<AtomicU64>,
    changed: watch::Receiver<bool>,
}

impl Leadership {
    /// Whether a write that starts now may be sent.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.elapsed() < self.until.load(Ordering::Acquire)
    }

    /// Resolves when leading begins or ends; `None` when the campaign is over.
    pub async fn changed(&mut self) -> Option<bool> {
        self.changed.changed().await.ok()?;
        Some(*self.changed.borrow_and_update())
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

struct Campaign {
    api: Api<Lease>,
    name: String,
    me: String,
    terms: Terms,
    elector: Elector,
    leadership: Leadership,
    announce: watch::Sender<bool>,
    lease: Option<Lease>,
}

/// Stands for leader until `stop`, then gives the Lease back. The future never ends before `stop`.
///
/// `client` must not retry on its own: a renewal that comes late is worse than one that fails.
pub fn campaign(
    client: Client,
    namespace: &str,
    name: &str,
    me: &str,
    terms: Terms,
    stop: CancellationToken,
) -> (Leadership, impl Future<Output = ()> + Send + use<>) {
    let (announce, changed) = watch::channel(false);
    let leadership = Leadership {
        started: Instant::now(),
        until: Arc::default(),
        changed,
    };
    let campaign = Campaign {
        api: Api::namespaced(client, namespace),
        name: name.to_owned(),
        me: me.to_owned(),
        terms,
        elector: Elector::new(me),
        leadership: leadership.clone(),
        announce,
        lease: None,
    };
    (leadership, campaign.run(stop))
}

impl Campaign {
    async fn run(mut self, stop: CancellationToken) {
        let mut failing = false;
        loop {
            let result = time::timeout(self.terms.retry, self.round()).await;
            let result = result.unwrap_or(Err(ElectionError::Timeout(self.terms.retry)));
            if let Err(error) = &result
                && !failing
            {
                warn!(%error, "no leader can be found");
            }
            failing = result.is_err();
            self.tell();
            tokio::select! {
                () = stop.cancelled() => break,
                () = time::sleep(self.pause()) => {}
            }
        }
        self.give_back().await;
    }

    /// Until the next look, but not past the moment at which leading ends.
    fn pause(&self) -> Duration {
        let left = self
            .leadership
            .until
            .load(Ordering::Acquire)
            .saturating_sub(self.leadership.elapsed());
        match left {
            0 => self.terms.retry,
            left => self.terms.retry.min(Duration::from_millis(left)),
        }
    }

    async fn round(&mut self) -> Result<(), ElectionError> {
        let asked = self.leadership.elapsed();
        let error = |action| {
            let name = self.name.clone();
            move |source| ElectionError::Api {
                action,
                name,
                source,
            }
        };
        let lease = self.api.get_opt(&self.name).await.map_err(error("read"))?;
        let now = Time::from_start(self.leadership.started.elapsed());
        let decision = self.elector.step(now, lease.as_ref().map(observed));
        if let Decision::Wait(_) = decision {
            self.leadership.until.store(0, Ordering::Release);
            return Ok(());
        }
        let wanted = self.wanted(lease.as_ref(), decision == Decision::Acquire);
        let written = match lease {
            Some(_) => {
                self.api
                    .replace(&self.name, &PostParams::default(), &wanted)
                    .await
            }
            None => self.api.create(&PostParams::default(), &wanted).await,
        };
        match written {
            Ok(lease) => {
                let deadline = u64::try_from(self.terms.renew_deadline.as_millis()).unwrap_or(0);
                self.leadership
                    .until
                    .store(asked.saturating_add(deadline), Ordering::Release);
                self.lease = Some(lease);
                Ok(())
            }
            // Somebody else was faster; the next round sees who.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
            Err(source) => Err(error("written")(source)),
        }
    }

    fn wanted(&self, lease: Option<&Lease>, acquire: bool) -> Lease {
        let spec = lease.and_then(|l| l.spec.clone()).unwrap_or_default();
        let now = MicroTime(Timestamp::now());
        let transitions = spec.lease_transitions.unwrap_or(0);
        Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                resource_version: lease.and_then(|l| l.metadata.resource_version.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(LeaseSpec {
                holder_identity: Some(self.me.clone()),
                lease_duration_seconds: i32::try_from(self.terms.duration.as_secs()).ok(),
                acquire_time: if acquire {
                    Some(now.clone())
                } else {
                    spec.acquire_time
                },
                renew_time: Some(now),
                lease_transitions: Some(transitions.saturating_add(i32::from(acquire))),
                ..LeaseSpec::default()
            }),
        }
    }

    fn tell(&self) {
        let leads = self.leadership.holds();
        let changed = self.announce.send_if_modified(|known| {
            let changed = *known != leads;
            *known = leads;
            changed
        });
        if changed {
            info!(identity = self.me, leads, "leadership changed");
        }
    }

    /// Lets a successor start at once instead of after the lease's duration.
    async fn give_back(mut self) {
        let led = self.leadership.holds();
        self.leadership.until.store(0, Ordering::Release);
        self.tell();
        let Some(mut lease) = self.lease.take().filter(|_| led) else {
            return;
        };
        if let Some(spec) = &mut lease.spec {
            spec.holder_identity = None;
        }
        let params = PostParams::default();
        let write = self.api.replace(&self.name, &params, &lease);
        if !matches!(time::timeout(self.terms.retry, write).await, Ok(Ok(_))) {
            warn!("the leader lease was not given back; a successor waits until it expires");
        }
    }
}

fn observed(lease: &Lease) -> Observed {
    let spec = lease.spec.clone().unwrap_or_default();
    let seconds = spec
        .lease_duration_seconds
        .and_then(|s| u64::try_from(s).ok());
    Observed {
        version: lease.metadata.resource_version.clone().unwrap_or_default(),
        holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
        duration: Duration::from_secs(seconds.unwrap_or(0)),
    }
}
