//! The one apply that says everything Herald has to say on a Service.

use herald_spi::ServiceKey;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::StatusWrite;
use crate::api;

/// The body of the apply on the Service's status. Fields that Herald wrote before and that are missing here go.
pub(super) fn body(service: &ServiceKey, write: &StatusWrite, now: Timestamp) -> Value {
    let mut metadata = Map::new();
    metadata.insert("namespace".to_owned(), json!(service.namespace));
    metadata.insert("name".to_owned(), json!(service.name));
    metadata.insert("resourceVersion".to_owned(), json!(write.resource_version));
    if let Some(pools) = &write.allocated_from {
        let annotations = json!({ (api::ANNOTATION_ALLOCATED_FROM): pools });
        metadata.insert("annotations".to_owned(), annotations);
    }
    let mut status = Map::new();
    if let Some(addresses) = write
        .addresses
        .as_ref()
        .filter(|addresses| !addresses.is_empty())
    {
        let ingress: Vec<_> = addresses
            .iter()
            .map(|a| json!({ "ip": a.to_string(), "ipMode": "VIP" }))
            .collect();
        status.insert("loadBalancer".to_owned(), json!({ "ingress": ingress }));
    }
    if let Some(verdict) = &write.verdict {
        let since = write
            .since
            .as_ref()
            .and_then(|since| since.parse().ok())
            .unwrap_or(now);
        let condition = api::condition(api::CONDITION_ALLOCATED, verdict, since);
        status.insert("conditions".to_owned(), json!([condition]));
    }
    json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata, "status": status })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Reason, Verdict};

    fn write() -> StatusWrite {
        StatusWrite {
            resource_version: "7".into(),
            addresses: Some(vec!["192.168.77.200".parse().unwrap()]),
            allocated_from: Some("lan".into()),
            verdict: Some(Verdict::yes(Reason::ALLOCATED, "here")),
            since: Some("2026-01-02T03:04:05Z".into()),
        }
    }

    #[test]
    fn says_everything_in_one_body() {
        let body = body(
            &ServiceKey::new("default", "web"),
            &write(),
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(body["metadata"]["resourceVersion"], "7");
        assert_eq!(
            body["metadata"]["annotations"]["herald.dev/allocated-from"],
            "lan"
        );
        assert_eq!(
            body["status"]["loadBalancer"]["ingress"],
            json!([{ "ip": "192.168.77.200", "ipMode": "VIP" }])
        );
        assert_eq!(
            body["status"]["conditions"][0]["lastTransitionTime"],
            "2026-01-02T03:04:05Z"
        );
    }

    #[test]
    fn leaves_a_foreign_status_alone() {
        let write = StatusWrite {
            addresses: None,
            allocated_from: None,
            ..write()
        };
        let body = body(
            &ServiceKey::new("default", "web"),
            &write,
            Timestamp::UNIX_EPOCH,
        );
        assert!(body["status"].get("loadBalancer").is_none());
        assert!(body["metadata"].get("annotations").is_none());
    }
}
