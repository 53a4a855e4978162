//! Reading lists for one answer: in pages, with a limit to the patience for each, and with a word to a person who waits.

use std::{
    fmt::Debug,
    io::{self, IsTerminal as _, Write as _},
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use kube::{Api, Client, api::ListParams};
use serde::de::DeserializeOwned;
use tokio::time;

use crate::cluster::{self, Pages, explain};

/// How long the API server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many objects are asked for at once.
const PAGE: u32 = 500;
/// After how long a person is told what takes so long, and how often again.
const TOLD_AFTER: Duration = Duration::from_secs(1);

/// Why there is no answer to a call.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unanswered {
    /// The API server did not do it, or could not be reached.
    #[error("{}", explain(.0))]
    Refused(kube::Error),
    /// It did not answer in time.
    #[error(
        "the API server did not answer within {PATIENCE:?}: check that it is reachable, then try again"
    )]
    Late,
}

/// Reads from the cluster, and counts what it has read.
pub(super) struct Reader {
    client: Client,
    read: AtomicUsize,
}

impl Reader {
    /// A reader of the cluster that is configured. Does not talk to it yet.
    pub(super) async fn connect() -> anyhow::Result<Self> {
        Ok(Self {
            client: cluster::connect().await?,
            read: AtomicUsize::new(0),
        })
    }

    pub(super) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Everything that the list has, page by page.
    pub(super) async fn list<K>(&self, api: &Api<K>, params: ListParams) -> anyhow::Result<Vec<K>>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        Ok(self.try_list(api, params).await?)
    }

    /// The same, for who looks at why it failed.
    pub(super) async fn try_list<K>(
        &self,
        api: &Api<K>,
        params: ListParams,
    ) -> Result<Vec<K>, Unanswered>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        let mut items = Vec::new();
        let mut pages = Pages::of(params.limit(PAGE));
        while let Some(params) = pages.next() {
            match self.call(api.list(params)).await {
                Ok(page) => {
                    self.read.fetch_add(page.items.len(), Ordering::Relaxed);
                    items.extend(pages.take(page));
                }
                Err(Unanswered::Refused(error)) if pages.begins_anew(&error) => items.clear(),
                Err(error) => return Err(error),
            }
        }
        Ok(items)
    }

    /// The answer to any call.
    pub(super) async fn call<T>(
        &self,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> Result<T, Unanswered> {
        match time::timeout(PATIENCE, call).await {
            Ok(answer) => answer.map_err(Unanswered::Refused),
            Err(_) => Err(Unanswered::Late),
        }
    }

    /// One object, if it is there.
    pub(super) async fn get<K>(&self, api: &Api<K>, name: &str) -> anyhow::Result<Option<K>>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        Ok(self.call(api.get_opt(name)).await?)
    }

    /// The answer to a call that changes something.
    pub(super) async fn change<T>(
        &self,
        call: impl Future<Output = Result<T, kube::Error>>,
    ) -> anyhow::Result<T> {
        Ok(self.call(call).await?)
    }

    /// Whether the list can be read at all.
    pub(super) async fn probe<K>(&self, api: &Api<K>) -> anyhow::Result<()>
    where
        K: Clone + DeserializeOwned + Debug,
    {
        let one = ListParams::default().limit(1);
        self.call(api.list(&one)).await?;
        Ok(())
    }

    /// Does the work; a person who waits for longer than a second is told how far it is, in a line that goes away.
    pub(super) async fn patiently<T>(
        &self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let mut work = pin!(work);
        if !io::stderr().is_terminal() {
            return work.await;
        }
        let mut told = false;
        loop {
            tokio::select! {
                result = &mut work => {
                    if told {
                        on_stderr("\r\u{1b}[K");
                    }
                    return result;
                }
                () = time::sleep(TOLD_AFTER) => {
                    told = true;
                    let read = self.read.load(Ordering::Relaxed);
                    on_stderr(&format!("\rreading from the API server: {read} objects so far …\u{1b}[K"));
                }
            }
        }
    }
}

/// A terminal that cannot be written to is no reason to fail.
pub(super) fn on_stderr(text: &str) {
    let mut out = io::stderr().lock();
    let _unheard = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
