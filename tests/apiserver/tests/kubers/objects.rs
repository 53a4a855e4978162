//! Objects: watched, applied, replaced, defined, listed.

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::watcher::{self, watcher};
use serde_json::{Value, json};

use crate::support::{code_of, next, service, soon, started};

#[tokio::test]
async fn a_watcher_by_type_sees_services_come_and_go() {
    for streaming in [false, true] {
        let (_server, client) = started().await;
        let services: Api<Service> = Api::namespaced(client.clone(), "default");
        services
            .create(&PostParams::default(), &service("lb", "LoadBalancer"))
            .await
            .unwrap();
        services
            .create(&PostParams::default(), &service("other", "ClusterIP"))
            .await
            .unwrap();
        let mut config = watcher::Config::default().fields("spec.type=LoadBalancer");
        if streaming {
            config = config.streaming_lists();
        }
        let mut events = Box::pin(watcher(services.clone(), config));
        assert_eq!(next(&mut events).await, "Init");
        assert_eq!(next(&mut events).await, "InitApply lb");
        assert_eq!(next(&mut events).await, "InitDone");
        let to = |kind: &str| Patch::Merge(json!({"spec": {"type": kind}}));
        services
            .patch("other", &PatchParams::default(), &to("LoadBalancer"))
            .await
            .unwrap();
        assert_eq!(next(&mut events).await, "Apply other");
        services
            .patch("lb", &PatchParams::default(), &to("ClusterIP"))
            .await
            .unwrap();
        assert_eq!(next(&mut events).await, "Delete lb");
        services.delete("other", &Default::default()).await.unwrap();
        assert_eq!(next(&mut events).await, "Delete other");
    }
}

#[tokio::test]
async fn a_status_is_applied_and_its_fields_have_owners() {
    let (_server, client) = started().await;
    let services: Api<Service> = Api::namespaced(client, "default");
    let created = services
        .create(&PostParams::default(), &service("web", "LoadBalancer"))
        .await
        .unwrap();
    let status = |ip: &str, version: Option<&str>| {
        Patch::Apply(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "web", "resourceVersion": version},
            "status": {
                "loadBalancer": {"ingress": [{"ip": ip, "ipMode": "VIP"}]},
                "conditions": [{"type": "herald.dev/AddressAllocated", "status": "True", "reason": "Allocated",
                                "message": "", "lastTransitionTime": "2026-11-22T00:00:00Z"}],
            },
        }))
    };
    let lb = PatchParams::apply("lb");
    let version = created.metadata.resource_version.as_deref();
    let first = services
        .patch_status("web", &lb, &status("192.0.2.1", version))
        .await
        .unwrap();
    let entries = first.metadata.managed_fields.unwrap();
    let own = entries
        .iter()
        .find(|entry| entry.manager.as_deref() == Some("lb"))
        .unwrap();
    assert_eq!(own.operation.as_deref(), Some("Apply"));
    assert_eq!(own.subresource.as_deref(), Some("status"));
    // A stale resourceVersion fails, and so does another manager without force.
    let stale = services
        .patch_status("web", &lb, &status("192.0.2.2", version))
        .await;
    assert_eq!(code_of(stale), 409);
    let other = PatchParams::apply("intruder");
    let conflict = services
        .patch_status("web", &other, &status("192.0.2.3", None))
        .await;
    assert_eq!(code_of(conflict), 409);
    let kept = services.get("web").await.unwrap();
    let ingress = kept.status.unwrap().load_balancer.unwrap().ingress.unwrap();
    assert_eq!(ingress[0].ip.as_deref(), Some("192.0.2.1"));
    // The same again changes nothing, not even the resourceVersion.
    let again = services
        .patch_status("web", &lb, &status("192.0.2.1", None))
        .await
        .unwrap();
    assert_eq!(
        again.metadata.resource_version,
        first.metadata.resource_version
    );
}

