//! Who may speak: every datagram is signed by a key that all agents share.
//!
//! ```text
//!   magic "HRLD" (4) | version (1) | key id (4) | CBOR message | HMAC-SHA256 of all before, first 16 bytes
//! ```
//!
//! The key id is derived from the key, so the order of keys may differ from node to node while a key is being
//! replaced. To replace one without a gap: add the new key as the second line on every node, then make it the first,
//! then remove the old one.
//!
//! 16 bytes of tag leave a forger 2^-128 per try. The key is a password of the LAN's agents, not of one node: any
//! node that has it may speak for any other.

use std::fmt;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use ring::hmac;

/// The length of a key in bytes.
pub const KEY_LENGTH: usize = 32;

const MAGIC: [u8; 4] = *b"HRLD";
const VERSION: u8 = 1;
const ID_LENGTH: usize = 4;
const HEADER: usize = MAGIC.len() + 1 + ID_LENGTH;
const TAG: usize = 16;
/// What signing adds to a message.
pub(super) const OVERHEAD: usize = HEADER + TAG;
/// What the id of a key is computed from.
const ID_LABEL: &[u8] = b"herald.dev peer key id";

/// The keys of the agents: the first signs, all verify.
#[derive(Clone)]
pub struct Keys {
    signing: Key,
    others: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: [u8; ID_LENGTH],
    hmac: hmac::Key,
}

/// Why a text holds no keys. Never shows the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Only white space.
    #[error("no peer key; make one with: head -c32 /dev/urandom | base64")]
    Missing,
    /// A line is something else than base64.
    #[error(
        "line {line} of the peer keys is not base64; make a key with: head -c32 /dev/urandom | base64"
    )]
    NotBase64 {
        /// Counted from 1.
        line: usize,
    },
    /// A line is base64 of too few or too many bytes.
    #[error(
        "line {line} of the peer keys is {length} bytes long instead of 32; \
         make a key with: head -c32 /dev/urandom | base64"
    )]
    WrongLength {
        /// Counted from 1.
        line: usize,
        /// The decoded length.
        length: usize,
    },
}

/// Why a datagram was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// Not a message of an agent at all, or cut short.
    NotHerald,
    /// Another version of the envelope.
    UnknownVersion,
    /// No key here has its key id.
    UnknownKey,
    /// The signature does not fit.
    BadSignature,
    /// Signed well, but not readable: an agent of another kind has the key.
    Malformed,
}

impl KeysError {
    /// The one-word reason for logs and metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "PeerKeyMissing",
            Self::NotBase64 { .. } => "PeerKeyNotBase64",
            Self::WrongLength { .. } => "PeerKeyWrongLength",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHerald => "not a message of an agent",
            Self::UnknownVersion => "a version this agent does not know",
            Self::UnknownKey => "signed by a key this agent does not have",
            Self::BadSignature => "the signature is wrong",
            Self::Malformed => "signed well, but it cannot be read",
        })
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", 1 + self.others.len())
    }
}

impl Keys {
    /// Reads base64 of 32 bytes, one key per line; white space is ignored. The first signs, all verify.
    ///
    /// # Errors
    /// Names the line and how to make a key.
    pub fn parse(text: &str) -> Result<Self, KeysError> {
        let mut keys = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let line_number = at + 1;
            let bare: String = line.split_whitespace().collect();
            if !bare.is_empty() {
                keys.push(Key::parse(&bare, line_number)?);
            }
        }
        let mut keys = keys.into_iter();
        let signing = keys.next().ok_or(KeysError::Missing)?;
        Ok(Self {
            signing,
            others: keys.collect(),
        })
    }

    /// What tells the key that signs from others, in hexadecimal digits: the id that every datagram carries, derived by
    /// HMAC, so that it says nothing of the key.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{:08x}", u32::from_be_bytes(self.signing.id))
    }

    /// Wraps and signs a message.
    pub(super) fn seal(&self, message: &[u8]) -> Vec<u8> {
        let mut datagram = Vec::with_capacity(message.len() + OVERHEAD);
        datagram.extend(MAGIC);
        datagram.push(VERSION);
        datagram.extend(self.signing.id);
        datagram.extend(message);
        let tag = hmac::sign(&self.signing.hmac, &datagram);
        datagram.extend(tag.as_ref().iter().take(TAG));
        datagram
    }

    /// The message inside, if the datagram was signed by a known key.
    ///
    /// # Errors
    /// Says why not; nothing beyond the envelope was looked at then.
    pub(super) fn open<'a>(&self, datagram: &'a [u8]) -> Result<&'a [u8], Refusal> {
        let (signed, tag) = datagram
            .split_last_chunk::<TAG>()
            .ok_or(Refusal::NotHerald)?;
        let rest = signed.strip_prefix(&MAGIC).ok_or(Refusal::NotHerald)?;
        let (version, rest) = rest.split_first().ok_or(Refusal::NotHerald)?;
        if *version != VERSION {
            return Err(Refusal::UnknownVersion);
        }
        let (id, message) = rest
            .split_first_chunk::<ID_LENGTH>()
            .ok_or(Refusal::NotHerald)?;
        let mut failure = Refusal::UnknownKey;
        for key in std::iter::once(&self.signing)
            .chain(&self.others)
            .filter(|k| k.id == *id)
        {
            if key.verifies(signed, tag) {
                return Ok(message);
            }
            failure = Refusal::BadSignature;
        }
        Err(failure)
    }
}

