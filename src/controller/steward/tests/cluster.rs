//! A steward and an API server that obeys.

use super::*;
use crate::{
    controller::{Call, Errand, Found, Plan, Reply, StatusWrite, node_ports::NodePortPatch},
    world::ConditionRecord,
};

pub(super) struct Cluster {
    pub(super) steward: Steward,
    pub(super) version: u64,
    pub(super) services: BTreeMap<ServiceKey, ServiceRecord>,
    pub(super) locks: BTreeMap<LockKey, AllocationRecord>,
    pub(super) pools: Vec<PoolRecord>,
    pub(super) nodes: Vec<NodeRecord>,
    pub(super) events: Vec<(ServiceKey, &'static str)>,
    pub(super) writes: usize,
    /// How many plans were made since it was set to 0.
    pub(super) plans: usize,
    pub(super) now: i64,
}

impl Cluster {
    pub(super) fn new(pools: Vec<PoolRecord>, services: Vec<ServiceRecord>) -> Self {
        let mut cluster = Self {
            steward: Steward::new(Classes::Default),
            version: 100,
            services: services.into_iter().map(|s| (s.key.clone(), s)).collect(),
            locks: BTreeMap::new(),
            pools: Vec::new(),
            nodes: Vec::new(),
            events: Vec::new(),
            writes: 0,
            plans: 0,
            now: 1_000_000,
        };
        cluster.restart(pools);
        cluster
    }

    /// A new controller that lists everything.
    pub(super) fn restart(&mut self, pools: Vec<PoolRecord>) {
        self.pools = pools;
        let mut steward = Steward::new(Classes::Default);
        steward.tick(self.now);
        steward.take(Input::Pools(Change::Reset(self.pools.clone())));
        steward.take(Input::Namespaces(Change::Reset(Vec::new())));
        steward.take(Input::Nodes(Change::Reset(self.nodes.clone())));
        steward.take(Input::Hosts(Change::Reset(Vec::new())));
        steward.take(Input::Slices(Change::Reset(Vec::new())));
        steward.take(Input::Allocations(Change::Reset(
            self.locks.values().cloned().collect(),
        )));
        steward.take(Input::Services(Change::Reset(
            self.services.values().cloned().collect(),
        )));
        assert!(steward.synced());
        self.steward = steward;
        let look = self.steward.begin();
        self.settle(look);
    }

    /// Lets time pass.
    pub(super) fn pass(&mut self, seconds: i64) {
        self.now += seconds;
        let look = self.steward.tick(self.now);
        self.settle(look);
    }

    /// Carries plans out until nothing is left to do.
    pub(super) fn settle(&mut self, look: BTreeSet<ServiceKey>) {
        let mut queue: Vec<_> = look.into_iter().collect();
        queue.sort_by_key(|key| (self.steward.seniority(key), key.clone()));
        let mut rounds = 0;
        while !queue.is_empty() {
            let key = queue.remove(0);
            rounds += 1;
            assert!(rounds < 10_000, "no end of plans");
            self.plans += 1;
            let plan = self.steward.plan(&key);
            let mut look = self.steward.roused();
            let idle = plan.is_empty();
            let (plan, outcomes) = self.obey(plan);
            look.extend(self.steward.finish(&plan, outcomes, true).look);
            for other in look {
                if !queue.contains(&other) {
                    queue.push(other);
                }
            }
            let again = self.steward.plan(&key);
            assert!(
                again.is_empty() || idle || queue.contains(&key),
                "{again:#?}"
            );
        }
    }

    fn obey(&mut self, plan: Plan) -> (Plan, Vec<Outcome>) {
        let service = plan.service.clone();
        let mut errand = Errand::new(plan);
        while let Some(call) = errand.call() {
            let reply = self.answer(&service, call);
            errand.heed(reply).unwrap();
        }
        let (plan, outcomes) = errand.end();
        for notice in &plan.notices {
            self.events
                .push((service.clone(), notice.verdict.reason.as_str()));
        }
        (plan, outcomes)
    }

