//! The network is read whole where it must be, in part where that is enough, and seldom.

use std::net::Ipv4Addr;

use super::world::{World, discovered, node};
use crate::{
    Discovery, NetworkCache, Reason, Sought,
    fake::{Fake, Fault},
};

fn sought(instances: &[&str]) -> Sought {
    Sought {
        instances: instances.iter().map(|id| (*id).to_owned()).collect(),
        ..Sought::default()
    }
}

/// Reads if it is due; the calls that it took.
fn refresh(cache: &mut NetworkCache, aws: &mut Fake, sought: &Sought) -> usize {
    let before = aws.log.len();
    if let Some(mut reading) = cache.due(sought, aws.now) {
        while let Some(call) = reading.next_call() {
            reading.take(aws.call(&call));
        }
        // A reading that fails leaves the former one.
        drop(cache.take(reading.finish()));
    }
    aws.log.len() - before
}

#[test]
fn a_subnet_is_public_by_its_own_route_table_or_the_main_one() {
    let mut world = World::new();
    let public = |world: &mut World| -> Vec<String> {
        let subnets = discovered(&mut world.aws, Sought::default())
            .network
            .subnets;
        let public = subnets.into_iter().filter(|subnet| subnet.public);
        public.map(|subnet| subnet.id).collect()
    };
    assert_eq!(
        public(&mut world),
        ["a", "b", "c"].map(|zone| format!("subnet-public-{zone}"))
    );
    world.aws.tables[0].public = true;
    world.aws.tables[1].public = false;
    assert_eq!(public(&mut world).len(), 6);
}

#[test]
fn a_subnet_without_ipv4_is_left_out_and_other_places_are_told_apart() {
    let mut world = World::new();
    let change = |world: &mut World, id: &str, what: fn(&mut crate::SubnetRead)| {
        what(world.aws.subnets.get_mut(id).unwrap());
    };
    change(&mut world, "subnet-spare-a", |read| read.v4 = None);
    change(&mut world, "subnet-spare-b", |read| {
        read.outpost = Some("op-1".to_owned());
    });
    change(&mut world, "subnet-spare-c", |read| {
        read.zone = "lax-1a".to_owned();
    });
    world.aws.zones = [("lax-1a".to_owned(), "lax-1".to_owned())].into();
    let subnets = discovered(&mut world.aws, Sought::default())
        .network
        .subnets;
    let locale = |id: &str| {
        let subnet = subnets.iter().find(|subnet| subnet.id == id)?;
        Some(subnet.locale.as_str())
    };
    assert_eq!(locale("subnet-spare-a"), None);
    assert_eq!(locale("subnet-spare-b"), Some("op-1"));
    assert_eq!(locale("subnet-spare-c"), Some("lax-1"));
    assert_eq!(locale("subnet-private-a"), Some(""));
}

#[test]
fn the_nodes_tell_the_vpc_or_the_user_must() {
    let mut world = World::new();
    let told = |aws: &mut Fake, instances: &[&str]| {
        let mut reading = Discovery::new("prod", None, sought(instances), aws.now);
        while let Some(call) = reading.next_call() {
            reading.take(aws.call(&call));
        }
        reading.finish()
    };
    let site = told(&mut world.aws, &["i-1", "i-2", "i-nowhere"]).unwrap();
    assert_eq!(site.network, world.network);

    let refusal = told(&mut world.aws, &["i-nowhere"]).unwrap_err().refusal;
    assert_eq!(refusal.reason, Reason::VpcUnknown);
    world.aws.instances.get_mut("i-2").unwrap().vpc = "vpc-2".to_owned();
    let refusal = told(&mut world.aws, &["i-1", "i-2"]).unwrap_err().refusal;
    assert!(
        refusal.message.contains("vpc-2") && refusal.message.contains("--aws-vpc-id"),
        "{refusal}"
    );
}

