//! What AWS, other people and quotas refuse: it is told, nothing of others is touched, the rest is served.

use super::{
    changes::served,
    world::{World, foreign, make, port},
};
use crate::{Call, Id, Reason, Reply, Role, fake::Fault};

#[test]
fn a_name_that_is_anothers_is_refused_and_the_other_untouched() {
    let mut world = World::new();
    let theirs = world.theirs();
    world.annotate("name", Some("stranger"));
    for _ in 0..5 {
        world.round().unwrap();
        world.aws.pass(60);
    }
    assert_eq!(world.theirs(), theirs);
    assert_eq!(world.plan.troubles[0].refusal.reason, Reason::NameInUse);
    assert!(
        world.plan.troubles[0]
            .refusal
            .message
            .contains("Service shop/other"),
        "{}",
        world.plan
    );
}

#[test]
fn a_name_that_becomes_anothers_between_look_and_create_is_disowned() {
    let mut world = World::new();
    world.annotate("name", Some("race"));
    // The look's answer about the name is as if it were free; the balancer is there alike.
    let mut twin = world.clone();
    twin.round().unwrap();
    let line = twin
        .aws
        .log
        .iter()
        .position(|line| line.starts_with("CreateLoadBalancer"))
        .unwrap();
    world.dies_at = Some(line);
    world.round().unwrap_err();
    world.aws.pass(100);
    let spec = twin.plan.steps.iter().find_map(|step| match &step.call {
        Call::CreateBalancer(spec) => Some(spec.clone()),
        _ => None,
    });
    let mut spec = spec.unwrap();
    spec.security_groups = vec![Id::known(
        world
            .aws
            .call(&Call::DescribeSecurityGroups(
                world.owner().tags(Role::SecurityGroup),
            ))
            .map(|reply| match reply {
                Reply::SecurityGroups(found) => found.keys().next().unwrap().clone(),
                _ => panic!(),
            })
            .unwrap(),
    )];
    spec.tags = foreign();
    make(&mut world.aws, Call::CreateBalancer(spec));
    world.restart();
    let theirs = world.theirs();
    // What the look would have seen is not seen yet.
    world.aws.lag = 1;
    world.round().unwrap();
    assert_eq!(world.theirs(), theirs, "{}", world.aws.log.join("\n"));
    assert!(
        world
            .outcome
            .troubles
            .iter()
            .any(|trouble| matches!(trouble.refusal.reason, Reason::NameInUse | Reason::Stale)),
        "{:?}",
        world.outcome
    );
}

#[test]
fn deletion_protection_of_a_person_blocks_and_is_not_switched_off() {
    let mut world = World::new();
    world.settle();
    world
        .aws
        .set_balancer_attribute("deletion_protection.enabled", "true");
    world.deleted = true;
    for _ in 0..5 {
        world.round().unwrap();
        world.aws.pass(60);
    }
    assert_eq!(
        world.outcome.troubles[0].refusal.reason,
        Reason::DeletionProtected
    );
    assert_eq!(
        served(&world, 80),
        Some(3),
        "what is protected goes on serving"
    );
    world
        .aws
        .set_balancer_attribute("deletion_protection.enabled", "false");
    world.settle();
    assert_eq!(world.ours(), Vec::<String>::new());
}

#[test]
fn an_attribute_that_cannot_be_written_down_is_not_set() {
    let mut world = World::new();
    world.settle();
    let before = world.ours();
    world.aws.denied.insert("AddTags".to_owned());
    world.annotate("attributes", Some("load_balancing.cross_zone.enabled=true"));
    world.round().unwrap();
    assert_eq!(
        world.outcome.troubles[0].refusal.reason,
        Reason::NotPermitted
    );
    world.aws.denied.clear();
    world.annotate("attributes", None);
    world.settle();
    assert_eq!(
        world.ours(),
        before,
        "nothing would know that it must go back"
    );
}

#[test]
fn one_quota_that_is_full_does_not_stop_the_other_ports() {
    let mut world = World::new();
    world.settle();
    world.service.ports.push(port("one", 81, 30081, 8081));
    world.service.ports.push(port("two", 82, 30082, 8082));
    world.aws.quotas.groups = 5; // two of the other Service, two of ours
    for _ in 0..20 {
        world.round().unwrap();
        world.aws.pass(15);
    }
    assert_eq!(
        (served(&world, 80), served(&world, 81), served(&world, 82)),
        (Some(3), Some(3), None)
    );
    assert_eq!(
        world.outcome.troubles[0].refusal.reason,
        Reason::QuotaExceeded
    );
    world.aws.quotas.groups = 6;
    world.settle();
    assert_eq!(served(&world, 82), Some(3));
}

#[test]
fn one_instance_that_is_gone_does_not_keep_the_others_out() {
    let mut world = World::new();
    world.aws.instances.remove("i-2");
    for _ in 0..20 {
        world.round().unwrap();
        world.aws.pass(15);
    }
    assert_eq!(served(&world, 80), Some(2));
}

#[test]
fn what_stops_all_calls_is_told_and_the_rest_is_not_tried() {
    let mut world = World::new();
    let mut clean = world.clone();
    clean.round().unwrap();
    let first = clean
        .aws
        .log
        .iter()
        .position(|line| !line.starts_with("Describe"))
        .unwrap();
    world.aws.faults.insert(first, Fault::Throttle);
    world.round().unwrap();
    assert_eq!(world.aws.log.len(), first + 1);
    assert_eq!(world.outcome.troubles[0].refusal.reason, Reason::Throttled);
}
