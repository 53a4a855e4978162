//! What AWS describes, in the words of `herald-aws`. What Herald cannot have made, such as a target group for HTTP, has no
//! words there and is left out; a balancer always has, since it may stand at a name that a Service wants.

use std::collections::BTreeSet;

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, AvailabilityZone, IpAddressType, Listener, LoadBalancer,
    LoadBalancerSchemeEnum, LoadBalancerStateEnum, LoadBalancerTypeEnum, Tag, TargetGroup,
    TargetHealthDescription, TargetHealthStateEnum,
};
use herald_aws::{
    BalancerRead, GroupKind, GroupRead, Health, HealthCheck, Id, ListenerRead, ListenerSpec,
    Moment, Place, Probe, Scheme, Stack, State, Tags, Target, TargetFamily, Wire,
};

use crate::words::word;

pub(super) fn is_network(read: &LoadBalancer) -> bool {
    // moto leaves it out where it was not asked for.
    read.r#type
        .as_ref()
        .is_none_or(|kind| *kind == LoadBalancerTypeEnum::Network)
}

pub(super) fn balancer(read: LoadBalancer) -> Option<BalancerRead> {
    let state = match read.state.and_then(|state| state.code) {
        Some(LoadBalancerStateEnum::Provisioning) => State::Provisioning,
        Some(LoadBalancerStateEnum::Failed) => State::Failed,
        _ => State::Active,
    };
    let created = read
        .created_time
        .and_then(|time| u64::try_from(time.secs()).ok());
    let zones = read.availability_zones.unwrap_or_default();
    Some(BalancerRead {
        arn: read.load_balancer_arn?,
        name: read.load_balancer_name?,
        dns_name: read.dns_name.unwrap_or_default(),
        created: Moment(created.unwrap_or_default()),
        state,
        scheme: match read.scheme {
            Some(LoadBalancerSchemeEnum::InternetFacing) => Scheme::InternetFacing,
            _ => Scheme::Internal,
        },
        stack: match read.ip_address_type {
            Some(IpAddressType::Ipv4) | None => Stack::V4,
            Some(_) => Stack::Dual,
        },
        places: zones.into_iter().filter_map(place).collect(),
        security_groups: read
            .security_groups
            .unwrap_or_default()
            .into_iter()
            .collect(),
    })
}

fn place(zone: AvailabilityZone) -> Option<(String, Place)> {
    let mut place = Place::default();
    for address in zone.load_balancer_addresses.unwrap_or_default() {
        place.allocation = place.allocation.or(address.allocation_id);
        let v4 = address
            .private_ipv4_address
            .and_then(|text| text.parse().ok());
        place.private_v4 = place.private_v4.or(v4);
        let v6 = address.ipv6_address.and_then(|text| text.parse().ok());
        place.v6 = place.v6.or(v6);
    }
    Some((zone.subnet_id?, place))
}

pub(super) fn group(read: TargetGroup) -> Option<GroupRead> {
    let probe: Probe = word(&read.health_check_protocol?.as_str().to_lowercase())?;
    let by_http = probe != Probe::Tcp;
    let count = |number: Option<i32>| {
        number
            .and_then(|it| u32::try_from(it).ok())
            .unwrap_or_default()
    };
    Some(GroupRead {
        arn: read.target_group_arn?,
        name: read.target_group_name?,
        kind: GroupKind {
            wire: word(read.protocol?.as_str())?,
            target_type: word(read.target_type?.as_str())?,
            family: match read.ip_address_type {
                Some(family) => word(family.as_str())?,
                None => TargetFamily::V4,
            },
        },
        health: HealthCheck {
            probe,
            // Anything but a number is `traffic-port`.
            port: read.health_check_port.and_then(|port| port.parse().ok()),
            path: read.health_check_path.filter(|_| by_http),
            codes: read.matcher.and_then(|it| it.http_code).filter(|_| by_http),
            interval: count(read.health_check_interval_seconds),
            timeout: count(read.health_check_timeout_seconds),
            healthy: count(read.healthy_threshold_count),
            unhealthy: count(read.unhealthy_threshold_count),
        },
        balancer: read
            .load_balancer_arns
            .unwrap_or_default()
            .into_iter()
            .next(),
    })
}

pub(super) fn listener(read: Listener) -> Option<ListenerRead> {
    let wire: Wire = word(read.protocol?.as_str())?;
    let is_tls = wire == Wire::Tls;
    let certificate = read.certificates.unwrap_or_default().into_iter().next();
    let alpn = read.alpn_policy.unwrap_or_default().into_iter().next();
    Some(ListenerRead {
        arn: read.listener_arn?,
        port: u16::try_from(read.port?).ok()?,
        spec: ListenerSpec {
            wire,
            group: Id::Known(leads_to(read.default_actions.unwrap_or_default())),
            certificate: certificate
                .and_then(|it| it.certificate_arn)
                .filter(|_| is_tls),
            ssl_policy: read.ssl_policy.filter(|_| is_tls),
            alpn: alpn.and_then(|it| word(&it)).filter(|_| is_tls),
        },
    })
}

/// The one target group to which packets go; nothing where a person has made it several, or something else.
fn leads_to(actions: Vec<Action>) -> String {
    let groups: BTreeSet<String> = actions
        .into_iter()
        .filter(|action| action.r#type == Some(ActionTypeEnum::Forward))
        .flat_map(|action| {
            let several = action.forward_config.and_then(|it| it.target_groups);
            let several = several.unwrap_or_default().into_iter();
            let several = several.filter_map(|it| it.target_group_arn);
            several.chain(action.target_group_arn)
        })
        .collect();
    let mut groups = groups.into_iter();
    match (groups.next(), groups.next()) {
        (Some(group), None) => group,
        _ => String::new(),
    }
}

pub(super) fn target(read: TargetHealthDescription) -> Option<(Target, Health)> {
    let target = read.target?;
    let health = match read.target_health.and_then(|health| health.state) {
        Some(TargetHealthStateEnum::Healthy) => Health::Healthy,
        Some(TargetHealthStateEnum::Initial) => Health::Initial,
        Some(TargetHealthStateEnum::Unhealthy | TargetHealthStateEnum::UnhealthyDraining) => {
            Health::Unhealthy
        }
        Some(TargetHealthStateEnum::Unused) => Health::Unused,
        Some(TargetHealthStateEnum::Draining) => Health::Draining,
        _ => Health::Unavailable,
    };
    let id = target.id?;
    // One address has one form, whichever AWS chooses.
    let id = match id.parse::<std::net::IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => id,
    };
    let target = Target {
        id,
        port: u16::try_from(target.port?).ok()?,
        outside: target.availability_zone.as_deref() == Some("all"),
    };
    Some((target, health))
}

pub(super) fn tags(all: Vec<Tag>) -> Tags {
    let pairs = all.into_iter();
    pairs
        .filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default())))
        .collect()
}
