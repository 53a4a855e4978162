use std::collections::BTreeSet;

use herald_spi::{Port, Protocol};

use super::{Desired, Groups, Present, Wanted};
use crate::{
    tests::world::{World, port},
    words::{Alpn, Probe, Scheme, Stack, TargetFamily, TargetType, Wire},
};

/// Annotations without their prefix.
type Holds = fn(&Desired) -> bool;
type Said = &'static [(&'static str, &'static str)];

fn desired(change: impl FnOnce(&mut World)) -> Desired {
    desired_beside(change, &Present::default())
}

fn desired_beside(change: impl FnOnce(&mut World), present: &Present) -> Desired {
    let mut world = World::new();
    change(&mut world);
    match world.wanted(present) {
        Wanted::Served(desired) => *desired,
        other => panic!("{other:?}"),
    }
}

fn annotated(annotations: &[(&str, &str)]) -> Desired {
    desired(|world| {
        for (key, value) in annotations {
            world.annotate(key, Some(value));
        }
    })
}

fn subnets(desired: &Desired) -> Vec<&str> {
    desired.places.keys().map(String::as_str).collect()
}

#[test]
fn without_annotations_it_is_internal_and_sends_to_instances() {
    let desired = annotated(&[]);
    assert_eq!(
        (desired.scheme, desired.stack),
        (Scheme::Internal, Stack::V4)
    );
    assert_eq!(
        subnets(&desired),
        ["subnet-private-a", "subnet-private-b", "subnet-private-c"]
    );
    assert_eq!(desired.security.groups, Groups::Own);
    let port = &desired.ports[&80];
    assert_eq!(
        (port.wire, port.kind.target_type, port.kind.family),
        (Wire::Tcp, TargetType::Instance, TargetFamily::V4)
    );
    let targets: Vec<_> = port.targets.iter().map(ToString::to_string).collect();
    assert_eq!(targets, ["i-1:30080", "i-2:30080", "i-3:30080"]);
    let rules: Vec<_> = desired
        .security
        .clients
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(rules, ["tcp/80 from 0.0.0.0/0", "tcp/443 from 0.0.0.0/0"]);
    assert_eq!(
        (port.health.probe, port.health.interval, port.health.timeout),
        (Probe::Tcp, 10, 10)
    );
}

#[test]
fn the_older_words_mean_what_they_meant() {
    let table: [(Said, Holds); 12] = [
        (&[("type", "nlb-ip")], |it| {
            it.ports[&80].kind.target_type == TargetType::Ip
        }),
        (&[("internal", "false")], |it| {
            it.scheme == Scheme::InternetFacing && subnets(it)[0] == "subnet-public-a"
        }),
        (&[("cross-zone-load-balancing-enabled", "true")], |it| {
            it.attributes["load_balancing.cross_zone.enabled"] == "true"
        }),
        (
            &[
                ("access-log-enabled", "true"),
                ("access-log-s3-bucket-name", "b"),
                ("access-log-s3-bucket-prefix", "p"),
            ],
            |it| it.attributes["access_logs.s3.prefix"] == "p",
        ),
        (&[("proxy-protocol", "*")], |it| {
            it.ports
                .values()
                .all(|port| port.group_attributes["proxy_protocol_v2.enabled"] == "true")
        }),
        (&[("proxy-protocol-per-target-group", "443")], |it| {
            it.ports[&443].group_attributes["proxy_protocol_v2.enabled"] == "true"
                && it.ports[&80].group_attributes["proxy_protocol_v2.enabled"] == "false"
        }),
        (
            &[
                ("target-group-attributes", "a=1,b=2"),
                ("target-group-attributes.80", "a=3,b="),
            ],
            |it| {
                it.ports[&80].group_attributes["a"] == "3"
                    && it.ports[&80].group_attributes["b"] == "2"
                    && it.ports[&443].group_attributes["a"] == "1"
            },
        ),
        (&[("attributes", r"a=x\,y,b=2")], |it| {
            it.attributes["a"] == "x,y" && it.attributes["b"] == "2"
        }),
        (&[("subnets", "subnet-spare-b")], |it| {
            subnets(it) == ["subnet-spare-b"]
        }),
        (&[("target-node-labels", "role=edge")], |it| {
            it.ports[&80].targets.is_empty()
        }),
        (
            &[
                ("healthcheck-protocol", "HTTP"),
                ("healthcheck-port", "https"),
                ("healthcheck-path", "/ok"),
            ],
            |it| {
                it.ports[&80].health.port == Some(30443)
                    && it.ports[&80].health.path.as_deref() == Some("/ok")
                    && it.ports[&80].health.codes.as_deref() == Some("200-399")
            },
        ),
        (
            &[("nlb-target-type", "ip"), ("healthcheck-port", "https")],
            |it| it.ports[&80].health.port == Some(8443),
        ),
    ];
    for (annotations, holds) in table {
        let desired = annotated(annotations);
        assert!(holds(&desired), "{annotations:?}: {desired:#?}");
    }
}

