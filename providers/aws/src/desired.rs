//! The desired model of one Service: what shall be there in AWS, whole, as plain values.
//!
//! Owns: the meaning of annotations, spec, endpoints, nodes and network. Never: what is there now, but for two things
//! that a Service keeps where it does not ask otherwise: the scheme and the subnets that its balancer already has.
//!
//! ```text
//!   Service ─ annotations ─▶ Wishes ─┐
//!   ports ──▶ ports ──▶ targets, health ─┤
//!   subnets ▶ subnets ───────────────────┼─▶ Wanted::Served   all of it
//!   nodes ──▶ security ──────────────────┘   Wanted::Held     a wrong request: nothing changes but the targets
//!                                            Wanted::Gone     the Service goes
//! ```

mod health;
mod ports;
mod security;
mod subnets;
mod targets;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    annotations::{self, Wishes},
    input::Input,
    model::{Attributes, GroupKind, HealthCheck, Permit, Place, Tags, Target},
    owner::Owner,
    refusal::{Reason, Refusal},
    settings::Settings,
    words::{Alpn, Scheme, Stack, TargetFamily, TargetType, Wire},
};

/// What shall be there for one Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it.
    Served(Box<Desired>),
    /// The request is wrong: what is there stays, and its targets are kept up to date.
    Held(Held),
    /// Nothing.
    Gone(Owner),
}

/// The whole of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// For whom.
    pub owner: Owner,
    /// The balancer's name, if the user wants a certain one.
    pub name: Option<String>,
    /// Who reaches it.
    pub scheme: Scheme,
    /// The families on which it listens.
    pub stack: Stack,
    /// Its place in each subnet.
    pub places: BTreeMap<String, Place>,
    /// What the user sets; the rest is left alone.
    pub attributes: Attributes,
    /// Its security groups and the rules that let traffic in.
    pub security: Security,
    /// The VPC.
    pub vpc: String,
    /// The ports that are served.
    pub ports: BTreeMap<u16, PortWish>,
    /// The ports that are not, and why; what is there for them stays.
    pub refused: BTreeMap<u16, Refusal>,
    /// The targets of what stays for them.
    pub held: HeldTargets,
    /// Tags besides those of ownership.
    pub tags: Tags,
    /// Tag keys that others write.
    pub external_tags: BTreeSet<String>,
    /// For how many seconds a replaced balancer serves on.
    pub drain: u64,
    /// What is served in another way than one may think.
    pub warnings: Vec<Refusal>,
}

/// A wrong request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// For whom.
    pub owner: Owner,
    /// What is wrong.
    pub refusals: Vec<Refusal>,
    /// The targets of what is there.
    pub targets: HeldTargets,
}

/// Targets by port and by what a target group takes.
pub type HeldTargets = BTreeMap<(u16, TargetType, TargetFamily), BTreeSet<Target>>;

/// A port: its listener, its target group and the targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortWish {
    /// The protocol towards clients.
    pub wire: Wire,
    /// Of TLS: the certificate for clients that name no host.
    pub certificate: Option<String>,
    /// Of TLS: the others.
    pub more_certificates: BTreeSet<String>,
    /// Of TLS: which ciphers and versions.
    pub ssl_policy: Option<String>,
    /// Of TLS: what it says about HTTP versions.
    pub alpn: Option<Alpn>,
    /// What the user sets of the listener.
    pub attributes: Attributes,
    /// What cannot be changed about the target group.
    pub kind: GroupKind,
    /// How targets are asked whether they are well.
    pub health: HealthCheck,
    /// What the user sets of the target group.
    pub group_attributes: Attributes,
    /// The targets.
    pub targets: BTreeSet<Target>,
}

/// A balancer's security groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Groups {
    /// None at all: AWS never lets it have any later.
    None,
    /// One that Herald makes.
    Own,
    /// The user's.
    Brought(BTreeSet<String>),
}

/// Security groups and rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Security {
    /// The balancer's groups.
    pub groups: Groups,
    /// What clients may send to it; only with a group of its own.
    pub clients: BTreeSet<Permit>,
    /// What the nodes let in, by the id of their group.
    pub nodes: BTreeSet<(String, Permit)>,
}

/// What the Service's balancer has already, as far as the Service keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Present {
    /// Its scheme.
    pub scheme: Option<Scheme>,
    /// Its subnets.
    pub subnets: BTreeSet<String>,
}

