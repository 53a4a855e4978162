//! The closed sets of words that annotations and the API of AWS share, and the names of AWS objects.

use std::fmt;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$item_doc])* $item),* }

        impl $name {
            /// Every word, in the order in which they are offered.
            pub const ALL: &[Self] = &[$(Self::$item),*];

            /// The word as AWS writes it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$item => $text),* }
            }
        }

        impl $crate::words::Word for $name {
            const ALL: &'static [Self] = Self::ALL;
            fn word(self) -> &'static str {
                self.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

/// One of a closed set of words.
pub trait Word: Copy + 'static {
    /// The whole set.
    const ALL: &'static [Self];
    /// The word itself.
    fn word(self) -> &'static str;
}

words! {
    /// Who reaches the balancer.
    Scheme {
        /// The VPC only.
        Internal = "internal",
        /// The internet.
        InternetFacing = "internet-facing",
    }
}
words! {
    /// The families on which the balancer listens.
    Stack {
        /// IPv4 only.
        V4 = "ipv4",
        /// IPv4 and IPv6.
        Dual = "dualstack",
    }
}
words! {
    /// What the balancer sends packets to.
    TargetType {
        /// A node's instance, at its node port.
        Instance = "instance",
        /// A pod's address.
        Ip = "ip",
    }
}
words! {
    /// The family of a target group.
    TargetFamily {
        /// IPv4.
        V4 = "ipv4",
        /// IPv6.
        V6 = "ipv6",
    }
}
words! {
    /// The protocol of a listener or of a target group.
    Wire {
        /// TCP.
        Tcp = "TCP",
        /// UDP.
        Udp = "UDP",
        /// Both on one port.
        TcpUdp = "TCP_UDP",
        /// TLS, ended by the balancer; towards targets: begun anew.
        Tls = "TLS",
    }
}
words! {
    /// How targets are asked whether they are well.
    Probe {
        /// A connection is enough.
        Tcp = "tcp",
        /// An HTTP answer.
        Http = "http",
        /// An HTTPS answer; the certificate is not verified.
        Https = "https",
    }
}
words! {
    /// What a TLS listener says about HTTP versions.
    Alpn {
        /// Nothing.
        None = "None",
        /// HTTP/1.1 only.
        Http1Only = "HTTP1Only",
        /// HTTP/2 only.
        Http2Only = "HTTP2Only",
        /// HTTP/1.1 first.
        Http2Optional = "HTTP2Optional",
        /// HTTP/2 first.
        Http2Preferred = "HTTP2Preferred",
    }
}

/// An AWS object: known by what AWS calls it, or still to be made by an earlier step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id {
    /// Its ARN, or its id as EC2 gives them.
    Known(String),
    /// What the step that makes it calls it.
    Made(String),
}

impl Id {
    /// An object that AWS has named.
    pub fn known(id: impl Into<String>) -> Self {
        Self::Known(id.into())
    }

    /// The text, whichever it is.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Known(text) | Self::Made(text) => text,
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(id) => f.write_str(id),
            Self::Made(name) => write!(f, "new:{name}"),
        }
    }
}

/// Seconds since 1970: the time on which AWS and a restarted Herald agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(pub u64);

impl Moment {
    /// Seconds since an earlier moment; zero if it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
