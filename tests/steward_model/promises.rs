//! The promises of DESIGN section 1, as far as the controller keeps them: of the cluster after each step, and of each
//! write. Whoever breaks one is told which, and how.

use std::{collections::BTreeSet, net::IpAddr};

use herald::{
    api::{self, Holder},
    controller::StatusWrite,
    ipam::{Families, Family},
    world::{AllocationRecord, IpMode, LockKey},
};
use herald_spi::ServiceKey;

use crate::{
    server::{Deed, Server},
    service::{Service, is_of_pools},
};

/// A promise that was not kept.
#[derive(Clone, Debug)]
pub struct Broken {
    pub promise: &'static str,
    pub what: String,
}

pub type Kept = Result<(), Broken>;

pub const LOCKED: &str = "1: a published address is locked for its Service";
pub const AGREED: &str = "1: who shares an address agreed to";
pub const ONE_HOLDER: &str = "1: a port of the nodes has one holder";
pub const PORTS_LOCKED: &str = "1: a port is locked before it is served on nodes";
pub const STICKS: &str = "2: an address sticks";
pub const RESERVED: &str = "2: a reserved address waits for its Service";
pub const HANDS_OFF: &str = "6: hands off what is not Herald's";
pub const WHY: &str = "7: a refusal says why";

pub fn broken(promise: &'static str, what: impl Into<String>) -> Kept {
    Err(Broken {
        promise,
        what: what.into(),
    })
}

/// What must hold of the cluster at any time.
pub fn cluster(server: &Server) -> Kept {
    published_is_locked(server)?;
    server.locks.iter().try_for_each(sharers_agree)
}

/// What must hold of a write.
pub fn deed(server: &Server, deed: &Deed) -> Kept {
    match deed {
        Deed::Status {
            before,
            after,
            write,
        } => {
            says_why(before, write)?;
            hands_off(server, before, write)?;
            served_ports_are_locked(server, after)?;
            sticks(server, before, after, write)
        }
        Deed::NodePorts { before, patch } => {
            let key = &before.record.key;
            if !before.is_ours() {
                return broken(
                    HANDS_OFF,
                    format!("node ports of {key}, which is not Herald's"),
                );
            }
            if before.record.node_ports_pinned.is_some() && !patch.allocate {
                return broken(HANDS_OFF, format!("node ports of {key}, which are pinned"));
            }
            Ok(())
        }
        Deed::Lock { before, after } => {
            joins_by_the_rules(server, before.as_ref(), after.as_ref())?;
            waits(server, before.as_ref(), after.as_ref())
        }
    }
}

/// Promise 1: no address is published whose lock the Service does not hold.
fn published_is_locked(server: &Server) -> Kept {
    for (key, service) in &server.services {
        for address in service.published() {
            let lock = LockKey::Address(address);
            let tainted = server.past.tainted.contains(&lock);
            if !tainted && !server.is_locked_by(lock, service.uid()) {
                let holders = server.locks.get(&lock).map(|lock| names(&lock.holders));
                return broken(
                    LOCKED,
                    format!("{key} publishes {address}, whose lock is held by {holders:?}"),
                );
            }
        }
    }
    Ok(())
}

/// Promise 1: several holders share by key and serve different ports; a port of the nodes has one.
fn sharers_agree(lock: &AllocationRecord) -> Kept {
    let (key, holders) = (lock.key, &lock.holders);
    if holders.len() < 2 {
        return Ok(());
    }
    if key.address().is_none() {
        return broken(ONE_HOLDER, format!("{key} is held by {}", names(holders)));
    }
    if lock.sharing_key.is_none() {
        return broken(AGREED, format!("{key} without a key by {}", names(holders)));
    }
    let mut ports = BTreeSet::new();
    let twice = holders
        .iter()
        .flat_map(|h| &h.ports)
        .find(|port| !ports.insert(*port));
    if let Some(port) = twice {
        let who = names(holders);
        return broken(AGREED, format!("{port} of {key} is granted twice: {who}"));
    }
    let uids: BTreeSet<_> = holders.iter().map(|holder| &holder.uid).collect();
    if uids.len() < holders.len() {
        return broken(
            AGREED,
            format!("{key} is held twice by one: {}", names(holders)),
        );
    }
    Ok(())
}

