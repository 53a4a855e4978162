//! The standard cases: what a Service begins as, and how it changes.

use herald_spi::{Port, Protocol};

use super::world::{World, endpoint, node, nodes_group, port};

/// A change from a settled state to another.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Before the change; `None`: there is nothing yet.
    pub(super) before: Option<fn(&mut World)>,
    pub(super) change: fn(&mut World),
}

fn plain(_: &mut World) {}

fn pods(world: &mut World) {
    world.annotate("nlb-target-type", Some("ip"));
}

fn tls(world: &mut World) {
    world.annotate(
        "ssl-cert",
        Some("arn:aws:acm:eu-west-1:1:certificate/a,arn:aws:acm:eu-west-1:1:certificate/b"),
    );
    world.annotate("ssl-ports", Some("443"));
}

fn attributes(world: &mut World) {
    world.annotate("attributes", Some("load_balancing.cross_zone.enabled=true,access_logs.s3.enabled=true,access_logs.s3.bucket=logs"));
    world.annotate(
        "target-group-attributes",
        Some("deregistration_delay.timeout_seconds=30"),
    );
    world.annotate(
        "listener-attributes.TCP-80",
        Some("tcp.idle_timeout.seconds=600"),
    );
    world.annotate("additional-resource-tags", Some("team=shop,cost=7"));
}

fn addresses(world: &mut World) {
    world.annotate("scheme", Some("internet-facing"));
    world.annotate("subnets", Some("subnet-public-a,subnet-public-b"));
    world.annotate("eip-allocations", Some("eipalloc-1,eipalloc-2"));
}

fn dns(world: &mut World) {
    let mut dns = port("dns", 53, 30053, 5353);
    dns.port = Port::new(Protocol::Udp, 53);
    world.service.ports.push(dns);
}

pub(super) const CASES: &[Case] = &[
    Case {
        name: "create",
        before: None,
        change: plain,
    },
    Case {
        name: "create-pods-tls",
        before: None,
        change: |world| {
            pods(world);
            tls(world);
        },
    },
    Case {
        name: "create-addresses-attributes",
        before: None,
        change: |world| {
            addresses(world);
            attributes(world);
        },
    },
    Case {
        name: "delete",
        before: Some(plain),
        change: |world| world.deleted = true,
    },
    Case {
        name: "delete-pods-tls",
        before: Some(|world| {
            pods(world);
            tls(world);
        }),
        change: |world| world.deleted = true,
    },
    Case {
        name: "port-added",
        before: Some(plain),
        change: |world| world.service.ports.push(port("extra", 8080, 30900, 9000)),
    },
    Case {
        name: "port-removed",
        before: Some(plain),
        change: |world| drop(world.service.ports.pop()),
    },
    Case {
        name: "port-also-udp",
        before: Some(dns),
        change: |world| world.service.ports.push(port("dns-tcp", 53, 30053, 5353)),
    },
    Case {
        name: "node-port-changed",
        before: Some(plain),
        change: |world| world.service.ports[0].node_port = Some(31000),
    },
    Case {
        name: "nodes-exchanged",
        before: Some(plain),
        change: |world| {
            let group = nodes_group(world).as_str().to_owned();
            world.nodes = (3..=6).map(|number| node(number, &group)).collect();
        },
    },
    Case {
        name: "rollout",
        before: Some(pods),
        change: |world| world.endpoints = (11..=13).map(endpoint).collect(),
    },
    Case {
        name: "target-type",
        before: Some(plain),
        change: pods,
    },
    Case {
        name: "tls-on",
        before: Some(plain),
        change: tls,
    },
    Case {
        name: "certificates",
        before: Some(tls),
        change: |world| {
            world.annotate(
                "ssl-cert",
                Some("arn:aws:acm:eu-west-1:1:certificate/b,arn:aws:acm:eu-west-1:1:certificate/c"),
            );
        },
    },
    Case {
        name: "attributes-set",
        before: Some(plain),
        change: attributes,
    },
    Case {
        name: "attributes-unset",
        before: Some(attributes),
        change: |world| world.service.annotations.clear(),
    },
    Case {
        name: "health-check",
        before: Some(plain),
        change: |world| {
            world.annotate("healthcheck-protocol", Some("http"));
            world.annotate("healthcheck-interval", Some("30"));
        },
    },
    Case {
        name: "source-ranges",
        before: Some(plain),
        change: |world| world.service.source_ranges = vec!["192.0.2.0/24".to_owned()],
    },
    Case {
        name: "scheme",
        before: Some(plain),
        change: |world| world.annotate("scheme", Some("internet-facing")),
    },
    Case {
        name: "subnets",
        before: Some(plain),
        change: |world| world.annotate("subnets", Some("subnet-spare-a,subnet-private-b")),
    },
    Case {
        name: "zone-added",
        before: Some(|world| world.annotate("subnets", Some("subnet-private-a"))),
        change: |world| {
            world.annotate("subnets", Some("subnet-private-a,subnet-private-b"));
        },
    },
    Case {
        name: "addresses",
        before: Some(addresses),
        change: |world| world.annotate("eip-allocations", Some("eipalloc-3,eipalloc-4")),
    },
    Case {
        name: "own-security-groups",
        before: Some(plain),
        change: |world| {
            let group = nodes_group(world).as_str().to_owned();
            world.annotate("security-groups", Some(&group));
            world.annotate("manage-backend-security-group-rules", Some("true"));
        },
    },
    Case {
        name: "no-security-groups",
        before: Some(plain),
        change: |world| world.annotate("disable-nlb-sg", Some("true")),
    },
    Case {
        name: "dual-stack",
        before: Some(plain),
        change: |world| world.annotate("ip-address-type", Some("dualstack")),
    },
];

impl Case {
    /// The settled state before.
    pub(super) fn base(&self) -> World {
        let mut world = World::new();
        if let Some(before) = self.before {
            before(&mut world);
            world.settle();
            // Everything has become healthy.
            world.aws.pass(200);
        }
        world
    }
}
