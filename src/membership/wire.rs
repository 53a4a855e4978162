//! How single words of a message look in CBOR: names as text, addresses as bytes in network order.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use herald_spi::{Mac, NodeName};
use ipnet::IpNet;
use minicbor::{
    Decoder, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};

/// The longest name that Kubernetes gives a node.
const LONGEST_NAME: usize = 253;

type Encoded<W> = Result<(), EncodeError<<W as Write>::Error>>;

/// A node's name: text of 1 to 253 bytes.
pub(super) mod name {
    use super::{DecodeError, Decoder, Encoded, Encoder, LONGEST_NAME, NodeName, Write};

    pub(in super::super) fn encode<C, W: Write>(
        name: &NodeName,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Encoded<W> {
        e.str(name.as_str())?.ok()
    }

    pub(in super::super) fn decode<C>(
        d: &mut Decoder<'_>,
        _: &mut C,
    ) -> Result<NodeName, DecodeError> {
        match d.str()? {
            name if (1..=LONGEST_NAME).contains(&name.len()) => Ok(NodeName::new(name)),
            _ => Err(DecodeError::message("a node name of an impossible length")),
        }
    }
}

/// A list of node names.
pub(super) mod names {
    use super::{DecodeError, Decoder, Encoded, Encoder, NodeName, Write, array, length};

    pub(in super::super) fn encode<C, W: Write>(
        names: &[NodeName],
        e: &mut Encoder<W>,
        c: &mut C,
    ) -> Encoded<W> {
        e.array(length(names.len()))?;
        names
            .iter()
            .try_for_each(|name| super::name::encode(name, e, c))
    }

    pub(in super::super) fn decode<C>(
        d: &mut Decoder<'_>,
        c: &mut C,
    ) -> Result<Vec<NodeName>, DecodeError> {
        array(d, |d| super::name::decode(d, c))
    }
}

/// A hardware address: 6 bytes.
pub(super) mod mac {
    use super::{DecodeError, Decoder, Encoded, Encoder, Mac, Write};

    pub(in super::super) fn encode<C, W: Write>(
        mac: &Mac,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Encoded<W> {
        e.bytes(&mac.0)?.ok()
    }

    pub(in super::super) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<Mac, DecodeError> {
        let octets = d.bytes()?.try_into();
        octets
            .map(Mac)
            .map_err(|_| DecodeError::message("a MAC address of an impossible length"))
    }
}

/// A set of hardware addresses.
pub(super) mod macs {
    use super::{BTreeSet, DecodeError, Decoder, Encoded, Encoder, Mac, Write, array, length};

    pub(in super::super) fn encode<C, W: Write>(
        macs: &BTreeSet<Mac>,
        e: &mut Encoder<W>,
        c: &mut C,
    ) -> Encoded<W> {
        e.array(length(macs.len()))?;
        macs.iter()
            .try_for_each(|mac| super::mac::encode(mac, e, c))
    }

    pub(in super::super) fn decode<C>(
        d: &mut Decoder<'_>,
        c: &mut C,
    ) -> Result<BTreeSet<Mac>, DecodeError> {
        array(d, |d| super::mac::decode(d, c)).map(BTreeSet::from_iter)
    }
}

/// An address: 4 or 16 bytes.
pub(super) mod address {
    use super::{DecodeError, Decoder, Encoded, Encoder, IpAddr, Ipv4Addr, Ipv6Addr, Write};

    pub(in super::super) fn encode<C, W: Write>(
        address: &IpAddr,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Encoded<W> {
        match address {
            IpAddr::V4(v4) => e.bytes(&v4.octets())?.ok(),
            IpAddr::V6(v6) => e.bytes(&v6.octets())?.ok(),
        }
    }

    pub(in super::super) fn decode<C>(
        d: &mut Decoder<'_>,
        _: &mut C,
    ) -> Result<IpAddr, DecodeError> {
        let bytes = d.bytes()?;
        let v4 = <[u8; 4]>::try_from(bytes).map(|octets| Ipv4Addr::from(octets).into());
        let v6 = || <[u8; 16]>::try_from(bytes).map(|octets| Ipv6Addr::from(octets).into());
        v4.or_else(|_| v6())
            .map_err(|_| DecodeError::message("an address of an impossible length"))
    }
}

/// A list of subnets, each an array of address and prefix length.
pub(super) mod nets {
    use super::{DecodeError, Decoder, Encoded, Encoder, IpNet, Write, array, fields, length};

