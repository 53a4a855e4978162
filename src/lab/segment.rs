//! The lab's Ethernet segment on paper: who is on it, and under which addresses. Pure.
//!
//! ```text
//!   node-1 .1  node-2 .2  …        client .100        pool .200 to .250
//!      └──────────┴───── 192.168.77.0/24, fd77::/64 ─────┘
//! ```
//! The last octet of each hardware address is the host's number, so that a neighbour table can be read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use herald_spi::Mac;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

/// The number of the client; nodes count from one.
const CLIENT: u8 = 100;
const IPV4_PREFIX: u8 = 24;
const IPV6_PREFIX: u8 = 64;

/// One host on the segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Host {
    pub(super) name: String,
    pub(super) mac: Mac,
    pub(super) ipv4: Ipv4Addr,
    pub(super) ipv6: Ipv6Addr,
}

/// All hosts on the segment.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) nodes: Vec<Host>,
    pub(super) client: Host,
}

impl Segment {
    /// A segment with that many nodes and one client.
    pub(super) fn new(nodes: u8) -> Self {
        Self {
            nodes: (1..=nodes)
                .map(|number| Host::new(format!("node-{number}"), number))
                .collect(),
            client: Host::new("client".to_owned(), CLIENT),
        }
    }

    /// Every host, the client last.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.nodes.iter().chain([&self.client])
    }

    /// Whose hardware address this is.
    pub(super) fn name_of(&self, mac: Mac) -> Option<&str> {
        self.hosts()
            .find(|host| host.mac == mac)
            .map(|host| host.name.as_str())
    }

    /// The node of that name.
    pub(super) fn node(&self, name: &str) -> Option<&Host> {
        self.nodes.iter().find(|node| node.name == name)
    }
}

impl Host {
    fn new(name: String, number: u8) -> Self {
        Self {
            name,
            // Locally administered.
            mac: Mac([0x02, 0x00, 0x00, 0x00, 0x77, number]),
            ipv4: Ipv4Addr::new(192, 168, 77, number),
            ipv6: Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, numbered_group(number)),
        }
    }

    /// Its addresses, one of each family.
    pub(super) fn addresses(&self) -> [IpAddr; 2] {
        [self.ipv4.into(), self.ipv6.into()]
    }

    /// Its addresses with their prefix lengths.
    pub(super) fn subnets(&self) -> Vec<IpNet> {
        let ipv4 = Ipv4Net::new(self.ipv4, IPV4_PREFIX).map(IpNet::V4);
        let ipv6 = Ipv6Net::new(self.ipv6, IPV6_PREFIX).map(IpNet::V6);
        ipv4.into_iter().chain(ipv6).collect()
    }
}

/// 100 becomes `::100`: the digits are read alike in both families.
fn numbered_group(number: u8) -> u16 {
    let number = u16::from(number);
    number / 100 * 0x100 + number / 10 % 10 * 0x10 + number % 10
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_the_same_number_everywhere() {
        let segment = Segment::new(3);
        let told: Vec<_> = segment
            .hosts()
            .map(|h| format!("{} {} {:?}", h.name, h.mac, h.subnets()))
            .collect();
        assert_eq!(
            told,
            [
                "node-1 02:00:00:00:77:01 [192.168.77.1/24, fd77::1/64]",
                "node-2 02:00:00:00:77:02 [192.168.77.2/24, fd77::2/64]",
                "node-3 02:00:00:00:77:03 [192.168.77.3/24, fd77::3/64]",
                "client 02:00:00:00:77:64 [192.168.77.100/24, fd77::100/64]",
            ]
        );
        assert_eq!(segment.name_of(Mac([2, 0, 0, 0, 0x77, 2])), Some("node-2"));
        assert_eq!(segment.node("client"), None);
    }
}