    pub(super) fn answer(&mut self, service: &ServiceKey, call: Call<'_>) -> Reply {
        match call {
            Call::ReadService => match self.services.get(service) {
                Some(service) => Reply::Service(Found::Balancer(Box::new(service.clone()))),
                None => Reply::Gone,
            },
            Call::WriteStatus(write) => self.write_status(service, write),
            Call::PatchNodePorts(patch) => self.patch(service, patch),
            Call::ReadLock(key) => self
                .locks
                .get(&key)
                .map_or(Reply::Gone, |l| Reply::Lock(Box::new(l.clone()))),
            Call::CreateLock(key, _) if self.locks.contains_key(&key) => Reply::Stale,
            Call::CreateLock(key, spec) => self.write_lock(key, spec),
            Call::ReplaceLock(key, spec, version) => match self.locks.get(&key) {
                None => Reply::Gone,
                Some(lock) if lock.resource_version != version => Reply::Stale,
                Some(_) => self.write_lock(key, spec),
            },
            Call::DeleteLock(key, version) => match self.locks.get(&key) {
                None => Reply::Gone,
                Some(lock) if lock.resource_version != version.resource_version => Reply::Stale,
                Some(_) => {
                    self.writes += 1;
                    self.locks.remove(&key);
                    Reply::Deleted
                }
            },
        }
    }

    fn write_lock(&mut self, key: LockKey, spec: &api::AddressAllocationSpec) -> Reply {
        self.version += 1;
        self.writes += 1;
        let known = self.locks.get(&key).map(|lock| lock.uid.clone());
        let record = AllocationRecord {
            key,
            uid: known.unwrap_or_else(|| format!("lock-{}", self.version)),
            resource_version: self.version.to_string(),
            pool: Some(spec.pool.as_str())
                .filter(|p| !p.is_empty())
                .map(PoolName::from),
            holders: spec.holders.clone(),
            sharing_key: spec.sharing_key.clone(),
            awaited: spec
                .reserved_for
                .as_ref()
                .map(|a| ServiceKey::new(&a.namespace, &a.name)),
            reserved_until: spec.reserved_until.as_deref().map(seconds),
            unannounced_since: spec.unannounced_since.as_deref().map(seconds),
            foreign_use: spec.foreign_use.clone().map(Box::new),
            publications: spec.publications,
            advertise: spec.advertise.clone(),
            rules: Vec::new(),
            ignore_exclude_label: spec.ignore_exclude_label,
        };
        self.locks.insert(key, record.clone());
        Reply::Lock(Box::new(record))
    }

    fn write_status(&mut self, key: &ServiceKey, write: &StatusWrite) -> Reply {
        self.version += 1;
        self.writes += 1;
        let service = self.services.get_mut(key).unwrap();
        assert_eq!(write.resource_version, service.resource_version);
        service.resource_version = self.version.to_string();
        if let Some(ingress) = &write.ingress {
            for entry in ingress {
                let lock = self.locks.get(&LockKey::Address(entry.address));
                let on_nodes = self
                    .nodes
                    .iter()
                    .any(|node| node.internal_ips.contains(&entry.address));
                assert!(
                    on_nodes || lock.is_some_and(|lock| lock.is_held_by(&service.uid)),
                    "{} published without its lock",
                    entry.address
                );
            }
            service.ingress = ingress
                .iter()
                .map(|entry| IngressRecord {
                    ip: Some(entry.address),
                    hostname: None,
                    ip_mode: Some(entry.mode.as_str().into()),
                    ports: entry
                        .ports
                        .iter()
                        .map(|(port, error)| (*port, error.map(str::to_owned)))
                        .collect(),
                })
                .collect();
        }
        service.annotations.remove(api::ANNOTATION_ALLOCATED_FROM);
        if let Some(pools) = &write.allocated_from {
            service
                .annotations
                .insert(api::ANNOTATION_ALLOCATED_FROM.into(), pools.clone());
        }
        let condition = |type_: &str| {
            let write = write.conditions.iter().find(|c| c.type_ == type_)?;
            Some(ConditionRecord {
                holds: write.verdict.holds,
                reason: write.verdict.reason.to_string(),
                message: write.verdict.message.clone(),
                since: String::new(),
            })
        };
        service.allocated = condition(api::CONDITION_ALLOCATED);
        service.node_ports = condition(api::CONDITION_NODE_PORTS);
        service.announced = condition(api::CONDITION_ANNOUNCED).map(Box::new);
        Reply::Service(Found::Balancer(Box::new(service.clone())))
    }

