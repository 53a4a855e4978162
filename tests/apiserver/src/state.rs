//! One server's whole state, behind one lock: what is served, what is stored, what is allocated.
//!
//! Every write is one synchronous function of the state, so that writes are serial as in etcd.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::config::Config;
use crate::dice::Dice;
use crate::registry::Registry;
use crate::resource::Resource;
use crate::schema::Builtins;
use crate::service::allocations::Allocations;
use crate::status_error::StatusError;
use crate::store::Store;
use crate::write::{Intent, create};

/// Namespaces that exist from the start.
const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// Everything that requests read and change.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) registry: Registry,
    pub(crate) store: Store,
    pub(crate) allocations: Allocations,
    pub(crate) builtins: Arc<Builtins>,
    pub(crate) dice: Dice,
}

impl State {
    /// A state with the namespaces that every cluster has.
    pub(crate) fn new(config: Config) -> Result<Self, StatusError> {
        let mut state = Self {
            registry: Registry::new(),
            store: Store::new(config.log_limit),
            allocations: Allocations::new(&config),
            builtins: Arc::new(Builtins::load()?),
            dice: Dice::new(),
        };
        let namespaces = state.resource("", "v1", "namespaces")?;
        for name in NAMESPACES {
            let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            create(
                &mut state,
                &namespaces,
                "",
                body,
                &Intent::by("kube-apiserver"),
            )?;
        }
        let services = state.resource("", "v1", "services")?;
        let body = kubernetes_service(&config);
        create(
            &mut state,
            &services,
            "default",
            body,
            &Intent::by("kube-apiserver"),
        )?;
        Ok(state)
    }

    /// The resource at a path, or the 404 of an unknown path.
    pub(crate) fn resource(
        &self,
        group: &str,
        version: &str,
        plural: &str,
    ) -> Result<Arc<Resource>, StatusError> {
        self.registry
            .find(group, version, plural)
            .ok_or_else(StatusError::no_such_path)
    }
}

/// The Service that every API server makes for itself, at the first address of the primary range.
fn kubernetes_service(config: &Config) -> Value {
    let first = config
        .service_cidrs
        .first()
        .and_then(|cidr| cidr.address(1));
    let address = first.map(|address| address.to_string()).unwrap_or_default();
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "kubernetes", "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "clusterIP": address,
            "ports": [{"name": "https", "port": 443, "targetPort": 6443}],
        },
    })
}
