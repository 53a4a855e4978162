use proptest::prelude::*;

use super::*;
use crate::membership::{Keys, Refusal};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from)
    ]
}

fn mac() -> impl Strategy<Value = Mac> {
    any::<[u8; 6]>().prop_map(Mac)
}

fn net() -> impl Strategy<Value = IpNet> {
    (address(), 0..=32_u8).prop_map(|(address, length)| IpNet::new(address, length).unwrap())
}

fn name() -> impl Strategy<Value = NodeName> {
    "[a-z0-9.-]{1,253}".prop_map(NodeName::new)
}

prop_compose! {
    fn header()(
        (node, mac, interface_name) in (name(), mac(), "[a-z0-9]{1,15}"),
        (subnets, macs) in (
            prop::collection::vec(net(), 0..=MAX_SUBNETS),
            prop::collection::btree_set(mac(), 0..=MAX_MACS),
        ),
        (incarnation, seq, generation, sum, count) in any::<(u64, u64, u64, u64, u64)>(),
        (interface, flags) in any::<(u32, u32)>(),
        pace in any::<Option<(u32, u32)>>(),
        dark in prop::option::of(prop::collection::vec(any::<u32>(), 0..=MAX_DARK)),
    ) -> Header {
        let pace = pace.map(|(heartbeat_ms, dead_after_ms)| Pace { heartbeat_ms, dead_after_ms });
        Header {
            node, incarnation, seq, interface, interface_name, mac, subnets, macs, flags,
            generation, sum, count, pace, dark,
        }
    }
}

