//! From what a host has to what the cluster must know of it. Pure.
//!
//! Only what lasts is told, or the report would change all the time: no ports that the kernel hands out for a moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    ops::RangeInclusive,
};

use herald_spi::Protocol;

use super::sockets::Socket;
use crate::api::{GatewayFacts, HostFacts, InterfaceFacts};

/// The device to which kube-proxy binds the address of every Service under IPVS. None of them is the node's.
const IPVS_DEVICE: &str = "kube-ipvs0";
/// kube-proxy's own sockets, of node ports and of their health checks, are here; the API server keeps them apart.
const NODE_PORTS: RangeInclusive<u16> = 30000..=32767;
/// As many as the report may hold.
const MOST_ADDRESSES: usize = 256;
const MOST_PORTS: usize = 1024;
const MOST_LINKS: usize = 64;
const MOST_GATEWAYS: usize = 16;

/// What was read of a host.
#[derive(Debug)]
pub(super) struct Reading {
    /// The addresses on each interface.
    pub(super) interfaces: BTreeMap<String, Vec<IpAddr>>,
    /// The sockets that wait for traffic.
    pub(super) sockets: Vec<Socket>,
    /// The ports that the kernel hands out for a moment.
    pub(super) ephemeral: RangeInclusive<u16>,
    /// kube-proxy's mode, as it was last told.
    pub(super) mode: Option<String>,
    /// The interfaces on which this node can announce.
    pub(super) links: Vec<InterfaceFacts>,
    /// The routers of its default routes.
    pub(super) gateways: Vec<GatewayFacts>,
}

impl Reading {
    /// What there is to report.
    pub(super) fn gist(self) -> HostFacts {
        // A kube-proxy that does not tell its mode may still have left its mark.
        let ipvs = self.interfaces.contains_key(IPVS_DEVICE);
        let mode = self.mode.or_else(|| ipvs.then(|| "ipvs".to_owned()));
        let own: BTreeSet<IpAddr> = self
            .interfaces
            .into_iter()
            .filter(|(name, _)| name != IPVS_DEVICE)
            .flat_map(|(_, addresses)| addresses)
            .filter(|address| reaches_further(*address))
            .collect();
        let passing = |socket: &Socket| {
            let Socket { port, .. } = socket;
            NODE_PORTS.contains(&port.number)
                || (port.protocol == Protocol::Udp && self.ephemeral.contains(&port.number))
        };
        // The low ports first: should there be too many, those are the ones that Services ask for.
        let listening: BTreeSet<_> = self
            .sockets
            .iter()
            .filter(|s| s.address.is_unspecified() || own.contains(&s.address))
            .filter(|s| !passing(s))
            .map(|s| (s.port.number, s.port.protocol, s.port))
            .collect();
        HostFacts {
            kube_proxy_mode: mode,
            addresses: own
                .iter()
                .take(MOST_ADDRESSES)
                .map(ToString::to_string)
                .collect(),
            listening: listening
                .iter()
                .take(MOST_PORTS)
                .map(|(_, _, port)| port.to_string())
                .collect(),
            interfaces: self.links.into_iter().take(MOST_LINKS).collect(),
            gateways: self.gateways.into_iter().take(MOST_GATEWAYS).collect(),
        }
    }
}

/// Whether other hosts could mean this one by the address.
fn reaches_further(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !link_local && !address.is_loopback() && !address.is_unspecified() && !address.is_multicast()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(interfaces: &[(&str, &[&str])], sockets: &[(&str, &str)]) -> Reading {
        let addresses = |all: &[&str]| all.iter().map(|a| a.parse().unwrap()).collect();
        Reading {
            interfaces: interfaces
                .iter()
                .map(|(name, all)| ((*name).to_owned(), addresses(all)))
                .collect(),
            sockets: sockets
                .iter()
                .map(|(port, address)| Socket {
                    address: address.parse().unwrap(),
                    port: port.parse().unwrap(),
                })
                .collect(),
            ephemeral: 32768..=60999,
            mode: None,
            links: Vec::new(),
            gateways: Vec::new(),
        }
    }

    #[test]
    fn addresses_that_others_can_mean_are_told_in_order() {
        let facts = reading(
            &[
                ("lo", &["127.0.0.1", "::1", "203.0.113.9"]),
                ("eth0", &["192.168.77.1", "fe80::1", "fd77::1"]),
                ("eth1", &["10.0.0.1", "169.254.20.10", "192.168.77.1"]),
                ("kube-ipvs0", &["10.96.0.1", "192.168.77.200"]),
            ],
            &[],
        )
        .gist();
        assert_eq!(
            facts.addresses,
            ["10.0.0.1", "192.168.77.1", "203.0.113.9", "fd77::1"]
        );
    }

    #[test]
    fn sockets_that_others_can_reach_and_that_last_are_told() {
        let facts = reading(
            &[("lo", &["127.0.0.1"]), ("eth0", &["192.168.77.1"])],
            &[
                ("TCP/10249", "127.0.0.1"),
                ("TCP/25", "::1"),
                ("UDP/53", "169.254.20.10"),
                ("UDP/68", "192.168.77.1"),
                ("TCP/443", "192.168.77.9"),
                ("TCP/10250", "::"),
                ("TCP/22", "0.0.0.0"),
                ("TCP/22", "::"),
                // kube-proxy's.
                ("TCP/30000", "0.0.0.0"),
                ("UDP/32767", "::"),
                // Ephemeral ones, which only UDP sockets get without asking.
                ("UDP/32768", "0.0.0.0"),
                ("UDP/60999", "0.0.0.0"),
                ("UDP/61000", "0.0.0.0"),
                ("TCP/40000", "0.0.0.0"),
            ],
        )
        .gist();
        assert_eq!(
            facts.listening,
            ["TCP/22", "UDP/68", "TCP/10250", "TCP/40000", "UDP/61000"]
        );
    }

    #[test]
    fn the_mode_is_what_kube_proxy_says_or_what_it_has_left_behind() {
        for (said, device, expected) in [
            (None, "eth0", None),
            (Some("nftables"), "eth0", Some("nftables")),
            (None, IPVS_DEVICE, Some("ipvs")),
            // The device of an earlier kube-proxy.
            (Some("nftables"), IPVS_DEVICE, Some("nftables")),
        ] {
            let reading = Reading {
                mode: said.map(Into::into),
                ..reading(&[(device, &[])], &[])
            };
            assert_eq!(reading.gist().kube_proxy_mode.as_deref(), expected);
        }
    }

    #[test]
    fn a_report_has_bounds_and_keeps_the_low_ports() {
        let sockets = (1..=3000).map(|number| Socket {
            address: "::".parse().unwrap(),
            port: herald_spi::Port::new(Protocol::Tcp, number),
        });
        let addresses = (0..300).map(|n| {
            IpAddr::from([
                10,
                0,
                u8::try_from(n / 200).unwrap(),
                u8::try_from(n % 200).unwrap(),
            ])
        });
        let facts = Reading {
            interfaces: [("eth0".to_owned(), addresses.collect())].into(),
            sockets: sockets.collect(),
            ephemeral: 32768..=60999,
            mode: None,
            links: Vec::new(),
            gateways: Vec::new(),
        }
        .gist();
        assert_eq!(facts.addresses.len(), 256);
        assert_eq!(facts.listening.len(), 1024);
        assert_eq!(facts.listening.last().map(String::as_str), Some("TCP/1024"));
    }
}