#[tokio::test]
async fn a_lease_is_replaced_only_at_its_version() {
    let (_server, client) = started().await;
    let leases: Api<Lease> = Api::namespaced(client, "kube-system");
    let lease = |holder: &str, version: Option<String>| Lease {
        metadata: ObjectMeta {
            name: Some("herald-controller".to_owned()),
            resource_version: version,
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            ..LeaseSpec::default()
        }),
    };
    let parameters = PostParams::default();
    let first = leases.create(&parameters, &lease("a", None)).await.unwrap();
    let version = first.metadata.resource_version;
    let name = "herald-controller";
    leases
        .replace(name, &parameters, &lease("b", version.clone()))
        .await
        .unwrap();
    assert_eq!(
        code_of(
            leases
                .replace(name, &parameters, &lease("c", version))
                .await
        ),
        409
    );
    assert_eq!(
        code_of(leases.replace(name, &parameters, &lease("d", None)).await),
        422
    );
    let held = leases
        .get(name)
        .await
        .unwrap()
        .spec
        .unwrap()
        .holder_identity;
    assert_eq!(held.as_deref(), Some("b"));
}

fn pool_definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "pools.herald.test"},
        "spec": {
            "group": "herald.test", "scope": "Cluster",
            "names": {"plural": "pools", "kind": "Pool"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "selectableFields": [{"jsonPath": ".spec.zone"}],
                "schema": {"openAPIV3Schema": {"type": "object", "required": ["spec"], "properties": {
                    "spec": {"type": "object", "required": ["addresses"], "properties": {
                        "addresses": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
                        "zone": {"type": "string"},
                        "automatic": {"type": "boolean", "default": true},
                    }},
                    "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                }}},
            }],
        },
    })
}

#[tokio::test]
async fn a_definition_is_established_and_served() {
    let (_server, client) = started().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let apply = PatchParams::apply("test").force();
    let name = "pools.herald.test";
    definitions
        .patch(name, &apply, &Patch::Apply(pool_definition()))
        .await
        .unwrap();
    let established = await_condition(definitions, name, conditions::is_crd_established());
    soon("establishing", established).await.unwrap();

    let kind = GroupVersionKind::gvk("herald.test", "v1", "Pool");
    let pools: Api<DynamicObject> =
        Api::all_with(client, &ApiResource::from_gvk_with_plural(&kind, "pools"));
    let pool = |spec: Value| {
        Patch::Apply(
            json!({"apiVersion": "herald.test/v1", "kind": "Pool", "metadata": {"name": "lan"}, "spec": spec}),
        )
    };
    let refused = pools
        .patch("lan", &apply, &pool(json!({"addresses": ["a", "b", "c"]})))
        .await;
    assert_eq!(code_of(refused), 422);
    let made = pools
        .patch(
            "lan",
            &apply,
            &pool(json!({"addresses": ["a"], "zone": "z"})),
        )
        .await
        .unwrap();
    assert_eq!(made.data["spec"]["automatic"], true);
    assert_eq!(made.metadata.generation, Some(1));
    let status = json!({"apiVersion": "herald.test/v1", "kind": "Pool", "metadata": {"name": "lan"}, "status": {"x": 1}});
    let written = pools
        .patch_status("lan", &apply, &Patch::Apply(status))
        .await
        .unwrap();
    assert_eq!(
        (written.metadata.generation, &written.data["status"]),
        (Some(1), &json!({"x": 1}))
    );
    let by_zone = |zone: &str| ListParams::default().fields(&format!("spec.zone={zone}"));
    assert_eq!(pools.list(&by_zone("z")).await.unwrap().items.len(), 1);
    assert_eq!(pools.list(&by_zone("y")).await.unwrap().items.len(), 0);
    let unknown = ListParams::default().fields("spec.automatic=true");
    assert_eq!(code_of(pools.list(&unknown).await), 400);
}

#[tokio::test]
async fn lists_come_in_pages_of_one_moment() {
    let (server, client) = started().await;
    let services: Api<Service> = Api::namespaced(client, "default");
    for name in ["a", "b", "c"] {
        services
            .create(&PostParams::default(), &service(name, "ClusterIP"))
            .await
            .unwrap();
    }
    let first = services
        .list(&ListParams::default().limit(2))
        .await
        .unwrap();
    assert_eq!(first.metadata.remaining_item_count, Some(2));
    server.delete("v1", "Service", "default", "c").unwrap();
    let token = first.metadata.continue_.unwrap();
    let second = services
        .list(&ListParams::default().limit(2).continue_token(&token))
        .await
        .unwrap();
    let names: Vec<_> = second
        .items
        .into_iter()
        .map(|one| one.metadata.name.unwrap())
        .collect();
    assert_eq!(names, ["c", "kubernetes"]);
}
