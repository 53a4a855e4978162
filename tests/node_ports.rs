//! Switching node ports against an API server: what the patches do, and who is seen to insist on what afterwards.
//!
//! Runs against the stand-in; the ignored test is the same story on the API server that `KUBECONFIG` names, with
//! Services that it deletes again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on shall fail"
)]

mod support;

use herald::{
    api, cluster,
    controller::node_ports::{Contest, Need, NodePortPatch, Wish, decide},
    world::{Pinned, PinnedBy, ServiceRecord},
};
use k8s_openapi::api::core::v1::Service;
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use support::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn the_stand_in_plays_the_story() {
    story(Cluster::bare().await.client()).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs an API server in KUBECONFIG"]
async fn a_real_api_server_plays_the_story() {
    let _provider = rustls::crypto::ring::default_provider().install_default();
    story(cluster::connect().await.unwrap()).await;
}

async fn story(client: Client) {
    let scene = Scene(Api::namespaced(client, "default"));
    scene.herald_switches_off_and_on_again().await;
    scene.a_late_patch_is_refused().await;
    scene.pins_are_seen().await;
    scene
        .a_number_is_given_back_by_the_command_in_the_message()
        .await;
    scene.a_replace_switches_back().await;
    scene.clear().await;
}

struct Scene(Api<Service>);

impl Scene {
    async fn create(&self, name: &str, manager: &str, spec: Value) -> ServiceRecord {
        let params = PostParams {
            field_manager: Some(manager.to_owned()),
            ..PostParams::default()
        };
        let _none = self.0.delete(name, &DeleteParams::default()).await;
        let made = self.0.create(&params, &manifest(name, spec)).await.unwrap();
        cluster::service(&made).unwrap()
    }

    async fn apply(&self, name: &str, spec: Value) -> ServiceRecord {
        let _none = self.0.delete(name, &DeleteParams::default()).await;
        let params = PatchParams::apply("flux");
        let made = self
            .0
            .patch(name, &params, &Patch::Apply(manifest(name, spec)))
            .await;
        cluster::service(&made.unwrap()).unwrap()
    }

    async fn clear(&self) {
        for service in self.0.list(&ListParams::default()).await.unwrap() {
            let name = service.metadata.name.unwrap_or_default();
            if name.starts_with("np-") {
                self.0
                    .delete(&name, &DeleteParams::default())
                    .await
                    .unwrap();
            }
        }
    }

    async fn send(&self, name: &str, patch: &NodePortPatch) -> kube::Result<ServiceRecord> {
        let params = PatchParams {
            field_manager: Some(api::CONTROLLER.to_owned()),
            ..PatchParams::default()
        };
        let patch: Patch<()> = Patch::Json(patch.json());
        let made = self.0.patch(name, &params, &patch).await?;
        Ok(cluster::service(&made).unwrap())
    }

    /// Decides, sends what was decided, and expects this word.
    async fn turn(&self, service: &ServiceRecord, wish: Wish, word: &str) -> ServiceRecord {
        let decision = decide(service, wish, &Need::None, &Contest::default(), 0);
        let verdict = decision.verdict.unwrap();
        assert_eq!(verdict.reason.as_str(), word, "{verdict:?}");
        match decision.patch {
            Some(patch) => self.send(&service.key.name, &patch).await.unwrap(),
            None => service.clone(),
        }
    }

    async fn herald_switches_off_and_on_again(&self) {
        let made = [
            self.create("np-created", "kubectl-create", json!({})).await,
            self.apply("np-applied", json!({})).await,
        ];
        for service in made {
            assert_eq!(open(&service), 2);
            assert_eq!(service.node_ports_pinned, None);
            let off = self.turn(&service, Wish::Disable, "Disabled").await;
            assert!(off.has_no_node_ports());
            assert!(off.node_ports_switched);
            assert_eq!(off.node_ports_refused, None);
            let again = self.turn(&off, Wish::Disable, "Disabled").await;
            assert_eq!(again.resource_version, off.resource_version);
            let on = self.turn(&off, Wish::Enable, "Enabled").await;
            assert_eq!(open(&on), 2);
            assert_eq!(on.node_ports_pinned, None);
        }
    }

    async fn a_late_patch_is_refused(&self) {
        let service = self.create("np-late", "kubectl-create", json!({})).await;
        let patch = NodePortPatch::off(&service);
        self.send("np-late", &patch).await.unwrap();
        let Err(kube::Error::Api(answer)) = self.send("np-late", &patch).await else {
            panic!("the second patch was taken");
        };
        assert!(NodePortPatch::came_late(&answer), "{answer:?}");
    }

    async fn pins_are_seen(&self) {
        let named = json!({ "ports": [
            { "name": "tcp", "port": 80, "protocol": "TCP" },
            { "name": "udp", "port": 80, "protocol": "UDP", "nodePort": 30777 },
        ] });
        let service = self.apply("np-named", named).await;
        let pin = service.node_ports_pinned.clone().unwrap();
        assert_eq!(pin.by, PinnedBy::Applied("flux".into()));
        assert_eq!(pin.what, Pinned::Numbers(vec!["UDP/80".parse().unwrap()]));
        self.turn(&service, Wish::Disable, "NodePortsPinned").await;
        let flag = |on: bool| json!({ "allocateLoadBalancerNodePorts": on });
        let on = self.apply("np-true", flag(true)).await;
        self.turn(&on, Wish::Disable, "NodePortsPinned").await;
        let off = self.apply("np-false", flag(false)).await;
        self.turn(&off, Wish::Enable, "NodePortsPinned").await;
        let off = self
            .create("np-create-false", "kubectl-create", flag(false))
            .await;
        assert_eq!(off.node_ports_flag_owner.as_deref(), Some("kubectl-create"));
        self.turn(&off, Wish::Enable, "NodePortsPinned").await;
    }

    async fn a_number_is_given_back_by_the_command_in_the_message(&self) {
        let named = json!({ "ports": [{ "port": 80, "nodePort": 30778 }] });
        let service = self.create("np-give-back", "kubectl-create", named).await;
        self.turn(&service, Wish::Disable, "NodePortsPinned").await;
        let verdict = decide(&service, Wish::Disable, &Need::None, &Contest::default(), 0).verdict;
        let message = verdict.unwrap().message;
        let operations = message.split('\'').nth(1).unwrap();
        let operations = serde_json::from_str(operations).unwrap();
        let patch: Patch<()> = Patch::Json(operations);
        let params = PatchParams::default();
        let given = self.0.patch("np-give-back", &params, &patch).await.unwrap();
        let given = cluster::service(&given).unwrap();
        assert_eq!(given.node_ports_pinned, None);
        self.turn(&given, Wish::Disable, "Disabled").await;
    }

    async fn a_replace_switches_back(&self) {
        let service = self
            .create("np-replaced", "kubectl-create", json!({}))
            .await;
        self.turn(&service, Wish::Disable, "Disabled").await;
        let live = self.0.get("np-replaced").await.unwrap();
        let mut whole = manifest("np-replaced", json!({}));
        whole.metadata.resource_version = live.metadata.resource_version;
        let params = PostParams {
            field_manager: Some("kubectl-replace".to_owned()),
            ..PostParams::default()
        };
        let back = self
            .0
            .replace("np-replaced", &params, &whole)
            .await
            .unwrap();
        let back = cluster::service(&back).unwrap();
        assert_eq!(open(&back), 2);
        assert_eq!(back.node_ports_pinned, None);
        assert_eq!(
            back.node_ports_flag_owner.as_deref(),
            Some("kubectl-replace")
        );
        self.turn(&back, Wish::Disable, "Disabled").await;
    }
}

fn manifest(name: &str, spec: Value) -> Service {
    let mut full = json!({
        "type": "LoadBalancer",
        "ports": [
            { "name": "tcp", "port": 80, "protocol": "TCP" },
            { "name": "udp", "port": 80, "protocol": "UDP" },
        ],
    });
    let spec = spec.as_object().unwrap().clone();
    full.as_object_mut().unwrap().extend(spec);
    serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "namespace": "default" }, "spec": full,
    }))
    .unwrap()
}

fn open(service: &ServiceRecord) -> usize {
    let ports = service.ports.iter();
    ports.filter(|port| port.node_port.is_some()).count()
}
