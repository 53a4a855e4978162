//! The routers of this node's default routes, from the kernel's tables of routes.

use std::{
    collections::BTreeSet,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use crate::api::GatewayFacts;

const V4: &str = "/proc/net/route";
const V6: &str = "/proc/net/ipv6_route";
/// `RTF_UP | RTF_GATEWAY`.
const BY_A_ROUTER: u32 = 3;

/// The routers. A table that cannot be read has none: without IPv6 there is no such table.
pub(super) fn gateways() -> Vec<GatewayFacts> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let gateways: BTreeSet<_> = v4(&read(V4)).chain(v6(&read(V6))).collect();
    gateways.into_iter().collect()
}

/// Columns: interface, destination, gateway, flags, three counts, mask, all in hexadecimal digits; the addresses as the
/// machine's own integers.
fn v4(table: &str) -> impl Iterator<Item = GatewayFacts> + '_ {
    table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [interface, destination, gateway, flags, _, _, _, mask, ..] = fields.as_slice() else {
            return None;
        };
        let number = |text: &str| u32::from_str_radix(text, 16).ok();
        let is_default = number(destination)? == 0 && number(mask)? == 0;
        let address = Ipv4Addr::from(number(gateway)?.to_ne_bytes());
        found(is_default, number(flags)?, address.into(), interface)
    })
}

/// Columns: destination, its prefix length, source, its prefix length, gateway, metric, two counts, flags, interface.
fn v6(table: &str) -> impl Iterator<Item = GatewayFacts> + '_ {
    table.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, length, _, _, gateway, _, _, _, flags, interface] = fields.as_slice() else {
            return None;
        };
        let address = Ipv6Addr::from(u128::from_str_radix(gateway, 16).ok()?);
        let flags = u32::from_str_radix(flags, 16).ok()?;
        found(*length == "00", flags, address.into(), interface)
    })
}

fn found(is_default: bool, flags: u32, address: IpAddr, interface: &str) -> Option<GatewayFacts> {
    let by_a_router = flags & BY_A_ROUTER == BY_A_ROUTER && !address.is_unspecified();
    (is_default && by_a_router).then(|| GatewayFacts {
        address: address.to_string(),
        interface: interface.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(gateways: impl Iterator<Item = GatewayFacts>) -> Vec<String> {
        gateways
            .map(|gateway| format!("{} {}", gateway.address, gateway.interface))
            .collect()
    }

    #[test]
    fn only_default_routes_by_a_router_count() {
        let gateway = u32::from_ne_bytes([192, 168, 77, 1]);
        let table = format!(
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
             eth0\t00000000\t{gateway:08X}\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
             eth1\t0000000A\t{gateway:08X}\t0003\t0\t0\t0\t000000FF\t0\t0\t0\n\
             tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n\
             bad line\n"
        );
        assert_eq!(shown(v4(&table)), ["192.168.77.1 eth0"]);
        let zero = "0".repeat(32);
        let router = "fe800000000000000000000000000001";
        let table = format!(
            "{zero} 00 {zero} 00 {router} 00000400 00000001 00000000 00450003     eth0\n\
             fd770000000000000000000000000000 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001     eth0\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200       lo\n"
        );
        assert_eq!(shown(v6(&table)), ["fe80::1 eth0"]);
    }
}