fn body() -> impl Strategy<Value = Body> {
    let changes = prop::collection::vec((address(), any::<Option<u64>>()), 0..40);
    let claims = prop::collection::vec((address(), any::<u64>()), 0..40);
    prop_oneof![
        (any::<u64>(), changes)
            .prop_map(|(first, entries)| Body::Heartbeat(Changes { first, entries })),
        (any::<u64>(), any::<u32>(), any::<u32>(), claims).prop_map(
            |(generation, part, parts, entries)| {
                Body::Claims(Part {
                    generation,
                    part,
                    parts,
                    entries,
                })
            }
        ),
        (
            name(),
            any::<u32>(),
            any::<Option<u64>>(),
            any::<Option<u64>>(),
            prop::collection::vec(any::<u32>(), 0..40)
        )
            .prop_map(|(node, interface, since, generation, missing)| {
                let request = SyncRequest {
                    node,
                    interface,
                    since,
                    generation,
                    missing,
                };
                Body::SyncRequest(request)
            }),
        prop::collection::vec(name(), 0..4).prop_map(|nodes| Body::Probe(Probe { nodes })),
        (name(), any::<u64>())
            .prop_map(|(node, incarnation)| Body::Outdated(Outdated { node, incarnation })),
        any::<u32>().prop_map(|again_ms| Body::Word(Word { again_ms })),
        (6..u32::MAX).prop_map(Body::Unknown),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    (header(), body()).prop_map(|(header, body)| Message { header, body })
}

proptest! {
    #[test]
    fn a_message_survives_the_wire(message in message()) {
        let keys = Keys::parse(KEY).unwrap();
        let datagram = keys.seal(&message.encode());
        let opened = Message::decode(keys.open(&datagram).unwrap()).unwrap();
        prop_assert_eq!(opened, message);
    }

    #[test]
    fn a_datagram_that_was_touched_is_not_let_in(message in message(), at: prop::sample::Index, bit in 0..8_u32) {
        let keys = Keys::parse(KEY).unwrap();
        let datagram = keys.seal(&message.encode());
        let mut flipped = datagram.clone();
        flipped[at.index(datagram.len())] ^= 1_u8 << bit;
        prop_assert!(keys.open(&flipped).is_err());
        prop_assert!(keys.open(&datagram[..at.index(datagram.len())]).is_err());
        let mut longer = datagram;
        longer.push(0);
        prop_assert!(keys.open(&longer).is_err());
    }

    #[test]
    fn no_signed_bytes_make_it_panic(message in message(), at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let mut bytes = message.encode();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = Message::decode(&bytes);
        let _ = Message::decode(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn no_random_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..1_300)) {
        let _ = Message::decode(&bytes);
        prop_assert!(Keys::parse(KEY).unwrap().open(&bytes).is_err());
    }
}

pub(in super::super) fn sample() -> Message {
    Message {
        header: Header {
            node: NodeName::from("node-a"),
            incarnation: 1_790_000_000_000_000,
            seq: 77,
            interface: 2,
            interface_name: "eth0".into(),
            mac: Mac([2, 0, 0, 0, 0, 1]),
            subnets: vec!["192.168.77.0/24".parse().unwrap()],
            macs: BTreeSet::from([Mac([2, 0, 0, 0, 0, 1])]),
            flags: Header::SETTLED,
            generation: 3,
            sum: 0x1234,
            count: 2,
            pace: None,
            dark: None,
        },
        body: Body::Heartbeat(Changes {
            first: 3,
            entries: vec![("192.168.77.200".parse().unwrap(), Some(4))],
        }),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A change here breaks a rolling upgrade: append fields instead.
#[test]
fn the_bytes_are_part_of_the_protocol() {
    let datagram = Keys::parse(KEY).unwrap().seal(&sample().encode());
    assert_eq!(
        hex(&datagram),
        [
            "48524c44",                         // HRLD
            "01",                               // version of the envelope
            "1715213f",                         // key id
            "83",                               // header, kind, body
            "8c666e6f64652d61",                 // node-a
            "1b00065bfeda25e000",               // incarnation
            "184d",                             // seq
            "02646574683046020000000001",       // interface 2, eth0, its address
            "818244c0a84d001818",               // [[192.168.77.0, 24]]
            "8146020000000001",                 // all addresses
            "02",                               // settled
            "0319123402",                       // generation, sum, count
            "00",                               // heartbeat
            "8203818244c0a84dc804",             // [3, [[192.168.77.200, 4]]]
            "707eccd4ae4f31c8b91ee6c5326da633", // tag, as Python's hmac has it
        ]
        .concat()
    );
}

#[test]
fn what_was_added_later_comes_last() {
    let mut message = sample();
    message.header.pace = Some(Config::FAST.into());
    message.header.dark = Some(vec![3]);
    let bytes = hex(&message.encode());
    // pace [25, 100], dark [3], and then the body as above.
    assert!(bytes.starts_with("838e66"), "{bytes}");
    assert!(bytes.contains("0319123402821819186481030082"), "{bytes}");
}

/// What an agent of a later version may send: more fields everywhere, other kinds, other flags.
#[test]
fn a_newer_peer_is_understood() {
    let Message {
        header,
        body: Body::Heartbeat(changes),
    } = sample()
    else {
        unreachable!()
    };
    let grown = |value: &dyn Fn(&mut Encoder<&mut Vec<u8>>), fields: u8, more: u8| {
        let mut bytes = Vec::new();
        value(&mut Encoder::new(&mut bytes));
        assert_eq!(bytes[0], 0x80 + fields, "an array of so many elements");
        bytes[0] = 0x80 + fields + more;
        bytes.extend([&[0x63, b'n', b'e', b'w'][..], &[0x82, 1, 0xF6]].concat());
        bytes
    };
    let header = Header {
        pace: Some(Config::FAST.into()),
        dark: Some(vec![3]),
        ..header
    };
    let header_bytes = grown(&|e| drop(e.encode(&header)), 14, 2);
    let body_bytes = grown(&|e| drop(e.encode(&changes)), 2, 2);
    let mut bytes = vec![0x84];
    bytes.extend(&header_bytes);
    bytes.push(0);
    bytes.extend(&body_bytes);
    bytes.extend([0xA1, 0x01, 0x02]);
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.header, header);
    assert_eq!(message.body, sample().body);
    // An unknown kind: the header counts.
    let mut bytes = vec![0x83];
    bytes.extend(&header_bytes);
    bytes.push(23);
    bytes.extend(&body_bytes);
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(
        message,
        Message {
            header,
            body: Body::Unknown(23),
        }
    );
}

#[test]
fn what_lacks_something_is_malformed() {
    let ill_name = |name: &str| {
        let mut message = sample();
        message.header.node = NodeName::from(name);
        message.encode()
    };
    let whole = sample().encode();
    for bytes in [
        vec![],
        vec![0x83],
        whole[..whole.len() - 1].to_vec(),
        ill_name(""),
        ill_name(&"a".repeat(254)),
    ] {
        assert!(Message::decode(&bytes).is_err(), "{}", hex(&bytes));
    }
}

#[test]
fn refusals_name_their_reason() {
    let keys = Keys::parse(KEY).unwrap();
    let datagram = keys.seal(&sample().encode());
    let touched = |at: usize| {
        let mut datagram = datagram.clone();
        datagram[at] ^= 1;
        datagram
    };
    for (bytes, refusal) in [
        (vec![], Refusal::NotHerald),
        (vec![0; 100], Refusal::NotHerald),
        (datagram[..20].to_vec(), Refusal::NotHerald),
        (touched(0), Refusal::NotHerald),
        (touched(4), Refusal::UnknownVersion),
        (touched(5), Refusal::UnknownKey),
        (touched(9), Refusal::BadSignature),
        (touched(datagram.len() - 1), Refusal::BadSignature),
    ] {
        assert_eq!(keys.open(&bytes), Err(refusal));
    }
}
