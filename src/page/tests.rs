//! The whole page for a built picture, beside `tests/page/golden.html`. `HERALD_REWRITE_GOLDENS=1` writes it anew.

use std::path::Path;

use herald_spi::ServiceKey;

use super::*;
use crate::survey::{
    Conflict, Counts, Limits, Line, Move, Node, NodeTrouble, Numbers, Pool, Pools, Status, Trouble,
};

/// 2026-01-01T01:00:00Z.
const NOW: i64 = 1_767_229_200;
const ATTACK: &str = "</td><script>alert('pwned')</script>";

fn line(name: &str, state: &str, message: &str) -> Line {
    let well = state == "Announcing";
    Line {
        well,
        namespace: "shop".into(),
        name: name.into(),
        class: None,
        policy: "Cluster".into(),
        ports: vec!["TCP/80:30080".into(), "UDP/53".into()],
        address: well.then(|| "192.168.77.200".into()),
        hostname: None,
        pool: well.then(|| "lan".into()),
        nodes: well.then(|| "node-1".into()).into_iter().collect(),
        interfaces: well.then(|| "eth0".into()).into_iter().collect(),
        since: Some("2025-12-30T23:00:00Z".into()),
        state: state.into(),
        message: message.into(),
    }
}

fn pool(name: &str, used: &str, free: &str, capacity: &str) -> Pool {
    let text = |text: &str| Some(text.to_owned());
    Pool {
        well: true,
        name: name.into(),
        ready: true,
        reason: "Ready".into(),
        message: String::new(),
        degraded: None,
        families: vec![Numbers {
            family: "IPv4",
            capacity: text(capacity),
            used: text(used),
            reserved: text("1"),
            quarantined: text("0"),
            free: text(free),
        }],
        priority: 0,
        automatic: true,
        addresses: vec![
            "192.168.77.200-192.168.77.250".into(),
            "fd77::200/120".into(),
        ],
        exclude: Vec::new(),
        limits: Limits {
            namespaces: None,
            namespace_selector: None,
            service_selector: None,
            quota_per_namespace: None,
        },
        retention: None,
        node_ports: "Keep".into(),
        fallback: "None".into(),
        sharing: "Namespace".into(),
        version: 1,
    }
}

fn picture() -> Picture {
    let services = vec![
        line("web", "Announcing", ""),
        line("late", "PoolExhausted", "pool lan: IPv4 full"),
        line("evil", "Odd\" onclick=\"alert(1)", ATTACK),
        // A mark that would show the rest of the line backwards, and a name longer than any line.
        line(
            "turned",
            "Announcing",
            "abc\u{202e}gnp.exe \u{5e9}\u{5dc}\u{5d5}\u{5dd}",
        ),
        line(&"long-".repeat(50), "Announcing", ""),
        Line {
            well: true,
            address: None,
            hostname: Some("k8s-shop-nlb.elb.eu-central-1.amazonaws.com".into()),
            ..line("cloud", "Provisioned", "it serves TCP/80")
        },
    ];
    let service = || ServiceKey::new("shop", "web");
    let node = |name: &str, troubles: Vec<NodeTrouble>, counts| Node {
        name: name.into(),
        well: troubles.is_empty(),
        troubles,
        counts,
        written: Some(NOW - 90),
    };
    Picture {
        read: NOW - 1,
        status: Status {
            well: false,
            services,
            agents: vec![Trouble {
                node: "node-3".into(),
                state: "PeerUnheard".into(),
                message: "node-3 is alive".into(),
            }],
        },
        pools: Pools::new(vec![
            pool("lan", "50", "0", "51"),
            pool("<b>bold</b>", "3", "18446744073709551612", "18446744073709551616"),
            Pool {
                well: false,
                ready: false,
                reason: "Overlap".into(),
                message: ATTACK.into(),
                families: Vec::new(),
                ..pool("young", "0", "0", "0")
            },
        ]),
        nodes: vec![
            node("node-1", vec![], Some(Counts { announcing: 1_200, peers: 1, checked: 4, ..Counts::default() })),
            node("node-2", vec![NodeTrouble::NoAgent, NodeTrouble::NotReady], None),
        ],
        conflicts: vec![Conflict {
            state: "Conflict".into(),
            is_over: false,
            address: Some("192.168.77.201".into()),
            service: Some("shop/web".into()),
            node: Some("node-1".into()),
            interface: Some("eth0".into()),
            mac: Some("02:00:00:00:00:09".into()),
            since: Some("2026-01-01T00:59:00Z".into()),
            message: "it is defended".into(),
        }],
        moves: vec![
            Move::new(
                (NOW - 600) * 1_000,
                service(),
                "192.168.77.200 moved from a to b (eth0): a is not heard any more; announced 430 ms after it was heard last"
                    .into(),
            ),
            Move::new((NOW - 7_200) * 1_000, service(), ATTACK.into()),
        ],
        moves_cut: true,
        lead: Lead {
            me: "me_1".into(),
            leads: false,
            holder: Some("<other>".into()),
            since: Some(NOW - 3_600),
        },
        unread: vec!["moves cannot be read: 403 & more".into()],
    }
}

