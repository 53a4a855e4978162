//! Each wrong request has its reason, and the sentence says what to do.

use super::world::{PREFIX, World, port};
use crate::{Present, Reason, Refusal, Wanted};
use herald_spi::{Port, Protocol};

/// Annotations without their prefix.
type Said = &'static [(&'static str, &'static str)];
type Spoil = fn(&mut World);

fn refusals(world: &World) -> Vec<Refusal> {
    match world.wanted(&Present::default()) {
        Wanted::Served(desired) => desired
            .refused
            .into_values()
            .chain(desired.warnings)
            .collect(),
        Wanted::Held(held) => held.refusals,
        Wanted::Gone(_) => panic!("not asked for"),
    }
}

#[test]
fn every_ill_annotation_is_refused_with_its_reason() {
    use Reason::*;
    let table: &[(Said, Reason, &str)] = &[
        (
            &[("scheme", "public")],
            InvalidAnnotation,
            "internal, internet-facing",
        ),
        (&[("scheme", "")], InvalidAnnotation, "is empty"),
        (&[("scheem", "internal")], UnknownAnnotation, "did you mean"),
        (
            &[("frobnicate-it-all", "1")],
            UnknownAnnotation,
            "remove it",
        ),
        (&[("type", "alb")], InvalidAnnotation, "nlb-ip"),
        (
            &[("type", "nlb-ip"), ("nlb-target-type", "instance")],
            ContradictoryAnnotations,
            "remove one",
        ),
        (&[("internal", "yes")], InvalidAnnotation, "true"),
        (
            &[("internal", "true"), ("scheme", "internet-facing")],
            ContradictoryAnnotations,
            "remove the former",
        ),
        (&[("name", "internal-x")], InvalidAnnotation, "internal-"),
        (
            &[("name", "a-name-of-more-than-thirty-two-letters")],
            InvalidAnnotation,
            "32",
        ),
        (
            &[("nlb-target-type", "pod")],
            InvalidAnnotation,
            "instance, ip",
        ),
        (
            &[("ip-address-type", "ipv6")],
            InvalidAnnotation,
            "dualstack",
        ),
        (&[("subnets", "subnet-none")], SubnetNotFound, "subnet-none"),
        (
            &[("subnets", "subnet-private-a,subnet-spare-a")],
            SubnetsConflict,
            "zone a",
        ),
        (
            &[("subnets", "subnet-private-a,subnet-private-a")],
            InvalidAnnotation,
            "twice",
        ),
        (&[("subnets", ",")], InvalidAnnotation, "names nothing"),
        (
            &[("eip-allocations", "eipalloc-1")],
            AddressMismatch,
            "internet-facing",
        ),
        (
            &[("eip-allocations", "1.2.3.4")],
            InvalidAnnotation,
            "eipalloc-",
        ),
        (
            &[
                ("scheme", "internet-facing"),
                ("eip-allocations", "eipalloc-1"),
            ],
            AddressMismatch,
            "3 subnets",
        ),
        (
            &[
                ("scheme", "internet-facing"),
                ("eip-allocations", "eipalloc-1,eipalloc-2,eipalloc-3"),
            ],
            AddressMismatch,
            "needs aws-load-balancer-subnets",
        ),
        (
            &[("private-ipv4-addresses", "10.0.0.9,10.0.1.9,10.9.9.9")],
            AddressMismatch,
            "no address of subnet subnet-private-c",
        ),
        (
            &[("private-ipv4-addresses", "ten")],
            InvalidAnnotation,
            "IPv4",
        ),
        (
            &[
                ("eip-allocations", "eipalloc-1"),
                ("private-ipv4-addresses", "10.0.0.9"),
            ],
            ContradictoryAnnotations,
            "remove one",
        ),
        (
            &[("ipv6-addresses", "2001:db8:0::9")],
            AddressMismatch,
            "dualstack",
        ),
        (
            &[("attributes", "deletion_protection.enabled")],
            InvalidAnnotation,
            "key=value",
        ),
        (
            &[("attributes", "deletion_protection.enabled=yes")],
            InvalidAnnotation,
            "true nor false",
        ),
        (&[("attributes", "a=1,a=2")], InvalidAnnotation, "twice"),
        (
            &[("attributes", "dns_record.client_routing_policy=near")],
            InvalidAnnotation,
            "availability_zone_affinity",
        ),
        (
            &[("attributes", "access_logs.s3.enabled=true")],
            ContradictoryAnnotations,
            "name the bucket",
        ),
        (
            &[
                ("attributes", "load_balancing.cross_zone.enabled=true"),
                ("cross-zone-load-balancing-enabled", "false"),
            ],
            ContradictoryAnnotations,
            "the latter",
        ),
        (&[("ssl-cert", "my-cert")], InvalidAnnotation, "arn:"),
        (
            &[("ssl-cert", "arn:aws:acm:us-east-1:1:certificate/x")],
            CertificateElsewhere,
            "eu-west-1",
        ),
        (
            &[("ssl-ports", "443")],
            ContradictoryAnnotations,
            "ssl-cert",
        ),
        (
            &[
                ("ssl-cert", "arn:aws:iam::1:server-certificate/x"),
                ("ssl-ports", "444"),
            ],
            InvalidAnnotation,
            "no port of the Service",
        ),
        (
            &[("backend-protocol", "http")],
            InvalidAnnotation,
            "ssl or tcp",
        ),
        (&[("alpn-policy", "h2")], InvalidAnnotation, "HTTP2Only"),
        (&[("proxy-protocol", "true")], InvalidAnnotation, "only *"),
        (
            &[("proxy-protocol-per-target-group", "81")],
            InvalidAnnotation,
            "81",
        ),
        (
            &[("target-group-attributes.81", "a=b")],
            InvalidAnnotation,
            "81",
        ),
        (
            &[("target-group-attributes.http", "a=b")],
            InvalidAnnotation,
            "no port number",
        ),
        (
            &[("listener-attributes.80", "a=b")],
            InvalidAnnotation,
            "TCP-80",
        ),
        (
            &[("listener-attributes.UDP-80", "a=b")],
            ContradictoryAnnotations,
            "UDP listener",
        ),
        (
            &[("listener-attributes.TCP-80", "tcp.idle_timeout.seconds=5")],
            InvalidAnnotation,
            "60 to 6000",
        ),
        (
            &[("healthcheck-protocol", "grpc")],
            InvalidAnnotation,
            "tcp, http, https",
        ),
        (
            &[("healthcheck-port", "0")],
            InvalidAnnotation,
            "1 to 65535",
        ),
        (
            &[("healthcheck-port", "admin")],
            InvalidAnnotation,
            "no port of the Service",
        ),
        (
            &[("healthcheck-path", "healthz")],
            InvalidAnnotation,
            "begin with /",
        ),
        (
            &[("healthcheck-interval", "3")],
            InvalidAnnotation,
            "5 to 300",
        ),
        (
            &[
                ("healthcheck-interval", "10"),
                ("healthcheck-timeout", "20"),
            ],
            ContradictoryAnnotations,
            "longer",
        ),
        (
            &[("healthcheck-timeout", "11")],
            ContradictoryAnnotations,
            "longer",
        ),
        (
            &[("healthcheck-healthy-threshold", "1")],
            InvalidAnnotation,
            "2 to 10",
        ),
        (&[("security-groups", "web")], SecurityGroupNotFound, "web"),
        (
            &[("security-groups", "sg-1"), ("disable-nlb-sg", "true")],
            ContradictoryAnnotations,
            "exclude",
        ),
        (
            &[
                ("security-group-prefix-lists", "pl-1"),
                ("security-groups", "sg-1"),
            ],
            ContradictoryAnnotations,
            "remove it",
        ),
        (
            &[("enable-icmp-for-path-mtu-discovery", "true")],
            InvalidAnnotation,
            "on",
        ),
        (
            &[("additional-resource-tags", "herald.dev/cluster=x")],
            InvalidAnnotation,
            "herald.dev/",
        ),
        (
            &[("quic-enabled-ports", "443")],
            UnsupportedAnnotation,
            "does not serve",
        ),
        (
            &[("minimum-load-balancer-capacity", "CapacityUnits=1")],
            UnsupportedAnnotation,
            "does not serve",
        ),
        (
            &[("connection-idle-timeout", "60")],
            IneffectiveAnnotation,
            "Classic",
        ),
    ];
    for (annotations, reason, says) in table {
        let mut world = World::new();
        for (key, value) in *annotations {
            world.annotate(key, Some(value));
        }
        let found = refusals(&world);
        let told = found
            .iter()
            .any(|refusal| refusal.reason == *reason && refusal.message.contains(says));
        assert!(told, "{annotations:?}: {found:#?}");
    }
}

