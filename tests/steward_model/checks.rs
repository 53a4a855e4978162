//! The model must be able to fail: each promise against a history that breaks it.

use herald::{
    api::{self, AddressAllocationSpec, Holder, NodePortPolicy, Reason, Verdict},
    cluster::Classes,
    controller::{
        Call, ConditionWrite, Errand, Ingress, StatusWrite, Version, node_ports::NodePortPatch,
    },
    ipam::{Families, Family, Pool},
    world::{
        IngressRecord, IpMode, LockKey, NamespaceRecord, Pin, Pinned, PinnedBy, PoolRecord,
        PortRecord, ServiceRecord, TrafficPolicy,
    },
};
use herald_spi::ServiceKey;

use crate::{
    controller::Options,
    promises::{self, Kept},
    quiet,
    sabotage::Sabotage,
    server::{Deed, Server},
    service::Service,
};

const OPTIONS: Options = Options {
    classes: Classes::Default,
    node_ports: NodePortPolicy::Keep,
    sabotage: Sabotage::None,
};

fn key(name: &str) -> ServiceKey {
    ServiceKey::new("red", name)
}

fn service(name: &str) -> Service {
    Service::new(ServiceRecord {
        key: key(name),
        uid: format!("uid-{name}"),
        resource_version: String::new(),
        created: 100,
        deleting: false,
        labels: [].into(),
        annotations: [].into(),
        foreign_finalizer: None,
        class: None,
        requested_ip: None,
        families: Families::Single(Family::V4),
        policy: TrafficPolicy::Cluster,
        ingress: Vec::new(),
        allocated: None,
        selector: [].into(),
        ports: vec![PortRecord {
            name: None,
            port: "TCP/80".parse().unwrap(),
            node_port: Some(30_080),
        }],
        allocates_node_ports: true,
        node_ports_pinned: None,
        node_ports_refused: None,
        node_ports_flag_owner: None,
        node_ports_switched: false,
        node_ports: None,
        announced: None,
        provisioned: None,
        kept_by_aws: false,
    })
}

fn pool(name: &str, addresses: &str) -> PoolRecord {
    PoolRecord {
        name: name.into(),
        resource_version: String::new(),
        generation: 1,
        pool: Ok(Pool::parse(name.into(), 1, &[addresses], &[]).unwrap()),
        retention: 0,
        node_ports: NodePortPolicy::Keep,
        fallback: api::FallbackPolicy::None,
        rules: Vec::new(),
        advertise: None,
        ignore_exclude_label: false,
        rebalance: api::RebalancePolicy::Manual,
        rebalance_asked: None,
        survey_asked: None,
        status: None,
    }
}

/// A pool of three addresses, and these Services.
fn cluster(services: &[Service]) -> Server {
    let mut server = Server::new();
    server.namespaces.set(NamespaceRecord {
        name: "red".to_owned(),
        labels: [].into(),
    });
    server.put_pool(pool("lan", "10.0.0.1-10.0.0.3"));
    services
        .iter()
        .for_each(|service| server.put(service.clone()));
    server.compact();
    server
}

fn address(text: &str) -> LockKey {
    LockKey::Address(text.parse().unwrap())
}

fn spec(key: LockKey, names: &[&str]) -> AddressAllocationSpec {
    let holder = |name: &&str| Holder {
        namespace: "red".to_owned(),
        name: (*name).to_owned(),
        uid: format!("uid-{name}"),
        ports: vec!["TCP/80".to_owned()],
        local_selector: None,
    };
    AddressAllocationSpec {
        address: key.to_string(),
        pool: if key.address().is_some() {
            "lan".to_owned()
        } else {
            String::new()
        },
        holders: names.iter().map(holder).collect(),
        ..AddressAllocationSpec::default()
    }
}

fn verdict(holds: bool, reason: &'static str, message: &str) -> ConditionWrite {
    ConditionWrite {
        type_: api::CONDITION_ALLOCATED,
        verdict: Verdict {
            holds,
            reason: Reason::of(reason),
            message: message.to_owned(),
        },
        since: None,
    }
}

fn status(server: &Server, name: &str, addresses: &[&str], says: ConditionWrite) -> StatusWrite {
    let entry = |address: &&str| Ingress {
        address: address.parse().unwrap(),
        mode: IpMode::Vip,
        ports: Vec::new(),
    };
    StatusWrite {
        resource_version: server.services[&key(name)].record.resource_version.clone(),
        ingress: Some(addresses.iter().map(entry).collect()),
        clear: false,
        allocated_from: None,
        conditions: vec![says],
    }
}

fn allocated() -> ConditionWrite {
    verdict(true, "Allocated", "here it is")
}

