//! The cloud's part of the controller between the stand-in API server and the strict AWS in memory: what users see of a
//! balancer, from the Service to the empty account.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail"
)]

mod support;

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use herald::{
    cluster::Classes,
    controller::cloud::{Attempts, Clock, Lists, Options, Viewer},
};
use herald_aws::{
    Call, Executor, Failure, InstanceRead, Reply, RouteTableRead, Settings, SubnetRead,
    fake::{Fake, Fault},
};
use serde_json::{Value, json};
use support::{Cluster, Controller, condition, eventually};

/// AWS's minutes are half seconds here.
const SPEED: u32 = 120;

/// The region, in which time passes.
struct Region {
    fake: Mutex<Fake>,
    clock: Clock,
    /// When each call came, in the order of the log.
    times: Mutex<Vec<u64>>,
}

impl Executor for Region {
    async fn execute(&self, call: Call) -> Result<Reply, Failure> {
        let mut fake = self.fake.lock().unwrap();
        let passed = self.clock.now().0.saturating_sub(fake.now.0);
        fake.pass(passed);
        self.times.lock().unwrap().push(fake.now.0);
        fake.call(&call)
    }
}

impl Region {
    /// Three zones with a private subnet and a node each.
    fn new() -> Arc<Self> {
        Self::at_speed(SPEED)
    }

    fn at_speed(speed: u32) -> Arc<Self> {
        let mut fake = Fake::default();
        fake.ranges = vec!["10.0.0.0/16".parse().unwrap()];
        fake.tables = vec![RouteTableRead {
            main: true,
            ..RouteTableRead::default()
        }];
        let tag = ("kubernetes.io/cluster/prod".to_owned(), "owned".to_owned());
        let group = Call::CreateSecurityGroup {
            name: "nodes".to_owned(),
            vpc: fake.vpc.clone(),
            tags: [tag].into(),
        };
        let Ok(Reply::Made(group)) = fake.call(&group) else {
            panic!("no group");
        };
        for (number, zone) in (1_u8..).zip(["a", "b", "c"]) {
            let subnet = SubnetRead {
                id: format!("subnet-{zone}"),
                zone: zone.to_owned(),
                outpost: None,
                v4: Some(format!("10.0.{number}.0/24").parse().unwrap()),
                v6: None,
                tags: [("kubernetes.io/role/internal-elb".to_owned(), "1".to_owned())].into(),
                free: 200,
            };
            fake.subnets.insert(subnet.id.clone(), subnet);
            let instance = InstanceRead {
                id: format!("i-{number}"),
                vpc: fake.vpc.clone(),
                addresses: [Ipv4Addr::new(10, 0, number, 10)].into(),
                security_groups: [group.clone()].into(),
            };
            fake.instances.insert(instance.id.clone(), instance);
        }
        fake.log.clear();
        Arc::new(Self {
            fake: fake.into(),
            clock: Clock::fast(speed),
            times: Mutex::default(),
        })
    }

    fn options(self: &Arc<Self>) -> Options {
        Options {
            aws: Arc::<Self>::clone(self),
            settings: Settings::new("prod", "eu-west-1"),
            vpc: None,
            clock: self.clock,
            attempts: Attempts::default(),
        }
    }

    fn controller(self: &Arc<Self>, cluster: &Cluster) -> Controller {
        Controller::start_beside(cluster.client(), Classes::Default, Some(self.options()))
    }

    /// Forbids an action, or allows it again.
    fn deny(&self, action: &str, denied: bool) {
        let mut fake = self.fake.lock().unwrap();
        if denied {
            fake.denied.insert(action.to_owned());
        } else {
            fake.denied.remove(action);
        }
    }

    /// The times of the calls that begin so.
    fn times_of(&self, call: &str) -> Vec<u64> {
        let (fake, times) = (self.fake.lock().unwrap(), self.times.lock().unwrap());
        let calls = fake.log.iter().zip(times.iter());
        calls
            .filter(|(line, _)| line.starts_with(call))
            .map(|(_, time)| *time)
            .collect()
    }

    fn calls(&self) -> Vec<String> {
        self.fake.lock().unwrap().log.clone()
    }

