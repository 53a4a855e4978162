//! `herald explain`: the decision on one Service step by step, made by the controller's own code from what the cluster
//! says now. Nothing is changed.
//!
//! ```text
//!   cluster ──scene──▶ Scene ──decision::explained (Steward)──▶ Model ──▶ text, json, yaml
//! ```

mod asks;
mod decision;
mod events;
mod kept;
mod model;
mod scene;
mod text;

use std::process::ExitCode;

use anyhow::bail;
use herald_spi::ServiceKey;

use super::{ExplainArgs, aws, output, reading::Reader};

pub(super) async fn show(args: ExplainArgs) -> anyhow::Result<ExitCode> {
    let key = target(&args.service, args.namespace.as_deref())?;
    let reader = Reader::connect().await?;
    let scene = reader.patiently(scene::read(&reader, &key)).await?;
    let mut model = decision::explained(&reader, &scene, args.default_provider).await?;
    if args.aws.cluster_name.is_some() {
        let targets = aws::targets(&reader, &args.aws, args.default_provider, &key);
        model.targets = Some(targets.await?);
    }
    output::print(&model, args.output)
}

/// The Service that is meant.
fn target(service: &str, namespace: Option<&str>) -> anyhow::Result<ServiceKey> {
    let (named, name) = match service.split_once('/') {
        Some((named, name)) => (Some(named), name),
        None => (None, service),
    };
    if name.is_empty() || name.contains('/') || named == Some("") {
        bail!("{service:?} is no Service: write NAMESPACE/NAME, or NAME with --namespace");
    }
    let namespace = match (named, namespace) {
        (Some(named), Some(other)) if named != other => {
            bail!(
                "{service} is in namespace {named}, but --namespace says {other}; keep one of them"
            )
        }
        (named, other) => named.or(other).unwrap_or("default"),
    };
    Ok(ServiceKey::new(namespace, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_named_with_their_namespace_or_without() {
        for (service, namespace, key) in [
            ("team-a/web", None, Some(("team-a", "web"))),
            ("web", None, Some(("default", "web"))),
            ("web", Some("team-a"), Some(("team-a", "web"))),
            ("team-a/web", Some("team-a"), Some(("team-a", "web"))),
            ("team-a/web", Some("team-b"), None),
            ("team-a/", None, None),
            ("/web", None, None),
            ("a/b/c", None, None),
            ("", None, None),
        ] {
            let wanted = key.map(|(namespace, name)| ServiceKey::new(namespace, name));
            assert_eq!(
                target(service, namespace).ok(),
                wanted,
                "{service:?} {namespace:?}"
            );
        }
    }
}
