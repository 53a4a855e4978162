//! The status page, after all that: it says that all is well.

use anyhow::Context as _;

use super::{
    super::{
        client::http,
        cluster::{CONTROLLER, Cluster},
        look::until,
        progress::{Progress, Unmet},
    },
    PATIENCE,
};

/// Waits until the page says so.
pub(super) async fn well(cluster: &Cluster, progress: &mut Progress) -> Result<(), Unmet> {
    let at = cluster.page;
    let work = async {
        let told = until(PATIENCE, async || {
            let page = http::get(at).await?;
            let (_, rest) = page.split_once("<h1>").context("no page")?;
            let (headline, rest) = rest.split_once("</h1>").context("no page")?;
            if headline.ends_with("All is well") {
                return Ok(Ok(()));
            }
            let (why, _) = rest.split_once("</section>").unwrap_or_default();
            Ok(Err(format!("it says: {headline}: {why}")))
        });
        match told.await {
            Ok(()) => Ok((
                (),
                format!("the status page at http://{at}/ says that all is well"),
            )),
            Err(last) => Err(Unmet::new(last).suspecting(CONTROLLER)),
        }
    };
    progress
        .step("page", "the status page says that all is well", work)
        .await
}