    fn patch(&mut self, key: &ServiceKey, patch: &NodePortPatch) -> Reply {
        self.version += 1;
        self.writes += 1;
        let service = self.services.get_mut(key).unwrap();
        assert_eq!(patch.resource_version, service.resource_version);
        service.resource_version = self.version.to_string();
        service.allocates_node_ports = patch.allocate;
        service.node_ports_switched = true;
        for index in &patch.remove {
            assert!(service.ports[*index].node_port.take().is_some());
        }
        if patch.allocate {
            for port in &mut service.ports {
                port.node_port.get_or_insert(31_000);
            }
        }
        Reply::Service(Found::Balancer(Box::new(service.clone())))
    }

    pub(super) fn apply(&mut self, mut service: ServiceRecord) {
        self.version += 1;
        service.resource_version = self.version.to_string();
        self.services.insert(service.key.clone(), service.clone());
        let look = self.steward.take(Input::Services(Change::Apply(service)));
        self.settle(look);
    }

    pub(super) fn edit(&mut self, name: &str, edit: impl FnOnce(&mut ServiceRecord)) {
        let mut service = self.services[&ServiceKey::new("default", name)].clone();
        edit(&mut service);
        self.apply(service);
    }

    pub(super) fn annotate(&mut self, name: &str, key: &str, value: &str) {
        self.edit(name, |service| {
            service.annotations.insert(key.into(), value.into());
        });
    }

    pub(super) fn delete(&mut self, name: &str) {
        let service = self
            .services
            .remove(&ServiceKey::new("default", name))
            .unwrap();
        let look = self.steward.take(Input::Services(Change::Delete(service)));
        self.settle(look);
    }

    pub(super) fn pools(&mut self, pools: Vec<PoolRecord>) {
        let look = self.steward.take(Input::Pools(Change::Reset(pools)));
        self.settle(look);
    }

    pub(super) fn of(&self, name: &str) -> (Vec<String>, String) {
        let service = &self.services[&ServiceKey::new("default", name)];
        let addresses = service.status_addresses().map(|a| a.to_string()).collect();
        (
            addresses,
            service
                .allocated
                .as_ref()
                .map(|c| c.reason.clone())
                .unwrap_or_default(),
        )
    }

    pub(super) fn message(&self, name: &str) -> String {
        let service = &self.services[&ServiceKey::new("default", name)];
        service.allocated.as_ref().unwrap().message.clone()
    }

    #[track_caller]
    pub(super) fn expect(&self, name: &str, addresses: &[&str], reason: &str) {
        let expected: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        assert_eq!(self.of(name), (expected, reason.to_owned()));
    }

    pub(super) fn locked(&self) -> Vec<String> {
        self.locks.keys().map(ToString::to_string).collect()
    }

    pub(super) fn lock(&self, address: &str) -> &AllocationRecord {
        &self.locks[&LockKey::Address(address.parse().unwrap())]
    }
}

fn seconds(moment: &str) -> i64 {
    let moment: k8s_openapi::jiff::Timestamp = moment.parse().unwrap();
    moment.as_second()
}
