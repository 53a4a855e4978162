//! What the controller counts.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Steward, steward::CONDITIONS};
use crate::{api::Reason, ipam::FamilyCounts};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PoolLabels {
    pool: String,
    family: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ConditionLabels {
    condition: &'static str,
    reason: String,
}

/// The controller's metrics.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    leader: Gauge,
    waiting: Gauge,
    addresses: Family<PoolLabels, Gauge<f64, AtomicU64>>,
    verdicts: Family<ReasonLabels, Counter>,
    failures: Counter,
    failing: Family<ConditionLabels, Gauge>,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let herald = registry.sub_registry_with_prefix("herald_controller");
        herald.register(
            "leader",
            "1 while this controller leads",
            metrics.leader.clone(),
        );
        herald.register(
            "services_waiting",
            "Services that were refused an address and may get one later, told by the leader alone",
            metrics.waiting.clone(),
        );
        herald.register(
            "pool_addresses",
            "Addresses of each pool that is in order, told by the leader alone",
            metrics.addresses.clone(),
        );
        herald.register(
            "verdicts",
            "Outcomes told to Services, by the words of docs/reasons.md",
            metrics.verdicts.clone(),
        );
        herald.register(
            "failures",
            "Plans that were not carried out to their end and are tried again",
            metrics.failures.clone(),
        );
        herald.register(
            "services_failing",
            "Services with a condition that is False, by its reason, told by the leader alone",
            metrics.failing.clone(),
        );
        metrics
    }

    /// The same with one of each that labels tell apart: for the list of all metrics.
    pub(super) fn sample(registry: &mut Registry) {
        let metrics = Self::register(registry);
        for family in ["IPv4", "IPv6"] {
            let counts = FamilyCounts {
                capacity: 1,
                ..FamilyCounts::default()
            };
            metrics.family("lan", family, &counts);
        }
        metrics.told(Reason::ALLOCATED.as_str());
        for condition in CONDITIONS {
            metrics.fails(condition, Reason::ADDRESS_CONFLICT.as_str(), 1);
        }
    }

    pub(super) fn leads(&self, leads: bool) {
        self.leader.set(i64::from(leads));
    }

    pub(super) fn told(&self, reason: &'static str) {
        self.verdicts.get_or_create(&ReasonLabels { reason }).inc();
    }

    pub(super) fn failed(&self) {
        self.failures.inc();
    }

    /// Brings the gauges up to date. Who does not lead has nothing to tell: what it would say of pools is not decided.
    pub(super) fn survey(&self, steward: &Steward, leads: bool) {
        self.addresses.clear();
        self.failing.clear();
        if !leads {
            self.waiting.set(0);
            return;
        }
        for ((condition, reason), services) in steward.failing() {
            self.fails(condition, reason, services);
        }
        self.waiting
            .set(i64::try_from(steward.waiting()).unwrap_or(i64::MAX));
        for (pool, _) in steward.pools() {
            let Some(counts) = steward.ipam().counts(&pool.name) else {
                continue;
            };
            self.family(pool.name.as_str(), "IPv4", &counts.v4);
            self.family(pool.name.as_str(), "IPv6", &counts.v6);
        }
    }

    fn fails(&self, condition: &'static str, reason: &str, services: usize) {
        let labels = ConditionLabels {
            condition,
            reason: reason.to_owned(),
        };
        let services = i64::try_from(services).unwrap_or(i64::MAX);
        self.failing.get_or_create(&labels).set(services);
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a float; nobody needs the last digit of 2^64"
    )]
    fn family(&self, pool: &str, family: &'static str, counts: &FamilyCounts) {
        if counts.capacity == 0 {
            return;
        }
        for (state, number) in [
            ("capacity", counts.capacity),
            ("used", counts.used),
            ("reserved", counts.reserved),
            ("quarantined", counts.quarantined),
            ("available", counts.available),
        ] {
            let labels = PoolLabels {
                pool: pool.to_owned(),
                family,
                state,
            };
            self.addresses.get_or_create(&labels).set(number as f64);
        }
    }
}
