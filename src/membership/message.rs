//! What agents say to each other: CBOR arrays with indexed fields.
//!
//! ```text
//!   [ header, kind, body ]        header: who speaks, from where, and the state of its claims on that segment
//!     kind 0 Heartbeat    [first generation, [[address, epoch | null] ...]]   changes of late
//!     kind 1 Claims       [generation, part, parts, [[address, epoch] ...]]   a part of the whole set
//!     kind 2 SyncRequest  [node, interface, since, generation, [part ...]]    send me what I miss
//!     kind 3 Probe        [[node ...]]                                        you are silent: speak
//!     kind 4 Outdated     [node, incarnation]                                 you are remembered in a later life
//!     kind 5 Word         [again, in ms]                                      to a node, not to a segment
//! ```
//!
//! A newer agent may append fields anywhere and add kinds: older ones skip the fields, and take a message of an
//! unknown kind as a sign of life. Nothing may be removed or change its meaning without a new version in the
//! envelope ([`super::auth`]).

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use herald_spi::{Mac, NodeName};
use ipnet::IpNet;
use minicbor::{Decode, Decoder, Encode, Encoder, decode::Error as DecodeError};

use super::{Config, digest::Digest, wire};

/// No datagram is longer, so none is fragmented on any Ethernet or tunnel.
pub(super) const MAX_DATAGRAM: usize = 1200;
/// How many hardware addresses a header names; with all else and the longest name it stays below 860 bytes.
pub(super) const MAX_MACS: usize = 16;
/// How many interfaces without carrier a header names.
pub(super) const MAX_DARK: usize = 8;
/// How many subnets a header names.
pub(super) const MAX_SUBNETS: usize = 16;

/// One message of an agent, signature and envelope removed.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub(super) header: Header,
    pub(super) body: Body,
}

/// A signed message that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the message cannot be read")]
pub struct Malformed(#[source] DecodeError);

/// Who speaks, from where, and the state of its claims there.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct Header {
    #[cbor(n(0), with = "wire::name")]
    pub(super) node: NodeName,
    #[n(1)]
    pub(super) incarnation: u64,
    /// Grows with every datagram of the incarnation, whatever the interface.
    #[n(2)]
    pub(super) seq: u64,
    /// The sender's index of the interface that it sends on.
    #[n(3)]
    pub(super) interface: u32,
    #[n(4)]
    pub(super) interface_name: String,
    #[cbor(n(5), with = "wire::mac")]
    pub(super) mac: Mac,
    #[cbor(n(6), with = "wire::nets")]
    pub(super) subnets: Vec<IpNet>,
    #[cbor(n(7), with = "wire::macs")]
    pub(super) macs: BTreeSet<Mac>,
    /// Bits of [`Header::LEAVING`] and so on; unknown ones are ignored.
    #[n(8)]
    pub(super) flags: u32,
    /// How many changes the claims on this interface have seen.
    #[n(9)]
    pub(super) generation: u64,
    #[n(10)]
    pub(super) sum: u64,
    #[n(11)]
    pub(super) count: u64,
    /// How the sender is set. Absent from agents that cannot be.
    #[n(12)]
    pub(super) pace: Option<Pace>,
    /// The sender's interfaces that have no carrier, by its index: nothing will be heard from there.
    #[n(13)]
    pub(super) dark: Option<Vec<u32>>,
}

/// How often an agent speaks, and for how long it may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Pace {
    #[n(0)]
    heartbeat_ms: u32,
    #[n(1)]
    dead_after_ms: u32,
}

/// What is said beyond the header.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    Heartbeat(Changes),
    Claims(Part),
    SyncRequest(SyncRequest),
    Probe(Probe),
    Outdated(Outdated),
    Word(Word),
    /// A kind that only newer agents know.
    Unknown(u32),
}

/// Consecutive changes of the sender's claims on its interface.
#[derive(Clone, Debug, Default, PartialEq, Encode, Decode)]
pub(super) struct Changes {
    /// The generation that the first change led to; each further one leads to the next.
    #[n(0)]
    pub(super) first: u64,
    /// No epoch where a claim ended.
    #[cbor(n(1), with = "wire::changes")]
    pub(super) entries: Vec<(IpAddr, Option<u64>)>,
}

/// A part of all claims that the sender had on its interface at one generation.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct Part {
    #[n(0)]
    pub(super) generation: u64,
    #[n(1)]
    pub(super) part: u32,
    #[n(2)]
    pub(super) parts: u32,
    #[cbor(n(3), with = "wire::claims")]
    pub(super) entries: Vec<(IpAddr, u64)>,
}

