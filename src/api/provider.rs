//! Who makes an address reach the cluster, as users name it.

use super::names::{CLASS_AWS_NLB, CLASS_LAYER2, CLASS_NODE};

/// A provider that this version has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    /// Addresses of pools, announced by ARP and NDP.
    #[default]
    Layer2,
    /// Addresses of nodes.
    Node,
    /// A Network Load Balancer in AWS.
    AwsNlb,
}

impl Provider {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Layer2, Self::Node, Self::AwsNlb];

    /// The word of the annotation `herald.dev/provider`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Layer2 => "layer2",
            Self::Node => "node",
            Self::AwsNlb => "aws-nlb",
        }
    }

    /// The `spec.loadBalancerClass`.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Layer2 => CLASS_LAYER2,
            Self::Node => CLASS_NODE,
            Self::AwsNlb => CLASS_AWS_NLB,
        }
    }

    /// The provider of that word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|provider| provider.word() == word)
    }

    /// The provider of that class.
    #[must_use]
    pub fn of_class(class: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|provider| provider.class() == class)
    }
}
