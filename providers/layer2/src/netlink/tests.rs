//! The model, fed with notices as the kernel sends them. What the kernel itself says is tested in `tests/netns.rs`.

use rtnetlink::packet_route::{address::AddressHeader, link::LinkHeader};

use super::*;

const ETHERNET: LinkLayerType = LinkLayerType::Ether;

fn running() -> LinkFlags {
    LinkFlags::Up | LinkFlags::Running | LinkFlags::LowerUp | LinkFlags::Broadcast
}

fn notice(
    index: u32,
    name: &str,
    kind: LinkLayerType,
    flags: LinkFlags,
    more: &[LinkAttribute],
) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header = LinkHeader {
        index,
        link_layer_type: kind,
        flags,
        ..LinkHeader::default()
    };
    message.attributes = vec![
        LinkAttribute::IfName(name.to_owned()),
        LinkAttribute::Address(vec![2, 0, 0, 0, 0, u8::try_from(index).unwrap()]),
    ];
    message.attributes.extend_from_slice(more);
    message
}

fn address(index: u32, address: &str, length: u8, flags: AddressFlags) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header = AddressHeader {
        index,
        prefix_len: length,
        ..AddressHeader::default()
    };
    let address: IpAddr = address.parse().unwrap();
    message.attributes = vec![
        AddressAttribute::Address(address),
        AddressAttribute::Flags(flags),
    ];
    message
}

fn names(model: &Model) -> Vec<String> {
    model
        .view(&Selection::automatic())
        .into_values()
        .map(|link| link.name)
        .collect()
}

fn model(links: Vec<LinkMessage>) -> Model {
    let mut model = Model::default();
    links
        .into_iter()
        .for_each(|link| model.apply(RouteNetlinkMessage::NewLink(link)));
    model
}

#[test]
fn only_free_ethernet_links_that_do_arp_count() {
    let vrf = LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Vrf)]);
    let model = model(vec![
        notice(
            1,
            "lo",
            LinkLayerType::Loopback,
            running() | LinkFlags::Loopback,
            &[],
        ),
        notice(2, "eth0", ETHERNET, running(), &[]),
        notice(3, "dummy0", ETHERNET, running() | LinkFlags::Noarp, &[]),
        notice(4, "wg0", LinkLayerType::None, running(), &[]),
        notice(5, "br0", ETHERNET, running(), &[]),
        notice(
            6,
            "eth1",
            ETHERNET,
            running(),
            &[LinkAttribute::Controller(5)],
        ),
        notice(7, "red", ETHERNET, running(), &[vrf]),
        notice(
            8,
            "eth2",
            ETHERNET,
            running(),
            &[LinkAttribute::Controller(7)],
        ),
        notice(
            9,
            "eth3",
            ETHERNET,
            running(),
            &[LinkAttribute::Controller(99)],
        ),
        notice(
            10,
            "eth4",
            ETHERNET,
            running(),
            &[LinkAttribute::Controller(0)],
        ),
    ]);
    assert_eq!(names(&model), ["eth0", "br0", "eth2", "eth4"]);
}

#[test]
fn up_takes_a_carrier_and_an_operational_state() {
    for (flags, up) in [
        (running(), true),
        (running() - LinkFlags::Up, false),
        (running() - LinkFlags::LowerUp, false),
        (running() - LinkFlags::Running, false),
    ] {
        let links =
            model(vec![notice(2, "eth0", ETHERNET, flags, &[])]).view(&Selection::automatic());
        assert_eq!(links[&IfIndex(2)].up, up, "{flags:?}");
    }
}

#[test]
fn a_bridges_own_notices_about_its_ports_take_no_link_away() {
    let mut model = model(vec![notice(2, "eth0", ETHERNET, running(), &[])]);
    let mut leaving = notice(2, "eth0", ETHERNET, running(), &[]);
    leaving.header.interface_family = AddressFamily::Bridge;
    model.apply(RouteNetlinkMessage::DelLink(leaving.clone()));
    assert_eq!(names(&model), ["eth0"]);
    leaving.header.interface_family = AddressFamily::Unspec;
    model.apply(RouteNetlinkMessage::DelLink(leaving));
    assert_eq!(names(&model), [] as [String; 0]);
}

