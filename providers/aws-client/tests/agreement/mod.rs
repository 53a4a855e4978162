//! The same calls go to moto and to the strict AWS in memory, and the answers are compared with each one's names taken out.
//! Left out is where moto is known to differ: creates by the name of what exists, health, draining, dependencies, defaults
//! of attributes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Mutex,
};

use herald_aws::{
    BalancerSpec, Call, Executor, Failure, GroupKind, GroupSpec, Health, HealthCheck, Id,
    InstanceRead, ListenerSpec, Moment, Permit, Place, Probe, Reply, RouteTableRead, Scheme,
    Source, Stack, State, SubnetRead, Tags, Target, TargetFamily, TargetType, Traffic, Wire,
    fake::Fake,
};

use crate::{
    CLUSTER,
    moto::{Region, region},
    support::client,
};

/// One of the two, and what it calls the objects that were made.
struct Side<E> {
    executor: E,
    made: BTreeMap<String, String>,
    /// Rules, by their id there.
    rules: BTreeSet<String>,
}

impl<E: Executor> Side<E> {
    fn new(executor: E) -> Self {
        Self {
            executor,
            made: BTreeMap::new(),
            rules: BTreeSet::new(),
        }
    }

    /// Makes a call, and says what came of it without names that only this side has.
    async fn ask(&mut self, call: Call, makes: &str) -> String {
        let call = match call {
            Call::RevokeIngress { group, .. } => Call::RevokeIngress {
                group,
                rules: self.rules.clone(),
            },
            other => other,
        };
        let call = call.resolve(&self.made).expect("it is made");
        let answer = self.executor.execute(call).await;
        if let Ok(Reply::Made(id)) = &answer {
            self.made.insert(makes.to_owned(), id.clone());
        }
        if let Ok(Reply::Rules(rules)) = &answer {
            self.rules = rules.iter().map(|rule| rule.id.clone()).collect();
        }
        let mut text = match answer.map(|reply| plain(self.renamed(reply))) {
            Ok(reply) => format!("{reply:?}"),
            Err(Failure { code, .. }) => code,
        };
        // The id of one may be the beginning of another's.
        let mut made: Vec<_> = self.made.iter().collect();
        made.sort_by_key(|(_, id)| std::cmp::Reverse(id.len()));
        for (name, id) in made {
            text = text.replace(id, name);
        }
        text
    }

    /// With our names in what is ordered by name.
    fn renamed(&self, reply: Reply) -> Reply {
        let name = |id: String| {
            let known = self.made.iter().find(|(_, made)| **made == id);
            known.map_or_else(|| id.clone(), |(name, _)| name.clone())
        };
        match reply {
            Reply::Tags(tags) => Reply::Tags(
                tags.into_iter()
                    .map(|(id, tags)| (name(id), tags))
                    .collect(),
            ),
            Reply::SecurityGroups(found) => Reply::SecurityGroups(
                found
                    .into_iter()
                    .map(|(id, tags)| (name(id), tags))
                    .collect(),
            ),
            Reply::Balancers(mut read) => {
                for read in &mut read {
                    let groups = std::mem::take(&mut read.security_groups);
                    read.security_groups = groups.into_iter().map(name).collect();
                }
                Reply::Balancers(read)
            }
            other => other,
        }
    }
}

/// Without what differs by nature: when and how far made, hostnames, the ids of rules, the order.
fn plain(mut reply: Reply) -> Reply {
    match &mut reply {
        Reply::Made(id) => "made".clone_into(id),
        Reply::Balancers(read) => {
            for read in read {
                read.dns_name.clear();
                read.created = Moment(0);
                read.state = State::Active;
            }
        }
        Reply::Targets(targets) => {
            targets
                .values_mut()
                .for_each(|health| *health = Health::Unused);
        }
        Reply::Rules(rules) => {
            rules.iter_mut().for_each(|rule| rule.id.clear());
            rules.sort_by_cached_key(|rule| rule.permit.clone());
        }
        Reply::Groups(read) => read.sort_by_cached_key(|read| read.name.clone()),
        Reply::Listeners(read) => read.sort_by_key(|read| read.port),
        Reply::Subnets(read) => {
            read.iter_mut().for_each(|read| read.free = 0);
            read.sort_by_cached_key(|read| read.id.clone());
        }
        Reply::Instances(read) => read.sort_by_cached_key(|read| read.id.clone()),
        Reply::RouteTables(read) => read.sort_by_key(|read| !read.main),
        _ => {}
    }
    reply
}

