//! A port of a Service: protocol and number, as Kubernetes writes them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A transport protocol of a Service port.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Protocol {
    /// TCP.
    #[default]
    #[serde(rename = "TCP")]
    Tcp,
    /// UDP.
    #[serde(rename = "UDP")]
    Udp,
    /// SCTP.
    #[serde(rename = "SCTP")]
    Sctp,
}

/// A protocol and a number. Shown, and read, as `TCP/80`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// The protocol.
    pub protocol: Protocol,
    /// The number.
    pub number: u16,
}

/// The text is no port.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no port; write it as TCP/80, UDP/53 or SCTP/9899")]
pub struct InvalidPort(String);

impl Port {
    /// A port from its two parts.
    #[must_use]
    pub const fn new(protocol: Protocol, number: u16) -> Self {
        Self { protocol, number }
    }
}

impl Protocol {
    /// The word that Kubernetes uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
            Self::Sctp => "SCTP",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Protocol {
    type Err = InvalidPort;

    fn from_str(text: &str) -> Result<Self, InvalidPort> {
        [Self::Tcp, Self::Udp, Self::Sctp]
            .into_iter()
            .find(|protocol| protocol.as_str() == text)
            .ok_or_else(|| InvalidPort(text.to_owned()))
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.protocol, self.number)
    }
}

impl FromStr for Port {
    type Err = InvalidPort;

    fn from_str(text: &str) -> Result<Self, InvalidPort> {
        let ill = || InvalidPort(text.to_owned());
        let (protocol, number) = text.split_once('/').ok_or_else(ill)?;
        Ok(Self {
            protocol: protocol.parse().map_err(|_| ill())?,
            number: number.parse().map_err(|_| ill())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_read_as_they_are_shown() {
        for text in ["TCP/80", "UDP/53", "SCTP/65535"] {
            assert_eq!(
                text.parse::<Port>().map(|port| port.to_string()).as_deref(),
                Ok(text)
            );
        }
        for ill in ["80", "tcp/80", "TCP/", "TCP/65536", "TCP/80/1", ""] {
            assert!(ill.parse::<Port>().is_err(), "{ill}");
        }
    }
}
