//! Whether a Service's node ports are switched off, on, or left alone. Pure.
//!
//! `spec.allocateLoadBalancerNodePorts: false` alone closes nothing: numbers that are there stay. Herald sets it and
//! takes them away in one guarded request, because others do not: a node port is open on every node, bypasses
//! `loadBalancerSourceRanges`, and is one of 2,768.
//!
//! ```text
//!   annotation, pool, cluster ──▶ Wish ─┐
//!   what serves the Service ────▶ Need ─┼─▶ decide ──▶ patch │ verdict │ when to look again
//!   who insists (cluster::pins) ─▶ Pin ─┤
//!   who keeps switching ──────▶ Contest ┘
//! ```
//! Invariants: a manifest that names node ports, or says false, is never fought; a patch is made only while it changes
//! something; only what Herald switched off is switched on again; a verdict says how it will be once the patch is done.
//! Herald never switches off what it needs itself, and undoes it when the need comes later.

mod contest;
mod patch;

use crate::{
    api::{self, Reason, Verdict},
    world::{ConditionRecord, Pin, Pinned, PinnedBy, ServiceRecord, TrafficPolicy},
};

pub use contest::Contest;
pub use patch::NodePortPatch;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nobody asks for anything.
    Keep,
    /// No node ports: says the annotation, the pool, or the cluster's default.
    Disable,
    /// Node ports: says the annotation.
    Enable,
}

/// Whether the Service's traffic comes in through its node ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// It does not.
    None,
    /// It does; half a sentence that fits behind "the node ports are needed: ".
    Because(String),
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The request to make, if any.
    pub patch: Option<NodePortPatch>,
    /// What the condition [`api::CONDITION_NODE_PORTS`] shall say once the patch is done; `None`: it goes.
    pub verdict: Option<Verdict>,
    /// When to look again though nothing happens, in seconds of Unix time.
    pub look_again: Option<i64>,
}

impl Decision {
    fn say(verdict: Verdict) -> Self {
        Self {
            patch: None,
            verdict: Some(verdict),
            look_again: None,
        }
    }

    fn with(mut self, patch: Option<NodePortPatch>) -> Self {
        self.patch = patch;
        self
    }
}

/// Decides for one Service. [`Contest::noticed`] must have seen the same record, wish and need.
#[must_use]
pub fn decide(
    service: &ServiceRecord,
    wish: Wish,
    need: &Need,
    contest: &Contest,
    now: i64,
) -> Decision {
    match (wish, need) {
        (Wish::Enable, _) => enable(service),
        (Wish::Disable, Need::Because(why)) => keep_needed(service, why),
        (Wish::Disable, Need::None) => disable(service, contest, now),
        (Wish::Keep, need) => Decision {
            patch: match need {
                Need::Because(_) => undo(service),
                Need::None => None,
            },
            verdict: None,
            look_again: None,
        },
    }
}

/// The condition on node ports as it stands.
pub(super) fn standing(condition: &ConditionRecord) -> Option<Verdict> {
    condition.verdict(&[
        Reason::DISABLED,
        Reason::ENABLED,
        Reason::NODE_PORTS_PINNED,
        Reason::NODE_PORTS_NEEDED,
        Reason::NODE_PORTS_CONTESTED,
    ])
}

fn disable(service: &ServiceRecord, contest: &Contest, now: i64) -> Decision {
    let disabled = || {
        let rest = match service.policy {
            TrafficPolicy::Cluster => "",
            TrafficPolicy::Local => {
                "; the health check node port belongs to externalTrafficPolicy: Local and stays"
            }
        };
        Verdict::yes(
            Reason::DISABLED,
            format!("no node port is open for the Service{rest}"),
        )
    };
    if service.has_no_node_ports() {
        return Decision::say(disabled());
    }
    if let Some(pin) = &service.node_ports_pinned {
        return Decision::say(Verdict::no(Reason::NODE_PORTS_PINNED, pinned(service, pin)));
    }
    if let Some(until) = contest.resting_until(&service.uid, now) {
        return Decision {
            patch: None,
            verdict: Some(Verdict::no(
                Reason::NODE_PORTS_CONTESTED,
                contested(service),
            )),
            look_again: Some(until),
        };
    }
    Decision::say(disabled()).with(Some(NodePortPatch::off(service)))
}

