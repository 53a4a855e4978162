//! In which subnets the balancer stands: named ones, else tagged ones, else those whose route table fits; one per zone.
//!
//! What the user does not name, the balancer keeps: a new subnet in a new zone is added, and none is exchanged or
//! dropped because of tags or free addresses, for that would give the Service another hostname.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, Ipv6Addr},
};

use super::Present;
use crate::{
    annotations::Wishes,
    input::{Input, Subnet},
    model::Place,
    refusal::{Reason, Refusal},
    settings::Settings,
    words::{Scheme, Stack},
};

/// A balancer takes an address of each, and more as it grows.
const ROOM: u32 = 8;

pub(super) fn places(
    input: &Input<'_>,
    settings: &Settings,
    present: &Present,
    wishes: &Wishes,
    scheme: Scheme,
    stack: Stack,
) -> Result<BTreeMap<String, Place>, Refusal> {
    let named = !wishes.subnets.is_empty();
    let chosen = if named {
        named_subnets(input, wishes)?
    } else {
        let keeps = present.scheme == Some(scheme);
        discovered(
            input,
            settings,
            keeps.then_some(&present.subnets),
            scheme,
            stack,
        )?
    };
    one_per_zone(&chosen)?;
    if let (Stack::Dual, Some(subnet)) = (stack, chosen.iter().find(|subnet| subnet.v6.is_none())) {
        return Err(Refusal::new(
            Reason::FamilyUnavailable,
            format!(
                "a dualstack balancer needs IPv6 in every subnet, and {} has none; give it an IPv6 range or name other subnets",
                subnet.id
            ),
        ));
    }
    addresses(wishes, scheme, stack, &chosen)
}

fn named_subnets<'a>(input: &Input<'a>, wishes: &Wishes) -> Result<Vec<&'a Subnet>, Refusal> {
    let find = |wanted: &String| {
        let named =
            |subnet: &&Subnet| subnet.id == *wanted || subnet.tags.get("Name") == Some(wanted);
        input.network.subnets.iter().find(named).ok_or_else(|| {
            Refusal::new(
                Reason::SubnetNotFound,
                format!("VPC {} has no subnet with the id or the tag Name {wanted}; correct aws-load-balancer-subnets", input.network.vpc),
            )
        })
    };
    wishes.subnets.iter().map(find).collect()
}

fn discovered<'a>(
    input: &Input<'a>,
    settings: &Settings,
    kept: Option<&BTreeSet<String>>,
    scheme: Scheme,
    stack: Stack,
) -> Result<Vec<&'a Subnet>, Refusal> {
    let own = format!("kubernetes.io/cluster/{}", settings.cluster);
    let role = match scheme {
        Scheme::Internal => "kubernetes.io/role/internal-elb",
        Scheme::InternetFacing => "kubernetes.io/role/elb",
    };
    let of_another = |subnet: &Subnet| {
        let mut clusters = subnet
            .tags
            .keys()
            .filter(|key| key.starts_with("kubernetes.io/cluster/"))
            .peekable();
        clusters.peek().is_some() && !clusters.any(|key| *key == own)
    };
    let fit: Vec<&Subnet> = input
        .network
        .subnets
        .iter()
        .filter(|subnet| !of_another(subnet) && subnet.free >= ROOM)
        .filter(|subnet| !stack.has_v6() || subnet.v6.is_some())
        .collect();
    let tagged =
        |subnet: &&&Subnet| matches!(subnet.tags.get(role).map(String::as_str), Some("" | "1"));
    let mut offered: Vec<&Subnet> = fit.iter().filter(tagged).copied().collect();
    if offered.is_empty() {
        let public = scheme == Scheme::InternetFacing;
        offered = fit
            .into_iter()
            .filter(|subnet| subnet.public == public)
            .collect();
    }
    let stands = |subnet: &&Subnet| kept.is_some_and(|kept| kept.contains(&subnet.id));
    let mut by_zone: BTreeMap<&str, &Subnet> = BTreeMap::new();
    for subnet in input.network.subnets.iter().filter(stands) {
        by_zone.entry(&subnet.zone).or_insert(subnet);
    }
    let locale = by_zone.values().next().map(|subnet| subnet.locale.as_str());
    offered.sort_by_key(|subnet| (!subnet.tags.contains_key(&own), subnet.id.as_str()));
    for subnet in offered {
        // A balancer that stands in one kind of zones cannot have a place in another.
        if locale.is_none_or(|locale| locale == subnet.locale) {
            by_zone.entry(&subnet.zone).or_insert(subnet);
        }
    }
    if by_zone.is_empty() {
        let routes = match scheme {
            Scheme::Internal => "without a route",
            Scheme::InternetFacing => "with a route",
        };
        return Err(Refusal::new(
            Reason::NoSubnets,
            format!(
                "VPC {} has no subnet for an {scheme} balancer: none with the tag {role}, and none {routes} to an internet gateway and {ROOM} free addresses; tag some, or name them in aws-load-balancer-subnets",
                input.network.vpc
            ),
        ));
    }
    Ok(by_zone.into_values().collect())
}