impl Key {
    fn parse(text: &str, line: usize) -> Result<Self, KeysError> {
        let lenient =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let bytes = GeneralPurpose::new(&STANDARD, lenient)
            .decode(text)
            .map_err(|_| KeysError::NotBase64 { line })?;
        if bytes.len() != KEY_LENGTH {
            return Err(KeysError::WrongLength {
                line,
                length: bytes.len(),
            });
        }
        let hmac = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
        let mut id = [0; ID_LENGTH];
        for (to, from) in id.iter_mut().zip(hmac::sign(&hmac, ID_LABEL).as_ref()) {
            *to = *from;
        }
        Ok(Self { id, hmac })
    }

    /// Compares in constant time. `ring` compares whole tags only, so the two truncated tags are signed once more
    /// and those tags are compared: equal exactly when the truncated ones are.
    fn verifies(&self, signed: &[u8], tag: &[u8; TAG]) -> bool {
        let right = hmac::sign(&self.hmac, signed);
        right.as_ref().first_chunk::<TAG>().is_some_and(|right| {
            hmac::verify(&self.hmac, right, hmac::sign(&self.hmac, tag).as_ref()).is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const SECOND: &str = "Hx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8fHx8=";

    #[test]
    fn keys_are_read_or_refused_with_line_and_advice() {
        let missing = Err(KeysError::Missing);
        for (text, result) in [
            (FIRST.to_owned(), Ok(1)),
            (FIRST.trim_end_matches('=').to_owned(), Ok(1)),
            (format!("\n  {FIRST}\r\n\n\t{SECOND} \n\n"), Ok(2)),
            (format!("{} {}", &FIRST[..20], &FIRST[20..]), Ok(1)),
            (String::new(), missing),
            (" \n\t\r\n".to_owned(), missing),
            (
                format!("{FIRST}\n\n# old\n"),
                Err(KeysError::NotBase64 { line: 3 }),
            ),
            (
                format!("{FIRST}\n{SECOND}{SECOND}"),
                Err(KeysError::NotBase64 { line: 2 }),
            ),
            (
                "c2hvcnQ=".to_owned(),
                Err(KeysError::WrongLength { line: 1, length: 5 }),
            ),
        ] {
            let keys = Keys::parse(&text);
            assert_eq!(
                keys.as_ref()
                    .map(|keys| 1 + keys.others.len())
                    .map_err(|e| *e),
                result
            );
            if let Err(error) = keys {
                let said = error.to_string();
                assert!(said.contains("head -c32 /dev/urandom | base64"), "{said}");
            }
        }
    }

    #[test]
    fn the_first_signs_and_all_verify() {
        let keys = |lines: &[&str]| Keys::parse(&lines.join("\n")).unwrap();
        let signed = keys(&[FIRST, SECOND]).seal(b"message");
        for (lines, result) in [
            (&[FIRST][..], Ok(&b"message"[..])),
            (&[SECOND, FIRST], Ok(b"message")),
            (&[SECOND], Err(Refusal::UnknownKey)),
        ] {
            assert_eq!(keys(lines).open(&signed), result);
        }
    }

    /// Keys never reach a log.
    #[test]
    fn keys_are_not_shown() {
        assert_eq!(format!("{:?}", Keys::parse(FIRST).unwrap()), "Keys(1)");
    }
}