fn publish(server: &mut Server, name: &str, addresses: &[&str], says: ConditionWrite) {
    let write = status(server, name, addresses, says);
    server.answer(&key(name), &Call::WriteStatus(&write));
}

fn lock(server: &mut Server, at: LockKey, spec: &AddressAllocationSpec) {
    let known = server
        .locks
        .get(&at)
        .map(|lock| lock.resource_version.clone());
    let call = match &known {
        Some(version) => Call::ReplaceLock(at, spec, version),
        None => Call::CreateLock(at, spec),
    };
    server.answer(&key("anybody"), &call);
}

/// Everything that is looked at after a step.
fn after_step(server: &mut Server) -> Kept {
    let deeds: Vec<Deed> = std::mem::take(&mut server.deeds);
    deeds
        .iter()
        .try_for_each(|deed| promises::deed(server, deed))?;
    promises::cluster(server)
}

/// A cluster in which web publishes 10.0.0.1 as it should.
fn published() -> Server {
    let mut server = cluster(&[service("web"), service("other")]);
    lock(
        &mut server,
        address("10.0.0.1"),
        &spec(address("10.0.0.1"), &["web"]),
    );
    publish(&mut server, "web", &["10.0.0.1"], allocated());
    after_step(&mut server).unwrap();
    server
}

#[track_caller]
fn expect(kept: Kept, promise: &str) {
    let broken = kept.expect_err("noticed");
    assert_eq!(broken.promise, promise, "{}", broken.what);
}

#[test]
fn an_address_without_its_lock_is_noticed() {
    let mut server = cluster(&[service("web")]);
    publish(&mut server, "web", &["10.0.0.1"], allocated());
    expect(after_step(&mut server), promises::LOCKED);
    let mut server = published();
    let held = server.locks.get(&address("10.0.0.1")).unwrap();
    let version = Version {
        uid: held.uid.clone(),
        resource_version: held.resource_version.clone(),
    };
    server.answer(
        &key("web"),
        &Call::DeleteLock(address("10.0.0.1"), &version),
    );
    expect(after_step(&mut server), promises::LOCKED);
}

#[test]
fn a_real_plan_without_its_lock_step_is_noticed() {
    let mut server = cluster(&[service("web")]);
    let mut steward = quiet::fresh(&server, OPTIONS, server.now);
    let mut plan = steward.plan(&key("web"));
    assert_eq!(plan.locks.len(), 1);
    plan.locks.clear();
    let mut errand = Errand::new(plan);
    while let Some(call) = errand.call() {
        let reply = server.answer(&key("web"), &call);
        errand.heed(reply).unwrap();
    }
    expect(after_step(&mut server), promises::LOCKED);
}

#[test]
fn two_holders_must_agree() {
    let at = address("10.0.0.1");
    let alone = spec(at, &["web"]);
    for (edit, promise) in [
        (
            Box::new(|_: &mut AddressAllocationSpec| {}) as Box<dyn Fn(&mut _)>,
            promises::AGREED,
        ),
        (
            Box::new(|both: &mut AddressAllocationSpec| both.sharing_key = Some("k".to_owned())),
            promises::AGREED,
        ),
    ] {
        let mut server = cluster(&[service("web"), service("other")]);
        lock(&mut server, at, &alone);
        let mut both = spec(at, &["web", "other"]);
        edit(&mut both);
        lock(&mut server, at, &both);
        expect(after_step(&mut server), promise);
    }
    let mut server = cluster(&[service("web"), service("other")]);
    lock(&mut server, at, &alone);
    let mut both = spec(at, &["web", "other"]);
    both.sharing_key = Some("k".to_owned());
    both.holders[1].ports = vec!["TCP/443".to_owned()];
    lock(&mut server, at, &both);
    after_step(&mut server).unwrap();
    both.holders[1].namespace = "blue".to_owned();
    both.holders[1].uid = "uid-blue".to_owned();
    lock(&mut server, at, &both);
    expect(after_step(&mut server), promises::AGREED);
}

#[test]
fn a_port_of_the_nodes_has_one_holder_and_is_locked_first() {
    let at = LockKey::NodePort("TCP/80".parse().unwrap());
    let mut server = cluster(&[service("web"), service("other")]);
    lock(&mut server, at, &spec(at, &["web", "other"]));
    expect(after_step(&mut server), promises::ONE_HOLDER);
    let mut server = cluster(&[service("web")]);
    publish(&mut server, "web", &["192.168.0.1"], allocated());
    expect(after_step(&mut server), promises::PORTS_LOCKED);
}

