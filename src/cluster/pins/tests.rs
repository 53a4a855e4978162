//! Entries as a Kubernetes 1.36.2 API server writes them, shortened to what concerns node ports.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::FieldsV1;
use serde_json::json;

use super::*;

const TCP: &str = r#"k:{"port":80,"protocol":"TCP"}"#;
const UDP: &str = r#"k:{"port":80,"protocol":"UDP"}"#;
const WEB: Port = Port::new(Protocol::Tcp, 80);
const DNS: Port = Port::new(Protocol::Udp, 80);

/// What an entry owns.
#[derive(Clone, Copy, PartialEq)]
enum Owns {
    Ports,
    PortsAndFlag,
    PinnedAndFlag,
    Pinned,
    Flag,
    FlagAndNumbers,
    Nothing,
}

fn entry(manager: &str, operation: &str, owns: Owns) -> ManagedFieldsEntry {
    let port =
        || json!({ ".": {}, "f:name": {}, "f:port": {}, "f:protocol": {}, "f:targetPort": {} });
    let pinned = || {
        let mut port = port();
        port["f:nodePort"] = json!({});
        port
    };
    let spec = match owns {
        Owns::Ports => json!({ "f:ports": { ".": {}, TCP: port(), UDP: port() }, "f:type": {} }),
        Owns::PortsAndFlag => json!({
            "f:allocateLoadBalancerNodePorts": {},
            "f:ports": { ".": {}, TCP: port(), UDP: port() },
        }),
        Owns::PinnedAndFlag => json!({
            "f:allocateLoadBalancerNodePorts": {},
            "f:ports": { ".": {}, TCP: pinned(), UDP: port() },
        }),
        Owns::Pinned => json!({ "f:ports": { TCP: pinned(), UDP: port() } }),
        Owns::Flag => json!({ "f:allocateLoadBalancerNodePorts": {} }),
        Owns::FlagAndNumbers => json!({
            "f:allocateLoadBalancerNodePorts": {},
            "f:ports": { TCP: { "f:nodePort": {} }, UDP: { "f:nodePort": {} } },
        }),
        Owns::Nothing => json!({ "f:publishNotReadyAddresses": {} }),
    };
    ManagedFieldsEntry {
        manager: Some(manager.to_owned()),
        operation: Some(operation.to_owned()),
        fields_type: Some("FieldsV1".to_owned()),
        fields_v1: Some(FieldsV1(json!({ "f:spec": spec }))),
        ..ManagedFieldsEntry::default()
    }
}

fn metadata(entries: &[(&str, &str, Owns)], last_applied: Option<&str>) -> ObjectMeta {
    ObjectMeta {
        managed_fields: Some(entries.iter().map(|(m, o, w)| entry(m, o, *w)).collect()),
        annotations: last_applied.map(|text| [(LAST_APPLIED.to_owned(), text.to_owned())].into()),
        ..ObjectMeta::default()
    }
}

fn numbers(by: PinnedBy, ports: &[Port]) -> Option<Pin> {
    Some(Pin {
        what: Pinned::Numbers(ports.to_vec()),
        by,
    })
}

fn flag(by: PinnedBy) -> Option<Pin> {
    Some(Pin {
        what: Pinned::Flag,
        by,
    })
}

const PLAIN: &str =
    r#"{"spec":{"ports":[{"name":"http","port":80,"protocol":"TCP"}],"type":"LoadBalancer"}}"#;
const NAMED: &str = r#"{"spec":{"ports":[{"name":"http","nodePort":30102,"port":80,"protocol":"TCP"},{"port":80,"protocol":"UDP"}]}}"#;
const TRUE: &str = r#"{"spec":{"allocateLoadBalancerNodePorts":true,"ports":[{"port":80}]}}"#;
const FALSE: &str = r#"{"spec":{"allocateLoadBalancerNodePorts":false,"ports":[{"port":80}]}}"#;

