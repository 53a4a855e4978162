//! What `herald explain` says of the targets, asked as a user asks it.

use std::process::Stdio;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::process::Command;

use super::stage::Stage;
use crate::lab::{
    environment, kubeconfig,
    look::until,
    progress::{Progress, Unmet},
};

/// Every target is healthy.
pub(super) async fn healthy(
    stage: &Stage,
    progress: &mut Progress,
    service: &str,
    patience: std::time::Duration,
) -> Result<(), Unmet> {
    let work = async {
        let healthy = until(patience, async || {
            let targets = targets(stage, service).await?;
            let well = targets
                .iter()
                .filter(|target| target.get("well") == Some(&Value::Bool(true)));
            let (well, all) = (well.count(), targets.len());
            Ok(if well == all && all > 0 {
                Ok(all)
            } else {
                Err(format!("{well} of {all} targets are healthy: {targets:?}"))
            })
        });
        let all = healthy.await.map_err(Unmet::new)?;
        Ok((
            (),
            format!("herald explain says that all {all} targets are healthy"),
        ))
    };
    let expected = "herald explain says that every target is healthy";
    progress.step("health", expected, work).await
}

async fn targets(stage: &Stage, service: &str) -> anyhow::Result<Vec<Value>> {
    let cluster = &stage.account.cluster;
    let mut command = Command::new(std::env::current_exe().context("which program this is")?);
    command
        .args(["explain", service, "--default-provider", "aws-nlb"])
        .args(["--aws-cluster-name", cluster, "--output", "json"])
        .env("KUBECONFIG", kubeconfig::path(stage.floor.dir()))
        .stdin(Stdio::null());
    environment::set(&mut command, &stage.account.environment());
    let output = command.output().await.context("herald explain")?;
    let Ok(model) = serde_json::from_slice::<Value>(&output.stdout) else {
        bail!(
            "herald explain: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    let targets = model.get("targets").and_then(Value::as_array);
    Ok(targets.cloned().unwrap_or_default())
}
