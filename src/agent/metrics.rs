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
    unheard: Gauge,
    detection: Histogram,
    takeover: Histogram,
    checks: Family<OutcomeLabels, Counter>,
    checked: Gauge,
    failing: Gauge,
    doubled: Gauge,
    not_ready: Gauge,
    silent: Gauge,
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
            unheard: Gauge::default(),
            detection: Histogram::new(BUCKETS),
            takeover: Histogram::new(BUCKETS),
            checks: Family::default(),
            checked: Gauge::default(),
            failing: Gauge::default(),
            doubled: Gauge::default(),
            not_ready: Gauge::default(),
            silent: Gauge::default(),
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
            "agent_peers_unheard",
            "Other agents that are alive (heard on the second path) and not heard on a segment where they were",
            metrics.unheard.clone(),
        );
        herald.register(
            "agent_detection_seconds",
            "How long another agent had been silent when it was noticed to be gone",
            metrics.detection.clone(),
        );
        herald.register(
            "agent_takeover_seconds",
            "For each address that this node took over: from the last sign of its former owner until this node announced it; planned moves have no such time",
            metrics.takeover.clone(),
        );
        herald.register(
            "address_checks",
            "Checks of other nodes' addresses; an outcome that differs from the last one counts when it came three times in a row",
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
        herald.register(
            "agent_addresses_doubled",
            "Those of them for which another host answers, whether the owner does too or not",
            metrics.doubled.clone(),
        );
        herald.register(
            "agent_peers_not_ready",
            "Other agents that are heard although the API server has their Node as not ready, or has no such Node",
            metrics.not_ready.clone(),
        );
        herald.register(
            "agent_peers_silent",
            "Other agents that fell silent on every path although the API server has their Node as ready",
            metrics.silent.clone(),
        );
        herald.register_collector(Box::new(Arc::clone(&metrics.parts)));
        metrics
    }

    /// The same with one of each that labels tell apart: for the list of all metrics.
    pub(super) fn sample(registry: &mut Registry) {
        let metrics = Self::register(registry);
        for outcome in Outcome::WORDS {
            drop(metrics.checks.get_or_create(&OutcomeLabels { outcome }));
        }
        let Parts { layer2, peers } = &*metrics.parts;
        layer2.get_or_init(Arc::default);
        peers.get_or_init(Arc::default);
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
        let unheard = account.status.unheard.len();
        self.unheard.set(i64::try_from(unheard).unwrap_or(i64::MAX));
    }

    /// How many agents the API server and their peers do not agree about.
    pub(super) fn disagree(&self, not_ready: usize, silent: usize) {
        self.not_ready
            .set(i64::try_from(not_ready).unwrap_or(i64::MAX));
        self.silent.set(i64::try_from(silent).unwrap_or(i64::MAX));
    }

    /// For how many addresses a foreign host answers.
    pub(super) fn doubled(&self, doubled: usize) {
        self.doubled.set(i64::try_from(doubled).unwrap_or(i64::MAX));
    }
}

impl Collector for Parts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut count = |part: &str, (name, help, value): (&str, &str, u64)| {
            let counter = ConstCounter::new(value);
            let full = format!("{part}_{name}");
            let metric = encoder.encode_descriptor(&full, help, None, counter.metric_type())?;
            counter.encode(metric)
        };
        for counted in self.layer2.get().into_iter().flat_map(|all| all.read()) {
            count("layer2", counted)?;
        }
        for counted in self.peers.get().into_iter().flat_map(|all| all.read()) {
            count("heartbeat", counted)?;
        }
        Ok(())
    }
}
