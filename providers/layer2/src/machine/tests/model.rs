//! Random inputs: never a panic, never a frame about an address that is neither owned nor asked about, never one
//! on a link that is down; and a recording replays to the same outputs.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const ADDRESSES: [&str; 5] = ["192.0.2.1", "192.0.2.2", "fd77::1", "fd77::2", "fd88::1"];
const MACS: [Mac; 5] = [OURS, OURS_TOO, PEER, HOST, Mac([2, 0xba, 0xd0, 0, 0, 1])];

fn duty() -> impl Strategy<Value = Duty> {
    prop_oneof![
        (
            0u64..3,
            prop_oneof![
                Just(Wonder::Takeover),
                Just(Wonder::FirstClaim),
                Just(Wonder::Check)
            ]
        )
            .prop_map(|(id, wonder)| ask(id, wonder)),
        (
            prop_oneof![Just(Gain::First), Just(Gain::Takeover)],
            0u32..3
        )
            .prop_map(|(gain, round)| Duty::Own { gain, round }),
    ]
}

fn desired() -> impl Strategy<Value = Input> {
    let places = prop::collection::btree_map((0..ADDRESSES.len(), 2u32..5), duty(), 0..8);
    let macs = prop::collection::btree_set(prop::sample::select(MACS.to_vec()), 0..4);
    (places, macs).prop_map(|(places, herald_macs)| {
        let duties = places
            .into_iter()
            .map(|((at, index), duty)| (place(ADDRESSES[at], IfIndex(index)), duty))
            .collect();
        Input::Desired(Arc::new(Desired {
            duties,
            herald_macs,
        }))
    })
}

fn links() -> impl Strategy<Value = Input> {
    prop::collection::btree_map(
        2u32..5,
        (prop::sample::select(MACS.to_vec()), any::<bool>()),
        0..3,
    )
    .prop_map(|links| {
        Input::Links(
            links
                .into_iter()
                .map(|(n, (mac, up))| (IfIndex(n), link(IfIndex(n), mac, up)))
                .collect(),
        )
    })
}

fn frame() -> impl Strategy<Value = Input> {
    let mac = || prop::sample::select(MACS.to_vec());
    let v4s = || prop::sample::select(ADDRESSES[..2].to_vec()).prop_map(v4);
    let v6s = || prop::sample::select(ADDRESSES[2..].to_vec()).prop_map(v6);
    let bytes = prop_oneof![
        (mac(), v4s(), v4s()).prop_map(|(mac, a, b)| arp::request(mac, a, b)),
        (mac(), v4s()).prop_map(|(mac, a)| arp::probe(mac, a)),
        (mac(), v4s()).prop_map(|(mac, a)| arp::announcement_reply(mac, a)),
        (mac(), v4s(), mac(), v4s()).prop_map(|(mac, a, to, b)| arp::reply(mac, a, to, b)),
        (mac(), v6s()).prop_map(|(mac, a)| ndp::probe(mac, a)),
        (mac(), v6s()).prop_map(|(mac, a)| ndp::unsolicited(mac, a)),
        (mac(), v6s(), mac(), v6s()).prop_map(|(mac, a, to, b)| ndp::solicited(mac, a, to, b)),
        prop::collection::vec(any::<u8>(), 0..100),
    ];
    let spoilt = (
        bytes,
        prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>())),
    );
    (2u32..6, spoilt).prop_map(|(index, (mut bytes, spoil))| {
        if let Some((at, octet)) = spoil.filter(|_| !bytes.is_empty()) {
            let at = at.index(bytes.len());
            bytes[at] = octet;
        }
        Input::Frame {
            interface: IfIndex(index),
            bytes,
        }
    })
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        3 => desired(),
        2 => links(),
        8 => frame(),
        1 => (2u32..5, prop::option::of(Just("broken".to_owned())))
            .prop_map(|(index, why)| Input::Trouble { interface: IfIndex(index), why }),
        1 => Just(Input::Woke),
        4 => Just(Input::Tick),
    ]
}

