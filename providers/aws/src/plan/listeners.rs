//! Listeners of the balancer that serves.

use std::collections::BTreeMap;

use super::{
    Part, Plan,
    attributes::{self, Object},
    balancer::Current,
    served::keep,
};
use crate::{
    call::Call,
    desired::{Desired, PortWish},
    model::ListenerSpec,
    observed::{Balancer, Listener, Observed},
    owner::{Owner, Role},
    refusal::{Reason, Refusal},
    words::Id,
};

pub(super) fn make(
    plan: &mut Plan,
    desired: &Desired,
    observed: &Observed,
    current: &Current<'_>,
    balancer: &Id,
    groups: &BTreeMap<u16, Id>,
) {
    for (port, wish) in &desired.ports {
        let Some(group) = groups.get(port) else {
            continue;
        };
        let spec = ListenerSpec {
            wire: wish.wire,
            group: group.clone(),
            certificate: wish.certificate.clone(),
            ssl_policy: wish.ssl_policy.clone(),
            alpn: wish.alpn,
        };
        let found = current
            .found()
            .and_then(|balancer| at_port(balancer, *port));
        match found {
            Some(listener) if is_ours(&desired.owner, observed, listener) => {
                change(plan, desired, (*port, wish), spec, listener);
            }
            Some(_) => plan.trouble(Part::Port(*port), Refusal::new(
                Reason::NameInUse,
                format!("balancer {} has a listener at port {port} that somebody else made; Herald does not touch it: delete it or use another port", current.name()),
            )),
            None => create(plan, desired, (*port, wish), spec, balancer),
        }
    }
}

fn at_port(balancer: &Balancer, port: u16) -> Option<&Listener> {
    balancer
        .listeners
        .iter()
        .find(|listener| listener.read.port == port)
}

/// By its tags, or, until AWS shows these, by where it leads.
pub(super) fn is_ours(owner: &Owner, observed: &Observed, listener: &Listener) -> bool {
    let target = listener.read.spec.group.as_str();
    owner.owns(&listener.tags)
        || listener.tags.is_empty() && observed.groups.iter().any(|group| group.read.arn == target)
}

fn create(
    plan: &mut Plan,
    desired: &Desired,
    (port, wish): (u16, &PortWish),
    spec: ListenerSpec,
    balancer: &Id,
) {
    let part = Part::Port(port);
    // Listeners have no names; this one is only for the steps that follow.
    let name = format!("listener-{balancer}-{port}");
    let tags = attributes::tags(
        &desired.owner,
        Role::Listener,
        &desired.tags,
        &wish.attributes,
    );
    plan.make(
        part,
        "no listener is at this port",
        Call::CreateListener {
            balancer: balancer.clone(),
            port,
            spec,
            tags,
        },
        &name,
    );
    let id = Id::Made(name);
    for certificate in &wish.more_certificates {
        plan.step(
            part,
            "one more certificate",
            Call::AddCertificate {
                listener: id.clone(),
                certificate: certificate.clone(),
            },
        );
    }
    if !wish.attributes.is_empty() {
        plan.step(
            part,
            "annotations set them",
            attributes::modify_listener(id, wish.attributes.clone()),
        );
    }
}

fn change(
    plan: &mut Plan,
    desired: &Desired,
    (port, wish): (u16, &PortWish),
    spec: ListenerSpec,
    listener: &Listener,
) {
    let part = Part::Port(port);
    let id = Id::known(&listener.read.arn);
    let there = &listener.read.spec;
    if !alike(&spec, there) {
        plan.step(
            part,
            "the listener differs",
            Call::ModifyListener {
                listener: id.clone(),
                spec,
            },
        );
    }
    let tls = wish.certificate.is_some() && there.is_tls();
    if tls || !wish.more_certificates.is_empty() {
        for certificate in wish.more_certificates.difference(&listener.certificates) {
            plan.step(
                part,
                "one more certificate",
                Call::AddCertificate {
                    listener: id.clone(),
                    certificate: certificate.clone(),
                },
            );
        }
        for certificate in listener.certificates.difference(&wish.more_certificates) {
            plan.step(
                part,
                "a certificate less",
                Call::RemoveCertificate {
                    listener: id.clone(),
                    certificate: certificate.clone(),
                },
            );
        }
    }
    let object = Object {
        id,
        kind: None,
        tags: &listener.tags,
        attributes: listener.attributes.as_ref(),
        wanted_tags: attributes::tags(
            &desired.owner,
            Role::Listener,
            &desired.tags,
            &wish.attributes,
        ),
        wanted: &wish.attributes,
        modify: attributes::modify_listener,
    };
    keep(plan, part, &object, desired);
}

fn alike(wanted: &ListenerSpec, there: &ListenerSpec) -> bool {
    wanted.wire == there.wire
        && wanted.group == there.group
        && (!wanted.is_tls()
            || wanted.certificate == there.certificate
                && wanted.ssl_policy == there.ssl_policy
                && wanted.alpn_or_none() == there.alpn_or_none())
}
