//! What one Service gets: the verdict, the locks, the status and the Event.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use herald_spi::ServiceKey;

use super::{Steward, held_by};
use crate::{
    api::{self, AddressAllocationSpec, Reason, Verdict},
    controller::{
        Lock, Notice, Plan, StatusWrite, Unlock,
        request::{may_adopt, request},
    },
    ipam::{Family, Granted},
    world::{AllocationRecord, ServiceRecord},
};

impl Steward {
    /// For a Service that now belongs to another class: Herald's part goes.
    pub(super) fn let_go(&mut self, service: &ServiceRecord) -> Plan {
        self.waiting.remove(&service.key);
        let mut plan = Plan::new(service.key.clone());
        plan.unlocks = self.unlocks(&service.key, |_| true);
        plan.status = service.allocated.as_ref().map(|_| StatusWrite {
            resource_version: service.resource_version.clone(),
            addresses: None,
            allocated_from: None,
            verdict: None,
            since: None,
        });
        plan
    }

    pub(super) fn serve(&mut self, service: &ServiceRecord) -> Plan {
        let mut plan = Plan::new(service.key.clone());
        if let Some(evidence) = self.foreign_evidence(service) {
            let verdict = Verdict::no(Reason::FOREIGN_CONTROLLER, evidence);
            self.tell(&mut plan, service, None, &verdict);
            return plan;
        }
        self.adopt_status(service);
        let (verdict, kept) = self.decide(service);
        plan.locks = kept
            .iter()
            .filter_map(|granted| self.lock(granted, service))
            .collect();
        plan.unlocks = self.unlocks(&service.key, |address| {
            !kept.iter().any(|granted| granted.address == address)
        });
        self.tell(&mut plan, service, Some(kept), &verdict);
        plan
    }

    /// The verdict, and the addresses that the Service shall have after it.
    fn decide(&mut self, service: &ServiceRecord) -> (Verdict, Vec<Granted>) {
        self.waiting.remove(&service.key);
        let nothing = BTreeMap::new();
        let labels = self
            .namespaces
            .get(&service.key.namespace)
            .map_or(&nothing, |record| &record.labels);
        let request = match request(service, labels) {
            Ok(request) => request,
            Err(why) => return self.refuse(service, Reason::INVALID_REQUEST, why),
        };
        let published: Vec<_> = service.status_addresses().collect();
        match self.ipam.allocate_keeping(&request, &published) {
            Ok(grant) => {
                let mut words: Vec<_> = grant.addresses.iter().map(from_pool).collect();
                if let Some(lacking) = grant.lacking {
                    words.push(lacking.to_string());
                    self.waiting.insert(service.key.clone());
                }
                (
                    Verdict::yes(Reason::ALLOCATED, words.join("; ")),
                    grant.addresses,
                )
            }
            Err(refusal) => {
                self.waiting.insert(service.key.clone());
                self.refuse(service, Reason::of(refusal.reason()), refusal.to_string())
            }
        }
    }

    /// A refusal, which costs the Service nothing that it has.
    fn refuse(
        &self,
        service: &ServiceRecord,
        reason: Reason,
        why: String,
    ) -> (Verdict, Vec<Granted>) {
        let mut kept = self.held(service);
        // In the middle of a move it has two of a family: the published one is the one that it has.
        let published: BTreeSet<_> = service.status_addresses().collect();
        let shown: BTreeSet<_> = kept
            .iter()
            .map(|g| g.address)
            .filter(|a| published.contains(a))
            .map(Family::of)
            .collect();
        kept.retain(|g| published.contains(&g.address) || !shown.contains(&Family::of(g.address)));
        let names: Vec<_> = kept
            .iter()
            .map(|granted| granted.address.to_string())
            .collect();
        let message = match names.as_slice() {
            [] => why,
            names => format!("{why}; it keeps {}", names.join(" and ")),
        };
        (Verdict::no(reason, message), kept)
    }

    /// The addresses that the Service has, its primary family first.
    fn held(&self, service: &ServiceRecord) -> Vec<Granted> {
        let primary = service.families.primary();
        let mut held: Vec<_> = self
            .ipam
            .held_by(&service.key)
            .into_iter()
            .filter_map(|address| Some((address, self.ipam.holding(address)?)))
            .filter(|(_, holding)| holding.holder.uid == service.uid)
            .map(|(address, holding)| Granted {
                address,
                pool: holding.pool.clone(),
            })
            .collect();
        held.sort_by_key(|granted| (Family::of(granted.address) != primary, granted.address));
        held
    }

