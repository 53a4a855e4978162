//! What the controller counts.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::Steward;
use crate::ipam::FamilyCounts;

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

/// The controller's metrics.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    leader: Gauge,
    waiting: Gauge,
    addresses: Family<PoolLabels, Gauge<f64, AtomicU64>>,
    verdicts: Family<ReasonLabels, Counter>,
    failures: Counter,
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
            "Services that were refused an address and may get one later",
            metrics.waiting.clone(),
        );
        herald.register(
            "pool_addresses",
            "Addresses of each pool by state",
            metrics.addresses.clone(),
        );
        herald.register(
            "verdicts",
            "Outcomes told to Services, by reason",
            metrics.verdicts.clone(),
        );
        herald.register(
            "failures",
            "Plans that were not carried out to their end and are tried again",
            metrics.failures.clone(),
        );
        metrics
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

    pub(super) fn survey(&self, steward: &Steward) {
        self.waiting
            .set(i64::try_from(steward.waiting()).unwrap_or(i64::MAX));
        self.addresses.clear();
        for (pool, _) in steward.pools() {
            let Some(counts) = steward.ipam().counts(&pool.name) else {
                continue;
            };
            self.family(pool.name.as_str(), "IPv4", &counts.v4);
            self.family(pool.name.as_str(), "IPv6", &counts.v6);
        }
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
