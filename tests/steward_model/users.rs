//! What users do to Services, at random, in a universe so small that they get in each other's way.

use herald::{
    api,
    ipam::{Families, Family},
    world::{
        IngressRecord, LockKey, Pairs, Pin, Pinned, PinnedBy, PortRecord, ServiceRecord,
        TrafficPolicy,
    },
};
use herald_spi::ServiceKey;

use crate::{admins, dice::Dice, server::Server, service::Service};

pub const NAMESPACES: [&str; 3] = ["blue", "green", "red"];
const NAMES: usize = 9;
const PORTS: [&str; 4] = ["TCP/80", "TCP/443", "UDP/53", "TCP/8080"];

/// Somebody does something. Says what.
pub fn act(dice: &mut Dice, server: &mut Server) -> String {
    match dice.weigh(&[28, 7, 4, 36, 4, 4, 17]) {
        0 => create(dice, server),
        1 => delete(dice, server),
        2 => recreate(dice, server),
        3 => edit(dice, server),
        4 => change_type(dice, server),
        5 => touch_status(dice, server),
        _ => admins::act(dice, server),
    }
}

fn create(dice: &mut Dice, server: &mut Server) -> String {
    let number = dice.below(NAMES);
    let key = ServiceKey::new(NAMESPACES[number % 3], format!("web-{number}"));
    if server.services.contains_key(&key) {
        return edit_of(dice, server, &key);
    }
    let service = new_service(dice, server, key);
    let said = show(&service.record);
    server.put(service);
    format!("creates {said}")
}

fn new_service(dice: &mut Dice, server: &mut Server, key: ServiceKey) -> Service {
    let uid = format!("u{}", server.tick());
    let family = if dice.percent(75) {
        Family::V4
    } else {
        Family::V6
    };
    let class = match dice.below(12) {
        0 => Some("example.com/lb".to_owned()),
        1 => Some(api::CLASS_NODE.to_owned()),
        2 => Some(api::CLASS_LAYER2.to_owned()),
        _ => None,
    };
    let record = ServiceRecord {
        key,
        uid,
        resource_version: String::new(),
        created: server.now,
        deleting: false,
        labels: Pairs::default(),
        annotations: Pairs::default(),
        foreign_finalizer: dice
            .percent(3)
            .then(|| api::FOREIGN_FINALIZERS[0].to_owned()),
        class,
        requested_ip: None,
        families: families(dice, family),
        policy: TrafficPolicy::Cluster,
        ingress: Vec::new(),
        allocated: None,
        selector: Pairs::from([("app".to_owned(), (*dice.pick(&["a", "b"])).to_owned())]),
        ports: ports(dice),
        allocates_node_ports: !dice.percent(15),
        node_ports_pinned: None,
        node_ports_refused: None,
        node_ports_flag_owner: None,
        node_ports_switched: false,
        node_ports: None,
        announced: None,
        provisioned: None,
        kept_by_aws: false,
    };
    let mut service = Service::new(record);
    if dice.percent(35) {
        let shares = "k".to_owned();
        service
            .record
            .annotations
            .insert(api::ANNOTATION_SHARING_KEY.to_owned(), shares);
    }
    for _ in 0..dice.below(2) {
        annotate(dice, &mut service.record);
    }
    if dice.percent(4) {
        let entry = foreign_entry(dice);
        server.past.claimed.extend(entry.ip.map(LockKey::Address));
        service.overwrite(vec![entry]);
    }
    let port = 30_000 + u16::try_from(server.tick() % 2_000).unwrap();
    service.allocate_node_ports(port);
    service
}

fn families(dice: &mut Dice, primary: Family) -> Families {
    match dice.weigh(&[60, 25, 15]) {
        0 => Families::Single(primary),
        1 => Families::Prefer(primary),
        _ => Families::Require(primary),
    }
}

fn ports(dice: &mut Dice) -> Vec<PortRecord> {
    let first = dice.below(PORTS.len());
    let many = if dice.percent(75) { 1 } else { 2 };
    let record = |at: usize| PortRecord {
        name: None,
        port: PORTS[at % PORTS.len()].parse().unwrap(),
        node_port: None,
    };
    (first..first + many).map(record).collect()
}

fn delete(dice: &mut Dice, server: &mut Server) -> String {
    let Some(key) = dice.any(server.services.keys().cloned()) else {
        return create(dice, server);
    };
    let service = &server.services[&key];
    let held = service.record.foreign_finalizer.is_some() || dice.percent(8);
    if held && !service.record.deleting {
        server.write(&key, |service| service.record.deleting = true);
        return format!("deletes {key}, which a finalizer keeps");
    }
    server.delete_service(&key);
    format!("deletes {key}")
}

