//! IP addresses and CIDRs as Kubernetes 1.36 validates them in older fields, strictly.
//!
//! Follows `k8s.io/apimachinery/pkg/util/validation/ip.go` with `StrictIPCIDRValidation` on: values
//! that an object had before stay valid.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::json;

use crate::status_error::Cause;

/// What is wrong with an address, if anything.
pub(crate) fn check_ip(field: &str, text: &str, known: &[String]) -> Vec<Cause> {
    if known.iter().any(|old| old == text) {
        return Vec::new();
    }
    let refuse = |why: &str| vec![Cause::invalid(field, &json!(text), why)];
    match (text.parse::<IpAddr>(), sloppy_ip(text)) {
        (Ok(IpAddr::V6(v6)), _) if v6.to_ipv4_mapped().is_some() => {
            refuse("must not be an IPv4-mapped IPv6 address")
        }
        (Ok(_), _) => Vec::new(),
        (Err(_), Some(_)) => refuse("must not have leading 0s"),
        (Err(_), None) => refuse("must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
    }
}

/// What is wrong with a CIDR, if anything.
pub(crate) fn check_cidr(field: &str, text: &str, known: &[String]) -> Vec<Cause> {
    if known.iter().any(|old| old.trim() == text) {
        return Vec::new();
    }
    let refuse = |why: &str| vec![Cause::invalid(field, &json!(text), why)];
    let malformed = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    let Some((address, length)) = text.split_once('/') else {
        return refuse(malformed);
    };
    let (Some(sloppy), Ok(bits)) = (sloppy_ip(address), length.parse::<u32>()) else {
        return refuse(malformed);
    };
    if bits > if sloppy.is_ipv4() { 32 } else { 128 } {
        return refuse(malformed);
    }
    let padded = length.len() > 1 && length.starts_with('0');
    match address.parse::<IpAddr>() {
        Err(_) => refuse("must not have leading 0s in IP or prefix length"),
        Ok(_) if padded => refuse("must not have leading 0s in IP or prefix length"),
        Ok(IpAddr::V6(v6)) if v6.to_ipv4_mapped().is_some() => {
            refuse("must not have an IPv4-mapped IPv6 address")
        }
        Ok(address) if has_host_bits(address, bits) => {
            refuse("must not have bits set beyond the prefix length")
        }
        Ok(_) => Vec::new(),
    }
}

/// What Kubernetes warns of in an address that it accepts.
pub(crate) fn ip_warning(field: &str, text: &str) -> Option<String> {
    let address = text.parse::<IpAddr>().ok()?;
    let canonical = address.to_string();
    (address.is_ipv6() && canonical != text).then(|| {
        format!(
            "{field}: IPv6 address {text:?} should be in RFC 5952 canonical format ({canonical:?})"
        )
    })
}

fn has_host_bits(address: IpAddr, bits: u32) -> bool {
    let (value, width) = match address {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    };
    let host_bits: u32 = width - bits;
    let mask = 1_u128
        .checked_shl(host_bits)
        .map_or(u128::MAX, |size| size - 1);
    value & mask != 0
}

/// An address whose IPv4 octets may have leading zeros, as old Go releases read them.
pub(crate) fn sloppy_ip(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let octets: Option<Vec<u8>> = text
        .split('.')
        .map(|octet| {
            if octet.is_empty() {
                None
            } else {
                octet.parse().ok()
            }
        })
        .collect();
    match octets?.as_slice() {
        [a, b, c, d] => Some(IpAddr::V4(Ipv4Addr::new(*a, *b, *c, *d))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_addresses() {
        let wrong = |text: &str| {
            check_ip("f", text, &[])
                .first()
                .map(|cause| cause.message.clone())
        };
        assert_eq!(wrong("192.0.2.1"), None);
        assert_eq!(wrong("2001:db8::1"), None);
        assert!(wrong("192.000.2.1").is_some_and(|why| why.contains("leading 0s")));
        assert!(wrong("::ffff:192.0.2.1").is_some_and(|why| why.contains("IPv4-mapped")));
        assert!(wrong("x").is_some_and(|why| why.contains("valid IP")));
        assert!(check_ip("f", "x", &["x".to_owned()]).is_empty());
        let cidr = |text: &str| check_cidr("f", text, &[]).is_empty();
        assert!(
            cidr("192.0.2.0/24") && cidr("::/0") && !cidr("192.0.2.1/24") && !cidr("192.0.2.0/33")
        );
        assert!(ip_warning("f", "2001:DB8::1").is_some() && ip_warning("f", "192.0.2.1").is_none());
    }
}
