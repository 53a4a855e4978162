//! A cluster with one Service, and the loop that a controller runs: survey, look, plan, apply, publish.

use std::{collections::BTreeMap, net::Ipv4Addr};

use herald_spi::{NodeName, Port, Protocol, ServiceKey};

use crate::{
    Apply, Call, Discovery, Endpoint, Failure, Id, Input, InstanceRead, Look, Memory, Network,
    Node, NodeGroup, Outcome, Owner, Plan, Publish, Reply, RouteTableRead, Service, ServicePort,
    Settings, Site, Sought, State, SubnetRead, Survey, Tags, Wanted, desired, fake::Fake, plan,
};

pub(crate) const PREFIX: &str = "service.beta.kubernetes.io/aws-load-balancer-";

/// The process died.
#[derive(Debug)]
pub(crate) struct Died;

#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) aws: Fake,
    pub(crate) settings: Settings,
    pub(crate) service: Service,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) network: Network,
    pub(crate) deleted: bool,
    pub(crate) memory: Memory,
    pub(crate) published: Option<String>,
    /// The process dies before it makes so many calls.
    pub(crate) dies_at: Option<usize>,
    /// Ports that must take new connections at the published hostname, whatever happens.
    pub(crate) watched: Vec<u16>,
    pub(crate) plan: Plan,
    /// What is left of it.
    pub(crate) rest: Plan,
    pub(crate) outcome: Outcome,
    surveyed: bool,
    /// Where in the log the latest round begins, after the survey that all Services share.
    pub(crate) began: usize,
    /// What the latest look was for.
    asked: Option<Request>,
}

/// Everything that may change what is wanted.
type Request = (Service, Vec<Endpoint>, Vec<Node>, bool);

impl World {
    /// Two TCP ports, three nodes in three zones, and things in the account that are none of ours.
    pub(crate) fn new() -> Self {
        let mut aws = Fake::default();
        aws.ranges = vec!["10.0.0.0/16".parse().unwrap()];
        aws.certificates = ["a", "b", "c"]
            .map(|name| format!("arn:aws:acm:eu-west-1:1:certificate/{name}"))
            .into();
        aws.allocations = (1..=6)
            .map(|number| (format!("eipalloc-{number}"), None))
            .collect();
        for (kind, row) in [("private", 0_u8), ("public", 10), ("spare", 20)] {
            for (at, zone) in (0_u8..).zip(["a", "b", "c"]) {
                let subnet = subnet(kind, zone, row + at);
                aws.subnets.insert(subnet.id.clone(), subnet);
            }
        }
        aws.tables = vec![
            RouteTableRead {
                main: true,
                ..RouteTableRead::default()
            },
            RouteTableRead {
                subnets: ["a", "b", "c"]
                    .map(|zone| format!("subnet-public-{zone}"))
                    .into(),
                public: true,
                ..RouteTableRead::default()
            },
        ];
        let group = make(
            &mut aws,
            Call::CreateSecurityGroup {
                name: "nodes".to_owned(),
                vpc: "vpc-1".to_owned(),
                tags: [("kubernetes.io/cluster/prod".to_owned(), "owned".to_owned())].into(),
            },
        );
        for number in 1..=9 {
            let read = instance(&aws, number, &group);
            aws.instances.insert(read.id.clone(), read);
        }
        let nodes: Vec<Node> = (1..=3).map(|number| node(number, &group)).collect();
        let network = discovered(&mut aws, Sought::default()).network;
        let memory = Memory::new(aws.now);
        let mut world = Self {
            aws,
            settings: Settings::new("prod", "eu-west-1"),
            service: Service {
                key: ServiceKey::new("shop", "web"),
                uid: "uid-1".to_owned(),
                annotations: BTreeMap::new(),
                ports: vec![
                    port("http", 80, 30080, 8080),
                    port("https", 443, 30443, 8443),
                ],
                has_v6: false,
                source_ranges: Vec::new(),
                local: false,
                health_check_node_port: None,
            },
            endpoints: (1..=3).map(endpoint).collect(),
            nodes,
            network,
            deleted: false,
            memory,
            published: None,
            dies_at: None,
            watched: Vec::new(),
            plan: Plan::default(),
            rest: Plan::default(),
            outcome: Outcome::default(),
            surveyed: false,
            began: 0,
            asked: None,
        };
        world.seed_strangers();
        world.aws.pass(1000);
        world.memory = Memory::new(world.aws.now);
        world.memory.begins_with_nothing();
        world.aws.log.clear();
        world
    }