#[test]
fn a_node_gets_its_security_groups_and_is_found_by_its_address() {
    let mut world = World::new();
    let address = Ipv4Addr::new(10, 0, 20, 7);
    let seek = Sought {
        addresses: [address].into(),
        ..sought(&["i-1"])
    };
    let site = discovered(&mut world.aws, seek);
    assert_eq!(site.instance_at(address), Some("i-7"));
    assert_eq!(site.instance_at(Ipv4Addr::new(10, 0, 20, 8)), None);
    let expected = world.nodes[0].security_groups.clone();
    let mut known = node(1, "stale");
    site.place(&mut known);
    assert_eq!(known.security_groups, expected);
    let mut unknown = node(2, "stale");
    site.place(&mut unknown);
    assert_eq!(unknown.security_groups, []);
}

#[test]
fn many_instances_are_asked_for_in_filters_that_aws_takes() {
    let mut world = World::new();
    let ids: Vec<String> = (0..401).map(|number| format!("i-{number}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let before = world.aws.log.len();
    discovered(&mut world.aws, sought(&ids));
    assert_eq!(world.aws.log.len() - before, 3 + 5);
}

#[test]
fn a_steady_cluster_reads_it_once_in_ten_minutes_and_a_new_node_takes_one_call() {
    let mut world = World::new();
    let aws = &mut world.aws;
    let mut cache = NetworkCache::new("prod", Some("vpc-1"));
    let mut seek = sought(&["i-1", "i-2"]);
    assert_eq!(refresh(&mut cache, aws, &seek), 6);
    for _ in 0..59 {
        aws.pass(10);
        assert_eq!(refresh(&mut cache, aws, &seek), 0);
    }
    seek.instances.insert("i-3".to_owned());
    assert_eq!(refresh(&mut cache, aws, &seek), 1);
    assert_eq!(cache.age(aws.now), Some(590));
    aws.pass(30);
    assert_eq!(refresh(&mut cache, aws, &seek), 6);
    assert_eq!(cache.age(aws.now), Some(0));
}

#[test]
fn who_misses_something_has_it_read_again_but_not_at_will() {
    let mut world = World::new();
    let aws = &mut world.aws;
    let mut cache = NetworkCache::new("prod", Some("vpc-1"));
    let seek = sought(&["i-1"]);
    refresh(&mut cache, aws, &seek);
    let mut calls = 0;
    for _ in 0..60 {
        cache.doubt(aws.now);
        calls += refresh(&mut cache, aws, &seek);
        aws.pass(1);
    }
    assert_eq!(calls, 6);
}

#[test]
fn what_is_missed_while_the_network_is_read_is_read_once_more() {
    let mut world = World::new();
    let aws = &mut world.aws;
    let mut cache = NetworkCache::new("prod", Some("vpc-1"));
    let seek = sought(&["i-1"]);
    let mut reading = cache.due(&seek, aws.now).unwrap();
    aws.pass(1);
    cache.doubt(aws.now);
    while let Some(call) = reading.next_call() {
        reading.take(aws.call(&call));
    }
    cache.take(reading.finish()).unwrap();
    let due = cache.next_due(&seek).unwrap();
    assert_eq!(due.since(aws.now), 29);
    aws.pass(29);
    assert_eq!(refresh(&mut cache, aws, &seek), 6);
    assert_eq!(cache.next_due(&seek).unwrap().since(aws.now), 600);
}

#[test]
fn the_former_reading_serves_on_while_the_next_fails() {
    let mut world = World::new();
    let aws = &mut world.aws;
    let mut cache = NetworkCache::new("prod", Some("vpc-1"));
    let seek = sought(&["i-1"]);
    aws.faults.insert(aws.log.len() + 2, Fault::Deny);
    assert_eq!(refresh(&mut cache, aws, &seek), 3);
    assert!(cache.site().is_none());
    aws.pass(10);
    assert_eq!(refresh(&mut cache, aws, &seek), 6);
    aws.pass(600);
    aws.faults.insert(aws.log.len(), Fault::Drop);
    assert_eq!(refresh(&mut cache, aws, &seek), 1);
    assert_eq!(cache.age(aws.now), Some(600));
    aws.pass(30);
    assert_eq!(refresh(&mut cache, aws, &seek), 6);
}