/// Promise 1: who joins others on an address may do so by the pool's rules at the time.
fn joins_by_the_rules(
    server: &Server,
    before: Option<&AllocationRecord>,
    after: Option<&AllocationRecord>,
) -> Kept {
    let (Some(before), Some(after)) = (before, after) else {
        return Ok(());
    };
    let Some(address) = after.key.address() else {
        return Ok(());
    };
    if server.past.tainted.contains(&after.key) {
        return Ok(());
    }
    let wide = server
        .past
        .wide
        .iter()
        .any(|pool| pool.ranges.iter().any(|r| r.contains(address)));
    for joiner in after
        .holders
        .iter()
        .filter(|holder| !before.is_held_by(&holder.uid))
    {
        for other in after.holders.iter().filter(|other| other.uid != joiner.uid) {
            if joiner.namespace != other.namespace && !wide {
                let who = names(&after.holders);
                return broken(AGREED, format!("{who} of two namespaces share {address}"));
            }
            let selectors = (&joiner.local_selector, &other.local_selector);
            if matches!(selectors, (Some(a), Some(b)) if a != b) {
                let who = names(&after.holders);
                return broken(
                    AGREED,
                    format!("{who} select different endpoints of {address}"),
                );
            }
        }
    }
    Ok(())
}

/// Promise 1: whoever is published directly on nodes holds all its ports there, at the time of the write. Later a user
/// may edit the ports, and kube-proxy serves them at once: nobody can lock those first.
fn served_ports_are_locked(server: &Server, after: &Service) -> Kept {
    if !after.is_direct_on_nodes() {
        return Ok(());
    }
    for port in after.ports() {
        let lock = LockKey::NodePort(port);
        let tainted = server.past.tainted.contains(&lock);
        if !tainted && !server.is_locked_by(lock, after.uid()) {
            let key = &after.record.key;
            return broken(
                PORTS_LOCKED,
                format!("{key} serves {port} without its lock"),
            );
        }
    }
    Ok(())
}

/// Promise 2: a write takes a published address away only where the user asked for something else, and then in favour
/// of that. No refusal ever does.
fn sticks(server: &Server, before: &Service, after: &Service, write: &StatusWrite) -> Kept {
    if !before.is_ours() {
        return Ok(());
    }
    let (key, now) = (&before.record.key, after.published());
    for address in before.published().difference(&now) {
        let lock = LockKey::Address(*address);
        if server.past.tainted.contains(&lock) {
            continue;
        }
        let verdict = write
            .conditions
            .iter()
            .find(|c| c.type_ == api::CONDITION_ALLOCATED);
        let Some(verdict) = verdict.map(|condition| &condition.verdict) else {
            return broken(STICKS, format!("{key} loses {address} without a verdict"));
        };
        if !verdict.holds {
            let why = &verdict.message;
            return broken(STICKS, format!("{key} loses {address} by a refusal: {why}"));
        }
        let lock = server.locks.get(&lock);
        if !wants_nodes(server, before) && !asks_for_another(before, *address, lock) {
            let why = &verdict.message;
            return broken(STICKS, format!("{key} loses {address} unasked: {why}"));
        }
        let family = Family::of(*address);
        let families: Vec<_> = before.record.families.wanted().collect();
        let replaced = after
            .record
            .status_addresses()
            .any(|new| Family::of(new) == family);
        // Nodes may lack a family.
        let on_nodes = wants_nodes(server, before) && !after.record.ingress.is_empty();
        let prefers = matches!(before.record.families, Families::Prefer(_));
        let may_lack = on_nodes || prefers && !now.is_empty();
        if families.contains(&family) && !replaced && !may_lack {
            return broken(STICKS, format!("{key} loses {address} for nothing"));
        }
    }
    Ok(())
}

/// Whether what the user wrote leaves no room for the address.
fn asks_for_another(service: &Service, address: IpAddr, lock: Option<&AllocationRecord>) -> bool {
    let record = &service.record;
    let annotation = |keys: [&str; 2]| keys.iter().find_map(|key| record.annotations.get(key));
    let family = Family::of(address);
    if !record.families.wanted().any(|wanted| wanted == family) {
        return true;
    }
    let asked = annotation([api::ANNOTATION_ADDRESSES, api::METALLB_ADDRESSES]);
    let asked = asked.or(record.requested_ip.as_ref());
    let mut asked = asked.into_iter().flat_map(|text| text.split(','));
    let other = |text: &str| {
        let asked = text.trim().parse::<IpAddr>();
        asked.is_ok_and(|asked| Family::of(asked) == family && asked != address)
    };
    if asked.any(other) {
        return true;
    }
    let pools = annotation([api::ANNOTATION_POOL, api::METALLB_POOL]);
    pools.is_some_and(|pools| {
        let from = lock.and_then(|lock| lock.pool.as_ref());
        from.is_none_or(|from| !pools.split(',').any(|pool| pool.trim() == from.as_str()))
    })
}

