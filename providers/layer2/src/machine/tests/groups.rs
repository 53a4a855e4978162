//! Multicast groups and filters follow the addresses.

use super::*;

fn changes(bench: &mut Bench) -> Vec<Output> {
    let outputs = std::mem::take(&mut bench.outputs);
    outputs
        .into_iter()
        .map(|(_, output)| output)
        .filter(|it| {
            matches!(
                it,
                Output::Join { .. } | Output::Leave { .. } | Output::Filter { .. }
            )
        })
        .collect()
}

fn join(group: &str) -> Output {
    Output::Join {
        interface: ETH0,
        group: v6(group),
    }
}

fn leave(group: &str) -> Output {
    Output::Leave {
        interface: ETH0,
        group: v6(group),
    }
}

fn filter(addresses: &[&str]) -> Output {
    let addresses = addresses.iter().map(|it| it.parse().unwrap()).collect();
    Output::Filter {
        interface: ETH0,
        addresses,
    }
}

#[test]
fn a_group_is_joined_once_and_left_with_the_last_address_that_needs_it() {
    let mut bench = Bench::new();
    bench.own("fd77::1:2");
    assert_eq!(
        changes(&mut bench),
        [join("ff02::1:ff01:2"), filter(&["fd77::1:2"])]
    );
    bench.own("fd88::1:2");
    assert_eq!(changes(&mut bench), [filter(&["fd77::1:2", "fd88::1:2"])]);
    bench.want(&[("fd77::1:2", ETH0, None)]);
    assert_eq!(changes(&mut bench), [filter(&["fd88::1:2"])]);
    bench.want(&[("fd88::1:2", ETH0, Some(ask(1, Wonder::Takeover)))]);
    assert_eq!(changes(&mut bench), [], "asking needs it too");
    bench.want(&[("fd88::1:2", ETH0, None)]);
    assert_eq!(changes(&mut bench), [leave("ff02::1:ff01:2"), filter(&[])]);
}

#[test]
fn ipv4_needs_a_filter_but_no_group() {
    let mut bench = Bench::new();
    bench.own("192.0.2.1");
    assert_eq!(changes(&mut bench), [filter(&["192.0.2.1"])]);
}

#[test]
fn the_filter_comes_before_the_first_frame_and_once_for_many_addresses() {
    let mut bench = Bench::new();
    bench.want(&[
        ("192.0.2.1", ETH0, Some(OWN)),
        ("192.0.2.2", ETH0, Some(OWN)),
    ]);
    let kinds: Vec<_> = bench
        .outputs
        .iter()
        .map(|(_, out)| matches!(out, Output::Send { .. }))
        .collect();
    assert_eq!(kinds, [false, true, true, true, true]);
}

#[test]
fn groups_are_joined_on_links_that_appear_later_and_left_when_they_vanish() {
    let mut bench = Bench::new();
    bench.set_links(&[]);
    bench.outputs.clear();
    bench.want(&[("fd77::1", ETH0, Some(OWN)), ("fd77::2", ETH0, Some(OWN))]);
    assert_eq!(changes(&mut bench), []);
    bench.set_links(&[link(ETH0, OURS, false)]);
    let both = filter(&["fd77::1", "fd77::2"]);
    assert_eq!(
        changes(&mut bench),
        [join("ff02::1:ff00:1"), join("ff02::1:ff00:2"), both],
        "down is enough"
    );
    bench.set_links(&[]);
    assert_eq!(
        changes(&mut bench),
        [
            leave("ff02::1:ff00:1"),
            leave("ff02::1:ff00:2"),
            filter(&[])
        ]
    );
    bench.want(&[("fd77::1", ETH0, None)]);
    bench.set_links(&[link(ETH0, OURS, true)]);
    assert_eq!(
        changes(&mut bench),
        [join("ff02::1:ff00:2"), filter(&["fd77::2"])]
    );
}
