//! What was replaced: listeners and target groups of the balancer that serves, and whole balancers.
//!
//! ```text
//!   the status shows the new balancer ▶ the old one gets the tag retired-at ▶ it serves on for the drain time ▶ deleted
//! ```

use super::{Part, Plan, balancer::Current, groups, listeners, served::SOON};
use crate::{
    call::Call,
    desired::Desired,
    observed::{Group, Observed},
    owner::RETIRED,
    refusal::Reason,
    words::{Id, Moment},
};

/// Whether anything of the old is left for a while. `moved`: the status shows the current balancer.
pub(super) fn retire(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Observed,
    current: &Current<'_>,
    moved: bool,
    now: Moment,
) -> bool {
    let mut busy = old_groups(plan, desired, observed, current);
    for old in &observed.balancers {
        if old.read.name == current.name() {
            continue;
        }
        busy = true;
        let id = Id::known(&old.read.arn);
        match old.retired() {
            _ if !moved => {}
            None => {
                plan.step(
                    Part::Old,
                    "the status shows its successor",
                    Call::AddTags {
                        object: id,
                        tags: [(RETIRED.to_owned(), now.0.to_string())].into(),
                    },
                );
            }
            Some(since) if now.since(since) < desired.drain => {
                let left = desired.drain - now.since(since);
                plan.wait(
                    Reason::Draining,
                    format!(
                        "balancer {} serves those who still have its name",
                        old.read.name
                    ),
                    left,
                );
            }
            Some(_) => {
                let gone = plan.step(
                    Part::Old,
                    "its drain time is over",
                    Call::DeleteBalancer(id),
                );
                for group in observed
                    .groups
                    .iter()
                    .filter(|group| group.balancer() == Some(&old.read.name))
                {
                    plan.step_after(
                        [gone],
                        Part::Old,
                        "its balancer goes",
                        Call::DeleteGroup(Id::known(&group.read.arn)),
                    );
                }
            }
        }
    }
    busy
}

/// Listeners and target groups that the current balancer needs no more, and groups whose balancer is gone.
fn old_groups(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Observed,
    current: &Current<'_>,
) -> bool {
    let mut unlistened = Vec::new();
    let found = current
        .found()
        .map(|balancer| balancer.listeners.as_slice())
        .unwrap_or_default();
    for listener in found {
        let port = listener.read.port;
        let unwanted = !desired.ports.contains_key(&port) && !desired.refused.contains_key(&port);
        if unwanted && listeners::is_ours(&desired.owner, observed, listener) {
            let at = plan.step(
                Part::Port(port),
                "the Service has no such port",
                Call::DeleteListener(Id::known(&listener.read.arn)),
            );
            unlistened.push((listener.read.spec.group.as_str(), at));
        }
    }
    let stands = |name: Option<&str>| {
        observed
            .balancers
            .iter()
            .any(|balancer| Some(balancer.read.name.as_str()) == name)
    };
    let mut busy = false;
    for group in &observed.groups {
        let of_current = group.balancer() == Some(current.name());
        if of_current && is_wanted(desired, observed, current.name(), group)
            || !of_current && stands(group.balancer())
        {
            continue;
        }
        busy = true;
        let id = Id::known(&group.read.arn);
        let replaced = of_current
            && group
                .port()
                .is_some_and(|port| desired.ports.contains_key(&port));
        if replaced && !group.targets.is_empty() {
            // Its connections end in peace; what stands in for it has the listener already.
            let none = std::collections::BTreeSet::new();
            let successor = found
                .iter()
                .any(|listener| listener.read.spec.group.as_str() == group.read.arn);
            if successor {
                plan.wait(
                    Reason::Draining,
                    format!("the listener still leads to {}", group.read.name),
                    SOON,
                );
            } else {
                groups::deregister(plan, Part::Old, group, &none);
            }
            continue;
        }
        let needs = unlistened
            .iter()
            .filter(|(arn, _)| *arn == group.read.arn)
            .map(|(_, at)| *at);
        let needs: Vec<usize> = needs.collect();
        plan.step_after(
            needs,
            Part::Old,
            "nothing leads to it",
            Call::DeleteGroup(id),
        );
    }
    busy
}

fn is_wanted(desired: &Desired, observed: &Observed, balancer: &str, group: &Group) -> bool {
    let Some(port) = group.port() else {
        return false;
    };
    if desired.refused.contains_key(&port) {
        return true;
    }
    let wish = desired.ports.get(&port);
    let chosen = wish.and_then(|wish| groups::of_port(observed, balancer, port, wish));
    chosen.is_some_and(|chosen| chosen.read.arn == group.read.arn)
}
