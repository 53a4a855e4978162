//! What real agents make of noise on both of their paths, of a double, and of an interface that goes in the worst
//! moment: nobody crashes, nothing flaps, and the log says it once.
//!
//! Needs `ip`, and root or user namespaces; says so and skips otherwise, and fails instead under `CI=true`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking; clippy.toml exempts only the test functions themselves"
)]

use std::{
    net::{Ipv4Addr, UdpSocket},
    path::Path,
    thread,
    time::Duration,
};

use lan::{BRIDGE, Host, announces, bridges, host, says, until};
use namespace::outside;
use wire::{Agent, run};

mod lan;
mod namespace;
mod wire;

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 254);
const LAN: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 99);
const PORT: u16 = 9471;
const HEARD: &str = "is heard";
/// Longer than a segment takes to come to rest.
const A_WHILE: Duration = Duration::from_secs(3);

fn two(directory: &Path) -> ([Host; 2], [Agent; 2]) {
    bridges();
    let hosts = [1, 2].map(|number| host(directory, number));
    let one = hosts[0].start("one", 7, true);
    until("one announces", &[&one], || announces(&one));
    let two = hosts[1].start("two", 7, false);
    until("they hear each other", &[&one, &two], || {
        says(&one, HEARD) > 0 && says(&two, HEARD) > 0
    });
    (hosts, [one, two])
}

/// What agents say to each other on the LAN.
fn overhear(count: usize) -> Vec<Vec<u8>> {
    let ear = UdpSocket::bind((GROUP, PORT)).unwrap();
    ear.join_multicast_v4(&GROUP, &LAN).unwrap();
    let mut buffer = [0; 2_048];
    let hear = |_| {
        let length = ear.recv(&mut buffer).unwrap();
        buffer[..length].to_vec()
    };
    (0..count).map(hear).collect()
}

/// Every way to spoil what was overheard, and what never was a heartbeat.
fn noise(overheard: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut noise: Vec<Vec<u8>> = overheard.to_vec();
    let longest = overheard.iter().max_by_key(|bytes| bytes.len()).unwrap();
    for at in 0..longest.len() {
        noise.push(longest[..at].to_vec());
        let mut forged = longest.clone();
        forged[at] ^= 0x55;
        noise.push(forged);
    }
    noise.extend((0..200).map(|n| vec![n; 1 + usize::from(n) * 7]));
    noise
}

#[test]
fn noise_on_both_paths_moves_nothing_and_is_said_once() {
    let test = "noise_on_both_paths_moves_nothing_and_is_said_once";
    if outside(test, &[BRIDGE]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (_hosts, [one, two]) = two(directory.path());
    let heard = [&one, &two].map(|agent| says(agent, HEARD));
    let noise = noise(&overhear(20));
    let mouth = UdpSocket::bind((LAN, 0)).unwrap();
    let routed = UdpSocket::bind("10.9.0.99:0").unwrap();
    for _ in 0..20 {
        for bytes in &noise {
            mouth.send_to(bytes, (GROUP, PORT)).unwrap();
            for node in ["10.9.0.1", "10.9.0.2"] {
                // A full buffer on the way is as good as the noise.
                let _lost = routed.send_to(bytes, (node, PORT));
            }
        }
        thread::sleep(Duration::from_millis(50));
    }
    thread::sleep(A_WHILE);
    let logs = format!("{}\n---\n{}", one.log(), two.log());
    for (agent, before) in [&one, &two].into_iter().zip(heard) {
        assert_eq!(says(agent, HEARD), before, "{logs}");
        assert_eq!(says(agent, "let go") + says(agent, "silent"), 0, "{logs}");
        assert_eq!(says(agent, "WARN refused"), 1, "in a minute: {logs}");
    }
    assert_eq!(
        (says(&one, "announcing"), says(&two, "announcing")),
        (1, 0),
        "{logs}"
    );
}

#[test]
fn two_nodes_of_one_name_come_to_one_owner_and_both_say_so_once() {
    let test = "two_nodes_of_one_name_come_to_one_owner_and_both_say_so_once";
    if outside(test, &[BRIDGE]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    bridges();
    let [first, second, third] = [1, 2, 3].map(|number| host(directory.path(), number));
    let one = first.start("one", 7, true);
    until("one announces", &[&one], || announces(&one));
    let witness = third.start("three", 7, false);
    until("it is heard", &[&one, &witness], || {
        says(&witness, HEARD) > 0
    });
    let double = second.start("one", 7, false);
    let agents = [&one, &witness, &double];
    let namesake = |agent| says(agent, "uses this node's name");
    until("both say so", &agents, || {
        namesake(&one) > 0 && namesake(&double) > 0
    });
    thread::sleep(A_WHILE);
    let logs = agents.map(Agent::log).join("\n---\n");
    assert_eq!((namesake(&one), namesake(&double)), (1, 1), "{logs}");
    let gained: usize = agents.iter().map(|agent| says(agent, "announcing")).sum();
    let lost: usize = agents.iter().map(|agent| says(agent, "let go")).sum();
    assert_eq!(gained - lost, 1, "one owner: {logs}");
    assert!(gained <= 2, "and it does not go to and fro: {logs}");
}

#[test]
fn an_interface_that_goes_in_the_middle_of_a_takeover_is_taken_over_on_when_it_is_back() {
    let test =
        "an_interface_that_goes_in_the_middle_of_a_takeover_is_taken_over_on_when_it_is_back";
    if outside(test, &[BRIDGE]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (hosts, [one, mut two]) = two(directory.path());
    drop(one);
    // By now it asks the LAN whether the silent owner's address is free.
    thread::sleep(Duration::from_millis(330));
    run("ip link del p2");
    thread::sleep(A_WHILE);
    assert!(two.runs(), "{}", two.log());
    hosts[1].plug_eth0();
    until("two announces", &[&two], || announces(&two));
    assert!(two.runs(), "{}", two.log());
}
