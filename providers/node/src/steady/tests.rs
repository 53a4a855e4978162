use super::*;

fn node(name: &str, ready: bool) -> NodeFacts {
    NodeFacts {
        name: name.into(),
        external_ips: Vec::new(),
        internal_ips: vec!["10.0.0.1".parse().unwrap()],
        excluded: false,
        out_of_service: false,
        deleting: false,
        being_scaled_down: false,
        ready,
        host: None,
    }
}

fn counted(steady: &Steady) -> bool {
    steady.fit().any(|(name, _)| name.as_str() == "a")
}

/// Beside it stands one that is always ready.
fn beside(node: NodeFacts) -> Vec<NodeFacts> {
    vec![node, self::node("z", true)]
}

/// Steps of (time, what the node says, whether it counts then, whether that is a change, when to look again).
type Steps<'a> = &'a [(i64, bool, bool, bool, Option<i64>)];

fn follow(steps: Steps<'_>) {
    let mut steady = Steady::default();
    for (now, ready, counts, changed, due) in steps.iter().copied() {
        let said = steady.update(now, beside(node("a", ready)));
        assert_eq!(said, changed, "changed at {now}");
        assert_eq!(counted(&steady), counts, "counted at {now}");
        assert_eq!(steady.next_due(), due, "due at {now}");
    }
}

#[test]
fn a_node_counts_as_it_is_when_first_seen() {
    follow(&[(0, true, true, true, None)]);
    follow(&[(0, false, false, true, None)]);
}

#[test]
fn a_node_that_is_made_counts_from_its_first_moment_of_being_ready() {
    follow(&[
        (0, false, false, true, None),
        (5, true, true, true, None),
        (6, false, true, false, Some(36)),
    ]);
}

#[test]
fn readiness_does_not_count_where_no_node_is_ready() {
    let mut steady = Steady::default();
    steady.update(0, vec![node("a", true), node("b", true)]);
    let neither = || vec![node("a", false), node("b", false)];
    assert!(!steady.update(1, neither()));
    assert!(
        !steady.update(31, neither()),
        "all at once: whoever says so is ill"
    );
    assert!(counted(&steady));
    assert!(steady.update(40, vec![node("a", false), node("c", true)]));
    assert!(!counted(&steady));
}

#[test]
fn not_ready_counts_after_half_a_minute() {
    follow(&[
        (0, true, true, true, None),
        (100, false, true, false, Some(130)),
        (129, false, true, false, Some(130)),
        (130, false, false, true, None),
        (500, false, false, false, None),
    ]);
}

#[test]
fn a_node_that_was_dropped_returns_after_half_a_minute_of_being_ready() {
    follow(&[
        (0, true, true, true, None),
        (10, false, true, false, Some(40)),
        (40, false, false, true, None),
        (50, true, false, false, Some(80)),
        (79, true, false, false, Some(80)),
        (80, true, true, true, None),
    ]);
}

#[test]
fn flapping_changes_nothing_and_starts_the_wait_over() {
    let mut steps = vec![(0, true, true, true, None)];
    for turn in 0..20 {
        let at = 100 + turn * 30;
        steps.push((at, false, true, false, Some(at + 30)));
        steps.push((at + 29, true, true, false, None));
    }
    follow(&steps);

    // Dropped, and ready now and then, but never for long.
    let mut steps = vec![
        (0, true, true, true, None),
        (10, false, true, false, Some(40)),
        (40, false, false, true, None),
    ];
    for turn in 0..20 {
        let at = 100 + turn * 30;
        steps.push((at, true, false, false, Some(at + 30)));
        steps.push((at + 29, false, false, false, None));
    }
    follow(&steps);
}

#[test]
fn a_clock_that_is_set_back_does_not_make_the_wait_longer() {
    follow(&[
        (10_000, true, true, true, None),
        (10_010, false, true, false, Some(10_040)),
        (5_000, false, true, false, Some(5_030)),
        (5_030, false, false, true, None),
    ]);
}

#[test]
fn the_nearest_of_several_waits_is_due() {
    let mut steady = Steady::default();
    let mut update =
        |now, a, b| steady.update(now, vec![node("a", a), node("b", b), node("z", true)]);
    update(0, true, true);
    update(5, true, false);
    update(9, false, false);
    assert!(update(35, false, false));
    assert_eq!(steady.next_due(), Some(39));
}

#[test]
fn a_node_that_is_gone_is_forgotten() {
    let mut steady = Steady::default();
    steady.update(0, beside(node("a", true)));
    steady.update(1, beside(node("a", false)));
    assert!(steady.update(2, vec![node("z", true)]));
    assert_eq!(steady.next_due(), None);
    assert!(steady.update(3, beside(node("a", false))));
    assert!(!counted(&steady), "made again, it counts as it is");
}

#[test]
fn all_else_counts_at_once() {
    type Mark = fn(&mut NodeFacts);
    let marks: [(Mark, Unfit); 4] = [
        (|n| n.excluded = true, Unfit::Excluded),
        (|n| n.out_of_service = true, Unfit::OutOfService),
        (|n| n.deleting = true, Unfit::Deleting),
        (|n| n.being_scaled_down = true, Unfit::BeingScaledDown),
    ];
    for (mark, why) in marks {
        let mut marked = node("a", true);
        mark(&mut marked);
        let mut steady = Steady::default();
        assert!(steady.update(0, vec![node("a", true)]));
        assert!(steady.update(1, vec![marked]), "{why}");
        assert_eq!(steady.unfit().collect::<Vec<_>>(), [(&"a".into(), why)]);
        assert!(steady.update(2, vec![node("a", true)]), "{why} is over");
        assert!(counted(&steady));
    }
}

#[test]
fn only_what_the_choice_looks_at_is_a_change() {
    let host = |mode: &str, port: &str| Host {
        kube_proxy_mode: Some(mode.into()),
        addresses: BTreeSet::new(),
        listening: [port.parse().unwrap()].into(),
    };
    let plain = node("a", true);
    let reporting = |mode, port| NodeFacts {
        host: Some(host(mode, port)),
        ..node("a", true)
    };
    let excluded = |mode, port| NodeFacts {
        excluded: true,
        ..reporting(mode, port)
    };
    for (before, after, changed) in [
        (plain.clone(), plain.clone(), false),
        (plain.clone(), reporting("nftables", "TCP/80"), true),
        (
            reporting("nftables", "TCP/80"),
            reporting("nftables", "TCP/81"),
            true,
        ),
        (
            excluded("nftables", "TCP/80"),
            excluded("nftables", "TCP/81"),
            false,
        ),
        (
            excluded("nftables", "TCP/80"),
            excluded("ipvs", "TCP/80"),
            true,
        ),
    ] {
        let mut steady = Steady::default();
        steady.update(0, vec![before.clone()]);
        assert_eq!(
            steady.update(1, vec![after.clone()]),
            changed,
            "{before:?} to {after:?}"
        );
    }
}

#[test]
fn addresses_are_canonical_and_mean_one_host() {
    let mut facts = node("a", true);
    facts.internal_ips = [
        "::ffff:10.0.0.1",
        "10.0.0.1",
        "127.0.0.1",
        "::",
        "ff02::1",
        "fd77::1",
    ]
    .map(|address| address.parse().unwrap())
    .into();
    let mut steady = Steady::default();
    steady.update(0, vec![facts]);
    let (_, standing) = steady.fit().next().unwrap();
    let kept: Vec<_> = standing.internal.iter().map(ToString::to_string).collect();
    assert_eq!(kept, ["10.0.0.1", "fd77::1"]);
}
