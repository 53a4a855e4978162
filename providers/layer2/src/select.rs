//! Which links may announce, by name.

use std::net::IpAddr;

use herald_spi::Link;

/// Links of pod networks and of the container runtime. What is behind them is this node only, or a tunnel.
const POD_NETWORKS: [&str; 16] = [
    "antrea-",
    "cali",
    "cbr",
    "cilium",
    "cni",
    "docker",
    "flannel",
    "genev_sys",
    "kube-",
    "lxc",
    "lxdbr",
    "nodelocaldns",
    "ovn",
    "podman",
    "virbr",
    "weave",
];
/// Links that usually lead to a pod or a virtual machine, but may be a node's own when they have an address.
const OFTEN_PODS: [&str; 5] = ["veth", "tap", "tun", "vxlan", "vnet"];

/// Which of the Ethernet links count. The kind of a link does not matter, as a node's NIC may well be a veth.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    only: Option<Vec<String>>,
}

impl Selection {
    /// All but the links of pod networks: none whose name begins like those of a CNI, of Docker or of kube-proxy
    /// (`cali`, `cni`, `docker`, `flannel`, `lxc`, `kube-`, ...), and `veth`, `tap`, `tun`, `vxlan`, `vnet` only if
    /// the link has an address that is not link-local.
    #[must_use]
    pub fn automatic() -> Self {
        Self::default()
    }

    /// Exactly the named links, whatever their names. A name may end in `*`.
    ///
    /// ```
    /// use herald_layer2::Selection;
    /// let selection = Selection::only(["eth0", "bond*"]);
    /// # assert_ne!(selection, Selection::automatic());
    /// ```
    pub fn only<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self {
            only: Some(names.into_iter().map(Into::into).collect()),
        }
    }

    /// Whether the link counts.
    #[must_use]
    pub fn takes(&self, link: &Link) -> bool {
        let name = link.name.as_str();
        match &self.only {
            Some(names) => names.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => name == pattern,
            }),
            None if is_docker_bridge(name) => false,
            None if begins_with(name, &POD_NETWORKS) => false,
            None if begins_with(name, &OFTEN_PODS) => has_address(link),
            None => true,
        }
    }
}

fn begins_with(name: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// `br-` and twelve hexadecimal digits: a network that Docker made.
fn is_docker_bridge(name: &str) -> bool {
    name.strip_prefix("br-")
        .is_some_and(|id| id.len() == 12 && id.bytes().all(|b| b.is_ascii_hexdigit()))
}

fn has_address(link: &Link) -> bool {
    link.addresses.iter().any(|net| match net.addr() {
        IpAddr::V4(v4) => !v4.is_link_local(),
        IpAddr::V6(v6) => !v6.is_unicast_link_local(),
    })
}

#[cfg(test)]
mod tests {
    use herald_spi::{IfIndex, Mac};

    use super::*;

    fn link(name: &str, addresses: &[&str]) -> Link {
        Link {
            index: IfIndex(2),
            name: name.into(),
            mac: Mac([2, 0, 0, 0, 0, 1]),
            up: true,
            addresses: addresses.iter().map(|net| net.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn links_of_pod_networks_do_not_count() {
        let lan = ["192.168.77.1/24"];
        for name in [
            "eth0", "enp3s0", "ens5", "bond0", "br0", "br-lan", "eth0.7", "vlan7", "wlan0",
            "veth0", "vmbr0",
        ] {
            assert!(Selection::automatic().takes(&link(name, &lan)), "{name}");
        }
        for name in [
            "cali0a1b2c3d4e5",
            "cni0",
            "docker0",
            "flannel.1",
            "lxc4f5a",
            "kube-ipvs0",
            "kube-bridge",
            "cilium_host",
            "nodelocaldns",
            "br-0123456789ab",
            "virbr0",
            "ovn-k8s-mp0",
            "weave",
        ] {
            assert!(!Selection::automatic().takes(&link(name, &lan)), "{name}");
        }
        assert!(
            Selection::automatic().takes(&link("eth1", &[])),
            "explicit pools need no address"
        );
        assert!(!Selection::automatic().takes(&link("veth4f5a", &["fe80::1/64"])));
        assert!(!Selection::automatic().takes(&link("veth4f5a", &["169.254.1.1/32"])));
        assert!(Selection::automatic().takes(&link("vxlan7", &["fd77::1/64"])));
    }

    #[test]
    fn named_links_count_whatever_their_names() {
        let selection = Selection::only(["docker0", "eth*"]);
        assert!(selection.takes(&link("docker0", &[])));
        assert!(selection.takes(&link("eth7", &[])));
        assert!(!selection.takes(&link("docker1", &[])));
        assert!(!selection.takes(&link("bond0", &[])));
    }
}
