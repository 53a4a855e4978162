//! The controller's own mind, asked about one Service. The only place that knows how the controller decides is the
//! controller: here its answers become the [`Model`].

use std::collections::BTreeSet;

use k8s_openapi::jiff::Timestamp;

use super::{
    asks::asks,
    events::events,
    kept::Locks,
    model::{Address, Announcement, Counts, Model, Ownership as Owned, Pool, Quota, Said, Verdict},
    scene::{self, Scene},
};
use crate::{
    api::{self, Provider},
    cli::{DefaultProvider, reading::Reader},
    cluster,
    controller::{Explained, Input, Ownership, Plan, Steward},
    ipam::{Considered, Considering, Explanation, FamilyCounts, Refusal, Wait},
    survey::{Report, survey},
    world::{Change, ConditionRecord, ServiceRecord},
};

/// Everything about the Service of the scene, decided as a controller with this default provider would.
pub(super) async fn explained(
    reader: &Reader,
    scene: &Scene,
    default: DefaultProvider,
) -> anyhow::Result<Model> {
    let mut steward = steward(scene, default);
    let explained = steward.explain(&scene.key);
    let mut plan = steward.plan(&scene.key);
    if steward.needs_endpoints() {
        let slices = scene::slices(reader, &scene.key.namespace).await?;
        let slices = slices.iter().filter_map(cluster::slice).collect();
        steward.take(Input::Slices(Change::Reset(slices)));
        plan = steward.plan(&scene.key);
    }
    let record = cluster::service(&scene.service);
    let (addresses, state) = addresses(scene);
    let mut model = Model {
        well: !addresses.is_empty() && addresses.iter().all(|address| address.well),
        namespace: scene.key.namespace.clone(),
        name: scene.key.name.clone(),
        state,
        asks: asks(&scene.service),
        ownership: ownership(None, record.as_ref(), default),
        invalid: None,
        pools: Vec::new(),
        requested: Vec::new(),
        kept_back: Vec::new(),
        notes: Vec::new(),
        verdicts: verdicts(record.as_ref(), &plan),
        wakes_when: Vec::new(),
        advice: None,
        addresses,
        targets: None,
        events: events(scene),
    };
    if let Some(explained) = explained {
        model.ownership = ownership(Some(&explained), record.as_ref(), default);
        if model.ownership.heralds {
            tell_decision(&mut model, explained, &steward, scene);
        }
    }
    if scene.service.metadata.deletion_timestamp.is_some() {
        model.notes.push("is being deleted".to_owned());
    }
    Ok(model)
}

/// A controller's mind that has read the cluster and begun to decide.
fn steward(scene: &Scene, default: DefaultProvider) -> Steward {
    fn all<K, T>(objects: &[K], project: impl Fn(&K) -> Option<T>) -> Change<T> {
        Change::Reset(objects.iter().filter_map(project).collect())
    }
    let mut steward = Steward::new(default.classes());
    steward.tick(Timestamp::now().as_second());
    for input in [
        Input::Services(all(&scene.services, cluster::service)),
        Input::Pools(all(&scene.pools, cluster::pool)),
        Input::Allocations(all(&scene.allocations, cluster::allocation)),
        Input::Namespaces(all(&scene.namespaces, cluster::namespace)),
        Input::Nodes(all(&scene.nodes, cluster::node)),
        Input::Hosts(all(&scene.announcements, cluster::host)),
    ] {
        steward.take(input);
    }
    steward.begin();
    steward
}

fn ownership(
    explained: Option<&Explained>,
    record: Option<&ServiceRecord>,
    default: DefaultProvider,
) -> Owned {
    let class = record.and_then(|record| record.class.as_deref());
    let (heralds, by, message) = match explained.map(|explained| &explained.ownership) {
        Some(Ownership::ByClass) => (
            true,
            "Class",
            format!("Herald's, by its class {}", class.unwrap_or_default()),
        ),
        Some(Ownership::ByDefault) => (
            true,
            "DefaultProvider",
            format!(
                "Herald's: it has no class, and the controller serves those \
                 (assumed here: --default-provider {})",
                default.word()
            ),
        ),
        Some(Ownership::Foreign(evidence)) => (false, "ForeignController", evidence.clone()),
        Some(Ownership::NotOurs) | None => match class {
            Some(class) => (
                false,
                "OtherClass",
                format!("another controller's, by its class {class}"),
            ),
            None => (
                false,
                "OtherClass",
                format!(
                    "not Herald's: it has no class, and the controller leaves those alone \
                     (assumed here: --default-provider {}); set spec.loadBalancerClass: {}",
                    default.word(),
                    api::CLASS_LAYER2
                ),
            ),
        },
    };
    Owned {
        heralds,
        by,
        message,
    }
}

fn tell_decision(model: &mut Model, explained: Explained, steward: &Steward, scene: &Scene) {
    let asked = match explained.asked {
        Ok(asked) => asked,
        Err(why) => {
            model.advice = advice(&why);
            model.invalid = Some(why);
            return;
        }
    };
    if asked.provider == Provider::Node {
        model.notes.push(
            "is served by addresses of nodes, not of pools; a node that has just become Ready counts for the \
             controller half a minute later than it does here"
                .to_owned(),
        );
        return;
    }
    let locks = Locks::new(scene);
    let pool_of = |address| steward.ipam().pool_of(address).map(ToString::to_string);
    let requested = asked.request.addresses.iter();
    model.requested = requested
        .map(|address| locks.requested(*address, pool_of(*address)))
        .collect();
    let Some(explanation) = explained.explanation else {
        return;
    };
    model.pools = explanation.considered.iter().map(pool).collect();
    let considered: BTreeSet<_> = explanation
        .considered
        .iter()
        .map(|considered| considered.pool.as_str())
        .collect();
    model.kept_back = locks.kept_back(&considered);
    model.wakes_when = explanation.waits.iter().map(wakes_when).collect();
    model.advice = lack(&explanation).and_then(|refusal| advice(&refusal.to_string()));
    model.notes = explanation.notes;
}

