//! The second path between real agents: a cable is pulled, and heartbeats are blocked.
//!
//! Needs `ip` and `nft`, and root or user namespaces; says so and skips otherwise, and fails instead under `CI=true`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy.toml exempts only the test functions themselves"
)]

use lan::{BRIDGE, Host, announces, bridges, host, says, until};
use namespace::outside;
use wire::{Agent, run};

mod lan;
mod namespace;
mod wire;

const NFT: &str = "nft add table netdev routed";
const HEARD: &str = "is heard";

/// Two nodes whose agents hear each other; the first announces the address.
fn two(directory: &std::path::Path) -> ([Host; 2], [Agent; 2]) {
    bridges();
    let hosts = [1, 2].map(|number| host(directory, number));
    hosts.iter().for_each(Host::route_mgmt);
    let one = hosts[0].start("one", 7, true);
    until("one announces", &[&one], || announces(&one));
    let two = hosts[1].start("two", 7, false);
    until("they hear each other", &[&one, &two], || {
        says(&one, HEARD) > 0 && says(&two, HEARD) > 0
    });
    (hosts, [one, two])
}

#[test]
fn a_node_that_lost_its_carrier_says_so_and_is_replaced_without_waiting() {
    let test = "a_node_that_lost_its_carrier_says_so_and_is_replaced_without_waiting";
    if outside(test, &[BRIDGE, NFT]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (_hosts, [one, two]) = two(directory.path());
    std::thread::sleep(std::time::Duration::from_secs(2));
    run("ip link set p1 down");
    until("two announces", &[&one, &two], || announces(&two));
    let log = two.log();
    assert_eq!(
        says(&two, "agent one has lost the carrier here"),
        1,
        "{log}"
    );
    assert_eq!(says(&two, "has been silent"), 0, "{log}");
    // The cable is back, and nothing moves.
    run("ip link set p1 up");
    until("one is heard again", &[&one, &two], || {
        says(&two, HEARD) == 2
    });
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(says(&two, "let go"), 0, "{}", two.log());
    assert_eq!(says(&one, "announcing"), 1, "{}", one.log());
}

#[test]
fn a_node_that_is_alive_elsewhere_and_silent_on_its_segment_is_replaced() {
    let test = "a_node_that_is_alive_elsewhere_and_silent_on_its_segment_is_replaced";
    if outside(test, &[BRIDGE, NFT]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (_hosts, [one, two]) = two(directory.path());
    // Its port is taken out of the bridge: it notices nothing itself, and says on the second path that it is alive.
    run("ip link set p1 nomaster");
    until("two announces", &[&one, &two], || announces(&two));
    assert_eq!(says(&two, "agent one has been silent"), 1, "{}", two.log());
    assert_eq!(says(&two, "has lost the carrier"), 0, "{}", two.log());
    run("ip link set p1 master br0");
    // Each of them was alone, so which of the two stays the epochs decide; one lets go, once.
    let let_go = || says(&one, "let go") + says(&two, "let go");
    until("there is one owner", &[&one, &two], || let_go() == 1);
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert_eq!(let_go(), 1, "{}\n---\n{}", one.log(), two.log());
}