/// Inputs, each some time after the one before.
fn story() -> impl Strategy<Value = Vec<(u64, Input)>> {
    prop::collection::vec(
        (prop_oneof![0u64..50, 0u64..3000, 0u64..80_000], input()),
        1..120,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nothing_leaves_that_should_not(story in story()) {
        let mut machine = Machine::new(1);
        let mut now = Time::ZERO;
        let mut duties = BTreeMap::new();
        let mut links = Links::new();
        let mut joined: BTreeSet<(IfIndex, Ipv6Addr)> = BTreeSet::new();
        for (pause, input) in story {
            now = now + Duration::from_millis(pause);
            match &input {
                Input::Desired(desired) => duties.clone_from(&desired.duties),
                Input::Links(is) => links.clone_from(is),
                _ => {}
            }
            let mut out = Vec::new();
            machine.handle(now, input, &mut out);
            if machine.next_deadline().is_some_and(|at| at <= now) {
                machine.handle(now, Input::Tick, &mut out);
            }
            for output in out {
                match output {
                    Output::Send { interface, bytes } => {
                        let (kind, address) = classify(&bytes);
                        let link = links.get(&interface);
                        prop_assert!(link.is_some_and(|link| link.up), "{kind:?} on {interface}");
                        prop_assert_eq!(&bytes[6..12], &link.unwrap().mac.0);
                        let duty = duties.get(&Place { address, interface });
                        let allowed = match kind {
                            Kind::Probe => duty.is_some(),
                            _ => matches!(duty, Some(Duty::Own { .. })),
                        };
                        prop_assert!(allowed, "{kind:?} of {address}: {duty:?}");
                    }
                    Output::Join { interface, group } => prop_assert!(joined.insert((interface, group))),
                    Output::Leave { interface, group } => prop_assert!(joined.remove(&(interface, group))),
                    Output::Filter { interface, addresses } => {
                        let expected: Vec<IpAddr> = duties.keys()
                            .filter(|place| place.interface == interface && links.contains_key(&interface))
                            .map(|place| place.address).collect();
                        prop_assert_eq!(addresses, expected);
                    }
                    Output::Report(Report::Answered { place, question, .. }) => {
                        let asked = matches!(duties.get(&place), Some(Duty::Ask(it)) if it.id == question);
                        prop_assert!(asked);
                    }
                    Output::Report(Report::Conflict { place, by }) => {
                        let owned = matches!(duties.get(&place), Some(Duty::Own { .. }));
                        prop_assert!(owned);
                        prop_assert!(!links.values().any(|link| link.mac == by));
                    }
                    Output::Report(_) => {}
                }
            }
            if let Some(deadline) = machine.next_deadline() {
                prop_assert!(deadline > now, "nothing that is due stays undone");
            }
            // The groups are exactly those of the places on known links; a check needs none.
            let needed: BTreeSet<(IfIndex, Ipv6Addr)> = duties.iter()
                .filter(|(place, _)| links.contains_key(&place.interface))
                .filter(|(_, duty)| !matches!(duty, Duty::Ask(it) if it.wonder == Wonder::Check))
                .filter_map(|(place, _)| match place.address {
                    IpAddr::V6(address) => Some((place.interface, ndp::solicited_node(address))),
                    IpAddr::V4(_) => None,
                })
                .collect();
            prop_assert_eq!(&joined, &needed);
        }
    }

    #[test]
    fn a_recording_replays_to_the_same_outputs(story in story()) {
        let run = |story: Vec<(u64, Input)>| {
            let (mut machine, mut now, mut all) = (Machine::new(9), Time::ZERO, Vec::new());
            for (pause, input) in story {
                now = now + Duration::from_millis(pause);
                machine.handle(now, input, &mut all);
            }
            (all, machine.tally())
        };
        let text = serde_json::to_string(&story).unwrap();
        let replayed: Vec<(u64, Input)> = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(run(story), run(replayed));
    }
}
