//! Which balancer serves, and how it is made or changed.
//!
//! A scheme, the being without security groups, a subnet less and other addresses cannot be had without an outage on a
//! balancer that serves: a new one is made beside it, under another name.

use super::{
    Part, Plan,
    attributes::{self, Object},
    served::{id_of, keep},
};
use crate::{
    call::{Call, State},
    desired::{Desired, Groups},
    model::{BalancerSpec, Place, Tags},
    names,
    observed::{Balancer, Observed},
    owner::{BALANCER, Ownership, RETIRED, Role},
    refusal::{Reason, Refusal},
    words::Id,
};

/// The balancer that shall serve.
pub(super) enum Current<'a> {
    Found(&'a Balancer),
    /// It is to be made, under this name.
    New(String),
}

impl Current<'_> {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Found(balancer) => &balancer.read.name,
            Self::New(name) => name,
        }
    }

    pub(super) fn found(&self) -> Option<&Balancer> {
        match self {
            Self::Found(balancer) => Some(balancer),
            Self::New(_) => None,
        }
    }
}

/// The balancer that is there and can be made what is desired: rather the one that is published, then the one that
/// is not replaced, then the oldest.
pub(super) fn current<'a>(
    desired: &Desired,
    observed: &'a Observed,
    published: Option<&str>,
) -> Option<&'a Balancer> {
    let fitting = observed
        .balancers
        .iter()
        .filter(|balancer| misfit(desired, balancer).is_none());
    fitting.min_by_key(|balancer| {
        (
            Some(balancer.read.dns_name.as_str()) != published,
            balancer.retired().is_some(),
            balancer.read.created,
            balancer.read.arn.as_str(),
        )
    })
}

pub(super) fn choose<'a>(
    desired: &Desired,
    observed: &'a Observed,
    published: Option<&str>,
) -> Result<Current<'a>, Refusal> {
    if let Some(balancer) = current(desired, observed, published) {
        return Ok(Current::Found(balancer));
    }
    if let Some((old, what)) = held_address(desired, observed) {
        return Err(Refusal::new(
            Reason::RecreateRequired,
            format!(
                "the new balancer needs {what}, which the present one ({}) holds, and that cannot be changed in place: give all its subnets other addresses, or delete and make the Service again",
                old.read.name
            ),
        ));
    }
    let taken = |name: &str| {
        observed
            .balancers
            .iter()
            .any(|balancer| balancer.read.name.eq_ignore_ascii_case(name))
    };
    let rounds = (0..).map(|round| names::balancer(&desired.owner, desired.name.as_deref(), round));
    let Some(name) = rounds
        .take(observed.balancers.len() + 1)
        .find(|name| !taken(name))
    else {
        return Err(Refusal::new(
            Reason::NameInUse,
            "no name is left for another balancer",
        ));
    };
    // Names become hostnames, so capitals do not tell them apart.
    let stranger = observed
        .strangers
        .iter()
        .find(|(taken, whose)| taken.eq_ignore_ascii_case(&name) && **whose != Ownership::Ours);
    if let Some((_, whose)) = stranger {
        return Err(Refusal::new(
            Reason::NameInUse,
            format!(
                "a balancer with the name {name} exists and belongs to {whose}; Herald does not touch it: choose another aws-load-balancer-name"
            ),
        ));
    }
    Ok(Current::New(name))
}

/// What cannot be changed about this balancer.
pub(super) fn misfit(desired: &Desired, balancer: &Balancer) -> Option<String> {
    let read = &balancer.read;
    if read.scheme != desired.scheme {
        return Some(format!("it is {}", read.scheme));
    }
    let bare = desired.security.groups == Groups::None;
    if read.security_groups.is_empty() != bare {
        return Some(
            if bare {
                "it has security groups"
            } else {
                "it can have no security group"
            }
            .to_owned(),
        );
    }
    read.places
        .iter()
        .find_map(|(subnet, place)| match desired.places.get(subnet) {
            None => Some(format!("it is in subnet {subnet}")),
            Some(wanted) if stays(wanted, place) => None,
            Some(_) => Some(format!("its address in subnet {subnet} is another")),
        })
}

/// Whether a place that is there is the wanted one. An address that AWS chose, or that was wished once, may stay; an
/// elastic one is the user's and is given back.
fn stays(wanted: &Place, there: &Place) -> bool {
    wanted.allocation == there.allocation
        && (wanted.private_v4.is_none() || wanted.private_v4 == there.private_v4)
        && (wanted.v6.is_none() || wanted.v6 == there.v6)
}

