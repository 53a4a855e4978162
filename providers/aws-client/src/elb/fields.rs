//! What goes into requests, in the types of the SDK.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, Certificate, Matcher, ProtocolEnum, SubnetMapping, Tag,
    TargetDescription,
};
use herald_aws::{HealthCheck, Place, Probe, Tags, Target};

pub(super) fn tags(all: Tags) -> Option<Vec<Tag>> {
    let tags: Vec<Tag> = all
        .into_iter()
        .map(|(key, value)| Tag::builder().key(key).value(value).build())
        .collect();
    (!tags.is_empty()).then_some(tags)
}

pub(super) fn mappings(places: BTreeMap<String, Place>) -> Option<Vec<SubnetMapping>> {
    let mapping = |(subnet, place): (String, Place)| {
        SubnetMapping::builder()
            .subnet_id(subnet)
            .set_allocation_id(place.allocation)
            .set_private_ipv4_address(place.private_v4.map(|address| address.to_string()))
            .set_ipv6_address(place.v6.map(|address| address.to_string()))
            .build()
    };
    Some(places.into_iter().map(mapping).collect())
}

pub(super) fn targets(all: BTreeSet<Target>) -> Option<Vec<TargetDescription>> {
    let described = |target: Target| {
        TargetDescription::builder()
            .id(target.id)
            .port(i32::from(target.port))
            .set_availability_zone(target.outside.then(|| "all".to_owned()))
            .build()
    };
    Some(all.into_iter().map(described).collect())
}

pub(super) fn forward(group: String) -> Action {
    Action::builder()
        .r#type(ActionTypeEnum::Forward)
        .target_group_arn(group)
        .build()
}

pub(super) fn certificate(arn: String) -> Certificate {
    Certificate::builder().certificate_arn(arn).build()
}

/// A health check, field by field: two requests take them, and share no type.
pub(super) struct Check {
    pub(super) protocol: ProtocolEnum,
    pub(super) port: String,
    pub(super) path: Option<String>,
    pub(super) matcher: Option<Matcher>,
    pub(super) interval: i32,
    pub(super) timeout: i32,
    pub(super) healthy: i32,
    pub(super) unhealthy: i32,
}

pub(super) fn check(health: HealthCheck) -> Check {
    let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    Check {
        protocol: match health.probe {
            Probe::Tcp => ProtocolEnum::Tcp,
            Probe::Http => ProtocolEnum::Http,
            Probe::Https => ProtocolEnum::Https,
        },
        port: health
            .port
            .map_or_else(|| "traffic-port".to_owned(), |port| port.to_string()),
        path: health.path,
        matcher: health
            .codes
            .map(|codes| Matcher::builder().http_code(codes).build()),
        interval: number(health.interval),
        timeout: number(health.timeout),
        healthy: number(health.healthy),
        unhealthy: number(health.unhealthy),
    }
}
