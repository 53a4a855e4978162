//! Ports that are never captured on a node's own address: without them the node, the cluster or Herald is lost.

use std::ops::RangeInclusive;

use herald_spi::{Port, Protocol};

/// A port that the nodes need for themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied {
    /// The port.
    pub port: Port,
    /// What would be lost, to follow "it is".
    pub why: &'static str,
}

/// All of them, in the order of their numbers. An agent sees most of these as listening too; the table holds where
/// no agent speaks, and while such a process restarts.
pub const DENIED: &[Denied] = &[
    tcp(22, "the way in by ssh"),
    tcp(179, "BGP, by which routers learn of the node"),
    tcp(2379, "etcd's port for the API server"),
    tcp(2380, "etcd's port for its peers"),
    tcp(6443, "the Kubernetes API server"),
    tcp(9470, "the Herald controller's health and metrics"),
    tcp(9471, "kept for the Herald agents, whose heartbeats use it"),
    udp(9471, "the heartbeats of the Herald agents"),
    tcp(9472, "the Herald agent's health and metrics"),
    tcp(10249, "kube-proxy's metrics"),
    tcp(10250, "the kubelet: logs, exec and probes"),
    tcp(10256, "kube-proxy's health, which load balancers check"),
    tcp(10257, "the controller manager"),
    tcp(10259, "the scheduler"),
];

/// The range of node ports, unless the API server was told another one.
const NODE_PORTS: RangeInclusive<u16> = 30_000..=32_767;

/// Why a port is never captured, if so.
#[must_use]
pub fn denied(port: Port) -> Option<&'static str> {
    if NODE_PORTS.contains(&port.number) {
        return Some("in the range of node ports, where it would hide another Service's");
    }
    let entry = DENIED.iter().find(|denied| denied.port == port);
    entry.map(|denied| denied.why)
}

const fn tcp(number: u16, why: &'static str) -> Denied {
    Denied {
        port: Port::new(Protocol::Tcp, number),
        why,
    }
}

const fn udp(number: u16, why: &'static str) -> Denied {
    Denied {
        port: Port::new(Protocol::Udp, number),
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_denied_by_number_and_protocol() {
        for (port, is_denied) in [
            ("TCP/22", true),
            ("UDP/22", false),
            ("TCP/179", true),
            ("TCP/2379", true),
            ("TCP/2380", true),
            ("TCP/6443", true),
            ("UDP/6443", false),
            ("TCP/9470", true),
            ("TCP/9471", true),
            ("UDP/9471", true),
            ("SCTP/9471", false),
            ("TCP/9472", true),
            ("TCP/10249", true),
            ("TCP/10250", true),
            ("TCP/10256", true),
            ("TCP/10257", true),
            ("TCP/10259", true),
            ("UDP/30000", true),
            ("TCP/32767", true),
            ("TCP/32768", false),
            ("TCP/80", false),
            ("TCP/443", false),
            ("UDP/53", false),
        ] {
            assert_eq!(denied(port.parse().unwrap()).is_some(), is_denied, "{port}");
        }
    }

    #[test]
    fn the_table_is_in_order_and_says_each_port_once() {
        let order = DENIED.iter().map(|d| (d.port.number, d.port.protocol));
        assert!(order.is_sorted_by(|left, right| left < right));
    }
}
