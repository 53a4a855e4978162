//! What is written on a Service of the cloud's: finalizer and status. Each write names the version that it was decided
//! from.

use herald_spi::{Port, ServiceKey};
use k8s_openapi::{
    api::core::v1::{LoadBalancerIngress, PortStatus, Service},
    jiff::Timestamp,
};
use kube::api::{Patch, PatchParams};
use serde_json::{Map, Value, json};

use super::told::{Shown, Told};
use crate::{
    api::{self, Verdict},
    controller::{
        ConditionWrite, Notice,
        execute::{Executor, Failure},
        status,
    },
    world::{ConditionRecord, ServiceRecord},
};

/// The words on a Service: all of Herald's, for one apply says everything.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Words {
    pub(super) told: Told,
    pub(super) node_ports: Option<Verdict>,
}

/// Puts the finalizer on, or takes it off.
pub(super) async fn set_finalizer(
    executor: &Executor,
    service: &ServiceKey,
    resource_version: &str,
    present: &[String],
    on: bool,
) -> Result<Service, Failure> {
    let mut finalizers: Vec<&str> = present
        .iter()
        .map(String::as_str)
        .filter(|finalizer| *finalizer != api::FINALIZER_AWS_NLB)
        .collect();
    if on {
        finalizers.push(api::FINALIZER_AWS_NLB);
    }
    let body =
        json!({ "metadata": { "resourceVersion": resource_version, "finalizers": finalizers } });
    let params = PatchParams {
        field_manager: Some(api::CONTROLLER.to_owned()),
        ..PatchParams::default()
    };
    let services = executor.services(&service.namespace);
    let patch = Patch::Merge(&body);
    executor
        .call(services.patch(&service.name, &params, &patch))
        .await
}

/// Writes the words where the Service does not say them already; `None`: it does.
pub(super) async fn write(
    executor: &Executor,
    service: &ServiceRecord,
    words: &Words,
) -> Result<Option<Service>, Failure> {
    if says(service, words) {
        return Ok(None);
    }
    let body = body(service, words, Timestamp::now());
    apply(executor, &service.key, &body).await.map(Some)
}

/// Takes all of Herald's words off.
pub(super) async fn clear(
    executor: &Executor,
    service: &ServiceRecord,
) -> Result<Service, Failure> {
    let mut status = Map::new();
    if !service.ingress.is_empty() {
        status.insert("loadBalancer".to_owned(), json!({ "ingress": [] }));
    }
    apply(executor, &service.key, &frame(service, status)).await
}

async fn apply(executor: &Executor, key: &ServiceKey, body: &Value) -> Result<Service, Failure> {
    let params = PatchParams::apply(api::CONTROLLER).force();
    let services = executor.services(&key.namespace);
    let patch = Patch::Apply(body);
    executor
        .call(services.patch_status(&key.name, &params, &patch))
        .await
}

/// What people are told: a word that was not there before.
pub(super) fn notices(service: &ServiceRecord, words: &Words) -> Vec<Notice> {
    let all = [
        (
            api::CONDITION_PROVISIONED,
            Some(&words.told.verdict),
            service.provisioned.as_deref(),
        ),
        (
            api::CONDITION_NODE_PORTS,
            words.node_ports.as_ref(),
            service.node_ports.as_ref(),
        ),
    ];
    let is_news = |verdict: &Verdict, known: Option<&ConditionRecord>| {
        known.is_none_or(|c| {
            (c.holds, c.reason.as_str()) != (verdict.holds, verdict.reason.as_str())
        })
    };
    all.into_iter()
        .filter_map(|(type_, verdict, known)| {
            let verdict = verdict.filter(|verdict| is_news(verdict, known))?;
            Some(Notice {
                uid: service.uid.clone(),
                type_,
                verdict: verdict.clone(),
            })
        })
        .collect()
}