fn one_per_zone(chosen: &[&Subnet]) -> Result<(), Refusal> {
    let mut zones: BTreeMap<&str, &Subnet> = BTreeMap::new();
    for subnet in chosen {
        if let Some(other) = zones.insert(&subnet.zone, subnet) {
            return Err(Refusal::new(
                Reason::SubnetsConflict,
                format!(
                    "subnets {} and {} are both in zone {}; a balancer has one per zone",
                    other.id, subnet.id, subnet.zone
                ),
            ));
        }
    }
    let locales: BTreeSet<&str> = chosen.iter().map(|subnet| subnet.locale.as_str()).collect();
    if locales.len() > 1 {
        return Err(Refusal::new(
            Reason::SubnetsConflict,
            "the subnets are in different kinds of zones (availability zones, local zones, outposts); name subnets of one kind",
        ));
    }
    Ok(())
}

/// Gives each subnet its addresses.
fn addresses(
    wishes: &Wishes,
    scheme: Scheme,
    stack: Stack,
    chosen: &[&Subnet],
) -> Result<BTreeMap<String, Place>, Refusal> {
    let refuse = |message: String| Err(Refusal::new(Reason::AddressMismatch, message));
    let lists = [
        (
            "eip-allocations",
            wishes.allocations.len(),
            scheme == Scheme::InternetFacing,
            "internet-facing",
        ),
        (
            "private-ipv4-addresses",
            wishes.private_v4.len(),
            scheme == Scheme::Internal,
            "internal",
        ),
        (
            "ipv6-addresses",
            wishes.v6.len(),
            stack.has_v6(),
            "dualstack",
        ),
    ];
    for (key, count, fits, needed) in lists {
        if count == 0 {
            continue;
        }
        if !fits {
            return refuse(format!(
                "aws-load-balancer-{key} is for {needed} balancers, and this one is {scheme} {stack}; change one of them"
            ));
        }
        if count != chosen.len() {
            return refuse(format!(
                "aws-load-balancer-{key} has {count} entries for {} subnets; give one for each",
                chosen.len()
            ));
        }
    }
    if !wishes.allocations.is_empty() && wishes.subnets.is_empty() {
        return refuse("aws-load-balancer-eip-allocations needs aws-load-balancer-subnets, since each belongs to one subnet".to_owned());
    }
    let mut places: BTreeMap<String, Place> = BTreeMap::new();
    for (at, subnet) in chosen.iter().enumerate() {
        let place = Place {
            allocation: wishes.allocations.get(at).cloned(),
            private_v4: inside(&wishes.private_v4, |address: &Ipv4Addr| {
                subnet.v4.contains(address)
            }),
            v6: inside(&wishes.v6, |address: &Ipv6Addr| {
                subnet.v6.is_some_and(|range| range.contains(address))
            }),
        };
        let lacks = [
            (
                "private-ipv4-addresses",
                !wishes.private_v4.is_empty() && place.private_v4.is_none(),
            ),
            (
                "ipv6-addresses",
                !wishes.v6.is_empty() && place.v6.is_none(),
            ),
        ];
        if let Some((key, _)) = lacks.iter().find(|(_, lacks)| *lacks) {
            return refuse(format!(
                "aws-load-balancer-{key} has no address of subnet {}",
                subnet.id
            ));
        }
        places.insert(subnet.id.clone(), place);
    }
    Ok(places)
}

fn inside<A: Copy>(all: &[A], fits: impl Fn(&A) -> bool) -> Option<A> {
    all.iter().copied().find(|address| fits(address))
}
