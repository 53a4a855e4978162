//! The plan for a Service that is served: makes first, breaks last.

use super::{
    Part, Plan, Publish, Then, attributes, balancer, balancer::Current, groups, held, listeners,
    ports_of, retire, security,
};
use crate::{
    call::{Health, State},
    desired::{Desired, HeldTargets, PortWish},
    observed::{Balancer, Observed},
    refusal::{Reason, Refusal},
    words::{Id, Moment},
};

/// Targets become healthy and balancers active within some of these.
pub(super) const SOON: u64 = 15;
/// A balancer takes minutes, and each look costs a call.
const PROVISIONING: u64 = 20;

pub(super) fn serve(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Observed,
    published: Option<&str>,
    now: Moment,
) {
    for (port, refusal) in &desired.refused {
        plan.trouble(Part::Port(*port), refusal.clone());
    }
    // While anything on the old side still serves, its targets follow as well.
    held::sync(plan, &all_targets(desired), observed, |group| {
        let current = balancer::current(desired, observed, published);
        current.map(|balancer| balancer.read.name.as_str()) != group.balancer()
            || group
                .port()
                .is_some_and(|port| desired.refused.contains_key(&port))
    });
    let current = match balancer::choose(desired, observed, published) {
        Ok(current) => current,
        Err(refusal) => {
            plan.trouble(Part::Balancer, refusal);
            held::sync(plan, &all_targets(desired), observed, |group| {
                let current = balancer::current(desired, observed, published);
                current.map(|balancer| balancer.read.name.as_str()) == group.balancer()
            });
            return;
        }
    };
    security::open(plan, desired, observed);
    let names = groups::make(plan, desired, observed, current.name());
    let id = balancer::make(plan, desired, observed, &current);
    listeners::make(plan, desired, observed, &current, &id, &names);
    let leaving = groups::let_targets_go(plan, desired, observed, current.name());
    let moved = publish(plan, desired, observed, &current, published);
    let old = retire::retire(plan, desired, observed, &current, moved, now);
    // What they need goes when they are gone.
    if leaving || old {
        plan.then = Then::More;
    }
    security::close(plan, desired, observed, &current, leaving || old);
}

/// The targets by port and kind, served or not.
fn all_targets(desired: &Desired) -> HeldTargets {
    let mut all = desired.held.clone();
    for (port, wish) in &desired.ports {
        all.insert(
            (*port, wish.kind.target_type, wish.kind.family),
            wish.targets.clone(),
        );
    }
    all
}

/// Shows the balancer once it works; whether the status shows it already.
fn publish(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Observed,
    current: &Current<'_>,
    published: Option<&str>,
) -> bool {
    let shown = published.and_then(|hostname| {
        observed
            .balancers
            .iter()
            .find(|balancer| balancer.read.dns_name == hostname)
    });
    let Current::Found(new) = current else {
        plan.wait(
            Reason::Provisioning,
            format!("balancer {} is being made", current.name()),
            PROVISIONING,
        );
        if published.is_some() && shown.is_none() {
            plan.publish = Publish::Clear;
        }
        return false;
    };
    if new.read.state == State::Failed {
        plan.trouble(Part::Balancer, Refusal::new(
            Reason::ProvisioningFailed,
            format!("AWS could not make balancer {}; see its state there, then delete it, and Herald makes another", new.read.name),
        ));
        return false;
    }
    if published == Some(new.read.dns_name.as_str()) {
        return new.read.state == State::Active;
    }
    if new.read.state != State::Active {
        plan.provisioning = Some(new.read.arn.clone());
        plan.wait(
            Reason::Provisioning,
            format!("AWS is still making balancer {}", new.read.name),
            PROVISIONING,
        );
        if published.is_some() && shown.is_none() {
            plan.publish = Publish::Clear;
        }
        return false;
    }
    if let Some(old) = shown
        && let Some(port) = first_unhealthy(desired, observed, new, old)
    {
        plan.wait(
            Reason::TargetsUnhealthy,
            format!(
                "balancer {} has no healthy target for port {port} yet; {} serves on",
                new.read.name, old.read.name
            ),
            SOON,
        );
        return false;
    }
    let served = desired
        .ports
        .iter()
        .flat_map(|(number, wish)| ports_of(wish.wire, *number));
    plan.publish = Publish::Show {
        hostname: new.read.dns_name.clone(),
        ports: served.collect(),
    };
    // What is published is read in the status next time; until then both serve.
    if shown.is_some() {
        plan.then = Then::More;
    }
    false
}

/// The first port at which the new balancer would serve worse than the old one.
fn first_unhealthy(
    desired: &Desired,
    observed: &Observed,
    new: &Balancer,
    old: &Balancer,
) -> Option<u16> {
    let healthy = |balancer: &Balancer, port: u16| {
        let group = observed.groups.iter().find(|group| {
            group.balancer() == Some(balancer.read.name.as_str()) && group.port() == Some(port)
        });
        group.is_some_and(|group| {
            group
                .targets
                .values()
                .any(|health| *health == Health::Healthy)
        })
    };
    let leads = |port: u16| {
        new.listeners
            .iter()
            .any(|listener| listener.read.port == port)
    };
    let worse = |(port, wish): &(&u16, &PortWish)| {
        !wish.targets.is_empty()
            && (!leads(**port) || healthy(old, **port) && !healthy(new, **port))
    };
    desired.ports.iter().find(worse).map(|(port, _)| *port)
}

/// The id of an object, whether it is there or made by an earlier step.
pub(super) fn id_of(found: Option<&str>, name: &str) -> Id {
    found.map_or_else(|| Id::Made(name.to_owned()), Id::known)
}

/// Tags and attributes of an object that is there.
pub(super) fn keep(
    plan: &mut Plan,
    part: Part,
    object: &attributes::Object<'_>,
    desired: &Desired,
) {
    attributes::keep(plan, part, object, &desired.external_tags);
}
