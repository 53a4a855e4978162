//! What one Service gets: the verdict, the locks, the status and the Events.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use herald_spi::{PoolName, Port};

use super::{Steward, replacing::InUse, tell::Telling};
use crate::{
    api::{FallbackPolicy, NodePortPolicy, Provider, Reason, Verdict},
    controller::{
        Ingress, Lock, Plan, Version,
        node_ports::{Need, Wish, decide, standing},
        request::{Asked, asked},
    },
    ipam::{Family, Grant, Granted, Refusal, Reservation, Share, Wait, Why},
    world::{AllocationRecord, LockKey, ServiceRecord},
};

/// Why a Service of a cloud gets nothing where there is none.
const NO_CLOUD: &str = "this controller makes no Network Load Balancers; run it with --aws-cluster-name NAME, or \
                        choose another provider";

/// What was decided for a Service.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub(super) verdict: Verdict,
    /// The addresses of pools that it shall have.
    pub(super) kept: Vec<Granted>,
    /// The status that it shall have.
    pub(super) ingress: Vec<Ingress>,
    /// Locks of ports on nodes that must be written.
    pub(super) port_locks: Vec<Lock>,
    /// Whether it serves its ports directly on nodes.
    pub(super) serves_ports: bool,
    /// What needs its node ports.
    pub(super) need: Need,
    /// What it says of its node ports itself.
    pub(super) wish: Wish,
    /// What it has and another host used first.
    pub(super) in_use: InUse,
}

/// An address of an earlier Service of the same name, which this one may take over.
struct Bequest {
    address: IpAddr,
    holder: crate::ipam::Holder,
    terms: crate::ipam::Terms,
    pool: Option<PoolName>,
}

impl Given {
    /// A verdict and nothing else.
    pub(super) fn of(verdict: Verdict) -> Self {
        Self {
            verdict,
            kept: Vec::new(),
            ingress: Vec::new(),
            port_locks: Vec::new(),
            serves_ports: false,
            need: Need::None,
            wish: Wish::Keep,
            in_use: InUse::default(),
        }
    }
}

impl Steward {
    pub(super) fn serve(&mut self, service: &ServiceRecord) -> Plan {
        if let Some(evidence) = self.foreign_evidence(service) {
            let mut plan = self.plan_release(service);
            if service.status_addresses().next().is_some() {
                // A pool that has the address makes the Service Herald's.
                let any_pool = [Wait::AnyPool].into();
                self.waiting.set(&service.key, service.created, any_pool);
            }
            let telling = Telling {
                verdict: Verdict::no(Reason::FOREIGN_CONTROLLER, evidence),
                ingress: None,
                pools: BTreeSet::new(),
                node_ports: None,
                announced: None,
            };
            telling.tell(&mut plan, service);
            return plan;
        }
        let mut plan = Plan::new(service.key.clone(), Some(Version::of(service)));
        plan.ask_first = self.has_predecessor(service);
        self.adopt_status(service);
        let given = self.decide_on_locks(service);
        let announced = self.announced(service, &given.kept, &given.in_use);
        let lock = |granted| self.lock(granted, service, announced.verdict.as_ref());
        plan.locks = given.kept.iter().filter_map(lock).collect();
        let marks = self.marks(&given.in_use);
        let marked: BTreeSet<_> = marks.iter().map(|lock| lock.key).collect();
        plan.locks.extend(marks);
        let pools: BTreeSet<&PoolName> =
            given.kept.iter().filter_map(|g| g.pool.as_ref()).collect();
        let wish = match given.wish {
            Wish::Keep => self.wish_of_pools(&given.verdict, &pools),
            wish => wish,
        };
        self.contest.noticed(service, wish, &given.need, self.now);
        let mut node_ports = decide(service, wish, &given.need, &self.contest, self.now);
        let again = [
            node_ports.look_again,
            announced.look_again,
            given.in_use.look_again,
        ];
        match again.into_iter().flatten().min() {
            Some(at) => self.later.insert(service.key.clone(), at),
            None => self.later.remove(&service.key),
        };
        if node_ports.patch.is_some() {
            // What it is going to say is told when it is done.
            node_ports.verdict = service.node_ports.as_ref().and_then(standing);
        }
        plan.unlocks = self.unlocks(&service.key, |address| {
            !given.kept.iter().any(|granted| granted.address == address)
        });
        plan.unlocks.extend(self.port_unlocks(service, &given));
        // By the version that the mark makes of the lock.
        plan.unlocks.retain(|unlock| !marked.contains(&unlock.key));
        plan.again = !marked.is_empty();
        let replaced = given.in_use.notice(service, &given.kept);
        let telling = Telling {
            verdict: given.verdict,
            ingress: Some(given.ingress),
            pools: pools.iter().map(ToString::to_string).collect(),
            node_ports: node_ports.verdict,
            announced: announced.verdict,
        };
        plan.locks.extend(given.port_locks);
        telling.tell(&mut plan, service);
        if let Some(replaced) = replaced {
            // It says what the other would say, and why.
            plan.notices.retain(|notice| notice.type_ != replaced.type_);
            plan.notices.push(replaced);
        }
        if plan.status.is_some() {
            plan.verify = self.unheld(service, &given.kept);
        }
        // Of a lock that the Service has already, nothing else says that its spec is not old.
        let is_held = |lock: &Lock| self.has_locked(lock.key, &service.uid);
        plan.ask_first |= plan.status.is_none()
            && (plan.unlocks.iter().any(|unlock| !unlock.holder.is_empty())
                || plan.locks.iter().any(is_held));
        match (&plan.status, node_ports.patch) {
            (Some(_), Some(_)) => plan.again = true,
            (None, patch) => plan.node_ports = patch,
            (Some(_), None) => {}
        }
        plan
    }

