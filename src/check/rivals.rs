//! Whether somebody else serves the same Services.

use std::collections::BTreeSet;

use super::{Facts, Findings, Word, facts::ServiceFacts, install::some};

/// Another load balancer controller, and what it leaves in a cluster.
struct Rival {
    name: &'static str,
    /// The API groups of its resources. Empty where these say nothing of whether it serves Services.
    groups: &'static [&'static str],
    /// Parts of its images' names.
    images: &'static [&'static str],
    /// What the annotations, labels, condition types and finalizers begin with that it writes on Services itself.
    marks: &'static [&'static str],
    /// What stops it.
    stop: &'static str,
}

const RIVALS: [Rival; 7] = [
    Rival {
        name: "MetalLB",
        groups: &["metallb.io", "metallb.universe.tf"],
        images: &["metallb/speaker", "metallb/controller"],
        marks: &[
            "metallb.io/ip-allocated-from-pool",
            "metallb.universe.tf/ip-allocated-from-pool",
        ],
        stop: "move its pools over and remove it, or start it with --lb-class=metallb and give Services one of the classes",
    },
    Rival {
        name: "kube-vip",
        groups: &[],
        images: &["kube-vip/kube-vip"],
        marks: &["kube-vip.io/vipHost"],
        stop: "run it with svc_enable=false (it may go on with the control plane's address), or with lb_class_only=true",
    },
    Rival {
        name: "PureLB",
        groups: &["purelb.io"],
        images: &["purelb/lbnodeagent", "purelb/allocator"],
        marks: &["purelb.io/allocated-by", "purelb.io/allocated-from"],
        stop: "move its ServiceGroups over and remove it, or run it with DEFAULT_ANNOUNCER=none",
    },
    Rival {
        name: "Cilium LB-IPAM",
        groups: &[],
        images: &[],
        marks: &["cilium.io/IPAMRequestSatisfied"],
        stop: "kubectl delete ciliumloadbalancerippools --all, or set defaultLBServiceIPAM=none in Cilium's values",
    },
    Rival {
        name: "ServiceLB",
        groups: &[],
        images: &["klipper-lb"],
        marks: &["svccontroller.k3s.cattle.io/"],
        stop: "start k3s with --disable=servicelb",
    },
    Rival {
        name: "OpenELB",
        groups: &["network.kubesphere.io"],
        images: &["openelb"],
        marks: &["protocol.openelb.kubesphere.io/"],
        stop: "remove it, or keep it to Services with its own annotation",
    },
    Rival {
        name: "AWS Load Balancer Controller",
        groups: &[],
        images: &["aws-load-balancer-controller"],
        marks: &["service.k8s.aws/resources"],
        stop: "start it with --enable-service-mutator-webhook=false, and give Services one of the classes",
    },
];

/// The Lease by which kube-vip chooses who announces Services.
pub(crate) const KUBE_VIP_LEASE: &str = "plndr-svcs-lock";

pub(super) fn examine(facts: &Facts, findings: &mut Findings) {
    let before = findings.len();
    for rival in &RIVALS {
        running(facts, rival, findings);
    }
    services(facts, findings);
    if findings.len() == before && facts.workloads.is_ok() && facts.services.is_ok() {
        findings.ok(
            Word::Rivals,
            "workloads",
            "no other controller for Services was found",
        );
    }
}

fn running(facts: &Facts, rival: &Rival, findings: &mut Findings) {
    let runs = |image: &String| rival.images.iter().any(|part| image.contains(part));
    let workloads = facts.workloads().iter().filter(|it| it.desired > 0);
    let workloads: Vec<String> = workloads
        .filter(|it| it.images.iter().any(runs))
        .map(|it| it.object())
        .collect();
    let cilium = rival.name == "Cilium LB-IPAM";
    let pools = facts.cilium_pools.as_ref().copied().unwrap_or(0);
    let vip = facts
        .leases
        .iter()
        .flatten()
        .find(|it| it.name == KUBE_VIP_LEASE && it.fresh);
    if let Some(lease) = vip.filter(|_| rival.name == "kube-vip" && workloads.is_empty()) {
        // As a static pod it is in no workload.
        let holder = lease.holder.as_deref().unwrap_or("nobody");
        let message = format!("{} serves Services here too, from {holder}", rival.name);
        let object = format!("Lease/{} in {}", lease.name, lease.namespace);
        findings.warn(Word::OtherController, &object, message, rival.stop);
    } else if cilium && pools > 0 {
        let message = format!(
            "{} has {pools} pools, and serves Services without a class too",
            rival.name
        );
        findings.warn(
            Word::OtherController,
            "CiliumLoadBalancerIPPools",
            message,
            rival.stop,
        );
    } else if !workloads.is_empty() {
        let message = format!(
            "{} runs here too: both may serve Services without a class",
            rival.name
        );
        findings.warn(
            Word::OtherController,
            &some(&workloads),
            message,
            rival.stop,
        );
    } else if facts.workloads.is_err() && has_definitions(facts, rival) {
        let message = format!(
            "{} has its definitions here; whether it runs could not be found out",
            rival.name
        );
        findings.warn(
            Word::OtherController,
            "CustomResourceDefinitions",
            message,
            rival.stop,
        );
    }
}

