//! The plan for a Service that goes: whatever carries its tags, in the order in which AWS lets it go.

use std::collections::BTreeMap;

use super::{Part, Plan, Publish, Then, security::revoke};
use crate::{
    call::Call,
    observed::Observed,
    owner::{Owner, ROLE, Role},
    refusal::Reason,
    words::Id,
};

/// So long the interfaces of a deleted balancer stay, or longer; to try earlier is a call in vain.
const INTERFACES: u64 = 60;

pub(super) fn delete(plan: &mut Plan, owner: &Owner, observed: &Observed) {
    if observed.is_empty() {
        if observed.sure {
            plan.gone = true;
            plan.publish = Publish::Clear;
        } else {
            plan.wait(
                Reason::Settling,
                format!(
                    "something made for {} may not be to be seen yet",
                    owner.service
                ),
                15,
            );
        }
        return;
    }
    let why = "the Service goes";
    let mut gone: BTreeMap<&str, usize> = BTreeMap::new();
    for balancer in &observed.balancers {
        let at = plan.step(
            Part::Balancer,
            why,
            Call::DeleteBalancer(Id::known(&balancer.read.arn)),
        );
        gone.insert(&balancer.read.arn, at);
    }
    for group in &observed.groups {
        let needs = group
            .read
            .balancer
            .as_deref()
            .and_then(|arn| gone.get(arn).copied());
        let part = group.port().map_or(Part::Old, Part::Port);
        plan.step_after(
            needs,
            part,
            why,
            Call::DeleteGroup(Id::known(&group.read.arn)),
        );
    }
    let of_nodes = |rule: &&crate::call::RuleRead| {
        rule.tags.get(ROLE).map(String::as_str) == Some(Role::NodeRule.as_str())
    };
    // A balancer that is protected serves on, and so needs its rules.
    let mut needs: Vec<usize> = gone.into_values().collect();
    let rules_from = plan.steps.len();
    needs.extend(revoke(plan, observed.rules.iter().filter(of_nodes)));
    let balancers: Vec<usize> = needs
        .iter()
        .copied()
        .filter(|at| *at < rules_from)
        .collect();
    for step in plan.steps.iter_mut().skip(rules_from) {
        step.needs.extend(balancers.iter().copied());
    }
    if !observed.balancers.is_empty() && !observed.security_groups.is_empty() {
        plan.wait(
            Reason::InUse,
            "the balancer's interfaces keep its security group for a minute or more",
            INTERFACES,
        );
        return;
    }
    for id in &observed.security_groups {
        plan.step_after(
            needs.iter().copied(),
            Part::Security,
            why,
            Call::DeleteSecurityGroup(Id::known(id)),
        );
    }
    if observed.sure {
        plan.then = Then::Gone;
    }
}
