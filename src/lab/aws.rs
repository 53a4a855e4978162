//! The lab with `--provider aws-nlb`: Network Load Balancers in an AWS on this machine, such as moto.
//!
//! ```text
//!   lab: API server, show ──▶ a VPC of the lab's own, with an instance per node
//!          │                        ▲
//!      controller ── ELBv2, EC2 ────┘  at AWS_ENDPOINT_URL, which must be of this machine
//! ```
//! No namespaces and no agents: what Herald does here it does by calls. Real credentials are neither needed nor used, and
//! so nothing real can be touched.

mod account;
mod explain;
mod look;
mod show;
mod stage;
mod stay;

use std::sync::Arc;

pub(super) use account::Account;
pub(super) use show::run;
pub(super) use stage::Stage;
pub(super) use stay::{follow, invite};

use super::{
    control_plane::ControlPlane,
    floor::Floor,
    progress::{Progress, Unmet},
};

/// Sets the stage; the show is [`show::run`].
pub(super) async fn set(
    floor: Arc<Floor>,
    control_plane: ControlPlane,
    account: Account,
    nodes: u8,
    progress: &mut Progress,
) -> Result<Stage, Unmet> {
    let expected = "AWS makes a VPC with a subnet in each of three zones, and an instance per node";
    let url = account.url().to_owned();
    let work = async {
        let stage = Stage::set(floor, control_plane, account, nodes).await?;
        let seen = format!(
            "{}, with subnets in three zones and {nodes} instances, in the AWS at {url}",
            stage.account.vpc()
        );
        Ok((stage, seen))
    };
    progress.step("account", expected, work).await
}