fn tags(role: &str) -> Tags {
    [
        ("herald.dev/cluster".to_owned(), CLUSTER.to_owned()),
        ("herald.dev/role".to_owned(), role.to_owned()),
    ]
    .into()
}

fn made(name: &str) -> Id {
    Id::Made(name.to_owned())
}

fn health(interval: u32) -> HealthCheck {
    HealthCheck {
        probe: Probe::Http,
        port: Some(31000),
        path: Some("/healthz".to_owned()),
        codes: Some("200-399".to_owned()),
        interval,
        timeout: 6,
        healthy: 2,
        unhealthy: 2,
    }
}

fn group(region: &Region, name: &str, kind: GroupKind) -> Call {
    Call::CreateGroup(GroupSpec {
        name: name.to_owned(),
        kind,
        port: 80,
        vpc: region.vpc.clone(),
        health: health(10),
        tags: tags("target-group"),
    })
}

fn forward(wire: Wire, group: &str) -> ListenerSpec {
    ListenerSpec {
        wire,
        group: made(group),
        certificate: None,
        ssl_policy: None,
        alpn: None,
    }
}

fn balancer(region: &Region) -> Call {
    Call::CreateBalancer(BalancerSpec {
        name: "lb".to_owned(),
        scheme: Scheme::Internal,
        stack: Stack::V4,
        places: region.private[..2]
            .iter()
            .map(|id| (id.clone(), Place::default()))
            .collect(),
        security_groups: vec![made("sg")],
        tags: tags("balancer"),
    })
}

fn permits() -> BTreeSet<Permit> {
    let range = |text: &str| Source::Range(text.parse().unwrap());
    [
        (Traffic::Tcp(80, 80), range("0.0.0.0/0")),
        (Traffic::Udp(1000, 2000), range("2001:db8::/32")),
        (Traffic::Tcp(30000, 32767), Source::Group(made("sg"))),
        (Traffic::TooLargeV4, range("10.0.0.0/8")),
    ]
    .map(|(traffic, source)| Permit { traffic, source })
    .into()
}

fn calls(region: &Region) -> Vec<(Call, &'static str)> {
    let tcp = GroupKind {
        wire: Wire::Tcp,
        target_type: TargetType::Instance,
        family: TargetFamily::V4,
    };
    let v6 = GroupKind {
        wire: Wire::TcpUdp,
        target_type: TargetType::Ip,
        family: TargetFamily::V6,
    };
    let security = |name: &str| Call::CreateSecurityGroup {
        name: name.to_owned(),
        vpc: region.vpc.clone(),
        tags: tags("security-group"),
    };
    let authorize = |permits| Call::AuthorizeIngress {
        group: made("sg"),
        permits,
        tags: tags("client-rule"),
    };
    let revoke = Call::RevokeIngress {
        group: made("sg"),
        rules: BTreeSet::new(),
    };
    let listener = |port, wire, group| Call::CreateListener {
        balancer: made("lb"),
        port,
        spec: forward(wire, group),
        tags: tags("listener"),
    };
    let targets: BTreeSet<Target> = region
        .nodes
        .iter()
        .map(|(id, _)| Target {
            id: id.clone(),
            port: 30080,
            outside: false,
        })
        .collect();
    let ids = region.nodes.iter().map(|(id, _)| id.clone());
    let addresses = region.nodes.iter().map(|(_, at)| at.parse().unwrap());
    let all = vec![made("lb"), made("tg"), made("listener")];
    vec![
        (Call::DescribeVpc(region.vpc.clone()), ""),
        (Call::DescribeVpc("vpc-00000000".to_owned()), ""),
        (Call::DescribeSubnets(region.vpc.clone()), ""),
        (Call::DescribeSubnets("vpc-00000000".to_owned()), ""),
        (Call::DescribeRouteTables(region.vpc.clone()), ""),
        (Call::DescribeZones, ""),
        (
            Call::DescribeInstances(ids.chain(["i-0123".to_owned()]).collect()),
            "",
        ),
        (
            Call::DescribeInstancesAt {
                vpc: region.vpc.clone(),
                addresses: addresses.take(2).collect(),
            },
            "",
        ),
        (security("hd-one"), "sg"),
        (security("hd-one"), ""),
        (security("hd-two"), "sg2"),
        (Call::DescribeSecurityGroups(tags("security-group")), ""),
        (Call::DescribeSecurityGroups(tags("nothing")), ""),
        (authorize(permits()), ""),
        (authorize(permits()), ""),
        (Call::DescribeSecurityGroupRules(tags("client-rule")), ""),
        (revoke, ""),
        (Call::DescribeSecurityGroupRules(tags("client-rule")), ""),
        (Call::DescribeAllBalancers, ""),
        (Call::DescribeAllGroups, ""),
        (Call::DescribeGroupNamed("hd-tg".to_owned()), ""),
        (group(region, "hd-tg", tcp), "tg"),
        (group(region, "hd-v6", v6), "v6"),
        (Call::DescribeGroups(vec![made("tg"), made("v6")]), ""),
        (Call::DescribeGroupNamed("hd-tg".to_owned()), ""),
        (
            Call::ModifyGroup {
                group: made("tg"),
                health: health(15),
            },
            "",
        ),
        (Call::DescribeGroups(vec![made("tg")]), ""),
        (
            Call::RegisterTargets {
                group: made("tg"),
                targets: targets.clone(),
            },
            "",
        ),
        (Call::DescribeTargetHealth(made("tg")), ""),
        (Call::DescribeBalancerNamed("lb".to_owned()), ""),
        (balancer(region), "lb"),
        (listener(80, Wire::Tcp, "tg"), "listener"),
        (listener(53, Wire::TcpUdp, "v6"), "listener2"),
        (Call::DescribeBalancerNamed("lb".to_owned()), ""),
        (Call::DescribeListeners(made("lb")), ""),
        (Call::DescribeGroups(vec![made("tg")]), ""),
        (Call::DescribeTags(all), ""),
        (
            Call::AddTags {
                object: made("tg"),
                tags: [("team".to_owned(), "web".to_owned())].into(),
            },
            "",
        ),
        (
            Call::RemoveTags {
                object: made("tg"),
                keys: ["herald.dev/role".to_owned()].into(),
            },
            "",
        ),
        (Call::DescribeTags(vec![made("tg")]), ""),
        (
            Call::SetSecurityGroups {
                balancer: made("lb"),
                groups: vec![made("sg"), made("sg2")],
            },
            "",
        ),
        (Call::DescribeBalancers(vec![made("lb")]), ""),
        (Call::DeleteGroup(made("tg")), ""),
        (Call::DeleteListener(made("listener")), ""),
        (Call::DeleteListener(made("listener")), ""),
        (Call::DeleteBalancer(made("lb")), ""),
        (Call::DescribeBalancers(vec![made("lb")]), ""),
        (Call::DescribeListeners(made("lb")), ""),
        (Call::DeleteGroup(made("tg")), ""),
        (Call::DescribeTargetHealth(made("tg")), ""),
    ]
}

