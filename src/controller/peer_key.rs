//! The Secret with which agents know each other: made once, never changed by Herald.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, api::PostParams, core::ObjectMeta};
use tokio::time;
use tracing::{info, warn};

use crate::{api, cluster::explain};

/// Makes the Secret if there is none; tries until that is settled.
pub(super) async fn ensure(client: Client, namespace: String) {
    let mut pause = Duration::from_secs(1);
    loop {
        match create(&client, &namespace).await {
            Ok(true) => {
                info!(
                    namespace,
                    secret = api::PEER_KEY_SECRET,
                    "made the agents' heartbeat key"
                );
                return;
            }
            Ok(false) => return,
            Err(why) => {
                warn!(
                    namespace,
                    secret = api::PEER_KEY_SECRET,
                    why,
                    "no heartbeat key for the agents yet"
                );
                time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(60));
            }
        }
    }
}

async fn create(client: &Client, namespace: &str) -> Result<bool, String> {
    let key: [u8; 32] = rand::random();
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(api::PEER_KEY_SECRET.to_owned()),
            ..ObjectMeta::default()
        },
        string_data: Some([(api::PEER_KEY_ENTRY.to_owned(), STANDARD.encode(key))].into()),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    };
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    match time::timeout(
        Duration::from_secs(5),
        secrets.create(&PostParams::default(), &secret),
    )
    .await
    {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(kube::Error::Api(status))) if status.code == 409 => Ok(false),
        Ok(Err(error)) => Err(explain(&error)),
        Err(_) => Err("the API server did not answer".to_owned()),
    }
}
