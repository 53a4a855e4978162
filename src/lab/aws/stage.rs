//! What runs when the lab makes balancers: the API server here, the controller beside, and an account.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context as _, anyhow};
use kube::Client;

use super::account::{Account, CLUSTER};
use crate::lab::{
    cluster::CONTROLLER, control_plane::ControlPlane, floor::Floor, kubeconfig, objects::Member,
    port, supervised::Supervised,
};

/// The running lab; dropping it ends it.
pub(in super::super) struct Stage {
    pub(super) account: Account,
    pub(super) api: Client,
    pub(in super::super) floor: Arc<Floor>,
    control_plane: ControlPlane,
    controller: Supervised,
    /// Where the controller serves its status page.
    page: SocketAddr,
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
            CLUSTER,
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
    pub(in super::super) async fn failed(&mut self) -> anyhow::Error {
        loop {
            tokio::select! {
                why = self.control_plane.failed() => return anyhow!(why),
                () = self.controller.tend() => {}
            }
        }
    }

    /// What can be tried while it stays.
    pub(in super::super) fn invitation(&self) -> String {
        let herald = std::env::args()
            .next()
            .unwrap_or_else(|| "herald".to_owned());
        let options = format!("--default-provider aws-nlb --aws-cluster-name {CLUSTER}");
        let mut lines = vec![
            String::new(),
            format!(
                "The lab stays up until Ctrl-C. The controller's status page: http://{}/",
                self.page
            ),
            "To try in another terminal:".to_owned(),
            String::new(),
            format!(
                "  export KUBECONFIG={}",
                kubeconfig::path(self.floor.dir()).display()
            ),
        ];
        let told = self.account.environment().into_iter();
        let told = told.filter_map(|(key, value)| Some((key, value?)));
        let told: Vec<_> = told
            .map(|(key, value)| format!("{key}={}", value.display()))
            .collect();
        lines.push(format!("  export {}", told.join(" ")));
        lines.push("  kubectl apply -f examples/aws/dns-tcp-and-udp.yaml".to_owned());
        lines.push("  kubectl get services --watch".to_owned());
        lines.push(format!("  {herald} aws plan {options}"));
        lines.push(String::new());
        lines.join("\n")
    }

    /// Ends everything, and waits until it has ended.
    pub(in super::super) async fn stop(mut self) {
        self.controller.leave().await;
        self.control_plane.stop().await;
        self.account.clear().await;
    }
}