    /// Things of another Service, made just as ours.
    fn seed_strangers(&mut self) {
        let own = (self.service.clone(), self.published.take());
        self.service.key.name = "other".to_owned();
        self.service.uid = "uid-other".to_owned();
        self.annotate("name", Some("stranger"));
        self.settle();
        (self.service, self.published) = own;
        self.memory = Memory::new(self.aws.now);
        self.surveyed = false;
    }

    pub(crate) fn owner(&self) -> Owner {
        Owner {
            cluster: self.settings.cluster.clone(),
            uid: self.service.uid.clone(),
            service: self.service.key.clone(),
        }
    }

    pub(crate) fn annotate(&mut self, key: &str, value: Option<&str>) {
        let key = format!("{PREFIX}{key}");
        match value {
            Some(value) => drop(self.service.annotations.insert(key, value.to_owned())),
            None => drop(self.service.annotations.remove(&key)),
        }
    }

    /// What is ours in AWS.
    pub(crate) fn ours(&self) -> Vec<String> {
        let owner = self.owner();
        self.aws.show(|tags| owner.owns(tags))
    }

    /// What is not.
    pub(crate) fn theirs(&self) -> Vec<String> {
        let owner = self.owner();
        self.aws.show(|tags| !owner.owns(tags))
    }

    /// The process begins anew, and knows nothing.
    pub(crate) fn restart(&mut self) {
        self.memory = Memory::new(self.aws.now);
        self.surveyed = false;
        self.asked = None;
        self.dies_at = None;
    }

    fn call(&mut self, call: &Call) -> Result<Result<Reply, Failure>, Died> {
        if self.dies_at.is_some_and(|at| self.aws.log.len() >= at) {
            return Err(Died);
        }
        let answer = self.aws.call(call);
        if let Some(hostname) = &self.published {
            for port in &self.watched {
                let reached = self.aws.reaches(hostname, *port);
                assert!(
                    reached.is_some_and(|count| count > 0),
                    "port {port} reaches {reached:?} after {call}"
                );
            }
        }
        Ok(answer)
    }

    pub(crate) fn wanted(&self, present: &crate::Present) -> Wanted {
        let input = Input {
            service: &self.service,
            endpoints: &self.endpoints,
            nodes: &self.nodes,
            network: &self.network,
        };
        if self.deleted {
            Wanted::Gone(self.owner())
        } else {
            desired(&input, &self.settings, present)
        }
    }

    fn request(&self) -> Request {
        (
            self.service.clone(),
            self.endpoints.clone(),
            self.nodes.clone(),
            self.deleted,
        )
    }

    fn survey(&mut self) -> Result<(), Died> {
        let mut survey = Survey::new(self.settings.cluster.clone());
        while let Some(call) = survey.next_call().cloned() {
            let answer = self.call(&call)?;
            survey.take(answer);
        }
        if let Ok(inventory) = survey.finish() {
            self.memory
                .survey(&inventory.of(&self.service.uid), self.aws.now);
            self.surveyed = true;
        }
        Ok(())
    }

    /// One reconcile.
    pub(crate) fn round(&mut self) -> Result<(), Died> {
        // The region's snapshot is shared and renewed at its own pace.
        if !self.surveyed || self.memory.wants_survey(self.aws.now) {
            self.survey()?;
        }
        self.began = self.aws.log.len();
        if let Some(call) = self
            .rest
            .glance()
            .filter(|_| self.asked == Some(self.request()))
        {
            let answer = self.call(&call)?;
            if matches!(answer, Ok(Reply::Balancers(read)) if read.iter().all(|read| read.state == State::Provisioning))
            {
                return Ok(());
            }
        }
        self.asked = Some(self.request());
        (self.plan, self.rest) = (Plan::default(), Plan::default());
        self.outcome = Outcome::default();
        let name = self
            .service
            .annotations
            .get(&format!("{PREFIX}name"))
            .cloned();
        let mut look = if self.deleted {
            Look::for_deletion(self.owner(), &self.memory, self.aws.now)
        } else {
            Look::new(self.owner(), name.as_deref(), &self.memory, self.aws.now)
        };
        while let Some(call) = look.next_call(&self.memory) {
            let answer = self.call(&call)?;
            look.take(answer, &mut self.memory);
        }
        let observed = match look.finish(&mut self.memory) {
            Ok(observed) => observed,
            Err(verdict) => {
                self.outcome.remedy = Some(verdict.remedy);
                return Ok(());
            }
        };
        let published = self.published.clone();
        let wanted = self.wanted(&observed.present(published.as_deref()));
        self.plan = plan(&wanted, &observed, published.as_deref(), self.aws.now);
        let mut apply = Apply::new(self.owner(), &self.plan);
        while let Some(call) = apply.next_call() {
            let answer = self.call(&call)?;
            apply.take(answer, &mut self.memory, self.aws.now);
        }
        self.outcome = apply.finish();
        self.rest = self.plan.rest(&self.outcome);
        match &self.plan.publish {
            Publish::Keep => {}
            Publish::Clear => self.published = None,
            Publish::Show { hostname, .. } => self.published = Some(hostname.clone()),
        }
        Ok(())
    }

