//! Where the heartbeat keys come from: a file, or the Secret that the controller makes.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, anyhow};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use tokio::time;
use tracing::{info, warn};

use crate::{api, cluster::explain, membership::Keys};

/// How often a file or Secret that is not there yet is looked for.
const RETRY: Duration = Duration::from_secs(1);
/// How often the source is read again, for new keys.
const REREAD: Duration = Duration::from_secs(10);

/// Where to read keys.
#[derive(Clone)]
pub(super) enum Source {
    File(PathBuf),
    Secret(Client, String),
}

/// Keys, and the text that they were read from, by which a change is noticed.
pub(super) struct Read {
    pub(super) text: String,
    pub(super) keys: Keys,
}

impl Source {
    /// The keys, as soon as there are any. Ill ones are an error: an agent that cannot be verified helps nobody.
    pub(super) async fn first(&self) -> anyhow::Result<Read> {
        let mut waiting = false;
        loop {
            if let Some(text) = self.read().await? {
                let keys = self.parse(&text)?;
                return Ok(Read { text, keys });
            }
            if !waiting {
                info!(from = %self, "waiting for the heartbeat keys; a running controller makes them");
                waiting = true;
            }
            time::sleep(RETRY).await;
        }
    }

    /// Hands over new keys as they appear. Ill ones are told once and passed over.
    pub(super) async fn follow(self, mut current: String, mut adopt: impl FnMut(Keys)) {
        let mut complained = String::new();
        loop {
            time::sleep(REREAD).await;
            let text = match self.read().await {
                Ok(text) => Ok(text.filter(|text| *text != current)),
                Err(error) => Err(error),
            };
            let read = text.and_then(|text| text.map(|t| Ok((self.parse(&t)?, t))).transpose());
            match read {
                Ok(Some((keys, text))) => {
                    info!(from = %self, "new heartbeat keys");
                    current = text;
                    adopt(keys);
                }
                Ok(None) => {}
                Err(error) => {
                    let complaint = format!("{error:#}");
                    if complaint != complained {
                        warn!(from = %self, error = complaint, "heartbeat keys not read; going on with the known ones");
                        complained = complaint;
                    }
                }
            }
        }
    }

    async fn read(&self) -> anyhow::Result<Option<String>> {
        match self {
            Self::File(path) => match tokio::fs::read_to_string(path).await {
                Ok(text) => Ok(Some(text)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
            },
            Self::Secret(client, namespace) => {
                let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
                let secret =
                    match time::timeout(RETRY * 5, secrets.get_opt(api::PEER_KEY_SECRET)).await {
                        Ok(Ok(secret)) => secret,
                        Ok(Err(error)) => {
                            warn!(
                                why = explain(&error),
                                "the Secret with the heartbeat keys cannot be read; trying again"
                            );
                            None
                        }
                        Err(_) => None,
                    };
                let entry = secret.and_then(|s| s.data?.remove(api::PEER_KEY_ENTRY));
                Ok(entry.map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned()))
            }
        }
    }

    fn parse(&self, text: &str) -> anyhow::Result<Keys> {
        Keys::parse(text).map_err(|ill| anyhow!("{self}: {ill}"))
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Secret(_, namespace) => write!(f, "secret {namespace}/{}", api::PEER_KEY_SECRET),
        }
    }
}
