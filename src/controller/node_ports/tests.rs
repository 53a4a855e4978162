//! A table of situations.

mod fights;

use herald_spi::{Port, Protocol};

use super::*;
use crate::world::{ConditionRecord, PortRecord, samples::service as plain};

fn service() -> ServiceRecord {
    let port = |protocol, node_port| PortRecord {
        name: None,
        port: Port::new(protocol, 53),
        node_port,
    };
    ServiceRecord {
        resource_version: "7".into(),
        ports: vec![
            port(Protocol::Tcp, Some(30053)),
            port(Protocol::Sctp, None),
            port(Protocol::Udp, Some(30053)),
        ],
        ..plain("web")
    }
}

fn off(service: ServiceRecord) -> ServiceRecord {
    let mut service = service;
    service.allocates_node_ports = false;
    service.ports.iter_mut().for_each(|p| p.node_port = None);
    service
}

fn by_herald(service: ServiceRecord) -> ServiceRecord {
    ServiceRecord {
        node_ports_switched: true,
        ..off(service)
    }
}

fn saying_disabled(mut service: ServiceRecord) -> ServiceRecord {
    service.node_ports = Some(ConditionRecord {
        holds: true,
        reason: "Disabled".into(),
        message: String::new(),
        since: String::new(),
    });
    service
}

fn pinned(what: Pinned, by: PinnedBy) -> ServiceRecord {
    ServiceRecord {
        node_ports_pinned: Some(Pin { what, by }),
        ..service()
    }
}

fn refused(by: PinnedBy) -> ServiceRecord {
    ServiceRecord {
        node_ports_refused: Some(Pin {
            what: Pinned::Flag,
            by,
        }),
        ..off(service())
    }
}

fn needed() -> Need {
    Need::Because("the Service falls back to nodes".into())
}

fn numbers() -> Pinned {
    Pinned::Numbers(vec![Port::new(Protocol::Udp, 53)])
}

#[test]
fn every_situation_has_its_patch_and_its_word() {
    let half_off = ServiceRecord {
        allocates_node_ports: false,
        ..service()
    };
    let herald_over_manifest = ServiceRecord {
        node_ports_switched: true,
        ..refused(PinnedBy::LastApplied)
    };
    let pinned_while_off = off(pinned(numbers(), PinnedBy::LastApplied));
    use Wish::*;
    let on: Option<(bool, &[usize])> = Some((true, &[]));
    let switch_off: Option<(bool, &[usize])> = Some((false, &[0, 2]));
    for (what, service, wish, need, patch, word) in [
        (
            "off",
            service(),
            Disable,
            Need::None,
            switch_off,
            Some((true, "Disabled")),
        ),
        (
            "flag alone",
            half_off,
            Disable,
            Need::None,
            switch_off,
            Some((true, "Disabled")),
        ),
        (
            "is off",
            off(service()),
            Disable,
            Need::None,
            None,
            Some((true, "Disabled")),
        ),
        (
            "needed",
            service(),
            Disable,
            needed(),
            None,
            Some((false, "NodePortsNeeded")),
        ),
        (
            "needed later",
            by_herald(service()),
            Disable,
            needed(),
            on,
            Some((false, "NodePortsNeeded")),
        ),
        (
            "needed, user's",
            off(service()),
            Disable,
            needed(),
            None,
            Some((false, "NodePortsNeeded")),
        ),
        (
            "named",
            pinned(numbers(), PinnedBy::Updated("helm".into())),
            Disable,
            Need::None,
            None,
            Some((false, "NodePortsPinned")),
        ),
        (
            "true in the manifest",
            pinned(Pinned::Flag, PinnedBy::Applied("flux".into())),
            Disable,
            Need::None,
            None,
            Some((false, "NodePortsPinned")),
        ),
        // As it should be, whoever wants it otherwise the next time.
        (
            "named, off",
            pinned_while_off,
            Disable,
            Need::None,
            None,
            Some((true, "Disabled")),
        ),
        (
            "on",
            service(),
            Enable,
            Need::None,
            None,
            Some((true, "Enabled")),
        ),
        (
            "on again",
            by_herald(service()),
            Enable,
            Need::None,
            on,
            Some((true, "Enabled")),
        ),
        (
            "user's false",
            off(service()),
            Enable,
            Need::None,
            None,
            Some((false, "NodePortsPinned")),
        ),
        (
            "user's false, Disabled before",
            herald_over_manifest,
            Enable,
            Need::None,
            None,
            Some((false, "NodePortsPinned")),
        ),
        ("nobody asks", service(), Keep, Need::None, None, None),
        (
            "nobody asks any more",
            by_herald(service()),
            Keep,
            Need::None,
            None,
            None,
        ),
        (
            "nobody asks, needed",
            by_herald(service()),
            Keep,
            needed(),
            on,
            None,
        ),
        (
            "nobody asks, needed, user's",
            off(service()),
            Keep,
            needed(),
            None,
            None,
        ),
    ] {
        let decision = decide(&service, wish, &need, &Contest::default(), 0);
        let made = decision.patch.as_ref();
        assert!(made.is_none_or(|p| p.resource_version == "7"), "{what}");
        let made = made.map(|p| (p.allocate, p.remove.as_slice()));
        assert_eq!(made, patch, "{what}");
        let said = decision
            .verdict
            .as_ref()
            .map(|v| (v.holds, v.reason.as_str()));
        assert_eq!(said, word, "{what}");
        assert_eq!(decision.look_again, None, "{what}");
    }
}

#[test]
fn refusals_say_who_and_what_to_do() {
    let unknown = off(service());
    let created = ServiceRecord {
        node_ports_flag_owner: Some("kubectl-create".into()),
        ..off(service())
    };
    for (service, wish, words) in [
        (
            pinned(numbers(), PinnedBy::LastApplied),
            Wish::Disable,
            vec!["applied last", "nodePort for UDP/53"],
        ),
        (
            pinned(numbers(), PinnedBy::Updated("kubectl-edit".into())),
            Wish::Disable,
            vec![
                "kubectl-edit wrote nodePort for UDP/53",
                "kubectl patch service -n default web",
                r#"'[{"op":"remove","path":"/spec/ports/2/nodePort"}]'"#,
            ],
        ),
        (
            pinned(Pinned::Flag, PinnedBy::Applied("flux".into())),
            Wish::Disable,
            vec!["flux applies allocateLoadBalancerNodePorts: true"],
        ),
        (
            refused(PinnedBy::LastApplied),
            Wish::Enable,
            vec!["applied last", "false"],
        ),
        (
            refused(PinnedBy::Applied("argo".into())),
            Wish::Enable,
            vec!["argo applies allocateLoadBalancerNodePorts: false"],
        ),
        (
            created,
            Wish::Enable,
            vec!["kubectl-create set", "kubectl patch service"],
        ),
        (unknown, Wish::Enable, vec!["somebody else set"]),
    ] {
        let decision = decide(&service, wish, &Need::None, &Contest::default(), 0);
        let message = decision.verdict.unwrap().message;
        for word in words {
            assert!(message.contains(word), "{message:?} lacks {word:?}");
        }
    }
    let local = ServiceRecord {
        policy: TrafficPolicy::Local,
        ..off(service())
    };
    let said = decide(&local, Wish::Disable, &Need::None, &Contest::default(), 0);
    assert!(said.verdict.unwrap().message.contains("health check"));
}