fn recreate(dice: &mut Dice, server: &mut Server) -> String {
    let Some(key) = dice.any(server.services.keys().cloned()) else {
        return create(dice, server);
    };
    let old = server.services[&key].clone();
    server.delete_service(&key);
    let mut service = new_service(dice, server, key);
    if dice.percent(60) {
        // The same manifest again.
        let (new, old) = (&mut service.record, old.record);
        (new.families, new.class) = (old.families, old.class);
        (new.ports, new.policy, new.selector) = (old.ports, old.policy, old.selector);
        (new.annotations, new.requested_ip) = (old.annotations, old.requested_ip);
        new.annotations.remove(api::ANNOTATION_ALLOCATED_FROM);
    }
    let said = show(&service.record);
    server.put(service);
    format!("deletes and creates {said}")
}

fn edit(dice: &mut Dice, server: &mut Server) -> String {
    match dice.any(server.services.keys().cloned()) {
        Some(key) => edit_of(dice, server, &key),
        None => create(dice, server),
    }
}

fn edit_of(dice: &mut Dice, server: &mut Server, key: &ServiceKey) -> String {
    let port = 30_000 + u16::try_from(server.tick() % 2_000).unwrap();
    server.write(key, |service| {
        let record = &mut service.record;
        match dice.weigh(&[55, 10, 12, 8, 5, 6, 4]) {
            0 => annotate(dice, record),
            1 => record.families = families(dice, record.families.primary()),
            2 => {
                record.ports = ports(dice);
                service.allocate_node_ports(port);
            }
            3 if record.policy == TrafficPolicy::Local => record.policy = TrafficPolicy::Cluster,
            3 => record.policy = TrafficPolicy::Local,
            4 => {
                let app = *dice.pick(&["a", "b"]);
                record.selector.insert("app".to_owned(), app.to_owned());
            }
            5 => touch_node_ports(dice, service, port),
            _ if record.labels.remove("tier").is_some() => {}
            _ => {
                record.labels.insert("tier".to_owned(), "gold".to_owned());
            }
        }
    });
    let shown = server
        .services
        .get(key)
        .map(|service| show(&service.record));
    format!("edits {}", shown.unwrap_or_default())
}

/// Sets or removes an annotation, seldom with sense.
fn annotate(dice: &mut Dice, record: &mut ServiceRecord) {
    if dice.percent(25) {
        // Somebody cleans up.
        let ours = record.annotations.remove(api::ANNOTATION_ALLOCATED_FROM);
        let ours = ours.map(|pools| (api::ANNOTATION_ALLOCATED_FROM.to_owned(), pools));
        record.annotations = ours.into_iter().collect();
        record.requested_ip = None;
        return;
    }
    let keep = dice.percent(70);
    let (key, value) = match dice.weigh(&[18, 14, 35, 5, 8, 10, 1, 3]) {
        0 => {
            if dice.percent(20) {
                record.requested_ip = keep.then(|| admins::address(dice).to_string());
                return;
            }
            let key = if dice.percent(85) {
                api::ANNOTATION_ADDRESSES
            } else {
                api::METALLB_ADDRESSES
            };
            (key, addresses(dice))
        }
        1 => (api::ANNOTATION_POOL, pools(dice)),
        2 => (
            api::ANNOTATION_SHARING_KEY,
            match dice.below(12) {
                0 => " ".to_owned(),
                1..=3 => "l".to_owned(),
                _ => "k".to_owned(),
            },
        ),
        3 => (api::ANNOTATION_PROVIDER, {
            let words = ["node", "layer2", "node", "layer2", "bgp"];
            (*dice.pick(&words)).to_owned()
        }),
        4 => (
            api::ANNOTATION_FALLBACK,
            (*dice.pick(&["nodes", "nodes", "none"])).to_owned(),
        ),
        5 => {
            let words = ["disabled", "disabled", "enabled", "off"];
            (api::ANNOTATION_NODE_PORTS, (*dice.pick(&words)).to_owned())
        }
        6 => ("herald.dev/adresses", "10.0.0.1".to_owned()),
        _ => (api::ANNOTATION_ADOPT, {
            let words = ["true", "true", "false", "yes"];
            (*dice.pick(&words)).to_owned()
        }),
    };
    record.annotations.remove(key);
    if keep {
        record.annotations.insert(key.to_owned(), value);
    }
}

