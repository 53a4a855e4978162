//! The executor against moto, an AWS that is not Herald's: a Service's life through the whole loop, and that moto and the
//! strict AWS in memory say the same where both can answer.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail"
)]

mod agreement;
mod moto;
#[path = "../../../tests/moto/mod.rs"]
mod server;
mod support;
#[path = "../../../tests/venv/mod.rs"]
mod venv;

use std::collections::{BTreeMap, BTreeSet};

use herald_aws::{Call, Executor, Failure, Id, Reply};

use crate::{
    moto::{
        cluster::{Cluster, port},
        region,
    },
    support::client,
};

const CLUSTER: &str = "prod";

/// What AWS has of the balancer API.
async fn left(executor: &impl Executor) -> (usize, usize) {
    let balancers = match executor.execute(Call::DescribeAllBalancers).await {
        Ok(Reply::Balancers(read)) => read.len(),
        other => panic!("{other:?}"),
    };
    match executor.execute(Call::DescribeAllGroups).await {
        Ok(Reply::Groups(read)) => (balancers, read.len()),
        other => panic!("{other:?}"),
    }
}

async fn listening(executor: &impl Executor) -> BTreeSet<u16> {
    let Ok(Reply::Balancers(read)) = executor.execute(Call::DescribeAllBalancers).await else {
        panic!("no balancers");
    };
    let balancer = Id::known(&read[0].arn);
    match executor.execute(Call::DescribeListeners(balancer)).await {
        Ok(Reply::Listeners(read)) => read.iter().map(|read| read.port).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_service_with_two_ports_lives_changes_and_leaves_nothing() {
    let Some(region) = region(CLUSTER) else {
        return;
    };
    let (client, _) = client(&region.endpoint, &region.name).await;
    let mut cluster = Cluster::new(&client, &region, &[80, 443]).await;
    cluster.settle().await;
    assert!(cluster.published.is_some());
    assert_eq!(cluster.outcome.troubles, []);
    assert_eq!(listening(&client).await, [80, 443].into());
    assert_eq!(left(&client).await, (1, 2));
    let Ok(Reply::Groups(groups)) = client.execute(Call::DescribeAllGroups).await else {
        panic!("no target groups");
    };
    for group in groups {
        let call = Call::DescribeTargetHealth(Id::known(&group.arn));
        let Ok(Reply::Targets(targets)) = client.execute(call).await else {
            panic!("no targets");
        };
        assert_eq!(targets.len(), region.nodes.len(), "{}", group.name);
    }

    let before = cluster.log.len();
    cluster.round().await;
    let again: Vec<_> = cluster.log[before..]
        .iter()
        .map(ToString::to_string)
        .collect();
    assert!(cluster.log[before..].iter().all(Call::is_read), "{again:?}");

    cluster.service.ports = vec![port(443), port(8443)];
    cluster.service.source_ranges = vec!["192.0.2.0/24".to_owned()];
    let key = "service.beta.kubernetes.io/aws-load-balancer-healthcheck-interval";
    cluster
        .service
        .annotations
        .insert(key.to_owned(), "15".to_owned());
    cluster.settle().await;
    assert_eq!(listening(&client).await, [443, 8443].into());

    cluster.deleted = true;
    cluster.settle().await;
    assert_eq!(left(&client).await, (0, 0));
    let ours = [("herald.dev/cluster".to_owned(), CLUSTER.to_owned())];
    let groups = client.execute(Call::DescribeSecurityGroups(ours.clone().into()));
    assert_eq!(groups.await, Ok(Reply::SecurityGroups(BTreeMap::new())));
    let rules = client.execute(Call::DescribeSecurityGroupRules(ours.into()));
    assert_eq!(rules.await, Ok(Reply::Rules(Vec::new())));
}

#[tokio::test]
async fn what_is_not_there_is_told_by_the_code_of_aws() {
    let Some(region) = region(CLUSTER) else {
        return;
    };
    let (client, attempts) = client(&region.endpoint, &region.name).await;
    let arn = |kind: &str| {
        Id::known(format!(
            "arn:aws:elasticloadbalancing:{}:123456789012:{kind}",
            region.name
        ))
    };
    let balancer = arn("loadbalancer/net/none/0123456789abcdef");
    let group = arn("targetgroup/none/0123456789abcdef");
    let listener = arn("listener/net/none/0123456789abcdef/0123456789abcdef");
    for (call, code) in [
        (
            Call::DescribeBalancers(vec![balancer.clone()]),
            "LoadBalancerNotFound",
        ),
        (
            Call::DescribeBalancerNamed("none".to_owned()),
            "LoadBalancerNotFound",
        ),
        (
            Call::DescribeGroups(vec![group.clone()]),
            "TargetGroupNotFound",
        ),
        (
            Call::DescribeGroupNamed("none".to_owned()),
            "TargetGroupNotFound",
        ),
        (Call::DescribeTargetHealth(group), "TargetGroupNotFound"),
        (Call::DescribeListeners(balancer), "LoadBalancerNotFound"),
        (Call::DeleteListener(listener), "ListenerNotFound"),
        (
            Call::DeleteSecurityGroup(Id::known("sg-0123456789abcdef0")),
            "InvalidGroup.NotFound",
        ),
        (
            Call::DescribeVpc("vpc-0123456789abcdef0".to_owned()),
            "InvalidVpcID.NotFound",
        ),
    ] {
        let failure = client
            .execute(call.clone())
            .await
            .expect_err(&call.to_string());
        assert_eq!(failure.code, code, "{call}: {failure}");
        let expected = format!("{} {code}", call.action().1);
        assert_eq!(attempts.taken(), [expected]);
    }
    let made = Call::DeleteBalancer(Id::Made("nothing".to_owned()));
    assert_eq!(
        client
            .execute(made)
            .await
            .map_err(|failure: Failure| failure.code),
        Err("ValidationError".to_owned())
    );
}