    pub(in super::super) fn encode<C, W: Write>(
        nets: &[IpNet],
        e: &mut Encoder<W>,
        c: &mut C,
    ) -> Encoded<W> {
        e.array(length(nets.len()))?;
        nets.iter().try_for_each(|net| {
            e.array(2)?;
            super::address::encode(&net.addr(), e, c)?;
            e.u8(net.prefix_len())?.ok()
        })
    }

    pub(in super::super) fn decode<C>(
        d: &mut Decoder<'_>,
        c: &mut C,
    ) -> Result<Vec<IpNet>, DecodeError> {
        array(d, |d| {
            fields(d, 2, |d| {
                let address = super::address::decode(d, c)?;
                IpNet::new(address, d.u8()?)
                    .map_err(|_| DecodeError::message("an impossible prefix length"))
            })
        })
    }
}

/// A list of pairs: address and epoch, or null where a claim ended.
pub(super) mod changes {
    use super::{DecodeError, Decoder, Encoded, Encoder, IpAddr, Write, array, fields, length};

    pub(in super::super) fn encode<C, W: Write>(
        changes: &[(IpAddr, Option<u64>)],
        e: &mut Encoder<W>,
        c: &mut C,
    ) -> Encoded<W> {
        e.array(length(changes.len()))?;
        changes.iter().try_for_each(|(address, epoch)| {
            e.array(2)?;
            super::address::encode(address, e, c)?;
            e.encode(epoch)?.ok()
        })
    }

    pub(in super::super) fn decode<C>(
        d: &mut Decoder<'_>,
        c: &mut C,
    ) -> Result<Vec<(IpAddr, Option<u64>)>, DecodeError> {
        array(d, |d| {
            fields(d, 2, |d| Ok((super::address::decode(d, c)?, d.decode()?)))
        })
    }
}

/// A list of pairs: address and epoch.
pub(super) mod claims {
    use super::{DecodeError, Decoder, Encoded, Encoder, IpAddr, Write, array, fields, length};

    pub(in super::super) fn encode<C, W: Write>(
        claims: &[(IpAddr, u64)],
        e: &mut Encoder<W>,
        c: &mut C,
    ) -> Encoded<W> {
        e.array(length(claims.len()))?;
        claims.iter().try_for_each(|(address, epoch)| {
            e.array(2)?;
            super::address::encode(address, e, c)?;
            e.u64(*epoch)?.ok()
        })
    }

    pub(in super::super) fn decode<C>(
        d: &mut Decoder<'_>,
        c: &mut C,
    ) -> Result<Vec<(IpAddr, u64)>, DecodeError> {
        array(d, |d| {
            fields(d, 2, |d| Ok((super::address::decode(d, c)?, d.u64()?)))
        })
    }
}

/// An upper bound of the bytes that a claim takes in a list.
pub(super) fn claim_length(address: IpAddr) -> usize {
    // Array of 2, the head of the bytes, the bytes, a number of up to 9 bytes.
    1 + 1 + if address.is_ipv4() { 4 } else { 16 } + 9
}

/// Reads an array of whatever length. No room is made before an element is there, so a lie about the length costs
/// nothing.
fn array<'d, T>(
    d: &mut Decoder<'d>,
    mut element: impl FnMut(&mut Decoder<'d>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let mut left = definite(d)?;
    let mut list = Vec::new();
    while left > 0 {
        list.push(element(d)?);
        left -= 1;
    }
    Ok(list)
}

/// Reads an array of at least `known` elements; what a newer peer added at the end is skipped.
pub(super) fn fields<'d, T>(
    d: &mut Decoder<'d>,
    known: u64,
    read: impl FnOnce(&mut Decoder<'d>) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let mut unknown = definite(d)?
        .checked_sub(known)
        .ok_or_else(|| DecodeError::message("too few elements"))?;
    let value = read(d)?;
    while unknown > 0 {
        d.skip()?;
        unknown -= 1;
    }
    Ok(value)
}

fn definite(d: &mut Decoder<'_>) -> Result<u64, DecodeError> {
    d.array()?
        .ok_or_else(|| DecodeError::message("an array without a length"))
}

fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
