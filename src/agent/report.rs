//! Writes this node's `NodeAnnouncements`: at most once a second, and only what changed.

use std::{sync::Arc, time::Duration};

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::OwnerReference, jiff::Timestamp};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    core::{ObjectMeta, TypeMeta},
};
use serde::Serialize;
use tokio::{sync::watch, time};
use tracing::warn;

use crate::{
    api::{self, NodeAnnouncements, NodeAnnouncementsSpec, NodeAnnouncementsStatus},
    cluster::{self, explain},
};

/// The least time between two writes.
const PACE: Duration = Duration::from_secs(1);
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// What to write, and the Node that it belongs to: the object goes when the Node goes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Account {
    pub(super) node_uid: Option<String>,
    pub(super) status: NodeAnnouncementsStatus,
}

/// What is applied. Written as it stands: a tree of JSON values of a thousand addresses would take megabytes.
#[derive(Debug, Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    types: TypeMeta,
    metadata: ObjectMeta,
    status: Stamped<'a>,
}

/// The status, and the time by this node's clock: what the API server's clock says of the same write stands in
/// `managedFields`. Not in the account, which would change all the time.
#[derive(Debug, Serialize)]
struct Stamped<'a> {
    #[serde(flatten)]
    status: &'a NodeAnnouncementsStatus,
    clock: String,
}

/// Keeps the object as the account says until the sender is gone.
pub(super) async fn keep(client: Client, node: String, mut account: watch::Receiver<Arc<Account>>) {
    let api: Api<NodeAnnouncements> = Api::all(client);
    let mut pause = PACE;
    while account.changed().await.is_ok() {
        loop {
            let wanted = Arc::clone(&account.borrow_and_update());
            match time::timeout(CALL_TIMEOUT, write(&api, &node, &wanted)).await {
                Ok(Ok(())) => {
                    pause = PACE;
                    break;
                }
                Ok(Err(error)) if pause == PACE => {
                    warn!(
                        why = explain(&error),
                        "announcements are not reported; trying again"
                    );
                }
                Ok(Err(_)) | Err(_) => {}
            }
            time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        time::sleep(PACE).await;
    }
}

async fn write(api: &Api<NodeAnnouncements>, node: &str, account: &Account) -> kube::Result<()> {
    let params = PatchParams::apply(api::AGENT).force();
    let body = Told {
        types: TypeMeta::resource::<NodeAnnouncements>(),
        metadata: ObjectMeta {
            name: Some(node.to_owned()),
            ..ObjectMeta::default()
        },
        status: Stamped {
            status: &account.status,
            clock: Timestamp::now().to_string(),
        },
    };
    match api.patch_status(node, &params, &Patch::Apply(&body)).await {
        Err(error) if cluster::is_gone(&error) => {
            let owner = account.node_uid.as_ref().map(|uid| OwnerReference {
                api_version: "v1".to_owned(),
                kind: "Node".to_owned(),
                name: node.to_owned(),
                uid: uid.clone(),
                ..OwnerReference::default()
            });
            let object = NodeAnnouncements {
                metadata: ObjectMeta {
                    name: Some(node.to_owned()),
                    owner_references: owner.map(|o| vec![o]),
                    ..ObjectMeta::default()
                },
                spec: NodeAnnouncementsSpec {},
                status: None,
            };
            api.patch(node, &params, &Patch::Apply(&object)).await?;
            api.patch_status(node, &params, &Patch::Apply(&body))
                .await
                .map(drop)
        }
        written => written.map(drop),
    }
}
