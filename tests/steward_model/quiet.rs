//! What must hold once everybody has seen everything and nothing is under way: everybody has a verdict, nobody waits
//! for what is free, nothing is locked for nobody, and another controller would decide the same.

use std::collections::{BTreeMap, BTreeSet};

use herald::{
    api,
    controller::{Lock, Plan, Steward},
    world::{ConditionRecord, LockKey, ServiceRecord},
};
use herald_spi::ServiceKey;

use crate::{
    controller::Options,
    known,
    promises::{Kept, broken},
    server::Server,
    service::Service,
    watching::Kind,
};

pub const VERDICT: &str = "liveness: every Service has a verdict";
pub const NO_LEFTOVERS: &str = "6: nothing of Herald's is left on what is not Herald's";
pub const NO_LEAK: &str = "liveness: nothing is locked for nobody";
pub const SAME: &str = "liveness: another controller decides the same";
pub const NO_OP: &str = "9: who looks again has nothing to do";
pub const ENDS: &str = "liveness: it comes to rest";
pub const SLEEPS: &str = "9: nothing is due for ever";

/// What can be seen in the cluster alone.
pub fn cluster(server: &Server) -> Kept {
    for (key, service) in &server.services {
        everyone_is_told(server, key, service)?;
    }
    for lock in server.locks.iter() {
        for holder in &lock.holders {
            let key = ServiceKey::new(&holder.namespace, &holder.name);
            let service = server.services.get(&key);
            // Nothing is done under a name until the Service of it that is being deleted is gone.
            let deleting = service.is_some_and(|service| service.record.deleting);
            let service = service.filter(|service| service.uid() == holder.uid);
            if !deleting && !service.is_some_and(|service| is_used(service, lock.key)) {
                let what = format!("{} is locked for {key} ({})", lock.key, holder.uid);
                return broken(NO_LEAK, format!("{what}, which does not publish it"));
            }
        }
        if lock.holders.is_empty() {
            let ends = lock.reserved_until.is_some_and(|until| until > server.now);
            let pool = lock.pool.as_ref().and_then(|pool| server.pools.get(pool));
            if !ends || pool.is_none() {
                let until = lock.reserved_until;
                return broken(NO_LEAK, format!("{} is kept until {until:?}", lock.key));
            }
        }
    }
    Ok(())
}

fn everyone_is_told(server: &Server, key: &ServiceKey, service: &Service) -> Kept {
    if service.record.deleting {
        return Ok(());
    }
    if !service.is_ours() {
        let locked = server
            .locks
            .iter()
            .find(|lock| lock.is_held_by(service.uid()));
        let kind = if service.balancer {
            "another class"
        } else {
            "another type"
        };
        return match locked {
            Some(lock) => broken(NO_LEFTOVERS, format!("{key} of {kind} holds {}", lock.key)),
            None if server.past.unnoticed.contains(service.uid()) => Ok(()),
            None if service.is_marked() || service.by_herald => {
                broken(NO_LEFTOVERS, format!("{key} of {kind} is still marked"))
            }
            None => Ok(()),
        };
    }
    match &service.record.allocated {
        None => broken(VERDICT, format!("{key} has none")),
        Some(c) if c.holds && service.record.ingress.is_empty() => broken(
            VERDICT,
            format!("{key} says {} and has no address", c.reason),
        ),
        Some(_) => Ok(()),
    }
}

fn is_used(service: &Service, lock: LockKey) -> bool {
    match lock {
        LockKey::Address(address) => {
            let mut shown = service.record.status_addresses();
            // Another may have written again the very address that Herald's word names: then both stay, and the lock.
            let named = |word: &ConditionRecord| {
                let mut words = word.message.split([' ', ',', ';']);
                word.holds && words.any(|word| word == address.to_string())
            };
            let is_heralds =
                service.by_herald || service.record.allocated.as_ref().is_some_and(named);
            service.balancer && is_heralds && shown.any(|shown| shown == address)
        }
        // A port stays locked while no node can serve it, as an address would.
        LockKey::NodePort(port) => service.shows_nodes_alone() && service.ports().contains(&port),
    }
}