    /// What is there that is Herald's.
    fn ours(&self) -> Vec<String> {
        let fake = self.fake.lock().unwrap();
        fake.show(|tags| tags.keys().any(|key| key.starts_with("herald.dev/")))
    }

    /// How many healthy targets a connection may come to.
    fn reaches(&self, hostname: &str, port: u16) -> Option<usize> {
        self.fake.lock().unwrap().reaches(hostname, port)
    }
}

/// A cluster with the three nodes.
async fn cluster() -> Cluster {
    let cluster = Cluster::start().await;
    for (number, zone) in (1..).zip(["a", "b", "c"]) {
        cluster.create(json!({
            "apiVersion": "v1", "kind": "Node", "metadata": { "name": format!("node-{number}") },
            "spec": { "providerID": format!("aws:///eu-west-1{zone}/i-{number}") },
            "status": {
                "addresses": [{ "type": "InternalIP", "address": format!("10.0.{number}.10") }],
                "conditions": [{ "type": "Ready", "status": "True", "reason": "", "message": "" }],
            },
        }));
    }
    cluster
}

fn two_ports() -> Value {
    json!({
        "loadBalancerClass": "herald.dev/aws-nlb",
        "ports": [{ "name": "http", "port": 80 }, { "name": "https", "port": 443 }],
    })
}

fn service(cluster: &Cluster, name: &str) -> Value {
    cluster.api.get("v1", "Service", "default", name).unwrap()
}

fn events(cluster: &Cluster) -> Vec<Value> {
    let listed = cluster.api.list("events.k8s.io/v1", "Event", "default", "");
    listed.unwrap()
}

fn hostname(service: &Value) -> Option<String> {
    let entry = service.pointer("/status/loadBalancer/ingress/0/hostname")?;
    entry.as_str().map(str::to_owned)
}

/// Waits until the Service says so, and returns the message.
async fn until(cluster: &Cluster, name: &str, reason: &str) -> String {
    eventually(&format!("{name}: {reason}"), async || {
        let service = service(cluster, name);
        let provisioned = condition(&service["status"], "herald.dev/Provisioned");
        match provisioned["reason"] == reason {
            true => Ok(provisioned["message"].as_str().unwrap().to_owned()),
            false => Err(service["status"].clone()),
        }
    })
    .await
}

/// Waits until so many targets are behind a port of the balancer that the Service shows.
async fn until_served(cluster: &Cluster, region: &Region, name: &str, port: u16, targets: usize) {
    eventually(&format!("{targets} targets at port {port}"), async || {
        let shown = hostname(&service(cluster, name));
        let found = shown.as_ref().map(|shown| region.reaches(shown, port));
        if found == Some(Some(targets)) {
            Ok(())
        } else {
            Err((shown, found))
        }
    })
    .await;
}

