//! Which node ports and cluster IPs are taken: derived from the stored services at every commit.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use serde_json::Value;

use super::cidr::Cidr;
use crate::config::Config;
use crate::dice::Dice;
use crate::fields;

/// What stored services hold. A port may be held by several ports of one service.
#[derive(Debug)]
pub(crate) struct Allocations {
    pub(crate) cidrs: Vec<Cidr>,
    node_port_range: RangeInclusive<u16>,
    node_ports: BTreeMap<i64, usize>,
    addresses: BTreeMap<IpAddr, usize>,
}

impl Allocations {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            cidrs: config.service_cidrs.clone(),
            node_port_range: config.node_ports.clone(),
            node_ports: BTreeMap::new(),
            addresses: BTreeMap::new(),
        }
    }

    /// Follows a commit: what `old` held is free, what `new` holds is taken.
    pub(crate) fn commit(&mut self, old: Option<&Value>, new: Option<&Value>) {
        if let Some(service) = old {
            for port in held_ports(service) {
                release(&mut self.node_ports, &port);
            }
            for address in held_addresses(service) {
                release(&mut self.addresses, &address);
            }
        }
        if let Some(service) = new {
            for port in held_ports(service) {
                *self.node_ports.entry(port).or_default() += 1;
            }
            for address in held_addresses(service) {
                *self.addresses.entry(address).or_default() += 1;
            }
        }
    }

    /// Whether a node port can be taken; the words of the refusal.
    pub(crate) fn check_port(&self, port: i64, own: &[i64]) -> Result<(), String> {
        let (low, high) = (self.node_port_range.start(), self.node_port_range.end());
        if port < i64::from(*low) || port > i64::from(*high) {
            return Err(format!(
                "provided port is not in the valid range. The range of valid ports is {low}-{high}"
            ));
        }
        if self.node_ports.contains_key(&port) && !own.contains(&port) {
            return Err("provided port is already allocated".to_owned());
        }
        Ok(())
    }

    /// A free node port that is not in `taken` either.
    pub(crate) fn next_port(&self, taken: &[i64], dice: &mut Dice) -> Option<i64> {
        let low = i64::from(*self.node_port_range.start());
        let count = i64::from(*self.node_port_range.end()) - low + 1;
        let start = i64::try_from(dice.below(u64::try_from(count).ok()?)).ok()?;
        (0..count)
            .map(|step| low + (start + step) % count)
            .find(|port| !self.node_ports.contains_key(port) && !taken.contains(port))
    }

    /// The range of a family.
    pub(crate) fn cidr(&self, family: &str) -> Option<&Cidr> {
        self.cidrs.iter().find(|cidr| cidr.family() == family)
    }

    /// Whether an address is taken.
    pub(crate) fn is_taken(&self, address: IpAddr) -> bool {
        self.addresses.contains_key(&address)
    }

    /// A free address of a family.
    pub(crate) fn next_address(&self, family: &str, dice: &mut Dice) -> Option<IpAddr> {
        let cidr = self.cidr(family)?;
        let usable = cidr.usable();
        let start = dice.below(usable);
        // The first address of the first range is the API server's own.
        (0..usable.min(1 << 20))
            .filter_map(|step| cidr.address(1 + start.wrapping_add(step) % usable))
            .find(|address| !self.addresses.contains_key(address))
    }
}

fn release<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

fn held_ports(service: &Value) -> Vec<i64> {
    let mut ports = super::node_ports(service);
    ports.extend(fields::int(service, &["spec", "healthCheckNodePort"]).filter(|port| *port != 0));
    ports
}

fn held_addresses(service: &Value) -> Vec<IpAddr> {
    super::strings(service, "clusterIPs")
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect()
}