#[test]
fn tls_is_for_the_named_ports_and_the_first_certificate_is_the_default() {
    let cert = "arn:aws:acm:eu-west-1:1:certificate/";
    let certs = format!("{cert}a,{cert}b,{cert}c");
    let desired = annotated(&[
        ("ssl-cert", &certs),
        ("ssl-ports", "https"),
        ("alpn-policy", "HTTP2Preferred"),
        ("backend-protocol", "ssl"),
    ]);
    let (tls, plain) = (&desired.ports[&443], &desired.ports[&80]);
    assert_eq!(
        (tls.wire, tls.kind.wire, tls.alpn),
        (Wire::Tls, Wire::Tls, Some(Alpn::Http2Preferred))
    );
    assert_eq!(tls.certificate, Some(format!("{cert}a")));
    assert_eq!(tls.more_certificates.len(), 2);
    assert_eq!(
        (
            plain.wire,
            &plain.certificate,
            &plain.ssl_policy,
            plain.alpn
        ),
        (Wire::Tcp, &None, &None, None)
    );
    let all = annotated(&[("ssl-cert", &certs)]);
    assert!(
        all.ports
            .values()
            .all(|port| port.wire == Wire::Tls && port.kind.wire == Wire::Tcp)
    );
}

#[test]
fn tcp_and_udp_of_one_number_share_a_listener_where_they_lead_to_one_place() {
    let desired = desired(|world| {
        let mut udp = port("http-udp", 80, 30080, 8080);
        udp.port = Port::new(Protocol::Udp, 80);
        world.service.ports.push(udp);
    });
    assert_eq!(
        (desired.ports[&80].wire, desired.ports[&80].kind.wire),
        (Wire::TcpUdp, Wire::TcpUdp)
    );
    let rules: BTreeSet<_> = desired
        .security
        .clients
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(rules.contains("udp/80 from 0.0.0.0/0") && rules.contains("tcp/80 from 0.0.0.0/0"));
}

#[test]
fn under_local_the_nodes_are_asked_for_their_endpoints() {
    let desired = desired(|world| {
        world.service.local = true;
        world.service.health_check_node_port = Some(31111);
    });
    let health = &desired.ports[&80].health;
    assert_eq!(
        (health.probe, health.port, health.path.as_deref()),
        (Probe::Http, Some(31111), Some("/healthz"))
    );
    assert_eq!(
        (
            health.interval,
            health.timeout,
            health.healthy,
            health.unhealthy
        ),
        (10, 6, 2, 2)
    );
    let opened: BTreeSet<_> = desired
        .security
        .nodes
        .iter()
        .map(|(_, permit)| permit.traffic.to_string())
        .collect();
    assert_eq!(
        opened,
        ["tcp/30080", "tcp/30443", "tcp/31111"]
            .map(str::to_owned)
            .into()
    );
}

#[test]
fn what_is_there_stays_where_nothing_else_is_asked() {
    let present = Present {
        scheme: Some(Scheme::InternetFacing),
        subnets: ["subnet-spare-a".to_owned()].into(),
    };
    let kept = desired_beside(|world| world.settings.scheme = Scheme::Internal, &present);
    assert_eq!(kept.scheme, Scheme::InternetFacing);
    assert_eq!(
        subnets(&kept),
        ["subnet-public-b", "subnet-public-c", "subnet-spare-a"],
        "new zones are added, its own stay"
    );
    let moved = desired_beside(|world| world.annotate("scheme", Some("internal")), &present);
    assert_eq!(subnets(&moved)[0], "subnet-private-a");
}

