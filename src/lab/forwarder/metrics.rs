//! What kube-proxy tells about its syncs, told by the forwarder in the same words, at the same places.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use axum::{Router, routing::get};
use tokio::{net::TcpListener, task::JoinSet};
use tracing::warn;

/// Where kube-proxy serves its metrics.
const METRICS: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 10249);
/// Where kube-proxy says that it is well.
const HEALTH: (Ipv4Addr, u16) = (Ipv4Addr::UNSPECIFIED, 10256);

/// How the syncs went. Both families are synced together.
#[derive(Debug, Default)]
pub(super) struct SyncRecord(Mutex<Syncs>);

#[derive(Clone, Copy, Debug, Default)]
struct Syncs {
    queued: f64,
    ended: f64,
    count: u64,
    seconds: f64,
}

impl SyncRecord {
    /// A sync has been asked for.
    pub(super) fn queued(&self) {
        self.change(|syncs| syncs.queued = unix_seconds());
    }

    /// A sync has ended just now.
    pub(super) fn synced(&self, took: Duration) {
        self.change(|syncs| {
            syncs.ended = unix_seconds();
            syncs.count += 1;
            syncs.seconds += took.as_secs_f64();
        });
    }

    fn change(&self, change: impl FnOnce(&mut Syncs)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn text(&self) -> String {
        let Syncs {
            queued,
            ended,
            count,
            seconds,
        } = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = |name: &str, kind: &str, series: &[(&str, String)]| {
            let name = format!("kubeproxy_sync_proxy_rules_{name}");
            let mut text = format!("# TYPE {name} {kind}\n");
            for (suffix, value) in series {
                for family in ["IPv4", "IPv6"] {
                    text += &format!("{name}{suffix}{{ip_family=\"{family}\"}} {value}\n");
                }
            }
            text
        };
        let durations = [
            ("_sum", format!("{seconds:.6}")),
            ("_count", count.to_string()),
        ];
        lines(
            "last_timestamp_seconds",
            "gauge",
            &[("", format!("{ended:.6}"))],
        ) + &lines(
            "last_queued_timestamp_seconds",
            "gauge",
            &[("", format!("{queued:.6}"))],
        ) + &lines("duration_seconds", "summary", &durations)
    }
}

/// Serves the metrics and the health check until the returned set is dropped.
pub(super) async fn serve(record: Arc<SyncRecord>) -> anyhow::Result<JoinSet<()>> {
    let metrics = Router::new().route("/metrics", get(async move || record.text()));
    let health = Router::new().route("/healthz", get(async || "ok\n"));
    let mut tasks = JoinSet::new();
    for (at, router) in [(METRICS, metrics), (HEALTH, health)] {
        let cannot = || format!("cannot listen on {}:{}, kube-proxy's place", at.0, at.1);
        let listener = TcpListener::bind(at).await.with_context(cannot)?;
        tasks.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                warn!(%error, "kube-proxy's metrics are served no longer");
            }
        });
    }
    Ok(tasks)
}

fn unix_seconds() -> f64 {
    SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
        .as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_tell_of_every_sync() {
        let record = SyncRecord::default();
        record.queued();
        record.synced(Duration::from_millis(250));
        record.synced(Duration::from_millis(250));
        let text = record.text();
        for line in [
            "kubeproxy_sync_proxy_rules_duration_seconds_sum{ip_family=\"IPv4\"} 0.500000",
            "kubeproxy_sync_proxy_rules_duration_seconds_count{ip_family=\"IPv6\"} 2",
        ] {
            assert!(text.lines().any(|l| l == line), "{text}");
        }
    }
}