fn addresses(dice: &mut Dice) -> String {
    match dice.below(10) {
        0 if dice.percent(40) => "nonsense".to_owned(),
        1 if dice.percent(40) => "10.9.9.9".to_owned(),
        2 => format!("{}, {}", admins::address(dice), admins::address(dice)),
        _ => admins::address(dice).to_string(),
    }
}

fn pools(dice: &mut Dice) -> String {
    let first = *dice.pick(&admins::POOLS);
    match dice.below(8) {
        0 => "nowhere".to_owned(),
        1 => format!("{first},,"),
        2 | 3 => format!("{first},{}", dice.pick(&admins::POOLS)),
        _ => first.to_owned(),
    }
}

fn touch_node_ports(dice: &mut Dice, service: &mut Service, port: u16) {
    let record = &mut service.record;
    match dice.below(4) {
        0 => {
            let numbers = record.ports.iter().map(|port| port.port).collect();
            record.node_ports_pinned = record.node_ports_pinned.is_none().then(|| Pin {
                what: Pinned::Numbers(numbers),
                by: PinnedBy::Applied("argocd".to_owned()),
            });
        }
        1 => {
            record.allocates_node_ports = false;
            record.node_ports_refused = Some(Pin {
                what: Pinned::Flag,
                by: PinnedBy::LastApplied,
            });
        }
        _ => {
            record.allocates_node_ports = true;
            record.node_ports_flag_owner = Some("kubectl".to_owned());
            service.flag_is_heralds = false;
            service.allocate_node_ports(port);
        }
    }
}

fn change_type(dice: &mut Dice, server: &mut Server) -> String {
    let Some(key) = dice.any(server.services.keys().cloned()) else {
        return create(dice, server);
    };
    server.write(&key, |service| {
        service.balancer = !service.balancer;
        if service.balancer {
            let classes = [
                None,
                None,
                None,
                Some(api::CLASS_NODE),
                Some("example.com/lb"),
            ];
            service.record.class = dice.pick(&classes).map(str::to_owned);
        } else {
            // The API server clears what belongs to the type alone.
            service.record.class = None;
            service.overwrite(Vec::new());
        }
    });
    let service = &server.services[&key];
    let class = service.record.class.as_deref().unwrap_or("no class");
    let balancer = if service.balancer {
        "LoadBalancer"
    } else {
        "ClusterIP"
    };
    format!("makes {key} a {balancer} of {class}")
}

/// Somebody who should not writes the status.
fn touch_status(dice: &mut Dice, server: &mut Server) -> String {
    let Some(key) = dice.any(server.services.keys().cloned()) else {
        return create(dice, server);
    };
    let service = &server.services[&key];
    let foreign = service.balancer && !service.by_herald && dice.percent(40);
    let entry = foreign_entry(dice);
    let said = match foreign {
        true => format!(
            "writes {:?}{:?} into the status of {key}",
            entry.ip, entry.hostname
        ),
        false => format!("clears the status of {key}"),
    };
    if foreign {
        server.past.claimed.extend(entry.ip.map(LockKey::Address));
    }
    server.write(&key, |service| {
        if foreign {
            service.overwrite(vec![entry]);
            return;
        }
        service.overwrite(Vec::new());
        if dice.percent(50) {
            service.record.allocated = None;
            service.record.node_ports = None;
        }
        if dice.percent(50) {
            service
                .record
                .annotations
                .remove(api::ANNOTATION_ALLOCATED_FROM);
        }
    });
    said
}

fn foreign_entry(dice: &mut Dice) -> IngressRecord {
    let (ip, hostname) = match dice.below(4) {
        0 => (None, Some("lb.example.com".to_owned())),
        1 => (Some("172.16.0.1".parse().unwrap()), None),
        _ => (Some(admins::address(dice)), None),
    };
    IngressRecord {
        ip_mode: ip.map(|_| "VIP".to_owned()),
        ip,
        hostname,
        ports: Vec::new(),
    }
}

fn show(record: &ServiceRecord) -> String {
    let ports: Vec<_> = record
        .ports
        .iter()
        .map(|port| port.port.to_string())
        .collect();
    format!(
        "{} ({} at {}) {:?} {:?} {:?} app={:?} {:?} ip={:?} class={:?}",
        record.key,
        record.uid,
        record.resource_version,
        record.families,
        record.policy,
        ports,
        record.selector.get("app"),
        record.annotations,
        record.requested_ip,
        record.class
    )
}
