//! What the cloud's part counts.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    operation: String,
    code: String,
}

/// Attempts of calls to AWS, counted by who makes them: those that are tried again included.
#[derive(Clone, Debug, Default)]
pub struct Attempts(Family<AttemptLabels, Counter>);

impl Attempts {
    /// Counts one: the operation as AWS calls it, and `OK` or the code of the failure.
    pub fn count(&self, operation: &str, code: &str) {
        let labels = AttemptLabels {
            operation: operation.to_owned(),
            code: code.to_owned(),
        };
        self.0.get_or_create(&labels).inc();
    }
}

/// The metrics of the cloud's part.
#[derive(Clone, Debug, Default)]
pub(super) struct Metrics {
    services: Gauge,
    orphans: Gauge,
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry, attempts: &Attempts) -> Self {
        let metrics = Self::default();
        let aws = registry.sub_registry_with_prefix("herald_aws");
        aws.register(
            "calls",
            "Attempts of calls to AWS, by operation and by the code of the answer",
            attempts.0.clone(),
        );
        aws.register(
            "services",
            "Services that have something in AWS, or shall have",
            metrics.services.clone(),
        );
        aws.register(
            "orphans",
            "Services that are no more and of which something is left in AWS",
            metrics.orphans.clone(),
        );
        metrics
    }

    /// The same with one of each that labels tell apart: for the list of all metrics.
    pub(super) fn sample(registry: &mut Registry) {
        let attempts = Attempts::default();
        attempts.count("CreateLoadBalancer", "OK");
        Self::register(registry, &attempts);
    }

    pub(super) fn serves(&self, services: usize) {
        self.services
            .set(i64::try_from(services).unwrap_or(i64::MAX));
    }

    pub(super) fn orphans(&self, orphans: usize) {
        self.orphans.set(i64::try_from(orphans).unwrap_or(i64::MAX));
    }
}
