//! Address ranges of services.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range that cluster IPs come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cidr {
    base: u128,
    host_bits: u32,
    ipv6: bool,
}

impl Cidr {
    /// Reads `10.96.0.0/16` or `fd96::/108`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let length: u32 = length.parse().ok()?;
        let (bits, value, ipv6) = match address.parse().ok()? {
            IpAddr::V4(v4) => (32, u128::from(u32::from(v4)), false),
            IpAddr::V6(v6) => (128, u128::from(v6), true),
        };
        let host_bits = (bits as u32).checked_sub(length)?;
        let mask = 1_u128
            .checked_shl(host_bits)
            .map_or(u128::MAX, |size| size - 1);
        Some(Self {
            base: value & !mask,
            host_bits,
            ipv6,
        })
    }

    pub(crate) fn is_ipv6(&self) -> bool {
        self.ipv6
    }

    /// `IPv4` or `IPv6`.
    pub(crate) fn family(&self) -> &'static str {
        if self.ipv6 { "IPv6" } else { "IPv4" }
    }

    /// How many addresses may be given out: not the first, and in IPv4 not the last.
    pub(crate) fn usable(&self) -> u64 {
        let size = 1_u128.checked_shl(self.host_bits).unwrap_or(u128::MAX);
        let usable = size.saturating_sub(if self.ipv6 { 1 } else { 2 });
        u64::try_from(usable).unwrap_or(u64::MAX)
    }

    /// The address at an offset from the first one.
    pub(crate) fn address(&self, offset: u64) -> Option<IpAddr> {
        let value = self.base.checked_add(u128::from(offset))?;
        if self.ipv6 {
            Some(IpAddr::V6(Ipv6Addr::from(value)))
        } else {
            Some(IpAddr::V4(Ipv4Addr::from(u32::try_from(value).ok()?)))
        }
    }

    /// Whether an address lies inside.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let value = match address {
            IpAddr::V4(v4) if !self.ipv6 => u128::from(u32::from(v4)),
            IpAddr::V6(v6) if self.ipv6 => u128::from(v6),
            _ => return false,
        };
        value.wrapping_sub(self.base) >> self.host_bits.min(127) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::Cidr;

    #[test]
    fn ranges_contain_their_addresses() {
        let v4 = Cidr::parse("10.96.3.4/16").unwrap();
        assert_eq!(v4.address(0).unwrap().to_string(), "10.96.0.0");
        assert!(v4.contains("10.96.255.255".parse().unwrap()));
        assert!(!v4.contains("10.97.0.0".parse().unwrap()));
        assert_eq!(v4.usable(), 65534);
        let v6 = Cidr::parse("fd96::/108").unwrap();
        assert_eq!(v6.address(1).unwrap().to_string(), "fd96::1");
        assert!(v6.contains("fd96::f:ffff".parse().unwrap()));
        assert!(!v6.contains("fd96::10:0".parse().unwrap()));
        assert!(Cidr::parse("10.0.0.0/33").is_none() && Cidr::parse("x").is_none());
    }
}
