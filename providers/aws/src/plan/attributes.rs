//! Tags and attributes of an object that is there.
//!
//! Only what the user sets is managed, so that what others set is not fought. Each managed attribute and the keys of the
//! user's tags are written down in tags first; what is written down and no longer set goes back to its default.
//!
//! ```text
//!   AddTags (more is managed) ▶ Modify…Attributes (set, or default) ▶ RemoveTags (less is managed)
//! ```

use std::collections::BTreeSet;

use super::{Part, Plan};
use crate::{
    call::Call,
    model::{Attributes, GroupKind, Tags},
    owner::{ATTRIBUTE, Owner, Role},
    refusal::{Reason, Refusal},
    words::{Id, TargetType, Wire},
};

/// The keys of the tags that the user set.
const KEYS: &str = "herald.dev/tags";

/// An object that has tags and attributes.
pub(super) struct Object<'a> {
    pub(super) id: Id,
    /// Of a target group: some defaults depend on it.
    pub(super) kind: Option<GroupKind>,
    pub(super) tags: &'a Tags,
    /// As they were read; `None` where none was managed.
    pub(super) attributes: Option<&'a Attributes>,
    pub(super) wanted_tags: Tags,
    pub(super) wanted: &'a Attributes,
    /// The call that changes attributes.
    pub(super) modify: fn(Id, Attributes) -> Call,
}

/// All tags of an object: whose it is, the user's, and what is written down.
pub(super) fn tags(owner: &Owner, role: Role, more: &Tags, attributes: &Attributes) -> Tags {
    let mut tags = more.clone();
    if !more.is_empty() {
        let keys: Vec<&str> = more.keys().map(String::as_str).collect();
        tags.insert(KEYS.to_owned(), keys.join(" "));
    }
    tags.extend(
        attributes
            .keys()
            .map(|key| (format!("{ATTRIBUTE}{key}"), "set".to_owned())),
    );
    tags.extend(owner.tags(role));
    tags
}

pub(super) fn keep(plan: &mut Plan, part: Part, object: &Object<'_>, external: &BTreeSet<String>) {
    let missing: Tags = object
        .wanted_tags
        .iter()
        .filter(|(key, value)| object.tags.get(*key) != Some(value) && !external.contains(*key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    // Keys that are written down must stay so until they are gone.
    let (record, missing): (Tags, Tags) = missing.into_iter().partition(|(key, _)| key == KEYS);
    let surplus = surplus(object, external);
    let before = (!missing.is_empty()).then(|| {
        plan.step(
            part,
            "tags differ",
            Call::AddTags {
                object: object.id.clone(),
                tags: missing,
            },
        )
    });
    let changes = changes(plan, part, object);
    let modified = (!changes.is_empty()).then(|| {
        plan.step_after(
            before,
            part,
            "attributes differ from what annotations say",
            (object.modify)(object.id.clone(), changes),
        )
    });
    let removed = (!surplus.is_empty()).then(|| {
        plan.step_after(
            modified,
            part,
            "no annotation says so any more",
            Call::RemoveTags {
                object: object.id.clone(),
                keys: surplus,
            },
        )
    });
    if !record.is_empty() {
        plan.step_after(
            removed,
            part,
            "the user's tags are others",
            Call::AddTags {
                object: object.id.clone(),
                tags: record,
            },
        );
    }
}

/// What was ours to set, and is set no more.
fn surplus(object: &Object<'_>, external: &BTreeSet<String>) -> BTreeSet<String> {
    let written = object
        .tags
        .get(KEYS)
        .map(String::as_str)
        .unwrap_or_default();
    let users = written.split(' ').filter(|key| !key.is_empty());
    let attributes = object
        .tags
        .keys()
        .map(String::as_str)
        .filter(|key| key.starts_with(ATTRIBUTE));
    let record = (!object.wanted_tags.contains_key(KEYS)).then_some(KEYS);
    users
        .chain(attributes)
        .chain(record)
        .filter(|key| object.tags.contains_key(*key) && !object.wanted_tags.contains_key(*key))
        .filter(|key| !external.contains(*key))
        .map(str::to_owned)
        .collect()
}

fn changes(plan: &mut Plan, part: Part, object: &Object<'_>) -> Attributes {
    let there = |key: &str| object.attributes.and_then(|attributes| attributes.get(key));
    let mut changes: Attributes = object
        .wanted
        .iter()
        .filter(|(key, value)| there(key) != Some(value))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let managed = object
        .tags
        .keys()
        .filter_map(|key| key.strip_prefix(ATTRIBUTE));
    for key in managed.filter(|key| !object.wanted.contains_key(*key)) {
        match default(key, object.kind) {
            Some(default) if there(key).map(String::as_str) == Some(default) => {}
            Some(default) => drop(changes.insert(key.to_owned(), default.to_owned())),
            None => plan.trouble(part, Refusal::new(
                Reason::AttributeKept,
                format!("attribute {key} of {} is set no more, and Herald does not know its default; it stays as it is", object.id),
            )),
        }
    }
    changes
}

/// What AWS gives an attribute that nobody sets.
fn default(key: &str, kind: Option<GroupKind>) -> Option<&'static str> {
    if key == "preserve_client_ip.enabled" {
        let kind = kind?;
        let pods = kind.target_type == TargetType::Ip && matches!(kind.wire, Wire::Tcp | Wire::Tls);
        return Some(if pods { "false" } else { "true" });
    }
    Some(match key {
        "load_balancing.cross_zone.enabled" if kind.is_some() => "use_load_balancer_configuration",
        "deletion_protection.enabled"
        | "access_logs.s3.enabled"
        | "load_balancing.cross_zone.enabled"
        | "zonal_shift.config.enabled"
        | "ipv6.deny_all_igw_traffic"
        | "proxy_protocol_v2.enabled"
        | "stickiness.enabled"
        | "deregistration_delay.connection_termination.enabled" => "false",
        "access_logs.s3.bucket" | "access_logs.s3.prefix" => "",
        "dns_record.client_routing_policy" => "any_availability_zone",
        "deregistration_delay.timeout_seconds" => "300",
        "stickiness.type" => "source_ip",
        "target_health_state.unhealthy.connection_termination.enabled" => "true",
        "target_health_state.unhealthy.draining_interval_seconds" => "0",
        "target_group_health.dns_failover.minimum_healthy_targets.count"
        | "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count" => "1",
        "target_group_health.dns_failover.minimum_healthy_targets.percentage"
        | "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage" => "off",
        "tcp.idle_timeout.seconds" => "350",
        _ => return None,
    })
}

pub(super) fn modify_balancer(balancer: Id, attributes: Attributes) -> Call {
    Call::ModifyBalancerAttributes {
        balancer,
        attributes,
    }
}

pub(super) fn modify_group(group: Id, attributes: Attributes) -> Call {
    Call::ModifyGroupAttributes { group, attributes }
}

pub(super) fn modify_listener(listener: Id, attributes: Attributes) -> Call {
    Call::ModifyListenerAttributes {
        listener,
        attributes,
    }
}