#[test]
fn subnets_are_found_by_tag_then_by_route_and_never_another_clusters() {
    let untagged = desired(|world| {
        world
            .network
            .subnets
            .iter_mut()
            .for_each(|subnet| subnet.tags.clear());
        world.annotate("scheme", Some("internet-facing"));
    });
    assert_eq!(
        subnets(&untagged),
        ["subnet-public-a", "subnet-public-b", "subnet-public-c"]
    );
    let others = desired(|world| {
        world.network.subnets[0].tags.insert(
            "kubernetes.io/cluster/another".to_owned(),
            "owned".to_owned(),
        );
        world.network.subnets[1].free = 3;
    });
    assert_eq!(subnets(&others), ["subnet-private-c"]);
    let preferred = desired(|world| {
        let spare = &mut world.network.subnets[6];
        spare
            .tags
            .insert("kubernetes.io/role/internal-elb".to_owned(), String::new());
        spare
            .tags
            .insert("kubernetes.io/cluster/prod".to_owned(), "shared".to_owned());
    });
    assert_eq!(
        subnets(&preferred),
        ["subnet-private-b", "subnet-private-c", "subnet-spare-a"]
    );
}

#[test]
fn rules_name_clients_where_packets_keep_their_address_and_there_is_no_group() {
    let sources = |desired: &Desired| -> BTreeSet<String> {
        desired
            .security
            .nodes
            .iter()
            .map(|(_, permit)| permit.source.to_string())
            .collect()
    };
    let bare = [("disable-nlb-sg", "true"), ("subnets", "subnet-private-a")];
    assert_eq!(
        sources(&annotated(&bare)),
        ["10.0.0.0/16", "10.0.0.0/24"].map(str::to_owned).into()
    );
    let hidden = [
        bare[0],
        bare[1],
        (
            "target-group-attributes",
            "preserve_client_ip.enabled=false",
        ),
    ];
    assert_eq!(
        sources(&annotated(&hidden)),
        ["10.0.0.0/24".to_owned()].into()
    );
    let ranged = desired(|world| {
        world.annotate("enable-icmp-for-path-mtu-discovery", Some("on"));
        world.service.source_ranges = vec!["192.0.2.0/24".to_owned()];
        world.service.ports.pop();
    });
    let rules: Vec<_> = ranged
        .security
        .clients
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        rules,
        ["tcp/80 from 192.0.2.0/24", "icmp/3/4 from 192.0.2.0/24"]
    );
}

#[test]
fn groups_that_the_user_brings_open_the_nodes_only_when_asked() {
    let brought = annotated(&[("security-groups", "sg-1")]);
    assert!(brought.security.nodes.is_empty() && brought.security.clients.is_empty());
    let opened = annotated(&[
        ("security-groups", "sg-1"),
        ("manage-backend-security-group-rules", "true"),
    ]);
    assert_eq!(opened.security.nodes.len(), 2);
}

#[test]
fn endpoints_without_a_pod_and_of_both_families_are_told_apart() {
    let desired = desired(|world| {
        world.annotate("nlb-target-type", Some("ip"));
        world.service.has_v6 = true;
        world.endpoints[0].address = "2001:db8::7".parse().unwrap();
        world.network.ranges.push("2001:db8::/32".parse().unwrap());
    });
    let port = &desired.ports[&80];
    assert_eq!(
        (desired.stack, port.kind.family),
        (Stack::Dual, TargetFamily::V6)
    );
    let targets: Vec<_> = port.targets.iter().map(ToString::to_string).collect();
    assert_eq!(targets, ["[2001:db8::7]:8080"]);
}

#[test]
fn a_range_of_node_ports_is_one_rule() {
    let desired =
        desired(|world| world.settings.node_ports = crate::NodePorts::Range(30000, 32767));
    let opened: Vec<_> = desired
        .security
        .nodes
        .iter()
        .map(|(_, permit)| permit.traffic.to_string())
        .collect();
    assert_eq!(opened, ["tcp/30000-32767"]);
}
