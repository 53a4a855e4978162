//! What a user notices of a change.

use std::collections::BTreeSet;

use super::{
    cases::CASES,
    world::{World, endpoint},
};
use crate::{Call, Health, Reason, Reply};

fn case(name: &str) -> World {
    let case = CASES.iter().find(|case| case.name == name).unwrap();
    let mut world = case.base();
    (case.change)(&mut world);
    world
}

pub(super) fn served(world: &World, port: u16) -> Option<usize> {
    world.aws.reaches(world.published.as_deref()?, port)
}

#[test]
fn a_balancer_is_published_once_it_is_active_and_serves_all_ports() {
    let mut world = World::new();
    world.round().unwrap();
    assert_eq!(world.published, None);
    world.settle();
    assert_eq!(
        (served(&world, 80), served(&world, 443)),
        (Some(3), Some(3))
    );
    assert_eq!(world.plan.troubles, []);
}

#[test]
fn no_change_interrupts_a_port_that_stays() {
    for case in CASES.iter().filter(|case| case.before.is_some()) {
        let mut world = case.base();
        (case.change)(&mut world);
        if world.deleted {
            continue;
        }
        world.watched = vec![80];
        world.settle();
        assert!(served(&world, 80) > Some(0), "{}", case.name);
    }
}

#[test]
fn a_replaced_balancer_serves_until_its_drain_time_is_over() {
    for name in ["scheme", "subnets", "addresses", "no-security-groups"] {
        let mut world = case(name);
        let old = world.published.clone().unwrap();
        while world.published.as_ref() == Some(&old) {
            world.round().unwrap();
            world.aws.pass(15);
        }
        assert!(served(&world, 80) > Some(0), "{name}");
        let moved = world.aws.now;
        while world.aws.reaches(&old, 80).is_some() {
            world.round().unwrap();
            world.aws.pass(15);
        }
        assert!(world.aws.now.since(moved) >= world.settings.drain, "{name}");
        world.settle();
    }
}

#[test]
fn the_status_moves_only_when_the_new_balancer_has_healthy_targets() {
    let mut world = case("scheme");
    let old = world.published.clone();
    let names = |world: &World| -> BTreeSet<String> {
        let groups = world
            .ours()
            .into_iter()
            .filter(|line| line.starts_with("group "));
        groups
            .filter_map(|line| line.split(' ').nth(1).map(str::to_owned))
            .collect()
    };
    let before = names(&world);
    world.round().unwrap();
    let new: BTreeSet<String> = names(&world).difference(&before).cloned().collect();
    assert_eq!(new.len(), 2);
    world.aws.sick = new;
    for _ in 0..40 {
        world.round().unwrap();
        world.aws.pass(15);
    }
    assert_eq!(world.published, old);
    assert_eq!(world.plan.waits[0].refusal.reason, Reason::TargetsUnhealthy);
    world.aws.sick.clear();
    world.settle();
    assert_ne!(world.published, old);
}

#[test]
fn a_replaced_balancer_gets_new_targets_while_it_drains() {
    let mut world = case("rollout");
    world.settle();
    let old = world.published.clone().unwrap();
    world.annotate("scheme", Some("internet-facing"));
    while world.published.as_ref() == Some(&old) {
        world.round().unwrap();
        world.aws.pass(15);
    }
    world.endpoints = (21..=23).map(endpoint).collect();
    for _ in 0..15 {
        world.round().unwrap();
        world.aws.pass(15);
    }
    let on_both = world
        .ours()
        .iter()
        .filter(|line| line.contains("10.0.50.21:8080"))
        .count();
    assert_eq!(on_both, 2);
    assert_eq!(world.aws.reaches(&old, 80), Some(3));
}

#[test]
fn a_change_that_is_taken_back_keeps_the_balancer() {
    let mut world = case("scheme");
    let name = world.published.clone();
    let before = {
        let mut plain = CASES[3].base();
        plain.settle();
        plain.ours()
    };
    for _ in 0..12 {
        world.round().unwrap();
        world.aws.pass(15);
    }
    assert_ne!(world.published, name, "moved to the new one");
    world.annotate("scheme", Some("internal"));
    world.settle();
    assert_eq!(world.published, name);
    assert_eq!(world.ours(), before);
}