    /// Published addresses that the Service is about to lose without having let them go.
    fn unheld(&self, service: &ServiceRecord, kept: &[Granted]) -> Vec<LockKey> {
        let holder = super::holder(service);
        let held: BTreeSet<_> = self.ipam.held_by_holder(&holder).collect();
        service
            .status_addresses()
            .filter(|address| !held.contains(address) && !self.is_of_nodes(service, *address))
            .filter(|address| !kept.iter().any(|granted| granted.address == *address))
            .map(LockKey::Address)
            .collect()
    }

    /// Decides, and once more if a lock turns out to be held by somebody whom memory does not know.
    fn decide_on_locks(&mut self, service: &ServiceRecord) -> Given {
        let mut given;
        let mut tries = 0;
        loop {
            let bequests = self.bequeath(service);
            given = self.decide(service);
            self.take_back(bequests, &given.kept);
            tries += 1;
            if tries > 4 || !self.learns_from_locks(service, &given.kept) {
                return given;
            }
        }
    }

    /// Whether the lock of an address that the Service shall have has a holder whom memory did not know.
    fn learns_from_locks(&mut self, service: &ServiceRecord, kept: &[Granted]) -> bool {
        let mut learnt = false;
        for granted in kept {
            let Some(lock) = self
                .allocations
                .get(&LockKey::Address(granted.address))
                .cloned()
            else {
                continue;
            };
            let known: BTreeSet<_> = self
                .ipam
                .sharers(granted.address)
                .map(|share| share.holder.uid.clone())
                .collect();
            let is_stranger = |holder: &crate::api::Holder| {
                let same_name =
                    holder.namespace == service.key.namespace && holder.name == service.key.name;
                !known.contains(&holder.uid) && !same_name
            };
            if lock.holders.iter().any(is_stranger) || self.is_barred(service, &lock) {
                let has_fewer = known.iter().any(|uid| !lock.is_held_by(uid));
                let mut concerned = self.heed_lock(&lock);
                concerned.remove(&service.key);
                // Who shared in memory only is out: that may help others.
                if has_fewer {
                    self.roused.append(&mut concerned);
                }
                learnt = true;
            }
        }
        learnt
    }

    /// Whether the Service would join a lock, or take more of it, whose other holders are known to need less by now, or
    /// to share by another key, and have not written so yet; or one that still waits for another, who is known to be back.
    fn is_barred(&self, service: &ServiceRecord, lock: &AllocationRecord) -> bool {
        let address = lock.key.address();
        let own = address
            .and_then(|address| self.ipam.holding(address)?.share(&service.uid))
            .map(|share| &share.terms);
        let Some(own) = own else {
            return false;
        };
        if lock.holders.is_empty() {
            return lock.awaited.as_ref() != Some(&service.key);
        }
        let is_other = |holder: &&crate::api::Holder| {
            (&holder.namespace, &holder.name) != (&service.key.namespace, &service.key.name)
        };
        let mut others = lock.holders.iter().filter(is_other);
        others.any(|holder| {
            let terms = lock.terms(holder);
            let selectors = terms.local.as_ref().zip(own.local.as_ref());
            terms.key != own.key
                || !terms.ports.is_disjoint(&own.ports)
                || selectors.is_some_and(|(theirs, ours)| theirs != ours)
        })
    }

