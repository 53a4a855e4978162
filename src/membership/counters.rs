//! What happened so far, in numbers, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

macro_rules! counters {
    ($($(#[doc = $help:literal])* $name:ident),* $(,)?) => {
        /// All counters of one [`super::Membership`]; shared with whoever exports them.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[doc = $help])* pub $name: Counter,)*
        }

        impl Counters {
            /// All of them with their names and what they count, in a fixed order.
            pub fn read(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
                [$((
                    stringify!($name),
                    concat!($($help),*).trim_ascii(),
                    self.$name.get(),
                ),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Datagrams handed to a socket.
    sent,
    /// Datagrams that a socket refused, or for which it had no room.
    send_failures,
    /// Datagrams received, of whatever kind.
    received,
    /// Dropped: not a message of an agent, or cut short.
    not_herald,
    /// Dropped: signed by a key that is not here.
    unknown_key,
    /// Dropped: the signature does not fit.
    bad_signature,
    /// Dropped: signed well, but not readable.
    malformed,
    /// Dropped: an envelope of an unknown version.
    unknown_version,
    /// Dropped: heard before; normal where IPv4 and IPv6 are both in use.
    duplicates,
    /// Dropped: too old to be told from a replay.
    stale,
    /// Dropped: from an agent's life that is over, or from the older of two agents of one name.
    old_incarnation,
    /// Messages of a kind that only newer agents know; their senders count as heard.
    unknown_kind,
    /// Dropped: more node names than a table holds (4,096).
    table_full,
    /// Dropped: a segment's heartbeat on the second path, or the other way round: a recording, played elsewhere.
    wrong_path,
    /// Datagrams sent by the second path, to one node's InternalIP each.
    routed_sent,
    /// Those of them that could not be sent.
    routed_failures,
    /// Datagrams received by the second path, of whatever kind.
    routed_received,
    /// Own datagrams heard on another own interface.
    own,
    /// Peers that fell silent for the dead time.
    deaths,
    /// Peers that told on another segment, or by the second path, that they have no carrier on this one.
    carriers_lost,
    /// Times that a silent peer was asked to speak.
    probes,
    /// Times that a peer was asked for claims that were missing here.
    sync_requests,
    /// Full sets of claims taken over from a peer.
    full_syncs,
    /// Pauses of this process.
    pauses,
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