/// The same VPC in memory.
async fn twin(region: &Region, real: &impl Executor) -> Fake {
    let mut fake = Fake::default();
    fake.vpc.clone_from(&region.vpc);
    fake.ranges = vec!["10.0.0.0/16".parse().unwrap()];
    let ask = |call| real.execute(call);
    if let Ok(Reply::Subnets(read)) = ask(Call::DescribeSubnets(region.vpc.clone())).await {
        fake.subnets = read
            .into_iter()
            .map(|read| (read.id.clone(), read))
            .collect();
    }
    let public = fake
        .subnets
        .values()
        .filter(|read: &&SubnetRead| !region.private.contains(&read.id));
    fake.tables = vec![
        RouteTableRead {
            main: true,
            ..RouteTableRead::default()
        },
        RouteTableRead {
            main: false,
            subnets: public.map(|read| read.id.clone()).collect(),
            public: true,
        },
    ];
    fake.instances = region
        .nodes
        .iter()
        .map(|(id, address)| {
            let read = InstanceRead {
                id: id.clone(),
                vpc: region.vpc.clone(),
                addresses: [address.parse().unwrap()].into(),
                security_groups: [region.group.clone()].into(),
            };
            (id.clone(), read)
        })
        .collect();
    fake
}

#[tokio::test]
async fn moto_and_the_aws_in_memory_agree() {
    let Some(region) = region(CLUSTER) else {
        return;
    };
    let (client, _) = client(&region.endpoint, &region.name).await;
    let fake = twin(&region, &client).await;
    let mut real = Side::new(client);
    let mut fake = Side::new(Mutex::new(fake));
    let mut differences = Vec::new();
    for (call, makes) in calls(&region) {
        let (theirs, ours) = (
            real.ask(call.clone(), makes).await,
            fake.ask(call.clone(), makes).await,
        );
        if theirs != ours {
            differences.push(format!("{call}\n  moto: {theirs}\n  fake: {ours}"));
        }
        if makes.is_empty() {
            continue;
        }
        // The interfaces of a balancer and its targets take time in memory, and none in moto.
        fake.executor.lock().unwrap().pass(300);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
