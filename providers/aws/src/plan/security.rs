//! Security groups and rules: opened before anything needs them, closed after nothing does.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Part, Plan,
    balancer::{Current, own_group},
};
use crate::{
    call::{Call, RuleRead},
    desired::{Desired, Groups},
    model::{Permit, Source, Traffic},
    names,
    observed::Observed,
    owner::{ROLE, Role},
    refusal::Reason,
    words::Id,
};

pub(super) fn open(plan: &mut Plan, desired: &Desired, observed: &Observed) {
    let own = own_group(desired, observed);
    if desired.security.groups == Groups::Own {
        if let Id::Made(name) = &own {
            plan.make(
                Part::Security,
                "the balancer has no security group of its own",
                Call::CreateSecurityGroup {
                    name: name.clone(),
                    vpc: desired.vpc.clone(),
                    tags: with_role(desired, Role::SecurityGroup),
                },
                name,
            );
        }
        let missing = missing(
            &desired.security.clients,
            observed,
            own.as_str(),
            Role::ClientRule,
        );
        authorize(plan, desired, &own, missing, Role::ClientRule);
    }
    for (group, permits) in node_permits(desired, observed) {
        let missing = missing(&permits, observed, &group, Role::NodeRule);
        authorize(plan, desired, &Id::known(group), missing, Role::NodeRule);
    }
}

fn with_role(desired: &Desired, role: Role) -> crate::model::Tags {
    let mut tags = desired.tags.clone();
    tags.extend(desired.owner.tags(role));
    tags
}

/// What the nodes shall let in, by their group, with our group by its id if it has one.
fn node_permits(desired: &Desired, observed: &Observed) -> BTreeMap<String, BTreeSet<Permit>> {
    let own = own_group(desired, observed);
    let made = Source::Group(Id::Made(names::security_group(&desired.owner)));
    let mut by_group: BTreeMap<String, BTreeSet<Permit>> = BTreeMap::new();
    for (group, permit) in &desired.security.nodes {
        let mut permit = permit.clone();
        if permit.source == made {
            permit.source = Source::Group(own.clone());
        }
        by_group.entry(group.clone()).or_default().insert(permit);
    }
    by_group
}

fn of_role(rule: &RuleRead, role: Role) -> bool {
    rule.tags.get(ROLE).map(String::as_str) == Some(role.as_str())
}

fn missing(
    wanted: &BTreeSet<Permit>,
    observed: &Observed,
    group: &str,
    role: Role,
) -> BTreeSet<Permit> {
    let there: BTreeSet<&Permit> = observed
        .rules
        .iter()
        .filter(|rule| rule.group == group && of_role(rule, role))
        .map(|rule| &rule.permit)
        .collect();
    wanted
        .iter()
        .filter(|permit| !there.contains(permit))
        .cloned()
        .collect()
}

fn authorize(
    plan: &mut Plan,
    desired: &Desired,
    group: &Id,
    permits: BTreeSet<Permit>,
    role: Role,
) {
    if permits.is_empty() {
        return;
    }
    let why = match role {
        Role::NodeRule => "nodes do not let the balancer in",
        _ => "clients are not let in",
    };
    plan.step(
        Part::Security,
        why,
        Call::AuthorizeIngress {
            group: group.clone(),
            permits,
            tags: with_role(desired, role),
        },
    );
}

/// Revokes what is not needed. `busy`: something on the way out still needs the nodes' rules and the group.
pub(super) fn close(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Observed,
    current: &Current<'_>,
    busy: bool,
) {
    let clients = |rule: &&RuleRead| of_role(rule, Role::ClientRule);
    // What is there for a port that cannot be served as asked goes on serving.
    let held = |rule: &RuleRead| match rule.permit.traffic {
        Traffic::Tcp(port, _) | Traffic::Udp(port, _) => desired.refused.contains_key(&port),
        Traffic::TooLargeV4 | Traffic::TooLargeV6 => false,
    };
    let surplus =
        |rule: &&RuleRead| !desired.security.clients.contains(&rule.permit) && !held(rule);
    let own = desired.security.groups == Groups::Own;
    if own {
        revoke(plan, observed.rules.iter().filter(clients).filter(surplus));
    }
    if busy || !desired.refused.is_empty() {
        return;
    }
    let wanted = node_permits(desired, observed);
    let needed = |rule: &RuleRead| {
        wanted
            .get(&rule.group)
            .is_some_and(|permits| permits.contains(&rule.permit))
    };
    let nodes = observed
        .rules
        .iter()
        .filter(|rule| of_role(rule, Role::NodeRule) && !needed(rule));
    let revoked = revoke(plan, nodes);
    if own {
        return;
    }
    let used = |id: &String| {
        current
            .found()
            .is_some_and(|balancer| balancer.read.security_groups.contains(id))
    };
    for id in &observed.security_groups {
        if used(id) {
            plan.wait(
                Reason::InUse,
                format!("security group {id} is still the balancer's"),
                0,
            );
        } else {
            plan.step_after(
                revoked.clone(),
                Part::Security,
                "no balancer has it",
                Call::DeleteSecurityGroup(Id::known(id)),
            );
        }
    }
}

/// Revokes rules, group by group.
pub(super) fn revoke<'a>(plan: &mut Plan, rules: impl Iterator<Item = &'a RuleRead>) -> Vec<usize> {
    let mut by_group: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for rule in rules {
        by_group
            .entry(&rule.group)
            .or_default()
            .insert(rule.id.clone());
    }
    let step = |(group, rules): (&str, BTreeSet<String>)| {
        let call = Call::RevokeIngress {
            group: Id::known(group),
            rules,
        };
        plan.step(Part::Security, "not needed any more", call)
    };
    by_group.into_iter().map(step).collect()
}
