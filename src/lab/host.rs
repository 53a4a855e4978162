//! A host on the segment: what nodes and the client have in common.

use nix::sys::signal::Signal;

use super::{
    client, lifeline, namespace, node,
    role::{self, Place},
    segment::Segment,
};

/// Runs the host of that name.
pub(super) fn run(place: &Place, name: &str) -> anyhow::Result<()> {
    let prepared = namespace::enter().and_then(|()| lifeline::tie(place.parent, Signal::SIGKILL));
    role::run(name, place, prepared, async |line| {
        // Every host but the client is a node, however many there are.
        if name == Segment::new(0).client.name {
            client::serve(line).await
        } else {
            node::serve(line, place, name).await
        }
    })
}
