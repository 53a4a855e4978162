//! Whether what a Service wants of a cloud can be had.

use super::{Facts, Findings, Word, install::some};
use crate::api;

pub(super) fn examine(facts: &Facts, findings: &mut Findings) {
    let default = facts.default_provider();
    let wants = |service: &&super::facts::ServiceFacts| {
        let record = &service.record;
        match record.class.as_deref() {
            Some(class) => class == api::CLASS_AWS_NLB,
            None => {
                let asked = record.annotations.get(api::ANNOTATION_PROVIDER);
                asked.map_or(default, String::as_str) == "aws-nlb"
            }
        }
    };
    let wanting = facts.services().iter().filter(wants).count();
    let (Ok(nodes), true) = (&facts.nodes, wanting > 0) else {
        return;
    };
    let nameless: Vec<String> = nodes
        .iter()
        .filter(|node| {
            !node
                .provider_id
                .as_deref()
                .is_some_and(|id| id.starts_with("aws://"))
        })
        .map(|node| node.record.name.to_string())
        .collect();
    if nameless.is_empty() {
        findings.ok(
            Word::Cloud,
            "nodes",
            format!("{} have a providerID of AWS", nodes.len()),
        );
    } else {
        findings.fail(
            Word::ProviderIdMissing,
            &format!("Node/{}", some(&nameless)),
            format!("no providerID of AWS, and {wanting} Services want a Network Load Balancer: it cannot send anything there"),
            "run the AWS cloud controller manager (cloud-provider-aws), which sets spec.providerID, and kubelets with --cloud-provider=external",
        );
    }
}
