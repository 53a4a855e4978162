//! A small API server: objects with versions, the preconditions of Kubernetes, and a journal for each kind.

use std::collections::{BTreeMap, BTreeSet};

use herald::{
    api::AddressAllocationSpec,
    controller::{Call, Reply, StatusWrite, node_ports::NodePortPatch},
    ipam::{Pool, Scope},
    world::{
        AllocationRecord, HostRecord, LockKey, NamespaceRecord, NodeRecord, PoolRecord,
        ServiceRecord, SliceRecord,
    },
};
use herald_spi::{PoolName, ServiceKey};

use crate::{journal::Journal, service::Service};

/// See the module.
pub struct Server {
    version: u64,
    /// Seconds of Unix time, by the server's own clock.
    pub now: i64,
    /// Services of any type.
    pub services: BTreeMap<ServiceKey, Service>,
    /// Those of type LoadBalancer, as watches see them.
    pub balancers: Journal<ServiceRecord>,
    pub pools: Journal<PoolRecord>,
    pub locks: Journal<AllocationRecord>,
    pub namespaces: Journal<NamespaceRecord>,
    pub nodes: Journal<NodeRecord>,
    pub hosts: Journal<HostRecord>,
    pub slices: Journal<SliceRecord>,
    /// Which controller has the Lease.
    pub lease: Option<usize>,
    /// What calls have changed since it was last looked at.
    pub deeds: Vec<Deed>,
    pub past: Past,
    /// Whether controllers serve Services on nodes that say nothing else.
    pub serves_on_nodes: bool,
    /// Broken on purpose: preconditions are not looked at.
    pub careless: bool,
}

/// What was true at some time since the last quiet point, when everybody had seen everything.
#[derive(Default)]
pub struct Past {
    /// Locks that somebody deleted by hand, and that may not be as they should until the next quiet point.
    pub tainted: BTreeSet<LockKey>,
    /// Pools that let the whole cluster share.
    pub wide: Vec<Pool>,
    /// Addresses that somebody else wrote into a status; they are adopted, and a reservation of them ends.
    pub claimed: BTreeSet<LockKey>,
    /// Pools that did not exist.
    pub pools_gone: BTreeSet<PoolName>,
    /// The latest time that any controller's clock has shown.
    pub latest: i64,
    /// Services that were no longer Herald's when a controller began, and held nothing: it cannot know of them.
    pub unnoticed: BTreeSet<String>,
}

/// What a call has changed.
#[expect(
    clippy::large_enum_variant,
    reason = "made, looked at and dropped at once"
)]
pub enum Deed {
    Status {
        before: Box<Service>,
        after: Box<Service>,
        write: StatusWrite,
    },
    NodePorts {
        before: Box<Service>,
        patch: NodePortPatch,
    },
    Lock {
        before: Option<AllocationRecord>,
        after: Option<AllocationRecord>,
    },
}