    fn decide(&mut self, service: &ServiceRecord) -> Given {
        let nothing = BTreeMap::new();
        let labels = self
            .namespaces
            .get(&service.key.namespace)
            .map_or(&nothing, |record| &record.labels);
        match asked(service, labels, self.default_provider()) {
            Ok(asked) => {
                let wish = asked.node_ports;
                let given = match asked.provider {
                    Provider::Layer2 => self.give(service, &asked),
                    // A cloud's part would have it if there were one.
                    Provider::AwsNlb => {
                        self.waiting.clear(&service.key);
                        self.refuse(
                            service,
                            Reason::INVALID_REQUEST,
                            NO_CLOUD.to_owned(),
                            &BTreeMap::new(),
                        )
                    }
                    Provider::Node => {
                        self.waiting.clear(&service.key);
                        let given = self.give_nodes(service, None);
                        if given.verdict.holds || self.held(service).is_empty() {
                            given
                        } else {
                            // Nodes cannot serve it: it keeps what it has from pools.
                            let Verdict {
                                reason, message, ..
                            } = given.verdict;
                            self.refuse(service, reason, message, &BTreeMap::new())
                        }
                    }
                };
                Given { wish, ..given }
            }
            Err(why) => {
                self.waiting.clear(&service.key);
                let on_nodes = self.serves_on_nodes(service);
                let given = self.refuse(service, Reason::INVALID_REQUEST, why, &BTreeMap::new());
                if given.kept.is_empty() && on_nodes {
                    // It keeps what it has on nodes, too.
                    return Given {
                        verdict: given.verdict,
                        ..self.give_nodes(service, None)
                    };
                }
                self.leave_nodes(&service.key);
                given
            }
        }
    }

    /// An address from a pool, or what there is instead.
    fn give(&mut self, service: &ServiceRecord, asked: &Asked) -> Given {
        let published: Vec<_> = service
            .status_addresses()
            .filter(|address| !self.is_of_nodes(service, *address))
            .collect();
        let mut in_use = self.found_in_use(service, &asked.request);
        let mut waits = self.find_replacements(&asked.request, &published, &mut in_use);
        let leaves: Vec<_> = in_use.leaves.keys().copied().collect();
        let request = &asked.request;
        let instead = self.ipam.allocate_instead(request, &published, &leaves);
        let result = match instead {
            Some(grant) => Ok(grant),
            None => self.ipam.allocate_keeping(request, &published),
        };
        if !matches!(&result, Ok(grant) if grant.lacking.is_none() && grant.flags.is_empty()) {
            waits.extend(self.ipam.waits(request, &published));
        }
        self.waiting.set(&service.key, service.created, waits);
        match result {
            Ok(grant) => {
                self.leave_nodes(&service.key);
                self.flag_kept(&grant);
                Given {
                    in_use,
                    ..granted(service, grant)
                }
            }
            Err(refusal) if self.held(service).is_empty() && self.falls_back(asked, &refusal) => {
                self.give_nodes(service, Some(&refusal.to_string()))
            }
            Err(refusal) => {
                self.leave_nodes(&service.key);
                let reason = Reason::of(refusal.reason());
                self.refuse(service, reason, refusal.to_string(), &clashing(&refusal))
            }
        }
    }

    fn flag_kept(&mut self, grant: &Grant) {
        for granted in &grant.addresses {
            self.flagged.remove(&granted.address);
        }
        let flags = grant.flags.iter();
        self.flagged
            .extend(flags.map(|flag| (flag.address, flag.to_string())));
    }

    /// Whether a Service that no pool can serve may have addresses of nodes.
    fn falls_back(&self, asked: &Asked, refusal: &Refusal) -> bool {
        let passed = match refusal {
            Refusal::NoPool(passed)
            | Refusal::PoolExhausted { passed, .. }
            | Refusal::FamilyUnavailable { passed, .. }
            | Refusal::QuotaExceeded { passed, .. } => passed,
            _ => return false,
        };
        asked.fallback.unwrap_or_else(|| {
            let could = |why: &Why| matches!(why, Why::Lacks(_) | Why::QuotaExceeded { .. });
            let falls_back = |name: &PoolName| {
                let pool = self.pools.get(name);
                pool.is_some_and(|pool| pool.fallback == FallbackPolicy::Nodes)
            };
            passed
                .pools
                .iter()
                .any(|passed| could(&passed.why) && falls_back(&passed.pool))
        })
    }

