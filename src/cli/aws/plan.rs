//! `herald aws plan`: what would be called in AWS for each Service, and why, without doing it.

use std::process::ExitCode;

use anyhow::bail;
use herald_spi::ServiceKey;
use serde::Serialize;

use super::{AwsPlanArgs, view};
use crate::{
    cli::{
        output::{self, Answer, Look},
        reading::Reader,
    },
    controller::cloud::Preview,
};

/// The plans of all Services that were asked about.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Plans {
    well: bool,
    services: Vec<Plan>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Plan {
    service: String,
    /// Everything in AWS is deleted.
    releases: bool,
    /// Why nothing can be planned, or why nothing but targets may change.
    refused: Option<String>,
    calls: Vec<Step>,
    waits: Vec<String>,
    troubles: Vec<String>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Step {
    part: String,
    call: String,
    why: String,
}

pub(super) async fn show(args: AwsPlanArgs) -> anyhow::Result<ExitCode> {
    let only = args.service.as_deref().map(key).transpose()?;
    let reader = Reader::connect().await?;
    let viewer = view(&reader, &args.aws).await?;
    let classes = args.default_provider.classes();
    let previews = viewer.preview(classes, only.as_ref()).await;
    if let (Some(only), true) = (&only, previews.is_empty()) {
        bail!(
            "{only} is no Service of the provider aws-nlb, and nothing of it is in AWS; see `herald explain {only}`"
        );
    }
    let services: Vec<_> = previews.into_iter().map(plan).collect();
    let plans = Plans {
        well: services.iter().all(Plan::is_well),
        services,
    };
    output::print(&plans, args.output)
}

fn key(text: &str) -> anyhow::Result<ServiceKey> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            Ok(ServiceKey::new(namespace, name))
        }
        None if !text.is_empty() => Ok(ServiceKey::new("default", text)),
        _ => bail!("{text:?} names no Service; write NAMESPACE/NAME"),
    }
}

fn plan(preview: Preview) -> Plan {
    let service = preview.service.to_string();
    let releases = preview.releases;
    let seen = match preview.seen {
        Ok(seen) => seen,
        Err(why) => {
            return Plan {
                service,
                releases,
                refused: Some(why.refusal.to_string()),
                calls: Vec::new(),
                waits: Vec::new(),
                troubles: Vec::new(),
                warnings: Vec::new(),
            };
        }
    };
    let steps = seen.plan.steps.iter().map(|step| Step {
        part: step.part.to_string(),
        call: step.call.to_string(),
        why: step.why.clone(),
    });
    let waits = seen.plan.waits.iter().map(|wait| wait.refusal.to_string());
    let ports = seen
        .refused
        .iter()
        .map(|(port, why)| format!("port {port}: {why}"));
    let troubles = seen.plan.troubles.iter();
    let troubles = troubles.map(|trouble| format!("{}: {}", trouble.part, trouble.refusal));
    Plan {
        service,
        releases,
        refused: preview.refused,
        calls: steps.collect(),
        waits: waits.collect(),
        troubles: ports.chain(troubles).collect(),
        warnings: seen.warnings.iter().map(ToString::to_string).collect(),
    }
}

impl Plan {
    fn is_well(&self) -> bool {
        self.refused.is_none() && self.troubles.is_empty()
    }

    fn text(&self, text: &mut String) {
        let what = match (self.calls.len(), self.releases) {
            (0, false) => "as it shall be".to_owned(),
            (0, true) => "to be deleted".to_owned(),
            (1, _) => "1 call".to_owned(),
            (calls, _) => format!("{calls} calls"),
        };
        text.push_str(&format!("{}: {what}\n", self.service));
        for step in &self.calls {
            text.push_str(&format!(
                "  {}: {}\n      {}\n",
                step.part, step.call, step.why
            ));
        }
        let said = [
            ("refused", &self.refused.iter().cloned().collect::<Vec<_>>()),
            ("not done", &self.troubles),
            ("waits", &self.waits),
            ("warning", &self.warnings),
        ];
        for (kind, lines) in said {
            for line in lines {
                text.push_str(&format!("  {kind}: {line}\n"));
            }
        }
    }
}

impl Answer for Plans {
    fn well(&self) -> bool {
        self.well
    }

    fn text(&self, _: &Look) -> String {
        let mut text = String::new();
        if self.services.is_empty() {
            text.push_str(
                "No Service of the provider aws-nlb, and nothing of one is left in AWS.\n",
            );
        }
        for service in &self.services {
            service.text(&mut text);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_named_as_kubectl_shows_it() {
        assert_eq!(key("shop/web").unwrap(), ServiceKey::new("shop", "web"));
        assert_eq!(key("web").unwrap(), ServiceKey::new("default", "web"));
        assert!(key("").is_err() && key("/web").is_err() && key("shop/").is_err());
    }
}
