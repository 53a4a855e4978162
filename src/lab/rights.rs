//! Who is who in the lab. People may do everything; the controller and the agents what they may do in a cluster.

use kube::core::DynamicObject;

use crate::api;

/// What Herald is installed with, and so what the lab runs it with.
const RBAC: &str = include_str!("../../deploy/base/rbac.yaml");

/// Somebody who speaks to the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    People,
    Controller,
    Agent,
}

impl Who {
    pub(super) const ALL: [Self; 3] = [Self::People, Self::Controller, Self::Agent];

    /// As whom the API server knows him.
    pub(super) fn user(self) -> String {
        let account = match self {
            Self::People => return "herald-lab".to_owned(),
            Self::Controller => "herald-controller",
            Self::Agent => "herald-agent",
        };
        format!("system:serviceaccount:{}:{account}", api::DEFAULT_NAMESPACE)
    }

    /// The groups besides that of everybody.
    pub(super) const fn groups(self) -> &'static [&'static str] {
        match self {
            Self::People => &["system:masters"],
            Self::Controller | Self::Agent => &[],
        }
    }
}

/// The tokens by which the API server tells them from each other.
#[derive(Clone, Debug)]
pub(super) struct Tokens([String; 3]);

impl Tokens {
    pub(super) fn new() -> Self {
        Self([(); 3].map(|()| format!("{:032x}", rand::random::<u128>())))
    }

    pub(super) fn of(&self, who: Who) -> &str {
        let [people, controller, agent] = &self.0;
        match who {
            Who::People => people,
            Who::Controller => controller,
            Who::Agent => agent,
        }
    }
}

/// The accounts, roles and bindings of an installation.
pub(super) fn objects() -> anyhow::Result<Vec<DynamicObject>> {
    Ok(serde_saphyr::from_multiple(RBAC)?)
}