async fn until_gone(cluster: &Cluster, region: &Region, name: &str) {
    eventually("the Service goes", async || {
        match cluster.api.get("v1", "Service", "default", name) {
            Err(_) => Ok(()),
            Ok(service) => Err((service["status"].clone(), region.ours())),
        }
    })
    .await;
    assert_eq!(region.ours(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_is_made_changed_and_deleted_with_its_service() {
    let (cluster, region) = (cluster().await, Region::new());
    let controller = region.controller(&cluster);
    cluster.service("web", json!({}), two_ports());
    until(&cluster, "web", "Provisioned").await;
    until_served(&cluster, &region, "web", 80, 3).await;
    until_served(&cluster, &region, "web", 443, 3).await;
    let shown = service(&cluster, "web");
    assert_eq!(
        shown["metadata"]["finalizers"],
        json!(["herald.dev/aws-nlb"])
    );
    let ports = &shown["status"]["loadBalancer"]["ingress"][0]["ports"];
    assert_eq!(ports.as_array().unwrap().len(), 2, "{ports}");

    let mut changed = shown.clone();
    let more = json!({ "name": "extra", "port": 9000, "protocol": "TCP", "targetPort": 9000 });
    changed["spec"]["ports"].as_array_mut().unwrap().push(more);
    cluster.api.update(changed).unwrap();
    until_served(&cluster, &region, "web", 9000, 3).await;
    assert_eq!(
        hostname(&service(&cluster, "web")),
        hostname(&shown),
        "the same balancer"
    );

    cluster
        .api
        .delete("v1", "Service", "default", "web")
        .unwrap();
    until_gone(&cluster, &region, "web").await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_dies_at_any_call_leaves_nothing_that_the_next_does_not_finish() {
    let (cluster, region) = (cluster().await, Region::new());
    // What it did not hear the answer to was done all the same.
    let begun = region.fake.lock().unwrap().log.len();
    for call in (begun..begun + 40).step_by(3) {
        region
            .fake
            .lock()
            .unwrap()
            .faults
            .insert(call, Fault::LoseReply);
    }
    cluster.service("web", json!({}), two_ports());
    for pause in [150, 300, 450] {
        let controller = region.controller(&cluster);
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        controller.kill();
    }
    let controller = region.controller(&cluster);
    until_served(&cluster, &region, "web", 443, 3).await;
    let balancers = region.ours();
    let balancers = balancers.iter().filter(|line| line.starts_with("balancer"));
    assert_eq!(balancers.count(), 1, "{:#?}", region.ours());
    cluster
        .api
        .delete("v1", "Service", "default", "web")
        .unwrap();
    until_gone(&cluster, &region, "web").await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_told_on_the_service_and_the_others_are_served() {
    let (cluster, region) = (cluster().await, Region::new());
    let controller = region.controller(&cluster);
    let misspelt = json!({ "service.beta.kubernetes.io/aws-load-balancer-sheme": "internal" });
    cluster.service("misspelt", misspelt, two_ports());
    cluster.service("web", json!({}), two_ports());
    let message = until(&cluster, "misspelt", "UnknownAnnotation").await;
    assert!(message.contains("aws-load-balancer-sheme"), "{message}");
    until_served(&cluster, &region, "web", 80, 3).await;
    assert_eq!(hostname(&service(&cluster, "misspelt")), None);

    // Corrected, it is served; its provider changed, everything goes.
    let mut service = service(&cluster, "misspelt");
    service["metadata"]["annotations"] = json!({});
    cluster.api.update(service).unwrap();
    until_served(&cluster, &region, "misspelt", 80, 3).await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_survey_that_fails_is_made_again_until_it_comes() {
    let (cluster, region) = (cluster().await, Region::new());
    region.deny("DescribeTargetGroups", true);
    let controller = region.controller(&cluster);
    cluster.service("web", json!({}), two_ports());
    let message = until(&cluster, "web", "NotPermitted").await;
    assert!(message.contains("DescribeTargetGroups"), "{message}");
    eventually("several surveys", async || {
        let tried = region.times_of("DescribeTargetGroups");
        if tried.len() >= 3 { Ok(()) } else { Err(tried) }
    })
    .await;
    assert_eq!(
        region.ours(),
        Vec::<String>::new(),
        "nothing is made blindly"
    );
    region.deny("DescribeTargetGroups", false);
    until_served(&cluster, &region, "web", 80, 3).await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_service_aws_is_asked_once_for_what_was_left_and_no_more() {
    // An hour in a second.
    let (cluster, region) = (cluster().await, Region::at_speed(3600));
    let controller = region.controller(&cluster);
    let surveyed = eventually("a survey", async || {
        let calls = region.calls();
        if calls.len() >= 4 {
            Ok(calls)
        } else {
            Err(calls)
        }
    })
    .await;
    assert!(
        surveyed.iter().all(|call| call.starts_with("Describe")),
        "{surveyed:#?}"
    );
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(region.calls().len(), 4, "{:#?}", region.calls());
    cluster.service("web", json!({}), two_ports());
    until_served(&cluster, &region, "web", 80, 3).await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_service_that_goes_is_told_on_it_and_in_an_event() {
    let (cluster, region) = (cluster().await, Region::new());
    let controller = region.controller(&cluster);
    for name in ["guarded", "denied", "unread"] {
        cluster.service(name, json!({}), two_ports());
        until_served(&cluster, &region, name, 80, 3).await;
    }
    let going = async |name: &str, reason: &str, word: &str| {
        cluster
            .api
            .delete("v1", "Service", "default", name)
            .unwrap();
        let message = until(&cluster, name, reason).await;
        assert!(message.contains(word), "{message}");
        eventually(&format!("an Event {reason}"), async || {
            let events = events(&cluster);
            match events.iter().any(|event| event["reason"] == reason) {
                true => Ok(()),
                false => Err(events),
            }
        })
        .await;
    };
    let protect = |value| {
        let mut fake = region.fake.lock().unwrap();
        fake.set_balancer_attribute("deletion_protection.enabled", value);
    };
    protect("true");
    going(
        "guarded",
        "DeletionProtected",
        "deletion_protection.enabled",
    )
    .await;
    protect("false");
    region.deny("DeleteTargetGroup", true);
    going("denied", "NotPermitted", "DeleteTargetGroup").await;
    region.deny("DeleteTargetGroup", false);
    region.deny("DescribeSecurityGroupRules", true);
    going("unread", "NotPermitted", "DescribeSecurityGroupRules").await;
    region.deny("DescribeSecurityGroupRules", false);
    for name in ["guarded", "denied"] {
        eventually("it goes", async || {
            let service = cluster.api.get("v1", "Service", "default", name);
            service.map_or_else(|_| Ok(()), Err)
        })
        .await;
    }
    until_gone(&cluster, &region, "unread").await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_speaks_of_the_network_has_it_read_again() {
    // So slowly that it is not read again for its age.
    let (cluster, region) = (cluster().await, Region::at_speed(30));
    let controller = region.controller(&cluster);
    cluster.service("web", json!({}), two_ports());
    eventually("a balancer", async || {
        let ours = region.ours();
        let made = ours.iter().any(|line| line.starts_with("balancer"));
        if made { Ok(()) } else { Err(ours) }
    })
    .await;
    {
        let mut fake = region.fake.lock().unwrap();
        let mut subnet = fake.subnets.remove("subnet-a").unwrap();
        subnet.id = "subnet-new".to_owned();
        fake.subnets.insert(subnet.id.clone(), subnet);
    }
    cluster.service("late", json!({}), two_ports());
    eventually("a balancer in the new subnet", async || {
        let calls = region.calls();
        let made = calls
            .iter()
            .any(|call| call.starts_with("CreateLoadBalancer") && call.contains("subnet-new"));
        if made { Ok(()) } else { Err(calls) }
    })
    .await;
    let read = region.times_of("DescribeSubnets");
    assert!(read.len() >= 2 && read[1] - read[0] < 600, "{read:?}");
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_turns_wrong_keeps_what_was_said_of_node_ports() {
    let (cluster, region) = (cluster().await, Region::new());
    let controller = region.controller(&cluster);
    let fine = json!({
        "herald.dev/node-ports": "disabled",
        "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type": "ip",
    });
    cluster.service("web", fine, two_ports());
    until(&cluster, "web", "Provisioned").await;
    let node_ports = || condition(&service(&cluster, "web")["status"], "herald.dev/NodePorts");
    assert_eq!(node_ports()["reason"], "Disabled");
    let mut wrong = service(&cluster, "web");
    wrong["metadata"]["annotations"]["herald.dev/pool"] = json!("lan");
    cluster.api.update(wrong).unwrap();
    until(&cluster, "web", "InvalidRequest").await;
    assert_eq!(node_ports()["reason"], "Disabled");
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_security_group_that_is_left_alone_is_found_and_deleted_on_request() {
    let region = Region::new();
    let tags = [
        ("herald.dev/cluster", "prod"),
        ("herald.dev/service-uid", "u"),
        ("herald.dev/service", "shop/web"),
        ("herald.dev/role", "security-group"),
    ];
    let lone = Call::CreateSecurityGroup {
        name: "hd-shop-web-0123456789".to_owned(),
        vpc: "vpc-1".to_owned(),
        tags: tags
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
    };
    region.fake.lock().unwrap().call(&lone).unwrap();
    let nothing = async || Ok::<_, std::convert::Infallible>(Lists::default());
    let looked = Viewer::look_around(region.options(), nothing()).await;
    let viewer = looked.unwrap().unwrap();
    let orphans = viewer.orphans();
    assert_eq!(orphans.len(), 1, "{orphans:?}");
    assert_eq!(orphans[0].left.security_groups.len(), 1, "{orphans:?}");
    viewer.delete(&orphans[0], |_| ()).await.unwrap();
    assert_eq!(region.ours(), Vec::<String>::new());
}
