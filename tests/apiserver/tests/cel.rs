//! Rules of definitions: evaluated with the feature `cel`, announced as not evaluated without.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use herald_apiserver::ApiServer;
use serde_json::{Value, json};

fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "pools.cel.herald.dev"},
        "spec": {
            "group": "cel.herald.dev", "scope": "Cluster", "names": {"plural": "pools", "kind": "Pool"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {
                    "type": "object",
                    "x-kubernetes-validations": [
                        {"rule": "self.addresses.all(a, isIP(a) || isCIDR(a))", "message": "must be addresses"},
                        {"rule": "!has(oldSelf.zone) || self.zone == oldSelf.zone", "message": "zone is immutable"},
                    ],
                    "properties": {
                        "addresses": {"type": "array", "maxItems": 10, "items": {"type": "string", "maxLength": 50}},
                        "zone": {"type": "string", "maxLength": 10},
                    },
                }},
            }}}],
        },
    })
}

fn pool(addresses: Value, zone: &str) -> Value {
    json!({"apiVersion": "cel.herald.dev/v1", "kind": "Pool", "metadata": {"name": "lan"},
           "spec": {"addresses": addresses, "zone": zone}})
}

#[test]
fn rules_are_evaluated_or_not_at_all() {
    let server = ApiServer::builder().build().unwrap();
    server.create(definition()).unwrap();
    let wrong = server.create(pool(json!(["nonsense"]), "a"));
    if cfg!(feature = "cel") {
        let error = wrong.unwrap_err();
        assert_eq!(error.code, 422);
        assert!(error.message.contains("must be addresses"), "{error}");
        server
            .create(pool(json!(["192.0.2.1", "2001:db8::/64"]), "a"))
            .unwrap();
        let error = server
            .apply("x", pool(json!(["192.0.2.1"]), "b"))
            .unwrap_err();
        assert!(error.message.contains("zone is immutable"), "{error}");
    } else {
        println!("built without the feature cel: rules are announced as not evaluated");
        wrong.unwrap();
    }
}