    /// The lock to write for an address, if the one that is there does not say what it should.
    fn lock(&self, granted: &Granted, service: &ServiceRecord) -> Option<Lock> {
        let existing = self.allocations.get(&granted.address);
        let record = granted.pool.as_ref().and_then(|name| self.pools.get(name));
        let (advertise, ignore_exclude_label) = match (record, existing) {
            (Some(pool), _) => (pool.advertise.clone(), pool.ignore_exclude_label),
            (None, Some(lock)) => (lock.advertise.clone(), lock.ignore_exclude_label),
            (None, None) => (None, false),
        };
        let spec = AddressAllocationSpec {
            address: granted.address.to_string(),
            pool: granted
                .pool
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            holders: vec![api::Holder {
                namespace: service.key.namespace.clone(),
                name: service.key.name.clone(),
                uid: service.uid.clone(),
                ..api::Holder::default()
            }],
            advertise,
            ignore_exclude_label,
            ..AddressAllocationSpec::default()
        };
        let says_so = |lock: &Arc<AllocationRecord>| {
            lock.holders == spec.holders
                && lock.pool == granted.pool
                && lock.advertise == spec.advertise
                && lock.ignore_exclude_label == spec.ignore_exclude_label
        };
        (!existing.is_some_and(says_so)).then(|| Lock {
            address: granted.address,
            spec,
            replaces: existing.map(|lock| lock.resource_version.clone()),
        })
    }

    /// The locks to give back of all that any Service of this name holds.
    pub(super) fn unlocks(&self, key: &ServiceKey, gone: impl Fn(IpAddr) -> bool) -> Vec<Unlock> {
        let held = self
            .ipam
            .held_by(key)
            .into_iter()
            .filter(|address| gone(*address));
        held.filter_map(|address| {
            let holder = self.ipam.holding(address)?.holder.uid.clone();
            let lock = self
                .allocations
                .get(&address)
                .filter(|lock| held_by(lock, &holder));
            Some(Unlock {
                address,
                holder,
                object: lock.map(|lock| (lock.uid.clone(), lock.resource_version.clone())),
            })
        })
        .collect()
    }

    /// Adds the status and the Event, where the Service does not say so already.
    fn tell(
        &self,
        plan: &mut Plan,
        service: &ServiceRecord,
        granted: Option<Vec<Granted>>,
        verdict: &Verdict,
    ) {
        let pools: BTreeSet<_> = granted
            .iter()
            .flatten()
            .filter_map(|g| g.pool.as_ref())
            .collect();
        let pools: Vec<_> = pools.iter().map(|pool| pool.as_str()).collect();
        let allocated_from = (!pools.is_empty()).then(|| pools.join(","));
        let addresses = granted.map(|all| all.iter().map(|g| g.address).collect::<Vec<_>>());
        let known = service.allocated.as_ref();
        let same_word =
            known.is_some_and(|c| c.holds == verdict.holds && c.reason == verdict.reason.as_str());
        let same_addresses = addresses.as_ref().is_none_or(|wanted| {
            service.status_addresses().eq(wanted.iter().copied())
                && service.ingress.len() == wanted.len()
        });
        let all_vip = addresses.is_none()
            || service
                .ingress
                .iter()
                .all(|entry| entry.ip_mode.as_deref() == Some("VIP"));
        let same_pools =
            service.annotations.get(api::ANNOTATION_ALLOCATED_FROM) == allocated_from.as_ref();
        let same_message = known.is_some_and(|c| c.message == verdict.message);
        if !(same_word && same_message && same_addresses && all_vip && same_pools) {
            plan.status = Some(StatusWrite {
                resource_version: service.resource_version.clone(),
                addresses,
                allocated_from,
                verdict: Some(verdict.clone()),
                since: known
                    .filter(|c| c.holds == verdict.holds)
                    .map(|c| c.since.clone()),
            });
        }
        if !(same_word && same_addresses) {
            plan.notice = Some(Notice {
                uid: service.uid.clone(),
                verdict: verdict.clone(),
            });
        }
    }

    /// Why the Service is another controller's, if it is.
    pub(super) fn foreign_evidence(&self, service: &ServiceRecord) -> Option<String> {
        let ours = service
            .allocated
            .as_ref()
            .is_some_and(|c| c.reason != Reason::FOREIGN_CONTROLLER.as_str())
            || !self.held(service).is_empty();
        if ours || may_adopt(service).unwrap_or(false) {
            return None;
        }
        let advice = format!(
            "to let Herald take it over, annotate it with {}=true",
            api::ANNOTATION_ADOPT
        );
        if let Some(finalizer) = &service.foreign_finalizer {
            return Some(format!(
                "another controller's finalizer {finalizer} is on the Service; {advice}"
            ));
        }
        if let Some(hostname) = service
            .ingress
            .iter()
            .find_map(|entry| entry.hostname.as_ref())
        {
            return Some(format!(
                "its status names the host {hostname}, which Herald did not write; {advice}"
            ));
        }
        let outside = service
            .status_addresses()
            .find(|a| self.ipam.pool_of(*a).is_none())?;
        Some(format!(
            "its status names {outside}, which lies in no pool and which Herald did not write; {advice}"
        ))
    }
}

fn from_pool(granted: &Granted) -> String {
    match &granted.pool {
        Some(pool) => format!("{} from pool {pool}", granted.address),
        None => format!("{}, which lies in no pool", granted.address),
    }
}