#[test]
fn tags_that_do_not_fit_are_refused() {
    let long = "k".repeat(100);
    for (tags, says) in [
        ("a b=1".to_owned(), "a space"),
        (format!("a={}", "v".repeat(257)), "256 letters in its value"),
        (format!("{long}1=1,{long}2=2,{long}3=3"), "together"),
        ("team=x".to_owned(), "set by others"),
    ] {
        let mut world = World::new();
        world.settings.external_tags = ["team".to_owned()].into();
        world.annotate("additional-resource-tags", Some(&tags));
        let found = refusals(&world);
        assert!(found[0].message.contains(says), "{tags}: {found:?}");
    }
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let mut world = World::new();
    world.annotate("scheme", Some("public"));
    world.annotate("healthcheck-interval", Some("x"));
    world.annotate("nope", Some("x"));
    assert_eq!(refusals(&world).len(), 3);
}

#[test]
fn a_port_that_cannot_be_served_does_not_stop_the_others() {
    let table: [(Spoil, Reason); 4] = [
        (
            |world| world.service.ports[0].port = Port::new(Protocol::Sctp, 80),
            Reason::UnsupportedProtocol,
        ),
        (
            |world| world.service.ports[0].node_port = None,
            Reason::NodePortsNeeded,
        ),
        (
            |world| {
                let mut udp = port("udp", 80, 30999, 8080);
                udp.port = Port::new(Protocol::Udp, 80);
                world.service.ports.push(udp);
            },
            Reason::PortsCannotMerge,
        ),
        (
            |world| {
                let mut udp = port("udp", 80, 30080, 8080);
                udp.port = Port::new(Protocol::Udp, 80);
                world.service.ports.push(udp);
                world.annotate("ssl-cert", Some("arn:aws:acm:eu-west-1:1:certificate/a"));
            },
            Reason::PortsCannotMerge,
        ),
    ];
    for (spoil, reason) in table {
        let mut world = World::new();
        spoil(&mut world);
        world.settle();
        assert_eq!(world.plan.troubles[0].refusal.reason, reason);
        let hostname = world.published.clone().unwrap();
        assert_eq!(
            (
                world.aws.reaches(&hostname, 80),
                world.aws.reaches(&hostname, 443)
            ),
            (None, Some(3))
        );
    }
}

