//! Target groups of the balancer that serves, and who comes and goes in them.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Part, Plan,
    attributes::{self, Object},
    balancer::belonging,
    served::{SOON, keep},
};
use crate::{
    call::{Call, Health},
    desired::{Desired, PortWish},
    model::{GroupSpec, Target},
    names,
    observed::{Group, Observed},
    owner::{PORT, Role},
    refusal::Reason,
    words::Id,
};

/// AWS takes so many targets at once.
const CHUNK: usize = 200;

/// Makes and changes the target groups, and registers targets; the group of each port.
pub(super) fn make(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Observed,
    balancer: &str,
) -> BTreeMap<u16, Id> {
    let mut ids = BTreeMap::new();
    for (port, wish) in &desired.ports {
        let part = Part::Port(*port);
        let mut tags = attributes::tags(
            &desired.owner,
            Role::TargetGroup,
            &desired.tags,
            &wish.group_attributes,
        );
        tags.extend([belonging(balancer), (PORT.to_owned(), port.to_string())]);
        let found = of_port(observed, balancer, *port, wish);
        let id = match found {
            Some(group) => {
                let id = Id::known(&group.read.arn);
                if group.read.health != wish.health {
                    plan.step(
                        part,
                        format!("targets are asked {}", group.read.health),
                        Call::ModifyGroup {
                            group: id.clone(),
                            health: wish.health.clone(),
                        },
                    );
                }
                let object = Object {
                    id: id.clone(),
                    kind: Some(wish.kind),
                    tags: &group.tags,
                    attributes: group.attributes.as_ref(),
                    wanted_tags: tags,
                    wanted: &wish.group_attributes,
                    modify: attributes::modify_group,
                };
                keep(plan, part, &object, desired);
                id
            }
            None => create(plan, desired, balancer, (*port, wish), tags),
        };
        register(plan, part, &id, &wish.targets, found);
        ids.insert(*port, id);
    }
    ids
}

/// The group of a port that is there; of several alike the one that is in use, then the first.
pub(super) fn of_port<'a>(
    observed: &'a Observed,
    balancer: &str,
    port: u16,
    wish: &PortWish,
) -> Option<&'a Group> {
    let alike = observed.groups.iter().filter(|group| {
        group.balancer() == Some(balancer)
            && group.port() == Some(port)
            && group.read.kind == wish.kind
    });
    alike.min_by_key(|group| (group.read.balancer.is_none(), &group.read.arn))
}

fn create(
    plan: &mut Plan,
    desired: &Desired,
    balancer: &str,
    (port, wish): (u16, &PortWish),
    tags: crate::model::Tags,
) -> Id {
    let part = Part::Port(port);
    let name = names::target_group(&desired.owner, balancer, port, &wish.kind.to_string());
    let spec = GroupSpec {
        name: name.clone(),
        kind: wish.kind,
        port,
        vpc: desired.vpc.clone(),
        health: wish.health.clone(),
        tags,
    };
    plan.make(
        part,
        format!("no target group of {balancer} is for this port"),
        Call::CreateGroup(spec),
        &name,
    );
    let id = Id::Made(name);
    if !wish.group_attributes.is_empty() {
        plan.step(
            part,
            "annotations set them",
            attributes::modify_group(id.clone(), wish.group_attributes.clone()),
        );
    }
    id
}

/// Registers who is not there, or on the way out and wanted again.
pub(super) fn register(
    plan: &mut Plan,
    part: Part,
    id: &Id,
    wanted: &BTreeSet<Target>,
    found: Option<&Group>,
) {
    let there = |target: &&Target| {
        found
            .and_then(|group| group.targets.get(*target))
            .is_some_and(|health| *health != Health::Draining)
    };
    let missing: Vec<Target> = wanted
        .iter()
        .filter(|target| !there(target))
        .cloned()
        .collect();
    for chunk in missing.chunks(CHUNK) {
        plan.step(
            part,
            "not registered",
            Call::RegisterTargets {
                group: id.clone(),
                targets: chunk.iter().cloned().collect(),
            },
        );
    }
}

/// Deregisters who shall not be there, unless that would leave nobody healthy; whether anyone is still on the way out.
pub(super) fn let_targets_go(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Observed,
    balancer: &str,
) -> bool {
    let mut leaving = false;
    for (port, wish) in &desired.ports {
        if let Some(group) = of_port(observed, balancer, *port, wish) {
            leaving |= deregister(plan, Part::Port(*port), group, &wish.targets);
        }
    }
    leaving
}

/// As [`let_targets_go`], for one group.
pub(super) fn deregister(
    plan: &mut Plan,
    part: Part,
    group: &Group,
    wanted: &BTreeSet<Target>,
) -> bool {
    let (staying, leaving): (Vec<_>, Vec<_>) = group
        .targets
        .iter()
        .partition(|(target, _)| wanted.contains(*target));
    let draining = leaving
        .iter()
        .any(|(_, health)| **health == Health::Draining);
    let registered: Vec<_> = leaving
        .into_iter()
        .filter(|(_, health)| **health != Health::Draining)
        .collect();
    if registered.is_empty() {
        if draining {
            plan.wait(
                Reason::Draining,
                format!("targets of {} end their connections", group.read.name),
                SOON,
            );
        }
        return draining;
    }
    // With nobody wanted nobody serves, and addresses of pods that are gone may become another's.
    let covered = wanted.is_empty()
        || staying
            .iter()
            .any(|(_, health)| **health == Health::Healthy);
    let mut go: Vec<Target> = Vec::new();
    for (target, health) in registered {
        if covered || *health != Health::Healthy {
            go.push(target.clone());
        } else {
            plan.wait(
                Reason::TargetsUnhealthy,
                format!(
                    "{target} leaves {} once a new target is healthy",
                    group.read.name
                ),
                SOON,
            );
        }
    }
    for chunk in go.chunks(CHUNK) {
        plan.step(
            part,
            "no longer a target",
            Call::DeregisterTargets {
                group: Id::known(&group.read.arn),
                targets: chunk.iter().cloned().collect(),
            },
        );
    }
    true
}
