//! What an agent knows of its node's network links.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::Mac;

/// The kernel's index of a link, unique within a network namespace and not used again soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IfIndex(pub u32);

impl fmt::Display for IfIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One Ethernet link of this node that could announce addresses: broadcast-capable, ARP-capable, not a loopback
/// and not enslaved to a bridge or bond (then its master is the one that counts).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The kernel's index.
    pub index: IfIndex,
    /// The name, as in `ip link`.
    pub name: String,
    /// The hardware address that frames leave with.
    pub mac: Mac,
    /// Administratively up and with a carrier.
    pub up: bool,
    /// The addresses on the link with their prefix lengths, IPv4 and IPv6, link-local ones included.
    pub addresses: Vec<IpNet>,
}

/// All links of this node, in the order of their index.
pub type Links = BTreeMap<IfIndex, Link>;

impl Link {
    /// Whether one of the link's subnets holds `address`. Link-local prefixes, /32 and /128 do not count: they
    /// say nothing about who shares the segment.
    #[must_use]
    pub fn reaches(&self, address: IpAddr) -> bool {
        self.subnets().any(|subnet| subnet.contains(&address))
    }

    /// The subnets that are on this link, in the order of their addresses.
    pub fn subnets(&self) -> impl Iterator<Item = IpNet> + '_ {
        self.addresses
            .iter()
            .filter(|net| net.prefix_len() < net.max_prefix_len() && !is_link_local(net.addr()))
            .map(IpNet::trunc)
    }
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_shared_subnets_reach_an_address() {
        let link = Link {
            index: IfIndex(2),
            name: "eth0".into(),
            mac: Mac([2, 0, 0, 0, 0, 1]),
            up: true,
            addresses: ["192.168.77.1/24", "10.0.0.1/32", "fd77::1/64", "fe80::1/64"]
                .map(|net| net.parse().unwrap())
                .into(),
        };
        for (address, reached) in [
            ("192.168.77.200", true),
            ("192.168.78.1", false),
            ("10.0.0.1", false),
            ("fd77::200", true),
            ("fd78::1", false),
            ("fe80::2", false),
        ] {
            assert_eq!(link.reaches(address.parse().unwrap()), reached, "{address}");
        }
    }
}
