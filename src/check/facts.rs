//! What is known of a cluster, and what could not be read of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;

use crate::{
    api::NodeAnnouncementsStatus,
    world::{NodeRecord, PoolRecord, ServiceRecord},
};

/// What was read, or why it was not.
pub type Read<T> = Result<T, Unread>;

/// Why something could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// What was to be done: `list`, `get`.
    pub verb: &'static str,
    /// With what, as RBAC names it: `nodes`, `addresspools.herald.dev`.
    pub resource: String,
    /// Why that was not possible.
    pub cause: Cause,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// RBAC does not allow it.
    Forbidden,
    /// The API server does not serve the resource.
    NotServed,
    /// Anything else, for people.
    Failed(String),
}

/// Everything that is known.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The version of this binary.
    pub version: String,
    /// The namespace that Herald lives in.
    pub namespace: String,
    /// The definitions that this binary knows.
    pub known: Vec<Definition>,
    /// Those of them that are installed.
    pub installed: Read<Vec<Definition>>,
    /// The names of all definitions, others' too.
    pub definitions: Read<BTreeSet<String>>,
    /// The nodes.
    pub nodes: Read<Vec<NodeFacts>>,
    /// What the agents report.
    pub agents: Read<Vec<AgentReport>>,
    /// The pools.
    pub pools: Read<Vec<PoolRecord>>,
    /// The Services of type LoadBalancer.
    pub services: Read<Vec<ServiceFacts>>,
    /// The Leases of Herald's controllers and of kube-vip.
    pub leases: Read<Vec<LeaseFacts>>,
    /// DaemonSets and Deployments.
    pub workloads: Read<Vec<Workload>>,
    /// kube-proxy's configuration, where there is one in its usual place.
    pub kube_proxy: Read<Option<KubeProxy>>,
    /// The cluster's ranges of Service addresses.
    pub service_ranges: Read<Vec<IpNet>>,
    /// Whether the Secret with the heartbeat keys is there. Not asked where an agent reports that it has one.
    pub peer_key: Option<Read<bool>>,
    /// How many pools Cilium's LB-IPAM has; none where it is not installed.
    pub cilium_pools: Read<usize>,
    /// What the wire was asked.
    pub wire: Wire,
}

/// A resource definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name: `addresspools.herald.dev`.
    pub name: String,
    /// The versions that are served, each with a digest of its schema.
    pub served: BTreeMap<String, String>,
}

/// A node.
#[derive(Clone, Debug)]
pub struct NodeFacts {
    /// What candidates depend on.
    pub record: NodeRecord,
    /// The ranges of its pods.
    pub pod_ranges: Vec<IpNet>,
    /// `spec.providerID`.
    pub provider_id: Option<String>,
}

/// What an agent reports.
#[derive(Clone, Debug, Default)]
pub struct AgentReport {
    /// Its node.
    pub node: String,
    /// Its words.
    pub status: NodeAnnouncementsStatus,
    /// When it wrote that, in seconds of Unix time by the API server's clock.
    pub written: Option<i64>,
    /// The same by its own clock.
    pub clock: Option<i64>,
}

/// A Service of type LoadBalancer.
#[derive(Clone, Debug)]
pub struct ServiceFacts {
    /// What Herald decides by.
    pub record: ServiceRecord,
    /// The keys of its annotations and labels, the types of its conditions, and its finalizers.
    pub marks: BTreeSet<String>,
    /// The keys of its annotations alone.
    pub annotations: BTreeSet<String>,
}

/// A controller's Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseFacts {
    /// Its name.
    pub name: String,
    /// The namespace.
    pub namespace: String,
    /// Who holds it; `None` if it was given back.
    pub holder: Option<String>,
    /// Whether it was renewed while it was looked at, or just before.
    pub fresh: bool,
}

/// A DaemonSet or a Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// `DaemonSet` or `Deployment`.
    pub kind: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The images of its containers.
    pub images: Vec<String>,
    /// The arguments of its containers.
    pub arguments: Vec<String>,
    /// How many pods there should be.
    pub desired: i32,
    /// How many are ready.
    pub ready: i32,
}

/// The part of kube-proxy's configuration that matters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KubeProxy {
    /// `mode`; empty means the default, which is not IPVS.
    pub mode: String,
    /// `ipvs.strictARP`.
    pub strict_arp: bool,
}

/// What the wire was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Nothing: nobody wanted it.
    NotAsked,
    /// It could not be asked.
    Unasked(Unread),
    /// The agents were asked with this value of the annotation.
    Asked(String),
}