#[test]
fn only_what_a_manifest_says_is_a_pin() {
    use Owns::*;
    let applied = || PinnedBy::Applied("kubectl".into());
    let updated = |manager: &str| PinnedBy::Updated(manager.into());
    let create = "kubectl-create";
    let csa = "kubectl-client-side-apply";
    let herald = ("herald-controller", "Update", Flag);
    // What was done; the entries; last-applied; the flag's value; who pins; who refuses.
    type Row<'a> = (
        &'a str,
        Vec<(&'a str, &'a str, Owns)>,
        Option<&'a str>,
        bool,
        Option<Pin>,
        Option<Pin>,
    );
    let rows: Vec<Row<'_>> = vec![
        (
            "create",
            vec![(create, "Update", PortsAndFlag)],
            None,
            true,
            None,
            None,
        ),
        (
            "create, named",
            vec![(create, "Update", PinnedAndFlag)],
            None,
            true,
            numbers(updated(create), &[WEB]),
            None,
        ),
        // Not told from a policy's false: no proof of the user's own.
        (
            "create, false",
            vec![(create, "Update", PortsAndFlag)],
            None,
            false,
            None,
            None,
        ),
        (
            "apply",
            vec![(csa, "Update", PortsAndFlag)],
            Some(PLAIN),
            true,
            None,
            None,
        ),
        (
            "apply, named",
            vec![(csa, "Update", PinnedAndFlag)],
            Some(NAMED),
            true,
            numbers(PinnedBy::LastApplied, &[WEB]),
            None,
        ),
        (
            "apply, true",
            vec![(csa, "Update", PortsAndFlag)],
            Some(TRUE),
            true,
            flag(PinnedBy::LastApplied),
            None,
        ),
        (
            "apply, false",
            vec![(csa, "Update", PortsAndFlag)],
            Some(FALSE),
            false,
            None,
            flag(PinnedBy::LastApplied),
        ),
        (
            "server-side",
            vec![("kubectl", "Apply", Ports)],
            None,
            true,
            None,
            None,
        ),
        (
            "server-side, named",
            vec![("kubectl", "Apply", Pinned)],
            None,
            true,
            numbers(applied(), &[WEB]),
            None,
        ),
        (
            "server-side, true",
            vec![("kubectl", "Apply", PortsAndFlag)],
            None,
            true,
            flag(applied()),
            None,
        ),
        (
            "server-side, false",
            vec![("kubectl", "Apply", PortsAndFlag)],
            None,
            false,
            None,
            flag(applied()),
        ),
        (
            "create, then Herald",
            vec![(create, "Update", Ports), herald],
            None,
            false,
            None,
            None,
        ),
        (
            "server-side, then Herald",
            vec![("kubectl", "Apply", Ports), herald],
            None,
            false,
            None,
            None,
        ),
        (
            "server-side, an admission policy's false: nobody's",
            vec![("kubectl", "Apply", Ports)],
            None,
            false,
            None,
            None,
        ),
        (
            "replace of the manifest after Herald: new numbers, nobody's",
            vec![
                (create, "Update", Ports),
                ("kubectl-replace", "Update", Flag),
            ],
            None,
            true,
            None,
            None,
        ),
        (
            "read, edited elsewhere, written back",
            vec![
                (create, "Update", PortsAndFlag),
                ("kubectl-replace", "Update", Nothing),
            ],
            None,
            true,
            None,
            None,
        ),
        (
            "numbers written back after Herald took them away",
            vec![
                (create, "Update", Ports),
                ("kubectl-replace", "Update", FlagAndNumbers),
            ],
            None,
            true,
            numbers(updated("kubectl-replace"), &[WEB, DNS]),
            None,
        ),
        (
            "apply of a named number after Herald",
            vec![herald, (csa, "Update", Pinned)],
            Some(NAMED),
            false,
            numbers(PinnedBy::LastApplied, &[WEB]),
            None,
        ),
        (
            "two who name numbers: the one who applies counts first",
            vec![("a", "Update", Pinned), ("b", "Apply", Pinned)],
            None,
            true,
            numbers(PinnedBy::Applied("b".into()), &[WEB]),
            None,
        ),
    ];
    for (what, entries, manifest, allocates, pinned, refused) in rows {
        let pins = pins(&metadata(&entries, manifest), allocates);
        assert_eq!(pins.pinned, pinned, "{what}");
        assert_eq!(pins.refused, refused, "{what}");
        assert_eq!(pins.flag_is_heralds, entries.contains(&herald), "{what}");
    }
}

#[test]
fn the_owner_of_the_flag_is_named() {
    let owner = |entries: &[(&str, &str, Owns)]| pins(&metadata(entries, None), true).flag_owner;
    assert_eq!(
        owner(&[
            ("kubectl-create", "Update", Owns::Ports),
            ("kubectl-replace", "Update", Owns::Flag)
        ]),
        Some("kubectl-replace".into())
    );
    assert_eq!(owner(&[("herald-controller", "Update", Owns::Flag)]), None);
    assert_eq!(
        owner(&[("x", "Update", Owns::Flag), ("flux", "Apply", Owns::Flag)]),
        Some("flux".into())
    );
}

#[test]
fn other_subresources_and_nonsense_are_passed_over() {
    let mut status = entry("other", "Update", Owns::PinnedAndFlag);
    status.subresource = Some("status".into());
    let mut empty = entry("other", "Update", Owns::Pinned);
    empty.fields_v1 = None;
    let mut list = entry("other", "Apply", Owns::Pinned);
    list.fields_v1 = Some(FieldsV1(json!({ "f:spec": { "f:ports": [1, 2] } })));
    let mut keys = entry("other", "Apply", Owns::Pinned);
    keys.fields_v1 = Some(FieldsV1(
        json!({ "f:spec": { "f:ports": { "k:{": { "f:nodePort": {} }, "k:{\"port\":-1}": { "f:nodePort": {} } } } }),
    ));
    for text in [
        "",
        "{",
        "[]",
        r#""nodePort""#,
        r#"{"spec":{"ports":{"nodePort":1}}}"#,
        r#"{"spec":{"ports":[{"nodePort":"30000","port":80},{"nodePort":0,"port":80},7]}}"#,
        r#"{"spec":{"allocateLoadBalancerNodePorts":"true"}}"#,
        r#"{"metadata":{"annotations":{"nodePort":"allocateLoadBalancerNodePorts"}}}"#,
    ] {
        let metadata = ObjectMeta {
            managed_fields: Some(vec![
                status.clone(),
                empty.clone(),
                list.clone(),
                keys.clone(),
                ManagedFieldsEntry::default(),
            ]),
            ..metadata(&[], Some(text))
        };
        assert_eq!(pins(&metadata, true), Pins::default(), "{text}");
        assert_eq!(pins(&metadata, false), Pins::default(), "{text}");
    }
    assert_eq!(pins(&ObjectMeta::default(), true), Pins::default());
}
