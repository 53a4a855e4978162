//! What runs when the lab makes balancers: the API server here, the controller beside, and an account.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, anyhow};
use kube::Client;

use super::account::Account;
use crate::lab::{
    cluster::CONTROLLER, control_plane::ControlPlane, floor::Floor, kubeconfig, objects::Member,
    port, supervised::Supervised,
};

/// The running lab; dropping it ends it.
pub(in super::super) struct Stage {
    pub(super) account: Account,
    pub(super) api: Client,
    pub(super) floor: Arc<Floor>,
    control_plane: ControlPlane,
    controller: Supervised,
    /// Where the controller serves its status page.
    pub(super) page: SocketAddr,
}

impl Stage {
    /// Furnishes the account; Herald does not run yet.
    pub(super) async fn set(
        floor: Arc<Floor>,
        control_plane: ControlPlane,
        mut account: Account,
        nodes: u8,
    ) -> anyhow::Result<Self> {
        let api = kubeconfig::client(floor.dir()).await?;
        if let Err(error) = account.furnish(nodes).await {
            account.clear().await;
            return Err(error);
        }
        let arguments = [
            "--default-provider",
            "aws-nlb",
            "--aws-cluster-name",
            &account.cluster,
        ];
        // The lab must not be in the way of anything on this machine.
        let page = port::free().await?;
        let controller = Supervised::controller(floor.dir(), floor.log(CONTROLLER), page)
            .with(&arguments, account.environment());
        Ok(Self {
            account,
            api,
            floor,
            control_plane,
            controller,
            page,
        })
    }

    /// The nodes as the cluster is to know them.
    pub(super) fn members(&self) -> Vec<Member> {
        let member = |instance: &super::account::Instance| Member {
            name: instance.node.clone(),
            zone: Some(instance.zone.clone()),
            provider_id: Some(format!("aws:///{}/{}", instance.zone, instance.id)),
            addresses: vec![instance.address],
        };
        self.account.instances.iter().map(member).collect()
    }

    pub(super) fn start_herald(&mut self) -> anyhow::Result<()> {
        self.controller.start().context("the controller").map(drop)
    }

    /// Keeps the controller running, until something ends that cannot come again: then the lab is over.
    pub(super) async fn failed(&mut self) -> anyhow::Error {
        loop {
            tokio::select! {
                why = self.control_plane.failed() => return anyhow!(why),
                () = self.controller.tend() => {}
            }
        }
    }

    /// Ends everything, and waits until it has ended.
    pub(in super::super) async fn stop(mut self) {
        self.controller.leave().await;
        self.control_plane.stop().await;
        self.account.clear().await;
    }
}