/// The keys under which there may be something to do.
pub fn keys(server: &Server) -> BTreeSet<ServiceKey> {
    let mut keys: BTreeSet<_> = server.services.keys().cloned().collect();
    for lock in server.locks.iter() {
        keys.extend(
            lock.holders
                .iter()
                .map(|h| ServiceKey::new(&h.namespace, &h.name)),
        );
        keys.extend(lock.awaited.clone());
    }
    keys
}

/// A controller that begins now.
pub fn fresh(server: &Server, options: Options, clock: i64) -> Steward {
    let mut steward = Steward::new(options.classes).with_node_ports(options.node_ports);
    steward.tick(clock);
    for kind in Kind::ALL {
        steward.take(server.list(kind, server.head(kind)));
    }
    steward.begin();
    steward
}

/// What a controller that begins now would do is nothing, and so it says the same. The messages may have become old:
/// nobody is told again because a number in a sentence has changed.
pub fn another_agrees(server: &Server, mut steward: Steward) -> Kept {
    let mut order: Vec<_> = keys(server).into_iter().collect();
    order.sort_by_key(|key| (steward.seniority(key), key.clone()));
    let leaving = server
        .services
        .values()
        .any(|service| service.record.deleting);
    for key in order {
        let plan = steward.plan(&key);
        let record = server.services.get(&key).map(|service| &service.record);
        // What somebody unlocked by hand, while its Service goes away.
        let open = |lock: &Lock| server.past.tainted.contains(&lock.key);
        if known::is_contested(record) || leaving && plan.locks.iter().any(open) {
            continue;
        }
        let says = |c: &ConditionRecord| format!("{}: {}", c.reason, c.message);
        let says = record
            .and_then(|record| record.allocated.as_ref())
            .map(says);
        if let Some(difference) = difference(record, &plan) {
            return broken(
                SAME,
                format!("{key} says {says:?}; another would {difference}"),
            );
        }
    }
    Ok(())
}

/// What a plan would change beside the words of messages.
pub fn difference(record: Option<&ServiceRecord>, plan: &Plan) -> Option<String> {
    if let Some(lock) = plan.locks.first() {
        return Some(format!("lock {} as {:?}", lock.key, lock.spec));
    }
    if let Some(unlock) = plan.unlocks.first() {
        return Some(format!("unlock {}: {:?}", unlock.key, unlock.letting));
    }
    if let Some(patch) = &plan.node_ports {
        return Some(format!("patch node ports: {patch:?}"));
    }
    let (record, write) = (record?, plan.status.as_ref()?);
    let addresses: Option<Vec<_>> = write
        .ingress
        .as_ref()
        .map(|all| all.iter().map(|entry| entry.address).collect());
    if let Some(addresses) = addresses
        && !record.status_addresses().eq(addresses.iter().copied())
    {
        return Some(format!("publish {addresses:?}: {:?}", write.conditions));
    }
    let words: BTreeMap<_, _> = write
        .conditions
        .iter()
        .map(|c| (c.type_, (c.verdict.holds, c.verdict.reason.as_str())))
        .collect();
    let known = [
        (api::CONDITION_ALLOCATED, &record.allocated),
        (api::CONDITION_NODE_PORTS, &record.node_ports),
    ];
    let told: BTreeMap<_, _> = known
        .into_iter()
        .filter_map(|(type_, c)| Some((type_, c.as_ref()?)))
        .map(|(type_, c)| (type_, (c.holds, c.reason.as_str())))
        .collect();
    let is_refusal = |word: Option<&(bool, &str)>| word.is_some_and(|(holds, _)| !holds);
    let old_reason = is_refusal(words.get(api::CONDITION_ALLOCATED))
        && is_refusal(told.get(api::CONDITION_ALLOCATED));
    let same = words == told || known::OLD_REASONS && old_reason;
    (!same).then(|| format!("say {:?}", write.conditions))
}
