//! A Service that asks for nonsense, and what of a Service is to go but still serves: targets come and go, nothing else.

use super::{Part, Plan, groups};
use crate::{
    desired::{Held, HeldTargets},
    observed::{Group, Observed},
    words::Id,
};

pub(super) fn hold(plan: &mut Plan, wrong: &Held, observed: &Observed) {
    for refusal in &wrong.refusals {
        plan.trouble(Part::Balancer, refusal.clone());
    }
    sync(plan, &wrong.targets, observed, |_| true);
}

/// Keeps the targets of the groups that `applies` names.
pub(super) fn sync(
    plan: &mut Plan,
    targets: &HeldTargets,
    observed: &Observed,
    applies: impl Fn(&Group) -> bool,
) {
    for group in observed.groups.iter().filter(|group| applies(group)) {
        // A group that no balancer leads to serves nobody.
        if group.read.balancer.is_none() {
            continue;
        }
        let Some(port) = group.port() else { continue };
        let kind = group.read.kind;
        if let Some(wanted) = targets.get(&(port, kind.target_type, kind.family)) {
            groups::register(
                plan,
                Part::Port(port),
                &Id::known(&group.read.arn),
                wanted,
                Some(group),
            );
            groups::deregister(plan, Part::Port(port), group, wanted);
        }
    }
}