#[test]
fn addresses_count_when_they_are_ready_and_go_with_their_link() {
    let mut model = model(vec![notice(2, "eth0", ETHERNET, running(), &[])]);
    let permanent = AddressFlags::Permanent;
    for message in [
        address(2, "192.168.77.1", 24, permanent),
        address(2, "192.168.77.1", 16, permanent),
        address(2, "fd77::1", 64, permanent | AddressFlags::Tentative),
        address(2, "fd77::2", 64, permanent | AddressFlags::Dadfailed),
        address(2, "fe80::1", 64, permanent),
        address(9, "10.0.0.1", 8, permanent),
    ] {
        model.apply(RouteNetlinkMessage::NewAddress(message));
    }
    let seen = |model: &Model| -> Vec<String> {
        model.view(&Selection::automatic())[&IfIndex(2)]
            .addresses
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    assert_eq!(
        seen(&model),
        ["192.168.77.1/16", "192.168.77.1/24", "fe80::1/64"]
    );
    model.apply(RouteNetlinkMessage::NewAddress(address(
        2, "fd77::1", 64, permanent,
    )));
    model.apply(RouteNetlinkMessage::DelAddress(address(
        2,
        "192.168.77.1",
        16,
        permanent,
    )));
    assert_eq!(
        seen(&model),
        ["192.168.77.1/24", "fd77::1/64", "fe80::1/64"]
    );
    model.apply(RouteNetlinkMessage::DelLink(notice(
        2,
        "eth0",
        ETHERNET,
        running(),
        &[],
    )));
    model.apply(RouteNetlinkMessage::NewLink(notice(
        2,
        "eth0",
        ETHERNET,
        running(),
        &[],
    )));
    assert_eq!(seen(&model), [] as [String; 0]);
}

#[test]
fn on_a_point_to_point_link_the_local_address_counts() {
    let mut message = address(2, "10.0.0.2", 32, AddressFlags::Permanent);
    message
        .attributes
        .push(AddressAttribute::Local([10, 0, 0, 1].into()));
    assert_eq!(key(&message), Some(([10, 0, 0, 1].into(), 32)));
}

#[test]
fn only_a_change_of_state_or_mac_is_told_at_once() {
    let view = |flags, more: &[LinkAttribute]| {
        model(vec![notice(2, "eth0", ETHERNET, flags, more)]).view(&Selection::automatic())
    };
    let before = view(running(), &[]);
    let mut addressed = before.clone();
    addressed
        .get_mut(&IfIndex(2))
        .unwrap()
        .addresses
        .push("10.0.0.1/8".parse().unwrap());
    assert!(same_links(&before, &addressed));
    assert!(!same_links(&before, &view(running() - LinkFlags::Up, &[])));
    assert!(!same_links(&before, &Links::new()));
    let other = [LinkAttribute::Address(vec![2, 9, 9, 9, 9, 9])];
    assert!(!same_links(&before, &view(running(), &other)));
}

#[test]
fn addresses_of_links_that_cannot_announce_are_told_too() {
    let mut model = model(vec![
        notice(
            1,
            "lo",
            LinkLayerType::Loopback,
            running() | LinkFlags::Loopback,
            &[],
        ),
        notice(2, "wg0", LinkLayerType::None, running(), &[]),
        notice(3, "eth0", ETHERNET, running(), &[]),
    ]);
    for message in [
        address(1, "203.0.113.1", 32, AddressFlags::Permanent),
        address(2, "10.9.0.1", 24, AddressFlags::Permanent),
        address(3, "fd77::1", 64, AddressFlags::Permanent),
        address(3, "fd77::2", 64, AddressFlags::Tentative),
    ] {
        model.apply(RouteNetlinkMessage::NewAddress(message));
    }
    let told: Vec<_> = model
        .addresses()
        .into_iter()
        .map(|(name, addresses)| format!("{name} {addresses:?}"))
        .collect();
    assert_eq!(
        told,
        ["eth0 [fd77::1]", "lo [203.0.113.1]", "wg0 [10.9.0.1]"]
    );
}