fn enable(service: &ServiceRecord) -> Decision {
    let patch = undo(service);
    if !service.allocates_node_ports && patch.is_none() {
        return Decision::say(Verdict::no(Reason::NODE_PORTS_PINNED, refused(service)));
    }
    let enabled = Verdict::yes(Reason::ENABLED, "every port of the Service has a node port");
    Decision::say(enabled).with(patch)
}

/// Node ports shall go and must not.
fn keep_needed(service: &ServiceRecord, why: &str) -> Decision {
    let patch = undo(service);
    let mut message = format!("the node ports are needed: {why}");
    if !service.allocates_node_ports && patch.is_none() {
        message = format!("{message}; but {}", refused(service));
    }
    Decision::say(Verdict::no(Reason::NODE_PORTS_NEEDED, message)).with(patch)
}

/// The patch that takes Herald's own switch back; none where there is nothing to take back, or it was not Herald's.
fn undo(service: &ServiceRecord) -> Option<NodePortPatch> {
    let heralds = service.node_ports_switched && service.node_ports_refused.is_none();
    (!service.allocates_node_ports && heralds).then(|| NodePortPatch::on(service))
}

/// Who insists on node ports, and how to make them stop.
fn pinned(service: &ServiceRecord, pin: &Pin) -> String {
    let what = match &pin.what {
        Pinned::Numbers(ports) => {
            let ports: Vec<_> = ports.iter().map(ToString::to_string).collect();
            format!("nodePort for {}", ports.join(" and "))
        }
        Pinned::Flag => "allocateLoadBalancerNodePorts: true".to_owned(),
    };
    match &pin.by {
        PinnedBy::LastApplied => format!(
            "the manifest that was applied last sets {what}; take that out of the manifest and apply it again"
        ),
        PinnedBy::Applied(manager) => {
            format!("{manager} applies {what}; take that out of what it applies")
        }
        PinnedBy::Updated(manager) => {
            let give_back = give_back(service, pin).map_or_else(String::new, |command| {
                format!(", or, if it is in none, give the number back: {command}")
            });
            format!("{manager} wrote {what}; take that out of its manifest{give_back}")
        }
    }
}

/// The command that makes numbers nobody's again: Kubernetes puts one in for each that is taken out.
fn give_back(service: &ServiceRecord, pin: &Pin) -> Option<String> {
    let Pinned::Numbers(ports) = &pin.what else {
        return None;
    };
    let operations: Vec<_> = service
        .ports
        .iter()
        .enumerate()
        .filter(|(_, record)| record.node_port.is_some() && ports.contains(&record.port))
        .map(|(index, _)| format!(r#"{{"op":"remove","path":"/spec/ports/{index}/nodePort"}}"#))
        .collect();
    let (namespace, name) = (&service.key.namespace, &service.key.name);
    (!operations.is_empty()).then(|| {
        format!(
            "kubectl patch service -n {namespace} {name} --type json -p '[{}]'",
            operations.join(",")
        )
    })
}

/// Who switched the flag off, and how to make them stop.
fn refused(service: &ServiceRecord) -> String {
    let flag = "allocateLoadBalancerNodePorts: false";
    match (&service.node_ports_refused, &service.node_ports_flag_owner) {
        (Some(pin), owner) => match (&pin.by, owner) {
            (PinnedBy::Applied(manager) | PinnedBy::Updated(manager), _) => {
                format!("{manager} applies {flag}; set it to true there")
            }
            (PinnedBy::LastApplied, _) => format!(
                "the manifest that was applied last sets {flag}; set it to true there and apply it again"
            ),
        },
        (None, owner) => {
            let who = owner.as_deref().unwrap_or("somebody else");
            format!(
                "{who} set {flag}; set it to true: kubectl patch service -n {} {} -p '{}'",
                service.key.namespace,
                service.key.name,
                r#"{"spec":{"allocateLoadBalancerNodePorts":true}}"#
            )
        }
    }
}

fn contested(service: &ServiceRecord) -> String {
    let who = match &service.node_ports_flag_owner {
        Some(owner) => format!(", last {owner}"),
        None => String::new(),
    };
    format!(
        "others switched the node ports on again {} times within {} minutes{who}, so Herald leaves them for {} minutes; \
         have that client write allocateLoadBalancerNodePorts: false, or only the fields that it means to change. \
         Setting {} anew makes Herald try at once",
        contest::MOST,
        contest::WINDOW / 60,
        contest::REST / 60,
        api::ANNOTATION_NODE_PORTS,
    )
}

#[cfg(test)]
mod tests;
