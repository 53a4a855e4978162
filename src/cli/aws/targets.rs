//! How AWS finds the targets of one Service, asked at this moment: for `herald explain`.

use std::collections::BTreeMap;

use anyhow::bail;
use herald_aws::{Group, Health};
use herald_spi::ServiceKey;
use serde::Serialize;

use super::{AwsArgs, view};
use crate::{
    cli::{DefaultProvider, reading::Reader},
    controller::cloud::Seen,
};

/// One target of one of the Service's ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli) struct Target {
    /// The Service's port.
    pub(in crate::cli) port: Option<u16>,
    /// The hostname of the balancer that leads to it; nothing while none does.
    pub(in crate::cli) balancer: Option<String>,
    /// An instance or an address, and its port.
    pub(in crate::cli) target: String,
    /// In a word.
    pub(in crate::cli) health: &'static str,
    pub(in crate::cli) well: bool,
}

/// The targets of a Service of the provider aws-nlb.
///
/// # Errors
/// That it is none, or the read that failed.
pub(in crate::cli) async fn targets(
    reader: &Reader,
    aws: &AwsArgs,
    default: DefaultProvider,
    service: &ServiceKey,
) -> anyhow::Result<Vec<Target>> {
    let viewer = view(reader, aws).await?;
    let previews = viewer.preview(default.classes(), Some(service)).await;
    let Some(preview) = previews.into_iter().next() else {
        bail!("{service} is no Service of the provider aws-nlb: leave --aws-cluster-name out");
    };
    match preview.seen {
        Ok(seen) => Ok(of(&seen)),
        Err(why) => bail!("AWS cannot be read: {}", why.refusal),
    }
}

fn of(seen: &Seen) -> Vec<Target> {
    let balancers = &seen.observed.balancers;
    let hostnames: BTreeMap<&str, &str> = balancers
        .iter()
        .map(|balancer| (balancer.read.arn.as_str(), balancer.read.dns_name.as_str()))
        .collect();
    let mut targets: Vec<_> = seen
        .observed
        .groups
        .iter()
        .flat_map(|group| of_group(group, &hostnames))
        .collect();
    targets.sort_by(|a, b| (a.port, &a.balancer, &a.target).cmp(&(b.port, &b.balancer, &b.target)));
    targets
}

fn of_group<'a>(
    group: &'a Group,
    hostnames: &'a BTreeMap<&str, &str>,
) -> impl Iterator<Item = Target> + 'a {
    let arn = group.read.balancer.as_deref();
    let balancer = arn.and_then(|arn| hostnames.get(arn).copied());
    group.targets.iter().map(move |(target, health)| Target {
        port: group.port(),
        balancer: balancer.map(str::to_owned),
        target: target.place(),
        health: word(*health),
        well: *health == Health::Healthy,
    })
}

fn word(health: Health) -> &'static str {
    match health {
        Health::Healthy => "healthy",
        Health::Initial => "being registered",
        Health::Unhealthy => "unhealthy",
        Health::Unused => "unused: no listener leads to it",
        Health::Draining => "draining",
        Health::Unavailable => "unknown to AWS",
    }
}