#[test]
fn a_lost_address_is_noticed() {
    let refused = || verdict(false, "PoolExhausted", "no free address");
    for (addresses, says) in [
        (&[][..], refused()),
        (&[], allocated()),
        (&["10.0.0.2"], allocated()),
        (&["10.0.0.2"], refused()),
    ] {
        let mut server = published();
        lock(
            &mut server,
            address("10.0.0.2"),
            &spec(address("10.0.0.2"), &["web"]),
        );
        publish(&mut server, "web", addresses, says);
        expect(after_step(&mut server), promises::STICKS);
    }
    // Asked for, it may move; and never to nothing.
    let ask = |service: &mut Service| {
        let asked = "10.0.0.2".to_owned();
        service
            .record
            .annotations
            .insert(api::ANNOTATION_ADDRESSES.to_owned(), asked);
    };
    let mut server = published();
    server.write(&key("web"), ask);
    lock(
        &mut server,
        address("10.0.0.2"),
        &spec(address("10.0.0.2"), &["web"]),
    );
    publish(&mut server, "web", &["10.0.0.2"], allocated());
    after_step(&mut server).unwrap();
    let mut server = published();
    server.write(&key("web"), ask);
    publish(&mut server, "web", &[], allocated());
    expect(after_step(&mut server), promises::STICKS);
}

#[test]
fn a_reservation_that_is_given_away_is_noticed() {
    let at = address("10.0.0.1");
    let kept = |server: &Server| AddressAllocationSpec {
        reserved_for: Some(api::Awaited {
            namespace: "red".to_owned(),
            name: "gone".to_owned(),
        }),
        reserved_until: Some(api::moment(server.now + 60)),
        ..spec(at, &[])
    };
    let mut server = cluster(&[service("web")]);
    let reserved = kept(&server);
    lock(&mut server, at, &reserved);
    after_step(&mut server).unwrap();
    lock(&mut server, at, &spec(at, &["web"]));
    expect(after_step(&mut server), promises::RESERVED);
    let mut server = cluster(&[service("web")]);
    lock(&mut server, at, &reserved);
    server.past.latest = server.now + 60;
    lock(&mut server, at, &spec(at, &["web"]));
    after_step(&mut server).unwrap();
}

#[test]
fn a_hand_on_what_is_not_heralds_is_noticed() {
    let mut foreign = service("web");
    foreign.record.class = Some("example.com/lb".to_owned());
    let mut finalized = service("web");
    finalized.record.foreign_finalizer = Some("service.k8s.aws/resources".to_owned());
    let mut hosted = service("web");
    hosted.overwrite(vec![IngressRecord {
        ip: None,
        hostname: Some("lb.example.com".to_owned()),
        ip_mode: None,
        ports: Vec::new(),
    }]);
    for service in [foreign, finalized, hosted] {
        let mut server = cluster(&[service]);
        publish(&mut server, "web", &["10.0.0.1"], allocated());
        expect(after_step(&mut server), promises::HANDS_OFF);
    }
    let mut pinned = service("web");
    pinned.record.node_ports_pinned = Some(Pin {
        what: Pinned::Flag,
        by: PinnedBy::LastApplied,
    });
    let mut server = cluster(&[pinned]);
    let patch = NodePortPatch::off(&server.services[&key("web")].record);
    server.answer(&key("web"), &Call::PatchNodePorts(&patch));
    expect(after_step(&mut server), promises::HANDS_OFF);
}

#[test]
fn a_refusal_without_words_is_noticed() {
    for (reason, message) in [("PoolExhausted", " "), ("", "why"), ("no pool", "why")] {
        let mut server = cluster(&[service("web")]);
        publish(&mut server, "web", &[], verdict(false, reason, message));
        expect(after_step(&mut server), promises::WHY);
    }
}

#[test]
fn what_is_left_undone_is_noticed_at_rest() {
    let server = cluster(&[service("web")]);
    expect(quiet::cluster(&server), quiet::VERDICT);
    let mut server = cluster(&[service("web")]);
    let refused = verdict(false, "PoolExhausted", "no free address");
    publish(&mut server, "web", &[], refused);
    quiet::cluster(&server).unwrap();
    let steward = quiet::fresh(&server, OPTIONS, server.now);
    expect(quiet::another_agrees(&server, steward), quiet::SAME);
    lock(
        &mut server,
        address("10.0.0.3"),
        &spec(address("10.0.0.3"), &["web"]),
    );
    expect(quiet::cluster(&server), quiet::NO_LEAK);
    let mut server = cluster(&[]);
    lock(
        &mut server,
        address("10.0.0.3"),
        &spec(address("10.0.0.3"), &[]),
    );
    expect(quiet::cluster(&server), quiet::NO_LEAK);
    let mut server = published();
    publish(&mut server, "other", &[], verdict(false, "NoPool", "none"));
    server.write(&key("web"), |web| web.balancer = false);
    expect(quiet::cluster(&server), quiet::NO_LEFTOVERS);
}