/// The document without what stands in files of its own.
fn shown(document: &str) -> String {
    let mut shown = document.to_owned();
    for (begin, end) in [
        ("<style>", "</style>"),
        ("<script>", "</script>"),
        ("<section id=words>", "</section>"),
    ] {
        let from = shown.find(begin).unwrap() + begin.len();
        let length = shown[from..].find(end).unwrap();
        shown.replace_range(from..from + length, "…");
    }
    shown
}

#[test]
fn the_page_is_as_it_was_and_every_value_is_escaped() {
    let document = document(&picture(), &View::default(), NOW);
    assert_eq!(document.matches("<script").count(), 1, "its own");
    assert!(!document.contains(" onclick=\""), "{document}");
    assert!(!document.contains('\u{202e}'), "{document}");
    for style in [" style=", " onload=", " onclick=\"", "javascript:"] {
        assert!(!document.contains(style), "{style}: {document}");
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/golden.html");
    let shown = shown(&document);
    if std::env::var_os("HERALD_REWRITE_GOLDENS").is_some() {
        std::fs::write(&golden, &shown).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    for (number, (is, was)) in shown.lines().zip(expected.lines()).enumerate() {
        assert_eq!(
            is,
            was,
            "line {}; HERALD_REWRITE_GOLDENS=1 rewrites it",
            number + 1
        );
    }
    assert_eq!(shown.lines().count(), expected.lines().count());
}

#[test]
fn a_question_shows_what_was_asked_and_comes_back_escaped() {
    let view = View {
        q: ATTACK.into(),
        pool: "\"><b>".into(),
        ..View::default()
    };
    let document = document(&picture(), &view, NOW);
    assert_eq!(document.matches("<script").count(), 1);
    assert!(
        document.contains("value=\"&quot;&gt;&lt;b&gt;\""),
        "{document}"
    );
    assert!(document.contains("No Service is as you asked"));
    let refused = refusal(ATTACK);
    assert_eq!(refused.matches("<script").count(), 1, "{refused}");
}

#[test]
fn the_headline_counts_what_is_amiss_and_only_that() {
    let mut picture = picture();
    let words = |picture: &Picture| {
        let found = findings(picture).into_iter();
        found
            .map(|f| format!("{}{}", if f.amiss { "" } else { "(only) " }, f.words))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        words(&picture),
        [
            "moves cannot be read: 403 & more",
            "2 Services: Odd\" onclick=\"alert(1), PoolExhausted",
            "1 pool: young (Overlap)",
            "1 agent: node-3 (PeerUnheard)",
            "(only) 1 node needs a look: node-2",
            "(only) 1 pool is full: lan",
        ]
    );
    picture.lead.holder = None;
    assert!(words(&picture)[0].contains("no controller leads"));
    picture.lead.leads = true;
    picture.unread.clear();
    picture.status.services.retain(|line| line.well);
    picture.status.agents.clear();
    picture.pools.pools.truncate(2);
    let document = document(&picture, &View::default(), NOW);
    assert!(document.contains("All is well</h1>"), "{document}");
    assert!(document.contains("1 pool is full"), "told all the same");
}