/// Whether the user asks for addresses of nodes.
fn wants_nodes(server: &Server, service: &Service) -> bool {
    let word = service.record.annotations.get(api::ANNOTATION_PROVIDER);
    match (service.record.class.as_deref(), word) {
        (Some(class), _) => class == api::CLASS_NODE,
        (None, Some(word)) => word == "node",
        (None, None) => server.serves_on_nodes,
    }
}

/// Promise 2: what is kept back is given to nobody else before its time.
fn waits(
    server: &Server,
    before: Option<&AllocationRecord>,
    after: Option<&AllocationRecord>,
) -> Kept {
    let Some(kept) = before.filter(|lock| lock.holders.is_empty()) else {
        return Ok(());
    };
    let (Some(awaited), Some(until)) = (&kept.awaited, kept.reserved_until) else {
        return Ok(());
    };
    let over = until <= server.past.latest
        || kept
            .pool
            .as_ref()
            .is_none_or(|pool| server.past.pools_gone.contains(pool))
        || server.past.claimed.contains(&kept.key)
        || server.past.tainted.contains(&kept.key);
    let holders = after
        .map(|lock| lock.holders.as_slice())
        .unwrap_or_default();
    let is_awaited = |holder: &Holder| ServiceKey::new(&holder.namespace, &holder.name) == *awaited;
    let taken = after.is_none() || holders.iter().any(|holder| !is_awaited(holder));
    if taken && !over {
        let what = format!("{} is kept for {awaited} until {until}", kept.key);
        return broken(
            RESERVED,
            format!("{what}, and goes to {:?}", names(holders)),
        );
    }
    Ok(())
}

/// Promise 6: another's Service is left alone, but for the one condition that says so, and for taking one's own away.
fn hands_off(server: &Server, before: &Service, write: &StatusWrite) -> Kept {
    let key = &before.record.key;
    let adds = write.ingress.as_ref().is_some_and(|all| !all.is_empty())
        || write.clear && !before.record.ingress.is_empty()
        || write.allocated_from.is_some();
    if !before.is_ours() {
        if adds || !write.conditions.is_empty() {
            return broken(
                HANDS_OFF,
                format!("{key} is not Herald's and gets a status"),
            );
        }
        if !before.is_marked() {
            return broken(
                HANDS_OFF,
                format!("{key} is not Herald's, unmarked, and written"),
            );
        }
        return Ok(());
    }
    if adds && is_foreign(server, before) {
        return broken(
            HANDS_OFF,
            format!("{key} is another controller's and gets an address"),
        );
    }
    Ok(())
}

/// Whether there is evidence of another controller and none of Herald.
fn is_foreign(server: &Server, service: &Service) -> bool {
    let record = &service.record;
    let ours = record
        .allocated
        .as_ref()
        .is_some_and(|c| c.reason != "ForeignController")
        || record
            .annotations
            .get(api::ANNOTATION_ADOPT)
            .is_some_and(|word| word == "true")
        || server
            .locks
            .iter()
            .any(|lock| lock.is_held_by(service.uid()));
    let nobodys = |address: IpAddr| {
        let is_of_node = server.nodes.iter().any(|node| {
            node.internal_ips.contains(&address) || node.external_ips.contains(&address)
        });
        !is_of_pools(address) && !is_of_node
    };
    let evidence = record.foreign_finalizer.is_some()
        || record.ingress.iter().any(|entry| entry.hostname.is_some())
        || record.status_addresses().any(nobodys);
    evidence && !ours
}

/// Promise 7, and that an entry says how it is served.
fn says_why(before: &Service, write: &StatusWrite) -> Kept {
    let key = &before.record.key;
    for condition in &write.conditions {
        let verdict = &condition.verdict;
        let word = verdict.reason.as_str();
        let is_word = word.starts_with(|c: char| c.is_ascii_uppercase())
            && word.chars().all(|c| c.is_ascii_alphanumeric());
        if !is_word || verdict.message.trim().is_empty() {
            let what = format!("{key}: {word:?}: {:?}", verdict.message);
            return broken(WHY, what);
        }
    }
    for entry in write.ingress.iter().flatten() {
        let wrong = entry.ports.iter().any(|(_, error)| error.is_some());
        if entry.mode == IpMode::Proxy && !wrong {
            return broken(
                WHY,
                format!("{key}: {} is by node port only, unsaid", entry.address),
            );
        }
    }
    Ok(())
}

fn names(holders: &[Holder]) -> String {
    let names = holders.iter().map(|h| {
        let ports = h.ports.join(" ");
        format!("{}/{} ({}, {ports})", h.namespace, h.name, h.uid)
    });
    names.collect::<Vec<_>>().join(" and ")
}
