//! What the agent counts, and what its parts count.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::Gauge,
        histogram::Histogram,
    },
    registry::Registry,
};

use super::{check::Outcome, report::Account};
use crate::membership;

/// The agent's own gauges, and the counters of its parts once these run.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    announcing: Gauge,
    abnormal: Gauge,
    peers: Gauge,
    detection: Histogram,
    takeover: Histogram,
    checks: Family<OutcomeLabels, Counter>,
    checked: Gauge,
    failing: Gauge,
    pub(super) parts: Arc<Parts>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// Counters that others keep.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) layer2: OnceLock<Arc<herald_layer2::Counters>>,
    pub(super) peers: OnceLock<Arc<membership::Counters>>,
}

/// Seconds; the promise is one.
const BUCKETS: [f64; 14] = [
    0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.5, 5.0,
];

impl Default for Metrics {
    fn default() -> Self {
        Self {
            announcing: Gauge::default(),
            abnormal: Gauge::default(),
            peers: Gauge::default(),
            detection: Histogram::new(BUCKETS),
            takeover: Histogram::new(BUCKETS),
            checks: Family::default(),
            checked: Gauge::default(),
            failing: Gauge::default(),
            parts: Arc::default(),
        }
    }
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let herald = registry.sub_registry_with_prefix("herald");
        herald.register(
            "agent_addresses_announced",
            "Addresses that this node announces",
            metrics.announcing.clone(),
        );
        herald.register(
            "agent_addresses_abnormal",
            "Addresses in conflict, without link, or answered for by a silent peer",
            metrics.abnormal.clone(),
        );
        herald.register(
            "agent_peers",
            "Other agents that are heard",
            metrics.peers.clone(),
        );
        herald.register(
            "agent_detection_seconds",
            "How long another agent had been silent when it was noticed to be gone",
            metrics.detection.clone(),
        );
        herald.register(
            "agent_takeover_seconds",
            "From the last sign of an address's former owner until this node announced it",
            metrics.takeover.clone(),
        );
        herald.register(
            "address_checks",
            "Checks of other nodes' addresses, by outcome",
            metrics.checks.clone(),
        );
        herald.register(
            "agent_addresses_checked",
            "Addresses of other nodes that this node checks",
            metrics.checked.clone(),
        );
        herald.register(
            "agent_addresses_unreached",
            "Those of them whose owner the LAN does not reach",
            metrics.failing.clone(),
        );
        herald.register_collector(Box::new(Arc::clone(&metrics.parts)));
        metrics
    }

    /// An agent had been silent for so long.
    pub(super) fn detected(&self, silence: Duration) {
        self.detection.observe(silence.as_secs_f64());
    }

    /// An address had been without owner for so long.
    pub(super) fn took_over(&self, without_owner: Duration) {
        self.takeover.observe(without_owner.as_secs_f64());
    }

    /// What a check found, once it is believed.
    pub(super) fn checked(&self, outcome: Outcome) {
        let outcome = outcome.word();
        self.checks.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    pub(super) fn survey(&self, account: &Account) {
        let checks = account.status.checks.as_ref();
        self.checked
            .set(checks.map_or(0, |checks| i64::from(checks.checked)));
        self.failing
            .set(checks.map_or(0, |checks| i64::from(checks.failing)));
        self.announcing.set(i64::from(account.status.announcing));
        self.abnormal.set(i64::from(account.status.abnormal));
        self.peers.set(i64::from(account.status.peers));
    }
}

impl Collector for Parts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut count = |part: &str, name: &str, value: u64| {
            let counter = ConstCounter::new(value);
            let full = format!("{part}_{name}");
            let metric = encoder.encode_descriptor(
                &full,
                "See docs/metrics.md",
                None,
                counter.metric_type(),
            )?;
            counter.encode(metric)
        };
        for (name, value) in self
            .layer2
            .get()
            .into_iter()
            .flat_map(|counters| counters.read())
        {
            count("layer2", name, value)?;
        }
        for (name, value) in self
            .peers
            .get()
            .into_iter()
            .flat_map(|counters| heartbeats(counters))
        {
            count("heartbeat", name, value)?;
        }
        Ok(())
    }
}

fn heartbeats(counters: &membership::Counters) -> [(&'static str, u64); 13] {
    [
        ("sent", counters.sent.get()),
        ("send_failures", counters.send_failures.get()),
        ("received", counters.received.get()),
        ("unknown_key", counters.unknown_key.get()),
        ("bad_signature", counters.bad_signature.get()),
        ("malformed", counters.malformed.get()),
        ("unknown_version", counters.unknown_version.get()),
        ("duplicates", counters.duplicates.get()),
        ("stale", counters.stale.get()),
        ("deaths", counters.deaths.get()),
        ("carriers_lost", counters.carriers_lost.get()),
        ("full_syncs", counters.full_syncs.get()),
        ("pauses", counters.pauses.get()),
    ]
}
