//! Whatever comes in on the wire: no panic, and what was read fits what was sent.
#![no_main]

use herald_layer2::frame::{Frame, decode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match decode(bytes) {
        Ok(Frame::Arp(frame)) => {
            assert!(frame.sender_mac().is_unicast());
            assert!(!(frame.is_probe() && !frame.is_request()));
        }
        Ok(Frame::Ndp(frame)) => {
            assert!(frame.source_mac().is_unicast() && !frame.target().is_multicast());
            assert!(frame.link_layer().is_none_or(|mac| mac.is_unicast()));
            assert!(!(frame.is_probe() && frame.link_layer().is_some()));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
