//! After the show: what to try, and what Herald says meanwhile.

use super::{look, stage::Stage};
use crate::lab::{kubeconfig, progress::Progress, stay};

/// Says what can be tried.
pub(in super::super) fn invite(stage: &Stage, progress: &Progress) {
    let herald = std::env::args()
        .next()
        .unwrap_or_else(|| "herald".to_owned());
    let cluster = &stage.account.cluster;
    let settings = stage.account.environment().into_iter();
    let settings = settings.filter_map(|(key, value)| Some((key, value?)));
    let settings: Vec<_> = settings
        .map(|(key, value)| format!("{key}={}", value.display()))
        .collect();
    let lines = [
        String::new(),
        format!(
            "The lab stays up until Ctrl-C. The controller's status page: http://{}/",
            stage.page
        ),
        "To try in another terminal:".to_owned(),
        String::new(),
        format!(
            "  export KUBECONFIG={}",
            kubeconfig::path(stage.floor.dir()).display()
        ),
        format!("  export {}", settings.join(" ")),
        "  kubectl apply -f examples/aws/dns-tcp-and-udp.yaml".to_owned(),
        "  kubectl get services --watch".to_owned(),
        format!("  {herald} status"),
        format!("  {herald} aws plan --default-provider aws-nlb --aws-cluster-name {cluster}"),
        String::new(),
    ];
    progress.say(&lines.join("\n"));
}

/// Tells of all that Herald says of Services; ends only with an error.
pub(in super::super) async fn follow(stage: &mut Stage, progress: &Progress) -> anyhow::Error {
    let api = stage.api.clone();
    tokio::select! {
        error = stage.failed() => error,
        () = stay::tell(progress, async || look::said(&api).await) => {
            anyhow::anyhow!("nothing more to tell")
        }
    }
}