fn says(service: &ServiceRecord, words: &Words) -> bool {
    let says = |known: Option<&ConditionRecord>, verdict: Option<&Verdict>| match (known, verdict) {
        (None, None) => true,
        (Some(known), Some(verdict)) => {
            (known.holds, known.reason.as_str(), &known.message)
                == (verdict.holds, verdict.reason.as_str(), &verdict.message)
        }
        _ => false,
    };
    let shows = match &words.told.shown {
        Shown::Leave => true,
        Shown::Nothing => service.ingress.is_empty(),
        Shown::Balancer { hostname, ports } => match service.ingress.as_slice() {
            [entry] => entry.hostname.as_ref() == Some(hostname) && entry.ports == *ports,
            _ => false,
        },
    };
    shows
        && says(service.provisioned.as_deref(), Some(&words.told.verdict))
        && says(service.node_ports.as_ref(), words.node_ports.as_ref())
}

fn body(service: &ServiceRecord, words: &Words, now: Timestamp) -> Value {
    let mut status = Map::new();
    let ingress = match &words.told.shown {
        Shown::Leave => None,
        Shown::Nothing => Some(Vec::new()),
        Shown::Balancer { hostname, ports } => Some(vec![ingress(hostname, ports)]),
    };
    if let Some(ingress) = ingress {
        status.insert("loadBalancer".to_owned(), json!({ "ingress": ingress }));
    }
    let write = |type_, verdict: &Verdict, known: Option<&ConditionRecord>| {
        let since = known.filter(|known| known.holds == verdict.holds);
        let write = ConditionWrite {
            type_,
            verdict: verdict.clone(),
            since: since.map(|known| known.since.clone()),
        };
        status::condition(&write, now)
    };
    let provisioned = write(
        api::CONDITION_PROVISIONED,
        &words.told.verdict,
        service.provisioned.as_deref(),
    );
    let node_ports = words.node_ports.as_ref().map(|verdict| {
        write(
            api::CONDITION_NODE_PORTS,
            verdict,
            service.node_ports.as_ref(),
        )
    });
    let conditions: Vec<_> = [provisioned].into_iter().chain(node_ports).collect();
    status.insert("conditions".to_owned(), json!(conditions));
    frame(service, status)
}

fn frame(service: &ServiceRecord, status: Map<String, Value>) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "namespace": service.key.namespace,
            "name": service.key.name,
            "resourceVersion": service.resource_version,
        },
        "status": status,
    })
}

/// A hostname has no mode: Kubernetes takes one with an address alone.
fn ingress(hostname: &str, ports: &[(Port, Option<String>)]) -> LoadBalancerIngress {
    let port = |(port, error): &(Port, Option<String>)| PortStatus {
        port: i32::from(port.number),
        protocol: port.protocol.to_string(),
        error: error.clone(),
    };
    LoadBalancerIngress {
        hostname: Some(hostname.to_owned()),
        ports: Some(ports.iter().map(port).collect()),
        ..LoadBalancerIngress::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::Reason, world::samples};

    fn words() -> Words {
        Words {
            told: Told {
                verdict: Verdict::yes(Reason::PROVISIONED, "here"),
                shown: Shown::Balancer {
                    hostname: "a.example".to_owned(),
                    ports: vec![("TCP/80".parse().unwrap(), None)],
                },
            },
            node_ports: None,
        }
    }

    #[test]
    fn a_hostname_is_written_with_its_ports_and_without_a_mode() {
        let body = body(&samples::service("web"), &words(), Timestamp::UNIX_EPOCH);
        assert_eq!(
            body["status"]["loadBalancer"]["ingress"],
            json!([{ "hostname": "a.example", "ports": [{ "port": 80, "protocol": "TCP" }] }])
        );
        assert_eq!(body["metadata"]["resourceVersion"], "1");
        assert_eq!(
            body["status"]["conditions"][0]["type"],
            "herald.dev/Provisioned"
        );
    }

    #[test]
    fn what_the_service_says_already_is_neither_written_nor_told() {
        let mut service = samples::service("web");
        assert!(!says(&service, &words()));
        assert_eq!(notices(&service, &words()).len(), 1);
        service.provisioned = Some(Box::new(ConditionRecord {
            holds: true,
            reason: "Provisioned".to_owned(),
            message: "here".to_owned(),
            since: String::new(),
        }));
        service.ingress = vec![crate::world::IngressRecord {
            ip: None,
            hostname: Some("a.example".to_owned()),
            ip_mode: None,
            ports: vec![("TCP/80".parse().unwrap(), None)],
        }];
        assert!(says(&service, &words()));
        assert!(notices(&service, &words()).is_empty());
    }
}
