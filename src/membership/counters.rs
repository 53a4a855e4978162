//! What happened so far, in numbers, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

/// All counters of one [`super::Membership`]; shared with whoever exports them.
#[derive(Debug, Default)]
pub struct Counters {
    /// Datagrams handed to a socket.
    pub sent: Counter,
    /// Datagrams that a socket refused, or for which it had no room.
    pub send_failures: Counter,
    /// Datagrams received, of whatever kind.
    pub received: Counter,
    /// Dropped: not a message of an agent.
    pub not_herald: Counter,
    /// Dropped: an envelope of an unknown version.
    pub unknown_version: Counter,
    /// Dropped: signed by a key that is not here.
    pub unknown_key: Counter,
    /// Dropped: the signature does not fit.
    pub bad_signature: Counter,
    /// Dropped: signed well, but not readable.
    pub malformed: Counter,
    /// A kind of message that only newer agents know; its sender counts as heard.
    pub unknown_kind: Counter,
    /// Dropped: heard before. Normal where IPv4 and IPv6 are both in use.
    pub duplicates: Counter,
    /// Dropped: too old to be told from a replay.
    pub stale: Counter,
    /// Dropped: from an incarnation that is known to be over.
    pub old_incarnation: Counter,
    /// Dropped: more node names than a table holds.
    pub table_full: Counter,
    /// Dropped: a segment's heartbeat on the second path, or the other way round: a recording, played elsewhere.
    pub wrong_path: Counter,
    /// Datagrams sent by the second path, to one node each.
    pub routed_sent: Counter,
    /// Those of them that the socket refused, or that had none.
    pub routed_failures: Counter,
    /// Datagrams received by the second path, of whatever kind.
    pub routed_received: Counter,
    /// Own datagrams heard on another own interface.
    pub own: Counter,
    /// Peers that fell silent for the dead time.
    pub deaths: Counter,
    /// Peers that told elsewhere, on the second path too, that they have no carrier where they were heard.
    pub carriers_lost: Counter,
    /// Times that a silent peer was asked to speak.
    pub probes: Counter,
    /// Times that a peer was asked for claims that were missing here.
    pub sync_requests: Counter,
    /// Full sets of claims taken over from a peer.
    pub full_syncs: Counter,
    /// Pauses of this process.
    pub pauses: Counter,
}

impl Counter {
    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
