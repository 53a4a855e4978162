//! What the agent keeps of a Service and of a lock: it holds all of the cluster's for as long as it runs, on every node,
//! and needs little of each. Pure.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use herald_spi::{PoolName, ServiceKey};

use crate::{
    api::{self, Reason},
    cluster::Classes,
    world::{
        AllocationRecord, Change, Keyed, Layer2Rule, LockKey, Pairs, ServiceRecord, TrafficPolicy,
    },
};

/// A Service of type LoadBalancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announced {
    pub(super) key: ServiceKey,
    pub(super) uid: Box<str>,
    pub(super) created: i64,
    pub(super) labels: Pairs,
    pub(super) policy: TrafficPolicy,
    /// What its status names.
    pub(super) addresses: Box<[IpAddr]>,
    pub(super) care: Care,
}

/// Whether a Service's addresses are Herald's to announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Care {
    Ours,
    Others,
    /// Where its lock says so.
    ByLock,
}

/// The lock of an address, or of a port on all node addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lock {
    pub(super) key: LockKey,
    pub(super) pool: Option<PoolName>,
    /// The uids of the Services that hold it.
    pub(super) holders: Box<[Box<str>]>,
    pub(super) rules: Arc<[Layer2Rule]>,
    pub(super) ignore_exclude_label: bool,
}

/// One copy of rules that many locks remember alike.
#[derive(Debug, Default)]
pub(super) struct Shelf(BTreeSet<Arc<[Layer2Rule]>>);

impl From<ServiceRecord> for Announced {
    fn from(service: ServiceRecord) -> Self {
        Self {
            care: care(&service),
            addresses: service.status_addresses().collect(),
            key: service.key,
            uid: service.uid.into(),
            created: service.created,
            labels: service.labels,
            policy: service.policy,
        }
    }
}

/// Herald's by its class, by Herald's own condition, or by the lock that it holds. A Service that another controller
/// looks after carries that condition too, with the one reason that says so.
fn care(service: &ServiceRecord) -> Care {
    let ours = |ours| if ours { Care::Ours } else { Care::Others };
    let reason = service.allocated.as_ref().map(|c| c.reason.as_str());
    match (service.class.as_deref(), reason) {
        // Addresses of nodes are answered for by the nodes themselves.
        (Some(api::CLASS_NODE), _) => Care::Others,
        (_, Some(reason)) if reason == Reason::FELL_BACK_TO_NODES.as_str() => Care::Others,
        (class @ Some(_), _) => ours(Classes::OwnOnly.include(class)),
        (None, Some(reason)) => ours(reason != Reason::FOREIGN_CONTROLLER.as_str()),
        (None, None) => Care::ByLock,
    }
}

impl From<AllocationRecord> for Lock {
    fn from(lock: AllocationRecord) -> Self {
        Self {
            key: lock.key,
            pool: lock.pool,
            holders: lock.holders.into_iter().map(|h| h.uid.into()).collect(),
            rules: lock.rules.into(),
            ignore_exclude_label: lock.ignore_exclude_label,
        }
    }
}

impl Shelf {
    /// The same change, with rules that stand on the shelf.
    pub(super) fn sort(&mut self, mut change: Change<Lock>) -> Change<Lock> {
        match &mut change {
            Change::Reset(locks) => locks.iter_mut().for_each(|lock| self.place(lock)),
            Change::Listed(lock) | Change::Apply(lock) => self.place(lock),
            Change::Relisting | Change::Complete | Change::Delete(_) => {}
        }
        change
    }

    fn place(&mut self, lock: &mut Lock) {
        if let Some(known) = self.0.get(&lock.rules) {
            lock.rules = Arc::clone(known);
            return;
        }
        // What no lock remembers any more makes room.
        self.0.retain(|rules| Arc::strong_count(rules) > 1);
        self.0.insert(Arc::clone(&lock.rules));
    }
}

impl Keyed for Announced {
    type Key = ServiceKey;

    fn key(&self) -> ServiceKey {
        self.key.clone()
    }

    /// Agents write nothing to it, so only what a watch says counts, in its order.
    fn version(&self) -> u64 {
        0
    }
}

impl Keyed for Lock {
    type Key = LockKey;

    fn key(&self) -> LockKey {
        self.key
    }

    /// As for a Service.
    fn version(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(n: u8, interface: &str) -> Lock {
        let rule = Layer2Rule {
            interfaces: Some([interface.to_owned()].into()),
            ..Layer2Rule::default()
        };
        Lock {
            key: LockKey::Address(IpAddr::from([10, 0, 0, n])),
            pool: None,
            holders: Box::default(),
            rules: vec![rule].into(),
            ignore_exclude_label: false,
        }
    }

    #[test]
    fn rules_that_are_alike_are_kept_once_and_forgotten_with_the_last_lock() {
        let mut shelf = Shelf::default();
        let kept = |change| match change {
            Change::Apply(lock) => lock,
            other => panic!("{other:?}"),
        };
        let first = kept(shelf.sort(Change::Apply(lock(1, "eth0"))));
        let second = kept(shelf.sort(Change::Apply(lock(2, "eth0"))));
        assert!(Arc::ptr_eq(&first.rules, &second.rules));
        drop((first, second));
        let other = kept(shelf.sort(Change::Apply(lock(3, "eth1"))));
        assert_eq!(shelf.0.iter().collect::<Vec<_>>(), [&other.rules]);
    }
}
