//! The kernel's settings of an interface that decide whether announced addresses work there.

use std::{fs, path::Path};

use herald_spi::Link;

use crate::api::InterfaceFacts;

/// Those of this process's network namespace, which is the node's.
const CONF: &str = "/proc/sys/net/ipv4/conf";
/// As many subnets as the report may hold.
const MOST_SUBNETS: usize = 32;

/// What there is to tell of an interface. A setting that cannot be read is left out.
pub(super) fn of(link: &Link) -> InterfaceFacts {
    let switch = |name| effective(Path::new(CONF), &link.name, name);
    InterfaceFacts {
        name: link.name.clone(),
        subnets: link
            .subnets()
            .take(MOST_SUBNETS)
            .map(|net| net.to_string())
            .collect(),
        arp_ignore: switch("arp_ignore"),
        arp_announce: switch("arp_announce"),
        rp_filter: switch("rp_filter"),
    }
}

/// The larger one of the interface's value and of the one for all: for these three that is the one that counts (the
/// kernel's `IN_DEV_MAXCONF`).
fn effective(conf: &Path, interface: &str, name: &str) -> Option<u8> {
    // A name with a slash would lead elsewhere; the kernel forbids it.
    let read = |of: &str| -> Option<u8> {
        let text = fs::read_to_string(conf.join(of).join(name)).ok()?;
        text.trim().parse().ok()
    };
    Some(read(interface)?.max(read("all")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_value_counts_and_what_is_not_there_is_not_told() {
        let conf = tempfile::tempdir().unwrap();
        for (of, value) in [("all", "1\n"), ("eth0", "0\n"), ("eth1", "2\n")] {
            fs::create_dir(conf.path().join(of)).unwrap();
            fs::write(conf.path().join(of).join("arp_ignore"), value).unwrap();
        }
        let ignore = |interface| effective(conf.path(), interface, "arp_ignore");
        assert_eq!(
            ["eth0", "eth1", "eth2"].map(ignore),
            [Some(1), Some(2), None]
        );
    }
}