#[test]
fn a_healthy_target_leaves_only_after_a_new_one_is_healthy() {
    let mut world = case("rollout");
    world.aws.sick = (11..=13)
        .map(|number| format!("10.0.50.{number}"))
        .collect();
    for _ in 0..40 {
        world.round().unwrap();
        world.aws.pass(15);
    }
    assert_eq!(
        served(&world, 80),
        Some(6),
        "the new ones are ill, so the old ones stay"
    );
    world.aws.sick.clear();
    world.settle();
    assert_eq!(served(&world, 80), Some(3));
}

#[test]
fn targets_follow_also_while_the_request_is_wrong() {
    let mut world = case("rollout");
    world.annotate("schem", Some("internal"));
    world.settle();
    assert_eq!(served(&world, 80), Some(3));
    assert!(
        world.ours().iter().any(|line| line.contains("10.0.50.11")),
        "{:#?}",
        world.ours()
    );
    assert!(
        !world.ours().iter().any(|line| line.contains("10.0.50.1:")),
        "{:#?}",
        world.ours()
    );
    let trouble = &world.plan.troubles[0].refusal;
    assert_eq!(trouble.reason, Reason::UnknownAnnotation);
    assert!(
        trouble.message.contains("aws-load-balancer-scheme?"),
        "{trouble}"
    );
}

#[test]
fn what_somebody_changes_by_hand_is_repaired() {
    let mut world = World::new();
    world.settle();
    let before = world.ours();
    let hurts: [fn(&mut World, &[String]); 4] = [
        |world, calls| {
            drop(
                world
                    .aws
                    .call(&Call::DeleteListener(crate::Id::known(&calls[0]))),
            )
        },
        |world, _| {
            let Ok(Reply::Groups(groups)) = world.aws.call(&Call::DescribeAllGroups) else {
                panic!()
            };
            let group = groups
                .iter()
                .find(|group| group.name.starts_with("hd-shop-web"))
                .unwrap();
            let Ok(Reply::Targets(targets)) = world
                .aws
                .call(&Call::DescribeTargetHealth(crate::Id::known(&group.arn)))
            else {
                panic!()
            };
            let targets = targets.into_keys().collect();
            world
                .aws
                .call(&Call::DeregisterTargets {
                    group: crate::Id::known(&group.arn),
                    targets,
                })
                .unwrap();
        },
        |world, _| {
            let Ok(Reply::Rules(rules)) = world.aws.call(&Call::DescribeSecurityGroupRules(
                world.owner().tags(crate::Role::NodeRule),
            )) else {
                panic!()
            };
            world
                .aws
                .call(&Call::RevokeIngress {
                    group: crate::Id::known(&rules[0].group),
                    rules: [rules[0].id.clone()].into(),
                })
                .unwrap();
        },
        |world, _| {
            let arn = world.memory.hints.balancers.first().unwrap().clone();
            world
                .aws
                .call(&Call::DeleteBalancer(crate::Id::known(arn)))
                .unwrap();
        },
    ];
    for hurt in hurts {
        world.aws.pass(400);
        let arn = world.memory.hints.balancers.first().unwrap().clone();
        let Ok(Reply::Listeners(listeners)) = world
            .aws
            .call(&Call::DescribeListeners(crate::Id::known(arn)))
        else {
            panic!()
        };
        hurt(&mut world, &[listeners[0].arn.clone()]);
        assert_ne!(world.ours(), before);
        world.settle();
        assert_eq!(world.ours(), before);
    }
}

#[test]
fn attributes_that_others_set_are_left_alone() {
    let mut world = World::new();
    world.settle();
    world
        .aws
        .set_balancer_attribute("access_logs.s3.enabled", "true");
    let at = world.aws.log.len();
    world.memory.refresh();
    world.settle();
    assert_eq!(world.calls_since(at).1, 0);
}

