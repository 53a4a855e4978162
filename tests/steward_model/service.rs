//! A Service as the API server keeps it: what watches project, and who owns which part of it.

use std::{collections::BTreeSet, net::IpAddr};

use herald::{
    api,
    controller::{Found, Ingress, StatusWrite, node_ports::NodePortPatch},
    world::{ConditionRecord, IngressRecord, LockKey, ServiceRecord},
};
use herald_spi::Port;

/// A Service of any type.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// What a watch shows while it is of type LoadBalancer.
    pub record: ServiceRecord,
    /// Whether it is.
    pub balancer: bool,
    /// Whether Herald's field manager owns `status.loadBalancer.ingress`: an atomic list, which may have two owners.
    pub by_herald: bool,
    /// Whether another manager owns it.
    pub by_others: bool,
    /// Whether Herald's manager owns `spec.allocateLoadBalancerNodePorts`.
    pub flag_is_heralds: bool,
}

impl Service {
    pub fn new(record: ServiceRecord) -> Self {
        Self {
            record,
            balancer: true,
            by_herald: false,
            by_others: false,
            flag_is_heralds: false,
        }
    }

    pub fn uid(&self) -> &str {
        &self.record.uid
    }

    /// Whether Herald looks after its class. The model's controllers take Services without a class, too.
    pub fn is_ours(&self) -> bool {
        let class = self.record.class.as_deref();
        self.balancer && class.is_none_or(|class| class.starts_with(api::CLASS_PREFIX))
    }

    /// The addresses of pools that Herald publishes for it.
    pub fn published(&self) -> BTreeSet<IpAddr> {
        if !self.balancer || !self.by_herald {
            return BTreeSet::new();
        }
        let addresses = self.record.status_addresses();
        addresses.filter(|address| is_of_pools(*address)).collect()
    }

    /// Whether it is published directly on addresses of nodes.
    pub fn is_direct_on_nodes(&self) -> bool {
        let direct = |entry: &IngressRecord| {
            entry.ip.is_some_and(is_of_nodes) && entry.ip_mode.as_deref() == Some("VIP")
        };
        self.balancer && self.by_herald && self.record.ingress.iter().any(direct)
    }

    /// Whether nothing but addresses of nodes is published, or nothing at all.
    pub fn shows_nodes_alone(&self) -> bool {
        let mut entries = self.record.ingress.iter();
        self.balancer && entries.all(|entry| entry.ip.is_some_and(is_of_nodes))
    }

    /// The locks that belong to what is published.
    pub fn locks(&self) -> BTreeSet<LockKey> {
        let mut locks: BTreeSet<_> = self.published().into_iter().map(LockKey::Address).collect();
        if self.is_direct_on_nodes() {
            locks.extend(self.ports().into_iter().map(LockKey::NodePort));
        }
        locks
    }

    pub fn ports(&self) -> BTreeSet<Port> {
        self.record.ports.iter().map(|port| port.port).collect()
    }

    /// Whether anything on it says that Herald was here.
    pub fn is_marked(&self) -> bool {
        let annotations = &self.record.annotations;
        self.record.allocated.is_some()
            || self.record.node_ports.is_some()
            || annotations.contains_key(api::ANNOTATION_ALLOCATED_FROM)
    }

    /// What a read of it finds.
    pub fn found(&self) -> Found {
        if self.balancer {
            return Found::Balancer(Box::new(self.record.clone()));
        }
        Found::OtherType {
            marked: self.is_marked(),
            resource_version: self.record.resource_version.clone(),
        }
    }

    /// A forced apply of the status by Herald's manager: what it wrote before and leaves out now goes.
    pub fn apply(&mut self, write: &StatusWrite, now: i64) {
        let wanted: Vec<_> = write.ingress.iter().flatten().map(entry).collect();
        if wanted.is_empty() && write.clear {
            self.overwrite(Vec::new());
        } else if wanted.is_empty() {
            if self.by_herald && !self.by_others {
                self.record.ingress.clear();
            }
            self.by_herald = false;
        } else if self.balancer {
            self.by_others &= self.record.ingress == wanted;
            self.by_herald = true;
            self.record.ingress = wanted;
        }
        let annotations = &mut self.record.annotations;
        annotations.remove(api::ANNOTATION_ALLOCATED_FROM);
        if let Some(pools) = &write.allocated_from {
            annotations.insert(api::ANNOTATION_ALLOCATED_FROM.to_owned(), pools.clone());
        }
        let condition = |type_: &str| {
            let write = write.conditions.iter().find(|c| c.type_ == type_)?;
            Some(ConditionRecord {
                holds: write.verdict.holds,
                reason: write.verdict.reason.to_string(),
                message: write.verdict.message.clone(),
                since: write.since.clone().unwrap_or_else(|| api::moment(now)),
            })
        };
        self.record.allocated = condition(api::CONDITION_ALLOCATED);
        self.record.node_ports = condition(api::CONDITION_NODE_PORTS);
        self.derive();
    }

    /// Herald's patch of the node ports; `false` if it names a port without one, which the API server refuses.
    pub fn patch(&mut self, patch: &NodePortPatch, next_port: u16) -> bool {
        for index in &patch.remove {
            let port = self.record.ports.get_mut(*index);
            if port.is_none_or(|port| port.node_port.take().is_none()) {
                return false;
            }
        }
        self.record.allocates_node_ports = patch.allocate;
        self.flag_is_heralds = true;
        self.allocate_node_ports(next_port);
        true
    }

    /// Every port gets a node port, where the flag says so.
    pub fn allocate_node_ports(&mut self, next_port: u16) {
        if self.record.allocates_node_ports {
            for (port, number) in self.record.ports.iter_mut().zip(next_port..) {
                port.node_port.get_or_insert(number);
            }
        }
        self.derive();
    }

    /// Somebody else writes the status.
    pub fn overwrite(&mut self, ingress: Vec<IngressRecord>) {
        self.by_herald &= self.record.ingress == ingress;
        self.by_others = !ingress.is_empty();
        self.record.ingress = ingress;
    }

    /// What the projection concludes from the rest.
    pub fn derive(&mut self) {
        let record = &mut self.record;
        let says_disabled = |c: &ConditionRecord| c.holds && c.reason == "Disabled";
        record.node_ports_switched =
            self.flag_is_heralds || record.node_ports.as_ref().is_some_and(says_disabled);
        if record.allocates_node_ports {
            record.node_ports_refused = None;
        }
    }
}

/// Nodes have addresses of their own here, which no pool has.
pub fn is_of_pools(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[0] == 10,
        IpAddr::V6(v6) => v6.segments()[0] == 0xfd00,
    }
}

/// Addresses that a node may have.
pub fn is_of_nodes(address: IpAddr) -> bool {
    let blocks = [[192, 168, 0], [203, 0, 113]];
    matches!(address, IpAddr::V4(v4) if blocks.iter().any(|block| v4.octets().starts_with(block)))
}

fn entry(ingress: &Ingress) -> IngressRecord {
    let ports = ingress.ports.iter();
    IngressRecord {
        ip: Some(ingress.address),
        hostname: None,
        ip_mode: Some(ingress.mode.as_str().to_owned()),
        ports: ports
            .map(|(port, error)| (*port, error.map(str::to_owned)))
            .collect(),
    }
}