impl Unread {
    /// What to tell a person.
    #[must_use]
    pub fn message(&self) -> String {
        let Self { verb, resource, .. } = self;
        match &self.cause {
            Cause::Forbidden => {
                format!("could not be found out: needs verb {verb} on {resource}")
            }
            Cause::NotServed => {
                format!("could not be found out: the API server does not serve {resource}")
            }
            Cause::Failed(why) => {
                format!("could not be found out: {verb} on {resource} failed: {why}")
            }
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn repair(&self) -> String {
        let Self { verb, resource, .. } = self;
        match &self.cause {
            Cause::Forbidden => {
                format!(
                    "allow it, or use another user; to see whether it helped: kubectl auth can-i {verb} {resource}"
                )
            }
            Cause::NotServed => "herald crds | kubectl apply -f -".to_owned(),
            Cause::Failed(_) => format!("kubectl get {resource}"),
        }
    }

    /// Whether the API server does not know the resource at all.
    #[must_use]
    pub fn is_not_served(&self) -> bool {
        self.cause == Cause::NotServed
    }
}

impl Facts {
    /// Everything that could not be read, once each.
    pub(super) fn unread(&self) -> Vec<&Unread> {
        fn of<T>(read: &Read<T>) -> Option<&Unread> {
            read.as_ref().err()
        }
        let asked = match &self.wire {
            Wire::Unasked(unread) => Some(unread),
            Wire::NotAsked | Wire::Asked(_) => None,
        };
        let all = [
            of(&self.installed),
            of(&self.definitions),
            of(&self.nodes),
            of(&self.agents),
            of(&self.pools),
            of(&self.services),
            of(&self.leases),
            of(&self.workloads),
            of(&self.kube_proxy),
            of(&self.service_ranges),
            self.peer_key.as_ref().and_then(of),
            of(&self.cilium_pools),
            asked,
        ];
        let mut unread: Vec<&Unread> = Vec::new();
        for one in all.into_iter().flatten() {
            // What is not served is told as a definition that is missing.
            if !one.is_not_served() && !unread.contains(&one) {
                unread.push(one);
            }
        }
        unread
    }

    /// What agents report; nothing where that could not be read.
    pub(super) fn reports(&self) -> &[AgentReport] {
        self.agents.as_deref().unwrap_or_default()
    }

    /// The pools; none where they could not be read.
    pub(super) fn pools(&self) -> &[PoolRecord] {
        self.pools.as_deref().unwrap_or_default()
    }

    /// The Services; none where they could not be read.
    pub(super) fn services(&self) -> &[ServiceFacts] {
        self.services.as_deref().unwrap_or_default()
    }

    /// The nodes; none where they could not be read.
    pub(super) fn nodes(&self) -> &[NodeFacts] {
        self.nodes.as_deref().unwrap_or_default()
    }

    /// DaemonSets and Deployments; none where they could not be read.
    pub(super) fn workloads(&self) -> &[Workload] {
        self.workloads.as_deref().unwrap_or_default()
    }

    /// Which provider serves Services without a class, as the controller's arguments say.
    pub(super) fn default_provider(&self) -> &str {
        const NAME: &str = "--default-provider";
        let mut controllers = self.workloads().iter();
        let controller = controllers.find(|it| it.is_heralds("controller"));
        let mut arguments = controller.into_iter().flat_map(|it| &it.arguments);
        while let Some(argument) = arguments.next() {
            match argument.strip_prefix(NAME) {
                Some("") => return arguments.next().map_or("layer2", String::as_str),
                Some(value) => return value.trim_start_matches('='),
                None => {}
            }
        }
        "layer2"
    }

    /// The Leases of Herald's controllers.
    pub(super) fn controllers(&self) -> Result<Vec<&LeaseFacts>, &Unread> {
        let leases = self.leases.as_ref()?;
        Ok(leases
            .iter()
            .filter(|it| it.name == crate::api::LEASE)
            .collect())
    }

    /// The names of the nodes by hardware address.
    pub(super) fn macs(&self) -> BTreeMap<&str, &str> {
        let reports = self.reports().iter();
        reports
            .flat_map(|report| {
                let macs = report.status.macs.iter();
                macs.map(|mac| (mac.as_str(), report.node.as_str()))
            })
            .collect()
    }
}

impl Workload {
    /// Whether it is Herald's controller or agent, by the labels of `deploy/`.
    #[must_use]
    pub fn is_heralds(&self, component: &str) -> bool {
        let label = |key| self.labels.get(key).map(String::as_str);
        label("app.kubernetes.io/name") == Some("herald")
            && label("app.kubernetes.io/component") == Some(component)
    }

    /// As people name it.
    #[must_use]
    pub fn object(&self) -> String {
        format!("{}/{} in {}", self.kind, self.name, self.namespace)
    }
}

impl ServiceFacts {
    /// As people name it.
    #[must_use]
    pub fn object(&self) -> String {
        format!("Service/{}", self.record.key)
    }

    /// Its addresses.
    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.record.ingress.iter().filter_map(|entry| entry.ip)
    }

    /// Whether Herald has said something of it.
    pub(super) fn is_heralds(&self) -> bool {
        let record = &self.record;
        record.allocated.is_some() || record.provisioned.is_some() || record.announced.is_some()
    }
}