#[test]
fn pods_that_come_back_while_they_drain_are_registered_again() {
    let mut world = case("rollout");
    for _ in 0..12 {
        world.round().unwrap();
        world.aws.pass(15);
    }
    assert!(world.ours().iter().any(|line| line.contains("leaving")));
    world.endpoints = (1..=3).map(endpoint).collect();
    world.settle();
    assert_eq!(served(&world, 80), Some(3));
    let arn = world.memory.hints.groups.first().unwrap().clone();
    let Ok(Reply::Targets(targets)) = world
        .aws
        .call(&Call::DescribeTargetHealth(crate::Id::known(arn)))
    else {
        panic!()
    };
    assert!(targets.values().all(|health| *health != Health::Draining));
}

#[test]
fn a_sweep_names_what_has_no_service_any_more() {
    let mut world = World::new();
    world.settle();
    let orphans = orphans(&mut world);
    assert_eq!(orphans.len(), 1);
    assert_eq!(orphans[0].service, "shop/other");
    let left = &orphans[0].left;
    assert_eq!(
        (
            left.balancers.len(),
            left.groups.len(),
            left.security_groups.len(),
            // Two ports to clients, two on the nodes.
            left.rules.len()
        ),
        (1, 2, 1, 4)
    );
}

fn orphans(world: &mut World) -> Vec<crate::Orphan> {
    let mut survey = crate::Survey::new("prod");
    while let Some(call) = survey.next_call().cloned() {
        survey.take(world.aws.call(&call));
    }
    let living = [world.service.uid.clone()].into();
    survey.finish().unwrap().orphans(&living)
}

#[test]
fn a_security_group_that_is_left_alone_is_named_and_goes() {
    let mut world = World::new();
    for action in ["DeleteSecurityGroup", "RevokeSecurityGroupIngress"] {
        world.aws.denied.insert(action.to_owned());
    }
    let mine = std::mem::replace(&mut world.service.uid, "uid-other".to_owned());
    world.deleted = true;
    for _ in 0..8 {
        world.round().unwrap();
        world.aws.pass(60);
    }
    world.aws.denied.clear();
    world.service.uid = mine;
    let orphans = orphans(&mut world);
    let left = &orphans[0].left;
    assert_eq!((left.balancers.len(), left.groups.len()), (0, 0));
    assert_eq!((left.security_groups.len(), left.rules.len()), (1, 4));

    world.service.uid.clone_from(&orphans[0].uid);
    world.memory = crate::Memory::of_orphan(left, world.aws.now);
    world.round().unwrap();
    assert_eq!(world.ours(), Vec::<String>::new());
    world.round().unwrap();
    assert!(world.plan.gone, "nothing is waited for: {}", world.plan);
}

#[test]
fn a_name_with_capitals_is_the_same_balancer_each_time() {
    let mut world = World::new();
    world.settings.cluster = "Prod_EU".to_owned();
    world.annotate("name", Some("MyShop-Web"));
    world.settle();
    let shown = world.published.clone().unwrap();
    assert_eq!(shown, shown.to_ascii_lowercase());
    assert_eq!(served(&world, 80), Some(3));
    // It is replaced once, and the old one goes.
    world.annotate("scheme", Some("internet-facing"));
    world.watched = vec![80];
    world.settle();
    assert_ne!(world.published.as_ref(), Some(&shown));
    let balancers = world.ours();
    let balancers = balancers.iter().filter(|line| line.starts_with("balancer"));
    assert_eq!(balancers.count(), 1, "{:#?}", world.ours());
}

#[test]
fn a_refusal_that_speaks_of_the_network_raises_doubt_about_what_was_read() {
    let mut world = World::new();
    for subnet in ["subnet-private-a", "subnet-private-b", "subnet-private-c"] {
        world.aws.subnets.remove(subnet);
    }
    world.round().unwrap();
    assert!(world.outcome.doubts_network, "{:?}", world.outcome);
    // A subnet that is named and not known may have come since.
    world.annotate("subnets", Some("subnet-new"));
    world.round().unwrap();
    assert!(world.plan.doubts_network(), "{}", world.plan);
    assert!(!world.outcome.doubts_network);
    world.annotate("subnets", None);
    world.annotate("scheme", Some("sideways"));
    world.round().unwrap();
    assert!(!world.plan.doubts_network(), "{}", world.plan);
}