/// A request for what is missing of one agent's claims.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct SyncRequest {
    #[cbor(n(0), with = "wire::name")]
    pub(super) node: NodeName,
    /// The asked agent's index of the interface.
    #[n(1)]
    pub(super) interface: u32,
    /// The asker has all changes up to this generation; only the whole set helps if absent.
    #[n(2)]
    pub(super) since: Option<u64>,
    /// The asker has some parts of the set of this generation.
    #[n(3)]
    pub(super) generation: Option<u64>,
    /// And misses these.
    #[n(4)]
    pub(super) missing: Vec<u32>,
}

/// A question to agents that have been silent.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct Probe {
    #[cbor(n(0), with = "wire::names")]
    pub(super) nodes: Vec<NodeName>,
}

/// Tells an agent that it is remembered in a later incarnation, which is silent.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(super) struct Outdated {
    #[cbor(n(0), with = "wire::name")]
    pub(super) node: NodeName,
    #[n(1)]
    pub(super) incarnation: u64,
}

/// Said to nodes by the second path, and nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(super) struct Word {
    /// The sender speaks to the same node again within so many milliseconds.
    #[n(0)]
    pub(super) again_ms: u32,
}

impl Header {
    /// The agent hands over and will end.
    pub(super) const LEAVING: u32 = 1;
    /// The agent has listened for long enough to claim.
    pub(super) const SETTLED: u32 = 2;
    /// The agent's last words.
    pub(super) const GONE: u32 = 4;
    /// The node's kube-proxy is not healthy.
    pub(super) const IMPAIRED: u32 = 8;

    pub(super) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// How the sender is set, if it says.
    pub(super) fn config(&self) -> Option<Config> {
        self.pace.map(Config::from)
    }

    /// The fingerprint of the sender's claims on its interface.
    pub(super) fn digest(&self) -> Digest {
        Digest {
            sum: self.sum,
            count: self.count,
        }
    }
}

impl From<Config> for Pace {
    fn from(config: Config) -> Self {
        let ms = |time: Duration| u32::try_from(time.as_millis()).unwrap_or(u32::MAX);
        Self {
            heartbeat_ms: ms(config.heartbeat),
            dead_after_ms: ms(config.dead_after),
        }
    }
}

impl From<Pace> for Config {
    fn from(pace: Pace) -> Self {
        let ms = |ms: u32| Duration::from_millis(ms.into());
        Self {
            heartbeat: ms(pace.heartbeat_ms),
            dead_after: ms(pace.dead_after_ms),
        }
    }
}

impl Message {
    /// The CBOR of the message.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut e = Encoder::new(&mut bytes);
        let encoded = e
            .array(3)
            .and_then(|e| e.encode(&self.header))
            .and_then(|e| match &self.body {
                Body::Heartbeat(changes) => e.u32(0)?.encode(changes),
                Body::Claims(part) => e.u32(1)?.encode(part),
                Body::SyncRequest(request) => e.u32(2)?.encode(request),
                Body::Probe(probe) => e.u32(3)?.encode(probe),
                Body::Outdated(outdated) => e.u32(4)?.encode(outdated),
                Body::Word(word) => e.u32(5)?.encode(word),
                Body::Unknown(kind) => e.u32(*kind)?.null(),
            });
        // Writing to memory cannot fail, and nothing above refuses a value.
        debug_assert!(encoded.is_ok());
        bytes
    }

    /// Reads a message. Never panics, whatever the bytes, and never makes room for more than the bytes hold.
    ///
    /// # Errors
    /// The bytes are no message, or one that lacks something.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut d = Decoder::new(bytes);
        wire::fields(&mut d, 3, |d| {
            let header = d.decode()?;
            let body = match d.u32()? {
                0 => Body::Heartbeat(d.decode()?),
                1 => Body::Claims(d.decode()?),
                2 => Body::SyncRequest(d.decode()?),
                3 => Body::Probe(d.decode()?),
                4 => Body::Outdated(d.decode()?),
                5 => Body::Word(d.decode()?),
                kind => {
                    d.skip()?;
                    Body::Unknown(kind)
                }
            };
            Ok(Self { header, body })
        })
        .map_err(Malformed)
    }
}

#[cfg(test)]
pub(super) mod tests;
