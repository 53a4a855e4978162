//! From Kubernetes objects to the rows of [`crate::survey`].

use herald_spi::ServiceKey;
use k8s_openapi::{api::events::v1::Event, apimachinery::pkg::apis::meta::v1::Condition};
use kube::ResourceExt as _;

use crate::{
    api::{self, AddressPool, AddressPoolSpec, FamilyStatus, NodeAnnouncements},
    ipam::Family,
    survey::{Counts, Degraded, Limits, Move, Numbers, Pool, Report},
};

/// What a node says of its announcements. Nothing is announced where it has not said anything.
#[must_use]
pub fn report(announcements: &NodeAnnouncements) -> Option<Report> {
    let status = announcements.status.clone().unwrap_or_default();
    let version = announcements.resource_version();
    let writes = announcements.metadata.managed_fields.iter().flatten();
    let written = writes.filter_map(|write| Some(write.time.as_ref()?.0.as_second()));
    let (checked, failing, unreached) = match status.checks {
        Some(checks) => (checks.checked, checks.failing, checks.failed),
        None => (0, 0, Vec::new()),
    };
    Some(Report {
        node: announcements.name_any(),
        counts: Counts {
            announcing: status.announcing,
            abnormal: status.abnormal,
            peers: status.peers,
            checked,
            failing,
        },
        addresses: status.addresses,
        unreached,
        unheard: status.unheard,
        namesake: status.namesake,
        own: status.host.map(|host| host.addresses).unwrap_or_default(),
        written: written.max(),
        version: version.and_then(|v| v.parse().ok()).unwrap_or(0),
    })
}

/// A move of an address as an agent told it on a Service; `None` for any other Event.
#[must_use]
pub fn moved(event: &Event) -> Option<Move> {
    let is_agents = event.reporting_controller.as_deref() == Some(api::AGENT);
    if !is_agents || event.reason.as_deref() != Some(api::EVENT_MOVED) {
        return None;
    }
    let service = event.regarding.as_ref()?;
    let made = event.metadata.creation_timestamp.as_ref().map(|t| t.0);
    let when = event.event_time.as_ref().map(|t| t.0).or(made)?;
    Some(Move::new(
        when.as_millisecond(),
        ServiceKey::new(service.namespace.clone()?, service.name.clone()?),
        event.note.clone().unwrap_or_default(),
    ))
}

/// A pool, with what the controller has written about it.
#[must_use]
pub fn pool_line(pool: &AddressPool) -> Option<Pool> {
    let spec = &pool.spec;
    let (ready, reason, message) = readiness(pool);
    let degraded = condition(pool, "Degraded")
        .filter(|condition| condition.status == "True")
        .map(|condition| Degraded {
            reason: condition.reason.clone(),
            message: condition.message.clone(),
        });
    let version = pool.resource_version();
    Some(Pool {
        well: ready && degraded.is_none(),
        name: pool.name_any(),
        ready,
        reason,
        message,
        degraded,
        families: families(pool),
        priority: spec.priority,
        automatic: spec.automatic,
        addresses: spec.addresses.clone(),
        exclude: spec.exclude.clone(),
        limits: limits(spec),
        retention: spec.retention.clone(),
        node_ports: format!("{:?}", spec.node_ports),
        fallback: format!("{:?}", spec.fallback),
        sharing: format!("{:?}", spec.sharing),
        version: version.and_then(|v| v.parse().ok()).unwrap_or(0),
    })
}

fn limits(spec: &AddressPoolSpec) -> Limits {
    Limits {
        namespaces: spec.namespaces.clone(),
        namespace_selector: spec.namespace_selector.clone(),
        service_selector: spec.service_selector.clone(),
        quota_per_namespace: spec.quota_per_namespace,
    }
}

/// Whether it is Ready, and the controller's words for it. A verdict on an earlier state of the pool does not count.
fn readiness(pool: &AddressPool) -> (bool, String, String) {
    let pending = |message: &str| (false, "Pending".to_owned(), message.to_owned());
    let Some(ready) = condition(pool, "Ready") else {
        return pending("no controller has looked at it yet; is one running?");
    };
    if ready.observed_generation < pool.metadata.generation {
        return pending("no controller has looked at the last edit yet; is one running?");
    }
    (
        ready.status == "True",
        ready.reason.clone(),
        ready.message.clone(),
    )
}

fn condition<'a>(pool: &'a AddressPool, type_: &str) -> Option<&'a Condition> {
    let conditions = pool.status.iter().flat_map(|status| &status.conditions);
    conditions.into_iter().find(|c| c.type_ == type_)
}

/// The counted families, or those that the spec names, without numbers.
fn families(pool: &AddressPool) -> Vec<Numbers> {
    let status = pool.status.as_ref();
    let of_status = |family: Family| match family {
        Family::V4 => status.and_then(|s| s.ipv4.as_ref()),
        Family::V6 => status.and_then(|s| s.ipv6.as_ref()),
    };
    let record = super::pool(pool);
    let ranges = record.iter().filter_map(|record| record.pool.as_ref().ok());
    let named: Vec<_> = ranges
        .flat_map(|pool| &pool.ranges)
        .map(|range| range.family())
        .collect();
    [Family::V4, Family::V6]
        .into_iter()
        .filter(|family| of_status(*family).is_some() || named.contains(family))
        .map(|family| numbers(family, of_status(family)))
        .collect()
}

fn numbers(family: Family, counted: Option<&FamilyStatus>) -> Numbers {
    let number = |of: fn(&FamilyStatus) -> &String| counted.map(|counted| of(counted).clone());
    Numbers {
        family: match family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        },
        capacity: number(|c| &c.capacity),
        used: number(|c| &c.used),
        reserved: number(|c| &c.reserved),
        quarantined: number(|c| &c.quarantined),
        free: number(|c| &c.available),
    }
}