impl Server {
    pub fn new() -> Self {
        Self {
            version: 100,
            now: 1_000_000,
            services: BTreeMap::new(),
            balancers: Journal::default(),
            pools: Journal::default(),
            locks: Journal::default(),
            namespaces: Journal::default(),
            nodes: Journal::default(),
            hosts: Journal::default(),
            slices: Journal::default(),
            lease: None,
            deeds: Vec::new(),
            past: Past::default(),
            serves_on_nodes: false,
            careless: false,
        }
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    /// The next version, and the next number for whatever needs one.
    pub fn tick(&mut self) -> u64 {
        self.version += 1;
        self.version
    }

    /// Everybody has seen everything: forgets how it came about.
    pub fn compact(&mut self) {
        self.balancers.compact();
        self.pools.compact();
        self.locks.compact();
        self.namespaces.compact();
        self.nodes.compact();
        self.hosts.compact();
        self.slices.compact();
        let usable = self.pools.iter().filter_map(|pool| pool.pool.as_ref().ok());
        let wide = usable.filter(|pool| pool.shared_by == Scope::Cluster);
        // Nobody locks anew what somebody deleted by hand while its Service goes away.
        let leaving = self
            .services
            .values()
            .filter(|service| service.record.deleting);
        let leaving: BTreeSet<_> = leaving.flat_map(Service::locks).collect();
        let mut tainted = std::mem::take(&mut self.past.tainted);
        tainted.retain(|key| leaving.contains(key));
        self.past = Past {
            tainted,
            wide: wide.cloned().collect(),
            latest: self.now,
            claimed: std::mem::take(&mut self.past.claimed),
            unnoticed: std::mem::take(&mut self.past.unnoticed),
            ..Past::default()
        };
    }

    /// A write to a Service by whomever; no change, no new version.
    pub fn write(&mut self, key: &ServiceKey, edit: impl FnOnce(&mut Service)) {
        let Some(known) = self.services.get(key) else {
            return;
        };
        let mut service = known.clone();
        edit(&mut service);
        service.derive();
        if service != *known {
            self.put(service);
        }
    }

    /// A new Service, or a new state of one.
    pub fn put(&mut self, mut service: Service) {
        service.record.resource_version = self.tick().to_string();
        let key = service.record.key.clone();
        if service.balancer {
            self.balancers.set(service.record.clone());
        } else {
            let version = service.record.resource_version.clone();
            self.balancers
                .remove(&key, |last| last.resource_version = version);
        }
        self.services.insert(key, service);
    }

    pub fn delete_service(&mut self, key: &ServiceKey) {
        let version = self.tick().to_string();
        self.balancers
            .remove(key, |last| last.resource_version = version);
        self.services.remove(key);
    }

    pub fn put_pool(&mut self, mut pool: PoolRecord) {
        pool.resource_version = self.tick().to_string();
        if self.pools.get(&pool.name).is_none() {
            self.past.pools_gone.insert(pool.name.clone());
        }
        if let Ok(wide) = &pool.pool
            && wide.shared_by == Scope::Cluster
        {
            self.past.wide.push(wide.clone());
        }
        self.pools.set(pool);
    }

    pub fn delete_pool(&mut self, name: &PoolName) {
        let version = self.tick().to_string();
        if self
            .pools
            .remove(name, |last| last.resource_version = version)
            .is_some()
        {
            self.past.pools_gone.insert(name.clone());
        }
    }

    /// Somebody deletes a lock, which is Herald's alone to do.
    pub fn delete_lock_by_hand(&mut self, key: LockKey) {
        if self.remove_lock(key).is_some() {
            self.past.tainted.insert(key);
        }
    }

    fn remove_lock(&mut self, key: LockKey) -> Option<AllocationRecord> {
        let version = self.tick().to_string();
        self.locks
            .remove(&key, |last| last.resource_version = version)
    }

    /// A controller begins to lead.
    pub fn successor(&mut self) {
        let others = self.services.values().filter(|service| !service.balancer);
        let others =
            others.filter(|service| !self.locks.iter().any(|lock| lock.is_held_by(service.uid())));
        self.past
            .unnoticed
            .extend(others.map(|service| service.uid().to_owned()));
    }

    /// Who holds the lock.
    pub fn is_locked_by(&self, key: LockKey, uid: &str) -> bool {
        self.locks
            .get(&key)
            .is_some_and(|lock| lock.is_held_by(uid))
    }

    /// Carries out a call of a controller and answers it.
    pub fn answer(&mut self, key: &ServiceKey, call: &Call<'_>) -> Reply {
        match call {
            Call::ReadService => match self.services.get(key) {
                Some(service) => Reply::Service(service.found()),
                None => Reply::Gone,
            },
            Call::WriteStatus(write) => {
                let (write, now) = (*write, self.now);
                self.change(
                    key,
                    &write.resource_version,
                    |service, _| {
                        service.apply(write, now);
                        true
                    },
                    |before, after| Deed::Status {
                        before,
                        after,
                        write: write.clone(),
                    },
                )
            }
            Call::PatchNodePorts(patch) => {
                let patch = *patch;
                self.change(
                    key,
                    &patch.resource_version,
                    |service, port| service.patch(patch, port),
                    |before, _| Deed::NodePorts {
                        before,
                        patch: patch.clone(),
                    },
                )
            }
            Call::ReadLock(lock) => match self.locks.get(lock) {
                Some(lock) => Reply::Lock(Box::new(lock.clone())),
                None => Reply::Gone,
            },
            Call::CreateLock(lock, _) if self.locks.get(lock).is_some() => Reply::Stale,
            Call::CreateLock(lock, spec) => self.write_lock(*lock, spec),
            Call::ReplaceLock(lock, spec, version) => match self.locks.get(lock) {
                None => Reply::Gone,
                Some(known) if self.differs(&known.resource_version, version) => Reply::Stale,
                Some(_) => self.write_lock(*lock, spec),
            },
            Call::DeleteLock(lock, version) => match self.locks.get(lock) {
                None => Reply::Gone,
                Some(known)
                    if known.uid != version.uid
                        || self.differs(&known.resource_version, &version.resource_version) =>
                {
                    Reply::Stale
                }
                Some(_) => {
                    let before = self.remove_lock(*lock);
                    self.deeds.push(Deed::Lock {
                        before,
                        after: None,
                    });
                    Reply::Deleted
                }
            },
        }
    }

    fn differs(&self, known: &str, named: &str) -> bool {
        known != named && !self.careless
    }

    fn change(
        &mut self,
        key: &ServiceKey,
        version: &str,
        edit: impl FnOnce(&mut Service, u16) -> bool,
        deed: impl FnOnce(Box<Service>, Box<Service>) -> Deed,
    ) -> Reply {
        let Some(before) = self.services.get(key).cloned() else {
            return Reply::Gone;
        };
        if self.differs(&before.record.resource_version, version) {
            return Reply::Stale;
        }
        let mut after = before.clone();
        let port = 30_000 + u16::try_from(self.version % 2_000).unwrap();
        if !edit(&mut after, port) {
            return Reply::Stale;
        }
        if after != before {
            self.put(after);
        }
        let after = &self.services[key];
        let reply = Reply::Service(after.found());
        let deed = deed(Box::new(before), Box::new(after.clone()));
        self.deeds.push(deed);
        reply
    }

    fn write_lock(&mut self, key: LockKey, spec: &AddressAllocationSpec) -> Reply {
        let before = self.locks.get(&key).cloned();
        if let Some(before) = &before
            && before.says(spec)
        {
            return Reply::Lock(Box::new(before.clone()));
        }
        let version = self.tick();
        let uid = before.as_ref().map(|lock| lock.uid.clone());
        let after = record(
            key,
            uid.unwrap_or_else(|| format!("lock-{version}")),
            version,
            spec,
        );
        self.locks.set(after.clone());
        self.deeds.push(Deed::Lock {
            before,
            after: Some(after.clone()),
        });
        Reply::Lock(Box::new(after))
    }
}

/// What an object with this spec looks like to a watch.
pub fn record(
    key: LockKey,
    uid: String,
    version: u64,
    spec: &AddressAllocationSpec,
) -> AllocationRecord {
    let seconds = |moment: &str| moment.parse::<jiff::Timestamp>().unwrap().as_second();
    AllocationRecord {
        key,
        uid,
        resource_version: version.to_string(),
        pool: Some(spec.pool.as_str())
            .filter(|pool| !pool.is_empty())
            .map(PoolName::from),
        holders: spec.holders.clone(),
        sharing_key: spec.sharing_key.clone(),
        awaited: spec
            .reserved_for
            .as_ref()
            .map(|awaited| ServiceKey::new(&awaited.namespace, &awaited.name)),
        reserved_until: spec.reserved_until.as_deref().map(seconds),
        unannounced_since: spec.unannounced_since.as_deref().map(seconds),
        foreign_use: spec.foreign_use.clone().map(Box::new),
        publications: spec.publications,
        advertise: spec.advertise.clone(),
        rules: Vec::new(),
        ignore_exclude_label: spec.ignore_exclude_label,
    }
}