/// Builds the desired model.
#[must_use]
pub fn desired(input: &Input<'_>, settings: &Settings, present: &Present) -> Wanted {
    let owner = Owner {
        cluster: settings.cluster.clone(),
        uid: input.service.uid.clone(),
        service: input.service.key.clone(),
    };
    let built = annotations::parse(&input.service.annotations).and_then(|(wishes, warnings)| {
        build(input, settings, present, &wishes, owner.clone(), warnings)
            .map_err(|refusal| vec![refusal])
    });
    match built {
        Ok(desired) => Wanted::Served(Box::new(desired)),
        Err(refusals) => Wanted::Held(Held {
            owner,
            refusals,
            targets: targets::held(input, settings),
        }),
    }
}

/// For a request that is wrong by what is not the provider's to know: nothing changes but the targets.
#[must_use]
pub fn held(input: &Input<'_>, settings: &Settings) -> Wanted {
    Wanted::Held(Held {
        owner: Owner {
            cluster: settings.cluster.clone(),
            uid: input.service.uid.clone(),
            service: input.service.key.clone(),
        },
        refusals: Vec::new(),
        targets: targets::held(input, settings),
    })
}

fn build(
    input: &Input<'_>,
    settings: &Settings,
    present: &Present,
    wishes: &Wishes,
    owner: Owner,
    mut warnings: Vec<Refusal>,
) -> Result<Desired, Refusal> {
    let scheme = wishes.scheme.or(present.scheme).unwrap_or(settings.scheme);
    let stack = stack(input, wishes)?;
    let places = subnets::places(input, settings, present, wishes, scheme, stack)?;
    let served = ports::ports(input, settings, wishes)?;
    warnings.extend(served.warnings);
    let security = security::security(
        input,
        settings,
        wishes,
        &owner,
        &security::Reach {
            scheme,
            stack,
            subnets: places.keys().collect(),
        },
        &served.ports,
        &mut warnings,
    )?;
    let tags = tags(settings, wishes)?;
    let held = targets::held(input, settings)
        .into_iter()
        .filter(|((port, ..), _)| served.refused.contains_key(port))
        .collect();
    Ok(Desired {
        owner,
        name: wishes.name.clone(),
        scheme,
        stack,
        places,
        attributes: wishes.attributes.clone(),
        security,
        vpc: input.network.vpc.clone(),
        ports: served.ports,
        refused: served.refused,
        held,
        tags,
        external_tags: settings.external_tags.clone(),
        drain: settings.drain,
        warnings,
    })
}

/// The operator's tags, and the Service's own over them. Their keys are kept in one tag (see the plan of attributes), so
/// they must fit there.
fn tags(settings: &Settings, wishes: &Wishes) -> Result<Tags, Refusal> {
    let mut tags = settings.tags.clone();
    for (key, value) in &wishes.tags {
        if settings.external_tags.contains(key) {
            return Err(Refusal::new(
                Reason::ContradictoryAnnotations,
                format!(
                    "tag {key} is set by others, as the controller's settings say; remove it from aws-load-balancer-additional-resource-tags"
                ),
            ));
        }
        tags.insert(key.clone(), value.clone());
    }
    let length: usize = tags.keys().map(|key| key.len() + 1).sum();
    let ill = tags
        .iter()
        .find(|(key, value)| key.contains(' ') || value.len() > 256);
    match ill {
        Some((key, _)) => Err(Refusal::new(
            Reason::InvalidAnnotation,
            format!(
                "tag {key:?} has a space in its key or more than 256 letters in its value; shorten it in aws-load-balancer-additional-resource-tags"
            ),
        )),
        None if length > 256 => Err(Refusal::new(
            Reason::InvalidAnnotation,
            format!(
                "the keys of all tags together have {length} letters, and 256 is the most; remove some from aws-load-balancer-additional-resource-tags"
            ),
        )),
        None => Ok(tags),
    }
}

fn stack(input: &Input<'_>, wishes: &Wishes) -> Result<Stack, Refusal> {
    match wishes.stack {
        Some(Stack::V4) if input.service.has_v6 => Err(Refusal::new(
            Reason::FamilyUnavailable,
            "spec.ipFamilies has IPv6 and aws-load-balancer-ip-address-type is ipv4; make it dualstack",
        )),
        None if input.service.has_v6 => Ok(Stack::Dual),
        said => Ok(said.unwrap_or(Stack::V4)),
    }
}

impl Wanted {
    /// For whom.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        match self {
            Self::Served(desired) => &desired.owner,
            Self::Held(held) => &held.owner,
            Self::Gone(owner) => owner,
        }
    }
}

#[cfg(test)]
mod tests;
