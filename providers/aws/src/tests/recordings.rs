//! The calls of each standard case, checked in: a change in what AWS is sent shows in review.
//!
//! `HERALD_REWRITE_RECORDINGS=1 cargo test -p herald-aws recordings` writes them anew.

use std::{env, fs, path::PathBuf};

use super::{
    cases::{CASES, Case},
    world::World,
};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/recordings")
}

/// What one round did: what it sent, or how much it read where it only waits.
fn record(case: &Case) -> String {
    let mut world = case.base();
    (case.change)(&mut world);
    let mut text = String::new();
    let began = world.aws.now;
    rounds(&mut world, |world| {
        let calls = &world.aws.log[world.began..];
        let first = text.is_empty();
        text.push_str(&format!("# after {} s\n", world.aws.now.since(began)));
        if first || calls.iter().any(|line| !line.starts_with("Describe")) {
            calls
                .iter()
                .for_each(|line| text.push_str(&format!("{line}\n")));
        } else {
            text.push_str(&format!("reads: {}\n", calls.len()));
        }
        world
            .plan
            .waits
            .iter()
            .for_each(|wait| text.push_str(&format!("wait: {}\n", wait.refusal)));
        if matches!(world.plan.publish, crate::Publish::Show { .. }) {
            text.push_str("the status moves\n");
        }
    });
    text
}

/// Reconciles until there is nothing to do, and shows each round.
fn rounds(world: &mut World, mut show: impl FnMut(&World)) {
    loop {
        world.round().unwrap();
        show(world);
        let quiet = world.rest.is_quiet() && world.outcome.remedy.is_none();
        if world.rest.gone || !world.deleted && quiet {
            return;
        }
        let again = world.rest.again().unwrap_or(20).max(1);
        world.aws.pass(again);
    }
}

#[test]
fn recordings_are_what_is_sent() {
    let rewrite = env::var_os("HERALD_REWRITE_RECORDINGS").is_some();
    for case in CASES {
        let file = folder().join(format!("{}.txt", case.name));
        let is = record(case);
        if rewrite {
            fs::create_dir_all(folder()).unwrap();
            fs::write(&file, is).unwrap();
            continue;
        }
        let was = fs::read_to_string(&file).unwrap_or_default();
        assert!(
            was == is,
            "{} differs; if that is meant: HERALD_REWRITE_RECORDINGS=1\n{is}",
            file.display()
        );
    }
    let known = fs::read_dir(folder()).unwrap().count();
    assert_eq!(
        known,
        CASES.len(),
        "a recording without a case in {}",
        folder().display()
    );
}

/// The AWS Load Balancer Controller 3.5.0 with two ports, three nodes and default settings, counted in its source
/// (reference 2.1 to 2.3): reads and writes of one pass without retries, its inventory of the region left out.
const EXISTING: [(&str, usize, usize); 3] = [
    // DescribeSubnets, DescribeAvailabilityZones, DescribeSecurityGroups 6, DescribeTargetGroups of its webhooks 2,
    // Describe…Attributes 1+2+2, DescribeListeners, DescribeTargetHealth 2, DescribeInstances; CreateSecurityGroup,
    // AuthorizeSecurityGroupIngress 1+2, CreateTargetGroup 2, CreateLoadBalancer, CreateListener 2, RegisterTargets 2.
    ("create", 19, 11),
    // A pass of 9+2P reads less 5 of inventory with P=3, DescribeTargetHealth, DescribeTargetGroups of the webhook;
    // CreateTargetGroup, CreateListener, AuthorizeSecurityGroupIngress 2, RegisterTargets.
    ("port-added", 12, 5),
    // DescribeTargetHealth 2, DescribeSecurityGroups 3; DeleteLoadBalancer, DeregisterTargets 2,
    // RevokeSecurityGroupIngress 2, DeleteTargetGroup 2, DeleteSecurityGroup.
    ("delete", 5, 8),
];

/// Ours are counted to the very end, waiting until the balancer is active, which the other does not.
#[test]
fn fewer_calls_than_the_existing_controller() {
    for (name, reads, writes) in EXISTING {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        let mut world = case.base();
        (case.change)(&mut world);
        let (mut our_reads, mut our_writes, mut rounds_made) = (0, 0, 0);
        let mut at_once = (0, 0);
        rounds(&mut world, |world| {
            let (reads, writes) = world.calls_since(world.began);
            our_reads += reads;
            our_writes += writes;
            rounds_made += 1;
            if rounds_made == 1 {
                at_once = (reads, writes);
            }
        });
        println!(
            "{name}: {} reads and {} writes in the first pass, {our_reads} and {our_writes} in all {rounds_made}; \
             the existing controller: {reads} and {writes} in its first pass",
            at_once.0, at_once.1
        );
        assert!(our_writes <= writes, "{name}");
        assert!(our_reads + our_writes < reads + writes, "{name}");
    }
}

/// Nobody looks again right after a plan was done, so nothing may be left to do then.
#[test]
fn where_a_round_ends_well_another_look_finds_nothing() {
    let mut left = Vec::new();
    for case in CASES {
        let mut world = case.base();
        (case.change)(&mut world);
        rounds(&mut world, |_| {});
        world.aws.pass(20);
        let gone = world.rest.gone;
        world.round().unwrap();
        if !(world.plan.is_quiet() || gone && world.plan.gone) {
            left.push(format!("{}: {}", case.name, world.plan));
        }
    }
    assert!(left.is_empty(), "{}", left.join("\n"));
}

#[test]
fn a_steady_reconcile_reads_six_times_beside_health_and_writes_nothing() {
    for case in CASES.iter().filter(|case| !case.name.starts_with("delete")) {
        let mut world = case.base();
        (case.change)(&mut world);
        world.settle();
        let at = world.aws.log.len();
        world.round().unwrap();
        let beside = world.aws.log[at..]
            .iter()
            .filter(|line| !line.starts_with("DescribeTargetHealth"));
        let (reads, writes) = world.calls_since(at);
        println!("{}: {reads} reads, {writes} writes", case.name);
        assert!(
            beside.count() <= 6 && writes == 0,
            "{}: {:#?}",
            case.name,
            &world.aws.log[at..]
        );
    }
}

#[test]
fn a_service_costs_the_same_beside_many() {
    let cost = |count: u32| {
        let mut world = World::new();
        world.aws.quotas.balancers = 1000;
        world.aws.quotas.groups = 3000;
        world.aws.quotas.rules = 5000;
        for number in 0..count {
            world.service.uid = format!("uid-{number}");
            world.service.key.name = format!("web-{number}");
            world.published = None;
            world.restart();
            world.settle();
        }
        world.round().unwrap();
        world.calls_since(world.began)
    };
    assert_eq!(cost(5), cost(500));
}