#[test]
fn a_port_that_becomes_wrong_goes_on_being_served() {
    let mut world = World::new();
    world.settle();
    world.service.ports[0].port = Port::new(Protocol::Sctp, 80);
    world.watched = vec![80, 443];
    world.settle();
    assert_eq!(
        world.plan.troubles[0].refusal.reason,
        Reason::UnsupportedProtocol
    );
}

#[test]
fn a_node_without_an_instance_is_told_and_the_others_serve() {
    let mut world = World::new();
    world.nodes[1].provider_id = None;
    assert_eq!(refusals(&world)[0].reason, Reason::NodeWithoutInstance);
    world.settle();
    assert_eq!(
        world.aws.reaches(world.published.as_ref().unwrap(), 80),
        Some(2)
    );
}

#[test]
fn more_targets_than_the_quota_lets_be_are_left_out_evenly() {
    let mut world = World::new();
    world.settings.targets_per_balancer = 4;
    assert_eq!(refusals(&world)[0].reason, Reason::TargetsLeftOut);
    world.settle();
    let hostname = world.published.clone().unwrap();
    assert_eq!(
        (
            world.aws.reaches(&hostname, 80),
            world.aws.reaches(&hostname, 443)
        ),
        (Some(2), Some(2))
    );
}

#[test]
fn addresses_that_the_old_balancer_holds_are_told_and_nothing_breaks() {
    let mut world = World::new();
    world.annotate("scheme", Some("internet-facing"));
    world.annotate("subnets", Some("subnet-public-a,subnet-public-b"));
    world.annotate("eip-allocations", Some("eipalloc-1,eipalloc-2"));
    world.settle();
    world.annotate("eip-allocations", Some("eipalloc-1,eipalloc-3"));
    world.watched = vec![80, 443];
    world.settle();
    assert_eq!(
        world.plan.troubles[0].refusal.reason,
        Reason::RecreateRequired
    );
    assert!(
        world.plan.troubles[0]
            .refusal
            .message
            .contains("eipalloc-1")
    );
}

#[test]
fn pods_outside_the_vpc_are_registered_as_such() {
    let mut world = World::new();
    world.annotate("nlb-target-type", Some("ip"));
    world.endpoints[0].address = "192.168.7.7".parse().unwrap();
    world.settle();
    assert_eq!(
        world.aws.reaches(world.published.as_ref().unwrap(), 80),
        Some(3)
    );
    assert!(
        world
            .ours()
            .iter()
            .any(|line| line.contains("192.168.7.7:8080@all"))
    );
}

#[test]
fn the_keys_in_refusals_are_whole_so_that_they_can_be_copied() {
    let mut world = World::new();
    world.annotate("scheme", Some("public"));
    assert!(
        refusals(&world)[0]
            .message
            .starts_with(&format!("{PREFIX}scheme"))
    );
}