    /// A refusal, which costs the Service nothing that it has.
    fn refuse(
        &self,
        service: &ServiceRecord,
        reason: Reason,
        why: String,
        clashing: &BTreeMap<IpAddr, BTreeSet<Port>>,
    ) -> Given {
        let mut kept = self.held(service);
        // In the middle of a move it has two of a family: the published one is the one that it has, or else the first.
        let published: BTreeSet<_> = service.status_addresses().collect();
        let (shown, others): (Vec<_>, Vec<_>) = kept
            .into_iter()
            .partition(|g| published.contains(&g.address));
        kept = shown;
        for other in others {
            let family = Family::of(other.address);
            if !kept.iter().any(|g| Family::of(g.address) == family) {
                kept.push(other);
            }
        }
        let primary = service.families.primary();
        kept.sort_by_key(|g| (Family::of(g.address) != primary, g.address));
        let names: Vec<_> = kept
            .iter()
            .map(|granted| granted.address.to_string())
            .collect();
        let message = match names.as_slice() {
            [] => why,
            names => format!("{why}; it keeps {}", names.join(" and ")),
        };
        Given {
            ingress: Self::shown(service, &kept, clashing),
            kept,
            ..Given::of(Verdict::no(reason, message))
        }
    }

    /// The addresses that the Service has, its primary family first.
    pub(super) fn held(&self, service: &ServiceRecord) -> Vec<Granted> {
        let primary = service.families.primary();
        let holder = super::holder(service);
        let mut held: Vec<_> = self
            .ipam
            .held_by_holder(&holder)
            .filter_map(|address| {
                let holding = self.ipam.holding(address)?;
                Some(Granted {
                    address,
                    pool: holding.pool.clone(),
                })
            })
            .collect();
        held.sort_by_key(|granted| (Family::of(granted.address) != primary, granted.address));
        held
    }

    /// What the pools, or the cluster, say on the node ports of a Service that says nothing itself.
    fn wish_of_pools(&self, verdict: &Verdict, pools: &BTreeSet<&PoolName>) -> Wish {
        let disables = |name: &&PoolName| {
            let pool = self.pools.get(name);
            pool.is_some_and(|pool| pool.node_ports == NodePortPolicy::Disable)
        };
        let by_pools = !pools.is_empty() && pools.iter().all(disables);
        if verdict.holds && (by_pools || self.node_ports == NodePortPolicy::Disable) {
            Wish::Disable
        } else {
            Wish::Keep
        }
    }

    /// A Service that was made again under its name before anybody looked: what its predecessor has waits for it.
    fn bequeath(&mut self, service: &ServiceRecord) -> Vec<Bequest> {
        let mut bequests = Vec::new();
        for address in self.ipam.held_by(&service.key) {
            let Some(holding) = self.ipam.holding(address) else {
                continue;
            };
            let pool = holding.pool.clone();
            let of_predecessor = |share: &&Share| {
                share.holder.service == service.key && share.holder.uid != service.uid
            };
            let shares: Vec<_> = holding
                .shares
                .iter()
                .filter(of_predecessor)
                .cloned()
                .collect();
            for share in shares {
                self.ipam.release(address, &share.holder.uid);
                let reservation = Reservation {
                    awaited: Some(service.key.clone()),
                    until: i64::MAX,
                    pool: pool.clone(),
                };
                // Of no effect where others share the address.
                self.ipam.reserve(address, reservation);
                bequests.push(Bequest {
                    address,
                    holder: (*share.holder).clone(),
                    terms: share.terms,
                    pool: pool.clone(),
                });
            }
        }
        bequests
    }

    /// What the Service did not take stays its predecessor's, whose lock is then given back as always.
    fn take_back(&mut self, bequests: Vec<Bequest>, kept: &[Granted]) {
        for bequest in bequests {
            if !kept
                .iter()
                .any(|granted| granted.address == bequest.address)
            {
                self.ipam.unreserve(bequest.address);
                self.ipam.adopt_recorded(
                    bequest.address,
                    bequest.holder,
                    bequest.terms,
                    bequest.pool,
                );
            }
        }
    }
}

fn granted(service: &ServiceRecord, grant: Grant) -> Given {
    let mut words: Vec<_> = grant.addresses.iter().map(from_pool).collect();
    words.extend(grant.flags.iter().map(ToString::to_string));
    words.extend(grant.lacking.iter().map(ToString::to_string));
    Given {
        ingress: Steward::shown(service, &grant.addresses, &BTreeMap::new()),
        kept: grant.addresses,
        ..Given::of(Verdict::yes(Reason::ALLOCATED, words.join("; ")))
    }
}

fn clashing(refusal: &Refusal) -> BTreeMap<IpAddr, BTreeSet<Port>> {
    let clashes = refusal.clashing_ports().into_iter();
    clashes
        .map(|(address, ports)| (address, ports.keys().copied().collect()))
        .collect()
}

fn from_pool(granted: &Granted) -> String {
    match &granted.pool {
        Some(pool) => format!("{} from pool {pool}", granted.address),
        None => format!("{}, which lies in no pool", granted.address),
    }
}