/// An address that is wanted and that a balancer which is to go still has.
fn held_address<'a>(desired: &Desired, observed: &'a Observed) -> Option<(&'a Balancer, String)> {
    observed.balancers.iter().find_map(|old| {
        let held = old.read.places.iter().find_map(|(subnet, there)| {
            let everywhere = desired.places.values().find_map(|wanted| {
                wanted
                    .allocation
                    .clone()
                    .filter(|id| there.allocation.as_ref() == Some(id))
            });
            let wanted = desired.places.get(subnet);
            let v4 = wanted.and_then(|wanted| {
                wanted
                    .private_v4
                    .filter(|address| there.private_v4 == Some(*address))
            });
            let v6 =
                wanted.and_then(|wanted| wanted.v6.filter(|address| there.v6 == Some(*address)));
            everywhere
                .or(v4.map(|address| address.to_string()))
                .or(v6.map(|address| address.to_string()))
        });
        held.map(|what| (old, what))
    })
}

/// Makes the balancer, or changes what can be changed.
pub(super) fn make(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Observed,
    current: &Current<'_>,
) -> Id {
    let groups = security_groups(desired, observed);
    let tags = attributes::tags(
        &desired.owner,
        Role::Balancer,
        &desired.tags,
        &desired.attributes,
    );
    let Current::Found(balancer) = current else {
        let name = current.name();
        let id = Id::Made(name.to_owned());
        let spec = BalancerSpec {
            name: name.to_owned(),
            scheme: desired.scheme,
            stack: desired.stack,
            places: desired.places.clone(),
            security_groups: groups,
            tags,
        };
        plan.make(
            Part::Balancer,
            why_new(desired, observed),
            Call::CreateBalancer(spec),
            name,
        );
        if !desired.attributes.is_empty() {
            plan.step(
                Part::Balancer,
                "annotations set them",
                Call::ModifyBalancerAttributes {
                    balancer: id.clone(),
                    attributes: desired.attributes.clone(),
                },
            );
        }
        return id;
    };
    let id = Id::known(&balancer.read.arn);
    change(plan, desired, balancer, &id, groups);
    let mut seen: Tags = balancer.tags.clone();
    if seen.remove(RETIRED).is_some() {
        plan.step(
            Part::Balancer,
            "it is what is wanted again",
            Call::RemoveTags {
                object: id.clone(),
                keys: [RETIRED.to_owned()].into(),
            },
        );
    }
    let object = Object {
        id: id.clone(),
        kind: None,
        tags: &seen,
        attributes: balancer.attributes.as_ref(),
        wanted_tags: tags,
        wanted: &desired.attributes,
        modify: attributes::modify_balancer,
    };
    keep(plan, Part::Balancer, &object, desired);
    id
}

fn why_new(desired: &Desired, observed: &Observed) -> String {
    let mut misfits = observed.balancers.iter().filter_map(|balancer| {
        Some(format!(
            "{} cannot be changed: {}",
            balancer.read.name,
            misfit(desired, balancer)?
        ))
    });
    misfits
        .next()
        .unwrap_or_else(|| "no balancer carries this Service's tags".to_owned())
}

fn change(plan: &mut Plan, desired: &Desired, balancer: &Balancer, id: &Id, groups: Vec<Id>) {
    let read = &balancer.read;
    if read.state == State::Failed {
        return;
    }
    if read.places.len() < desired.places.len() {
        plan.step(
            Part::Balancer,
            "more zones are wanted",
            Call::SetSubnets {
                balancer: id.clone(),
                places: desired.places.clone(),
            },
        );
    }
    if read.stack != desired.stack {
        plan.step(
            Part::Balancer,
            format!("it is {}", read.stack),
            Call::SetStack {
                balancer: id.clone(),
                stack: desired.stack,
            },
        );
    }
    let same = groups.len() == read.security_groups.len()
        && groups
            .iter()
            .all(|group| matches!(group, Id::Known(known) if read.security_groups.contains(known)));
    if !same {
        plan.step(
            Part::Balancer,
            "its security groups are others",
            Call::SetSecurityGroups {
                balancer: id.clone(),
                groups,
            },
        );
    }
}

/// The groups that the balancer shall have.
fn security_groups(desired: &Desired, observed: &Observed) -> Vec<Id> {
    match &desired.security.groups {
        Groups::None => Vec::new(),
        Groups::Brought(ids) => ids.iter().map(Id::known).collect(),
        Groups::Own => vec![own_group(desired, observed)],
    }
}

/// The security group that Herald makes.
pub(super) fn own_group(desired: &Desired, observed: &Observed) -> Id {
    let found = observed.security_groups.first().map(String::as_str);
    id_of(found, &names::security_group(&desired.owner))
}

/// The tags by which what belongs to a balancer says so.
pub(super) fn belonging(name: &str) -> (String, String) {
    (BALANCER.to_owned(), name.to_owned())
}