fn has_definitions(facts: &Facts, rival: &Rival) -> bool {
    let of = |name: &String| {
        let group = name.split_once('.').map(|(_, group)| group);
        group.is_some_and(|group| rival.groups.contains(&group))
    };
    facts.definitions.iter().flatten().any(of)
}

/// Services that bear the marks of another controller though Herald serves them, or would.
fn services(facts: &Facts, findings: &mut Findings) {
    let takes_all = facts.default_provider() != "none";
    for service in facts.services() {
        let class = service.record.class.as_deref();
        let ours = match class {
            Some(class) => class.starts_with(crate::api::CLASS_PREFIX),
            None => takes_all,
        };
        if !ours {
            continue;
        }
        let marks = marks(service);
        if !marks.is_empty() {
            let marks: Vec<String> = marks.into_iter().collect();
            let message = format!("bears the marks of another controller: {}", some(&marks));
            let repair = match removal(service, &marks) {
                Some(removal) if service.is_heralds() => {
                    format!("stop the other controller; then: {removal}")
                }
                None if service.is_heralds() => {
                    "stop the other controller; what it leaves on the Service does no harm"
                        .to_owned()
                }
                _ => adoption(service),
            };
            findings.warn(Word::ForeignService, &service.object(), message, repair);
        }
        let has = service.addresses().next();
        if let Some(address) = has.filter(|_| !service.is_heralds()) {
            let pools = facts
                .pools()
                .iter()
                .filter_map(|record| record.pool.as_ref().ok());
            let inside = pools
                .flat_map(|pool| &pool.ranges)
                .any(|range| range.contains(address));
            let message = if inside {
                format!(
                    "has {address}, which is in a pool, and Herald has not looked at it: does a controller lead?"
                )
            } else {
                format!(
                    "has {address}, which lies in no pool and which Herald did not write, so Herald leaves it alone"
                )
            };
            let repair = adoption(service);
            findings.warn(Word::ForeignStatus, &service.object(), message, repair);
        }
    }
}

fn marks(service: &ServiceFacts) -> BTreeSet<String> {
    let all = RIVALS
        .iter()
        .flat_map(|rival| rival.marks.iter().map(move |mark| (rival.name, *mark)));
    let found = all.flat_map(|(name, mark)| {
        let bears = move |it: &&String| match mark.ends_with('/') {
            true => it.starts_with(mark),
            false => it.as_str() == mark,
        };
        service
            .marks
            .iter()
            .filter(bears)
            .map(move |it| format!("{it} ({name})"))
    });
    let found: BTreeSet<String> = found.collect();
    match &service.record.foreign_finalizer {
        Some(finalizer) if !found.iter().any(|it| it.starts_with(finalizer.as_str())) => found
            .into_iter()
            .chain([format!("{finalizer} (a cloud's controller)")])
            .collect(),
        _ => found,
    }
}

/// How a Service comes to Herald, or stays where it is.
fn adoption(service: &ServiceFacts) -> String {
    let key = &service.record.key;
    format!(
        "to move it over: kubectl -n {} annotate service {} herald.dev/adopt=true; to leave it: give it the other \
         controller's class",
        key.namespace, key.name
    )
}

/// The command that removes the marks, where they are annotations.
fn removal(service: &ServiceFacts, marks: &[String]) -> Option<String> {
    let keys = marks.iter().filter_map(|mark| mark.split(' ').next());
    let keys: Vec<_> = keys
        .filter(|key| service.annotations.contains(*key))
        .collect();
    let key = &service.record.key;
    (!keys.is_empty()).then(|| {
        let keys = keys.join("- ");
        format!(
            "kubectl -n {} annotate service {} {keys}-",
            key.namespace, key.name
        )
    })
}
