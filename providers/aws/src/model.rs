//! What AWS objects are made of: the common words of the desired model, of what was read and of the calls.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use ipnet::IpNet;

use crate::words::{Alpn, Id, Probe, Scheme, Stack, TargetFamily, TargetType, Wire};

/// Tags of an object.
pub type Tags = BTreeMap<String, String>;
/// Attributes of a balancer, listener or target group.
pub type Attributes = BTreeMap<String, String>;

/// A balancer to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalancerSpec {
    /// Its name.
    pub name: String,
    /// Who reaches it.
    pub scheme: Scheme,
    /// The families on which it listens.
    pub stack: Stack,
    /// Its place in each subnet.
    pub places: BTreeMap<String, Place>,
    /// Its security groups.
    pub security_groups: Vec<Id>,
    /// Its tags.
    pub tags: Tags,
}

/// A balancer's place in a subnet: its addresses there, where AWS shall not choose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// An elastic address.
    pub allocation: Option<String>,
    /// An IPv4 address of the subnet.
    pub private_v4: Option<Ipv4Addr>,
    /// An IPv6 address of the subnet.
    pub v6: Option<Ipv6Addr>,
}

/// What of a target group cannot be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupKind {
    /// The protocol towards targets.
    pub wire: Wire,
    /// What its targets are.
    pub target_type: TargetType,
    /// Their family.
    pub family: TargetFamily,
}

/// A target group to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSpec {
    /// Its name.
    pub name: String,
    /// What cannot be changed about it.
    pub kind: GroupKind,
    /// The port of targets that say none; ours all do.
    pub port: u16,
    /// The VPC of the targets.
    pub vpc: String,
    /// How they are asked whether they are well.
    pub health: HealthCheck,
    /// Its tags.
    pub tags: Tags,
}

/// How targets are asked whether they are well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// How.
    pub probe: Probe,
    /// At which port; `None`: where they take traffic.
    pub port: Option<u16>,
    /// For which path; http and https only.
    pub path: Option<String>,
    /// What a good answer's code is; http and https only.
    pub codes: Option<String>,
    /// Every so many seconds.
    pub interval: u32,
    /// For so many seconds.
    pub timeout: u32,
    /// So many good answers make a target healthy.
    pub healthy: u32,
    /// So many bad ones make it unhealthy.
    pub unhealthy: u32,
}

/// A target of a target group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// An instance's id or an address.
    pub id: String,
    /// Its port.
    pub port: u16,
    /// Whether it lies outside the VPC, so that it belongs to no zone.
    pub outside: bool,
}

/// What a listener does, but for its port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenerSpec {
    /// The protocol towards clients.
    pub wire: Wire,
    /// Where packets go.
    pub group: Id,
    /// Of TLS: the certificate for clients that name no host.
    pub certificate: Option<String>,
    /// Of TLS: which ciphers and versions.
    pub ssl_policy: Option<String>,
    /// Of TLS: what it says about HTTP versions.
    pub alpn: Option<Alpn>,
}

/// What a rule of a security group lets in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permit {
    /// The protocol.
    pub traffic: Traffic,
    /// From whom.
    pub source: Source,
}

/// What may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Traffic {
    /// TCP to ports from the first to the last.
    Tcp(u16, u16),
    /// UDP to ports from the first to the last.
    Udp(u16, u16),
    /// Reports of packets too large for a link (ICMP 3/4).
    TooLargeV4,
    /// Reports of packets too large for a link (ICMPv6 2/0).
    TooLargeV6,
}

/// From whom it may come.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// An address range.
    Range(IpNet),
    /// The ranges of a prefix list.
    PrefixList(String),
    /// Whoever has this security group.
    Group(Id),
}

impl Stack {
    /// Whether the balancer listens on IPv6.
    #[must_use]
    pub const fn has_v6(self) -> bool {
        matches!(self, Self::Dual)
    }
}

impl ListenerSpec {
    /// Whether AWS ends TLS there.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.wire == Wire::Tls
    }

    /// What AWS answers where nothing was said about HTTP versions.
    #[must_use]
    pub fn alpn_or_none(&self) -> Option<Alpn> {
        self.alpn.filter(|alpn| *alpn != Alpn::None)
    }
}

impl Place {
    /// Whether AWS chooses all addresses.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        self.allocation.is_none() && self.private_v4.is_none() && self.v6.is_none()
    }
}

impl fmt::Display for GroupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.wire, self.target_type, self.family)
    }
}

impl Target {
    /// The instance or the address, and the port.
    #[must_use]
    pub fn place(&self) -> String {
        match self.id.parse::<IpAddr>() {
            Ok(address) => SocketAddr::new(address, self.port).to_string(),
            Err(_) => format!("{}:{}", self.id, self.port),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())?;
        if self.outside {
            f.write_str("@all")
        } else {
            Ok(())
        }
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(first, last) if first == last => write!(f, "tcp/{first}"),
            Self::Udp(first, last) if first == last => write!(f, "udp/{first}"),
            Self::Tcp(first, last) => write!(f, "tcp/{first}-{last}"),
            Self::Udp(first, last) => write!(f, "udp/{first}-{last}"),
            Self::TooLargeV4 => f.write_str("icmp/3/4"),
            Self::TooLargeV6 => f.write_str("icmpv6/2/0"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range(range) => range.fmt(f),
            Self::PrefixList(list) => f.write_str(list),
            Self::Group(group) => group.fmt(f),
        }
    }
}

impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {}", self.traffic, self.source)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in [
            ("eip", self.allocation.clone()),
            ("v4", self.private_v4.map(|address| address.to_string())),
            ("v6", self.v6.map(|address| address.to_string())),
        ] {
            if let Some(value) = value {
                write!(f, " {name}={value}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for HealthCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self
            .port
            .map_or_else(|| "traffic-port".to_owned(), |port| port.to_string());
        write!(
            f,
            "{}:{port}{}",
            self.probe,
            self.path.as_deref().unwrap_or_default()
        )?;
        if let Some(codes) = &self.codes {
            write!(f, " {codes}")?;
        }
        write!(
            f,
            " every {}s within {}s, {} good, {} bad",
            self.interval, self.timeout, self.healthy, self.unhealthy
        )
    }
}
