//! The one apply that says everything Herald has to say on a Service.

use herald_spi::{Port, ServiceKey};
use k8s_openapi::{
    api::core::v1::{LoadBalancerIngress, PortStatus},
    apimachinery::pkg::apis::meta::v1::Condition,
    jiff::Timestamp,
};
use serde_json::{Map, Value, json};

use super::{ConditionWrite, Ingress, StatusWrite};
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
    if let Some(all) = write
        .ingress
        .as_ref()
        .filter(|all| !all.is_empty() || write.clear)
    {
        let all: Vec<_> = all.iter().map(ingress).collect();
        status.insert("loadBalancer".to_owned(), json!({ "ingress": all }));
    }
    if !write.conditions.is_empty() {
        let conditions: Vec<_> = write.conditions.iter().map(|c| condition(c, now)).collect();
        status.insert("conditions".to_owned(), json!(conditions));
    }
    json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata, "status": status })
}

fn ingress(entry: &Ingress) -> LoadBalancerIngress {
    let port = |(port, error): &(Port, Option<&'static str>)| PortStatus {
        port: i32::from(port.number),
        protocol: port.protocol.to_string(),
        error: error.map(str::to_owned),
    };
    LoadBalancerIngress {
        ip: Some(entry.address.to_string()),
        ip_mode: Some(entry.mode.as_str().to_owned()),
        hostname: None,
        ports: (!entry.ports.is_empty()).then(|| entry.ports.iter().map(port).collect()),
    }
}

pub(super) fn condition(write: &ConditionWrite, now: Timestamp) -> Condition {
    let since = write
        .since
        .as_ref()
        .and_then(|since| since.parse().ok())
        .unwrap_or(now);
    api::condition(write.type_, &write.verdict, since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{Reason, Verdict},
        world::IpMode,
    };

    fn write() -> StatusWrite {
        StatusWrite {
            resource_version: "7".into(),
            ingress: Some(vec![Ingress {
                address: "192.168.77.200".parse().unwrap(),
                mode: IpMode::Vip,
                ports: Vec::new(),
            }]),
            clear: false,
            allocated_from: Some("lan".into()),
            conditions: vec![ConditionWrite {
                type_: api::CONDITION_ALLOCATED,
                verdict: Verdict::yes(Reason::ALLOCATED, "here"),
                since: Some("2026-01-02T03:04:05Z".into()),
            }],
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
    fn a_port_that_cannot_be_served_is_listed_with_all_others() {
        let mut write = write();
        write.ingress = Some(vec![Ingress {
            address: "10.0.0.1".parse().unwrap(),
            mode: IpMode::Proxy,
            ports: vec![
                ("TCP/80".parse().unwrap(), Some("herald.dev/NodePortOnly")),
                ("UDP/53".parse().unwrap(), None),
            ],
        }]);
        let body = body(
            &ServiceKey::new("default", "web"),
            &write,
            Timestamp::UNIX_EPOCH,
        );
        assert_eq!(
            body["status"]["loadBalancer"]["ingress"],
            json!([{ "ip": "10.0.0.1", "ipMode": "Proxy", "ports": [
                { "port": 80, "protocol": "TCP", "error": "herald.dev/NodePortOnly" },
                { "port": 53, "protocol": "UDP" },
            ] }])
        );
    }

    #[test]
    fn leaves_a_foreign_status_alone() {
        let write = StatusWrite {
            ingress: None,
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
