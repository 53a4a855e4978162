//! How a whole cluster is spoilt.

use crate::{
    api::{AnnouncedAddress, AnnouncementState, HostFacts, InterfaceFacts, SurveyedInterface},
    check::{
        Facts, Severity, Word,
        facts::{AgentReport, Cause, Unread, Workload},
        samples::REQUEST,
    },
    world::{IngressRecord, PoolRecord, ServiceRecord, samples as records},
};

/// What makes the finding, on what it is, words of its message, and how to bring it about.
pub(super) type Case = (Word, Severity, &'static str, &'static str, fn(&mut Facts));
/// What is much like a fault, and what makes it so.
pub(super) type Harmless = (&'static str, fn(&mut Facts));

pub(super) fn agent(facts: &mut Facts) -> &mut AgentReport {
    &mut facts.agents.as_mut().unwrap()[0]
}

pub(super) fn host(facts: &mut Facts) -> &mut HostFacts {
    agent(facts).status.host.as_mut().unwrap()
}

pub(super) fn interface(facts: &mut Facts) -> &mut InterfaceFacts {
    &mut host(facts).interfaces[0]
}

pub(super) fn surveyed(facts: &mut Facts) -> &mut SurveyedInterface {
    &mut agent(facts).status.survey.as_mut().unwrap().interfaces[0]
}

pub(super) fn set_pool(facts: &mut Facts, addresses: &[&str]) {
    facts.pools = Ok(vec![records::pool("lan", addresses)]);
}

pub(super) fn pool(facts: &mut Facts) -> &mut PoolRecord {
    &mut facts.pools.as_mut().unwrap()[0]
}

pub(super) fn first_service(facts: &mut Facts) -> &mut ServiceRecord {
    &mut facts.services.as_mut().unwrap()[0].record
}

pub(super) fn has(facts: &mut Facts, address: &str) {
    first_service(facts).ingress = vec![IngressRecord {
        ip: address.parse().ok(),
        hostname: None,
        ip_mode: None,
        ports: Vec::new(),
    }];
}

pub(super) fn announced(state: AnnouncementState) -> AnnouncedAddress {
    AnnouncedAddress {
        address: "10.1.0.200".to_owned(),
        service: "default/web".to_owned(),
        interface: "eth0".to_owned(),
        since: REQUEST.to_owned(),
        state,
        conflicting_mac: Some("02:00:00:00:00:99".to_owned()),
        reason: None,
        message: None,
    }
}

pub(super) fn forbidden(verb: &'static str, resource: &str) -> Unread {
    Unread {
        verb,
        resource: resource.to_owned(),
        cause: Cause::Forbidden,
    }
}

pub(super) fn rival(image: &str) -> Workload {
    Workload {
        kind: "DaemonSet",
        namespace: "other".to_owned(),
        name: "rival".to_owned(),
        images: vec![image.to_owned()],
        desired: 1,
        ready: 1,
        ..Workload::default()
    }
}