/// What the allocator could not give.
fn lack(explanation: &Explanation) -> Option<&Refusal> {
    match &explanation.answer {
        Ok(grant) => grant.lacking.as_ref(),
        Err(refusal) => Some(refusal),
    }
}

/// What a refusal says is to be done: what stands behind its last semicolon.
fn advice(refusal: &str) -> Option<String> {
    refusal
        .rsplit_once("; ")
        .map(|(_, advice)| advice.to_owned())
}

fn pool(considered: &Considered) -> Pool {
    let (verdict, detail) = match &considered.verdict {
        Considering::Chosen(addresses) => {
            let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            ("Chosen", addresses.join(", "))
        }
        Considering::NotNeeded => ("NotNeeded", String::new()),
        Considering::Passed(why) => ("PassedOver", why.to_string()),
    };
    Pool {
        name: considered.pool.to_string(),
        priority: considered.priority,
        automatic: considered.automatic,
        ipv4: counts(&considered.counts.v4),
        ipv6: counts(&considered.counts.v6),
        quota: considered.quota.map(|(held, limit)| Quota { held, limit }),
        verdict,
        detail,
    }
}

fn counts(counts: &FamilyCounts) -> Option<Counts> {
    (counts.capacity > 0).then(|| Counts {
        capacity: counts.capacity.to_string(),
        used: counts.used.to_string(),
        reserved: counts.reserved.to_string(),
        quarantined: counts.quarantined.to_string(),
        free: counts.available.to_string(),
    })
}

fn wakes_when(wait: &Wait) -> String {
    match wait {
        Wait::Free(pool, family) => format!("an {family} address of pool {pool} frees"),
        Wait::Address(address) => format!("{address} frees, or its holders change"),
        Wait::Key(_) => "an address that is shared under its key changes hands".to_owned(),
        Wait::Quota(pool, namespace) => {
            format!("a Service of namespace {namespace} gives back an address of pool {pool}")
        }
        Wait::Pool(pool) => format!("pool {pool} is made or edited"),
        Wait::AnyPool => "any pool is made or edited".to_owned(),
    }
}

/// Herald's conditions, and what the plan would write instead.
fn verdicts(record: Option<&ServiceRecord>, plan: &Plan) -> Vec<Verdict> {
    let written = |type_: &str| {
        let record = record?;
        let condition = match type_ {
            api::CONDITION_ALLOCATED => record.allocated.as_ref(),
            api::CONDITION_ANNOUNCED => record.announced.as_deref(),
            _ => record.node_ports.as_ref(),
        };
        condition.map(said)
    };
    let planned = plan.status.iter().flat_map(|status| &status.conditions);
    let now = planned
        .filter(|condition| condition.type_ == api::CONDITION_ALLOCATED)
        .map(|condition| Said {
            status: condition.verdict.holds,
            reason: condition.verdict.reason.to_string(),
            message: condition.verdict.message.clone(),
            since: None,
        })
        .next();
    let allocated = written(api::CONDITION_ALLOCATED);
    let same = |now: &Said| {
        allocated.as_ref().is_some_and(|written| {
            (written.status, &written.reason, &written.message)
                == (now.status, &now.reason, &now.message)
        })
    };
    let mut verdicts = vec![Verdict {
        type_: api::CONDITION_ALLOCATED.to_owned(),
        now: now.filter(|now| !same(now)),
        written: allocated.clone(),
    }];
    // What node ports shall be depends on a default of the controller that is not known here, and who announces an
    // address on what the agents say.
    for type_ in [api::CONDITION_ANNOUNCED, api::CONDITION_NODE_PORTS] {
        verdicts.extend(written(type_).map(|written| Verdict {
            type_: type_.to_owned(),
            written: Some(written),
            now: None,
        }));
    }
    verdicts
}

fn said(condition: &ConditionRecord) -> Said {
    Said {
        status: condition.holds,
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        since: Some(condition.since.clone()),
    }
}

/// The addresses as `herald status` sees them, each with what every node says of it; and the state of the worst.
fn addresses(scene: &Scene) -> (Vec<Address>, String) {
    let reports: Vec<_> = scene
        .announcements
        .iter()
        .filter_map(cluster::report)
        .collect();
    let service = cluster::service(&scene.service);
    let status = survey(&service, &reports);
    let lines = &status.services;
    let worst = lines.iter().find(|line| !line.well).or(lines.first());
    let state = worst.map(|line| line.state.clone()).unwrap_or_default();
    let addresses = lines.iter().filter_map(|line| {
        let address = line.address.clone()?;
        Some(Address {
            announcements: announcements(&reports, &address),
            address,
            well: line.well,
            state: line.state.clone(),
            message: line.message.clone(),
        })
    });
    (addresses.collect(), state)
}

fn announcements(reports: &[Report], address: &str) -> Vec<Announcement> {
    let of_report = |report: &Report| {
        let said = report.addresses.iter();
        said.filter(|said| said.address == address)
            .map(|said| Announcement {
                node: report.node.clone(),
                interface: said.interface.clone(),
                state: format!("{:?}", said.state),
                since: said.since.clone(),
                conflicting_mac: said.conflicting_mac.clone(),
                message: said.message.clone(),
            })
            .collect::<Vec<_>>()
    };
    reports.iter().flat_map(of_report).collect()
}
