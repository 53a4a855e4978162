//! A cluster with one Service, and the loop that a controller runs, over whoever executes calls.

use std::collections::BTreeMap;

use herald_aws::{
    Apply, Call, Discovery, Executor, Failure, Input, Look, Memory, Moment, Network, Node, Outcome,
    Owner, Plan, Publish, Reply, Service, ServicePort, Settings, Sought, Survey, Wanted, desired,
    discover, plan,
};
use herald_spi::{NodeName, Port, Protocol, ServiceKey};

use super::Region;

pub struct Cluster<'a, E> {
    executor: &'a E,
    settings: Settings,
    pub service: Service,
    nodes: Vec<Node>,
    network: Network,
    memory: Memory,
    now: Moment,
    pub deleted: bool,
    pub published: Option<String>,
    pub plan: Plan,
    pub outcome: Outcome,
    /// Calls since the beginning, reads and writes.
    pub log: Vec<Call>,
}

impl<'a, E: Executor> Cluster<'a, E> {
    pub async fn new(executor: &'a E, region: &Region, ports: &[u16]) -> Self {
        let now = Moment(4_000_000_000);
        let sought = Sought {
            instances: region.nodes.iter().map(|(id, _)| id.clone()).collect(),
            ..Sought::default()
        };
        let site = discover(executor, Discovery::new("prod", None, sought, now));
        let site = site.await.unwrap();
        let node = |(id, _): &(String, String)| {
            let mut node = Node {
                name: NodeName::new(id),
                provider_id: Some(format!("aws:///{}a/{id}", region.name)),
                labels: BTreeMap::new(),
                fit: true,
                security_groups: Vec::new(),
            };
            site.place(&mut node);
            node
        };
        Self {
            executor,
            settings: Settings::new("prod", &region.name),
            service: Service {
                key: ServiceKey::new("shop", "web"),
                uid: "uid-1".to_owned(),
                annotations: BTreeMap::new(),
                ports: ports.iter().map(|number| port(*number)).collect(),
                has_v6: false,
                source_ranges: Vec::new(),
                local: false,
                health_check_node_port: None,
            },
            nodes: region.nodes.iter().map(node).collect(),
            network: site.network,
            memory: Memory::new(now),
            now,
            deleted: false,
            published: None,
            plan: Plan::default(),
            outcome: Outcome::default(),
            log: Vec::new(),
        }
    }

    async fn call(&mut self, call: Call) -> Result<Reply, Failure> {
        self.log.push(call.clone());
        self.executor.execute(call).await
    }

    fn owner(&self) -> Owner {
        Owner {
            cluster: self.settings.cluster.clone(),
            uid: self.service.uid.clone(),
            service: self.service.key.clone(),
        }
    }

    async fn survey(&mut self) {
        let mut survey = Survey::new("prod");
        while let Some(call) = survey.next_call().cloned() {
            let answer = self.call(call).await;
            survey.take(answer);
        }
        let inventory = survey.finish().unwrap();
        self.memory
            .survey(&inventory.of(&self.service.uid), self.now);
    }

    /// One reconcile.
    pub async fn round(&mut self) {
        if self.log.is_empty() || self.memory.wants_survey(self.now) {
            self.survey().await;
        }
        let mut look = if self.deleted {
            Look::for_deletion(self.owner(), &self.memory, self.now)
        } else {
            Look::new(self.owner(), None, &self.memory, self.now)
        };
        while let Some(call) = look.next_call(&self.memory) {
            let answer = self.call(call).await;
            look.take(answer, &mut self.memory);
        }
        let observed = look.finish(&mut self.memory).unwrap();
        let wanted = if self.deleted {
            Wanted::Gone(self.owner())
        } else {
            let input = Input {
                service: &self.service,
                endpoints: &[],
                nodes: &self.nodes,
                network: &self.network,
            };
            let present = observed.present(self.published.as_deref());
            desired(&input, &self.settings, &present)
        };
        self.plan = plan(&wanted, &observed, self.published.as_deref(), self.now);
        let mut apply = Apply::new(self.owner(), &self.plan);
        while let Some(call) = apply.next_call() {
            let answer = self.call(call).await;
            apply.take(answer, &mut self.memory, self.now);
        }
        self.outcome = apply.finish();
        match &self.plan.publish {
            Publish::Keep => {}
            Publish::Clear => self.published = None,
            Publish::Show { hostname, .. } => self.published = Some(hostname.clone()),
        }
    }

    /// Reconciles, and lets time pass, until there is nothing to do.
    pub async fn settle(&mut self) {
        for _ in 0..100 {
            self.round().await;
            let done = if self.deleted {
                self.plan.gone
            } else {
                self.plan.is_quiet() && self.published.is_some()
            };
            if done && self.outcome.remedy.is_none() {
                return;
            }
            self.now = Moment(self.now.0 + self.plan.again().unwrap_or(20).max(1));
        }
        panic!("never ends:\n{}{:?}", self.plan, self.outcome);
    }
}

pub fn port(number: u16) -> ServicePort {
    ServicePort {
        name: format!("port-{number}"),
        port: Port::new(Protocol::Tcp, number),
        node_port: Some(30000 + number),
        target_port: None,
    }
}