    fn is_settled(&self) -> bool {
        let done = if self.deleted {
            self.plan.gone
        } else {
            self.plan.is_quiet() && self.memory.is_sure(self.aws.now)
        };
        done && self.outcome.remedy.is_none()
    }

    /// Reconciles, and lets time pass, until there is nothing to do.
    pub(crate) fn try_settle(&mut self) -> Result<(), Died> {
        for _ in 0..400 {
            self.round()?;
            if self.is_settled() {
                return Ok(());
            }
            self.aws.pass(self.plan.again().unwrap_or(20).max(1));
        }
        panic!(
            "never ends:\n{}{:?}\n{}",
            self.plan,
            self.outcome,
            self.aws.log[self.aws.log.len() - 40..].join("\n")
        );
    }

    pub(crate) fn settle(&mut self) {
        self.try_settle().unwrap();
    }

    /// The calls since then, reads and writes.
    pub(crate) fn calls_since(&self, at: usize) -> (usize, usize) {
        let (reads, writes): (Vec<_>, Vec<_>) = self.aws.log[at..]
            .iter()
            .partition(|line| line.starts_with("Describe"));
        (reads.len(), writes.len())
    }
}

/// What a reading of the network finds.
pub(crate) fn discovered(aws: &mut Fake, sought: Sought) -> Site {
    let mut reading = Discovery::new("prod", Some("vpc-1"), sought, aws.now);
    while let Some(call) = reading.next_call() {
        reading.take(aws.call(&call));
    }
    reading.finish().unwrap()
}

fn subnet(kind: &str, zone: &str, row: u8) -> SubnetRead {
    let role = match kind {
        "private" => Some("kubernetes.io/role/internal-elb"),
        "public" => Some("kubernetes.io/role/elb"),
        _ => None,
    };
    SubnetRead {
        id: format!("subnet-{kind}-{zone}"),
        zone: zone.to_owned(),
        outpost: None,
        v4: Some(format!("10.0.{row}.0/24").parse().unwrap()),
        v6: Some(format!("2001:db8:{row}::/64").parse().unwrap()),
        tags: role
            .map(|role| (role.to_owned(), "1".to_owned()))
            .into_iter()
            .collect(),
        free: 200,
    }
}

fn instance(aws: &Fake, number: u8, group: &str) -> InstanceRead {
    InstanceRead {
        id: format!("i-{number}"),
        vpc: aws.vpc.clone(),
        addresses: [Ipv4Addr::new(10, 0, 20, number)].into(),
        security_groups: [group.to_owned()].into(),
    }
}

pub(crate) fn make(aws: &mut Fake, call: Call) -> String {
    match aws.call(&call) {
        Ok(Reply::Made(id)) => id,
        other => panic!("{call}: {other:?}"),
    }
}

pub(crate) fn foreign() -> Tags {
    [("owner".to_owned(), "somebody".to_owned())].into()
}

pub(crate) fn node(number: u32, group: &str) -> Node {
    Node {
        name: NodeName::new(format!("node-{number}")),
        provider_id: Some(format!("aws:///a/i-{number}")),
        labels: BTreeMap::new(),
        fit: true,
        security_groups: vec![NodeGroup {
            id: group.to_owned(),
            of_cluster: true,
        }],
    }
}

pub(crate) fn port(name: &str, number: u16, node_port: u16, target_port: u16) -> ServicePort {
    ServicePort {
        name: name.to_owned(),
        port: Port::new(Protocol::Tcp, number),
        node_port: Some(node_port),
        target_port: Some(target_port),
    }
}

pub(crate) fn endpoint(number: u8) -> Endpoint {
    Endpoint {
        address: format!("10.0.50.{number}").parse().unwrap(),
        ports: [
            ("http".to_owned(), 8080),
            ("https".to_owned(), 8443),
            ("extra".to_owned(), 9000),
        ]
        .into(),
        ready: true,
    }
}

/// The id of the nodes' security group.
pub(crate) fn nodes_group(world: &World) -> Id {
    Id::known(&world.nodes[0].security_groups[0].id)
}
