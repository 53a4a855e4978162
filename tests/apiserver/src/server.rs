//! The server: its shared state, its handle for tests, and its life from `serve` to `stop`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{Builder, Config};
use crate::delete;
use crate::faults::Faults;
use crate::list;
use crate::patch;
use crate::rbac::{Access, User};
use crate::request::Query;
use crate::resource::Resource;
use crate::state::State;
use crate::status_error::StatusError;
use crate::write::{self, Intent, Place, Written};

/// What every connection and watch of a server shares.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// The newest revision, so that watches wake up.
    pub(crate) revisions: watch::Sender<u64>,
    pub(crate) faults: Faults,
    pub(crate) bookmark_every: Duration,
    pub(crate) tokens: BTreeMap<String, User>,
    pub(crate) anonymous: Option<User>,
    pub(crate) enforces_rbac: bool,
    /// What was asked for under enforced roles.
    accesses: Mutex<BTreeSet<Access>>,
    /// Ends watches and idle connections.
    pub(crate) stop: CancellationToken,
    /// Ends what did not end by itself.
    pub(crate) abort: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// An in-memory Kubernetes API server. Clones are handles on the same server.
///
/// ```
/// use herald_apiserver::ApiServer;
/// use serde_json::json;
///
/// let server = ApiServer::builder().build()?;
/// server.create(json!({
///     "apiVersion": "v1", "kind": "Service",
///     "metadata": {"name": "web", "namespace": "default"},
///     "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
/// }))?;
/// let service = server.get("v1", "Service", "default", "web")?;
/// assert_eq!(service["spec"]["externalTrafficPolicy"], "Cluster");
/// # Ok::<(), herald_apiserver::StatusError>(())
/// ```
#[derive(Clone)]
pub struct ApiServer {
    pub(crate) shared: Arc<Shared>,
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiServer")
            .field("revision", &*self.shared.revisions.borrow())
            .finish()
    }
}

impl Shared {
    /// The state, for reading. Writes go through [`Shared::write`].
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what was asked for.
    pub(crate) fn note(&self, access: Access) {
        let mut accesses = self.accesses.lock().unwrap_or_else(PoisonError::into_inner);
        accesses.insert(access);
    }

    /// Runs one write and wakes the watches.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&mut State) -> Result<T, StatusError>,
    ) -> Result<T, StatusError> {
        let mut state = self.state();
        let done = work(&mut state);
        let revision = state.store.revision();
        drop(state);
        self.revisions.send_if_modified(|known| {
            let moved = *known != revision;
            *known = revision;
            moved
        });
        done
    }
}

impl ApiServer {
    /// Sets up a server.
    pub fn builder() -> Builder {
        Builder::new()
    }

    pub(crate) fn start(config: Config) -> Result<Self, StatusError> {
        let bookmark_every = config.bookmark_every;
        let (tokens, anonymous) = (config.tokens.clone(), config.anonymous.clone());
        let enforces_rbac = config.enforces_rbac;
        let state = State::new(config)?;
        let revisions = watch::Sender::new(state.store.revision());
        let faults = Faults::new(revisions.subscribe());
        Ok(Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                revisions,
                faults,
                bookmark_every,
                tokens,
                anonymous,
                enforces_rbac,
                accesses: Mutex::default(),
                stop: CancellationToken::new(),
                abort: CancellationToken::new(),
                tasks: TaskTracker::new(),
            }),
        })
    }

    /// The faults of this server.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// What was asked for over the network, each once, since roles are enforced.
    #[must_use]
    pub fn accesses(&self) -> Vec<Access> {
        let accesses = self.shared.accesses.lock();
        let accesses = accesses.unwrap_or_else(PoisonError::into_inner);
        accesses.iter().cloned().collect()
    }

    /// The newest resourceVersion.
    #[must_use]
    pub fn resource_version(&self) -> u64 {
        self.shared.state().store.revision()
    }

    /// Forgets the history: watches and exact lists from before now are 410 Gone.
    pub fn compact(&self) {
        self.shared.state().store.compact();
    }

    /// Creates an object, found by its apiVersion, kind and metadata.
    ///
    /// # Errors
    /// As a POST would answer.
    pub fn create(&self, object: Value) -> Result<Value, StatusError> {
        let (resource, namespace, _) = self.place_of(&object)?;
        let intent = Intent::by("herald-apiserver");
        self.shared
            .write(|state| write::create(state, &resource, &namespace, object, &intent))
            .map(|written| shown(&resource, &written))
    }

    /// Replaces an object.
    ///
    /// # Errors
    /// As a PUT would answer.
    pub fn update(&self, object: Value) -> Result<Value, StatusError> {
        let (resource, namespace, name) = self.place_of(&object)?;
        let place = Place {
            resource: &resource,
            namespace: &namespace,
            name: &name,
            subresource: "",
        };
        let intent = Intent::by("herald-apiserver");
        self.shared
            .write(|state| write::update(state, place, object, &intent))
            .map(|written| shown(&resource, &written))
    }

    /// Applies a configuration by server-side apply, by force.
    ///
    /// # Errors
    /// As an apply patch would answer.
    pub fn apply(&self, manager: &str, config: Value) -> Result<Value, StatusError> {
        self.apply_to("", manager, config)
    }

    /// Applies a status by server-side apply, by force.
    ///
    /// # Errors
    /// As an apply patch of the status subresource would answer.
    pub fn apply_status(&self, manager: &str, config: Value) -> Result<Value, StatusError> {
        self.apply_to("status", manager, config)
    }

    fn apply_to(
        &self,
        subresource: &str,
        manager: &str,
        config: Value,
    ) -> Result<Value, StatusError> {
        let (resource, namespace, name) = self.place_of(&config)?;
        check_subresource(&resource, subresource)?;
        let place = Place {
            resource: &resource,
            namespace: &namespace,
            name: &name,
            subresource,
        };
        let intent = Intent {
            force: true,
            ..Intent::by(manager)
        };
        self.shared
            .write(|state| patch::patch(state, place, patch::Kind::Apply, config, &intent))
            .map(|written| shown(&resource, &written))
    }

    /// Changes an object by a JSON merge patch; `subresource` is empty or `status`.
    ///
    /// # Errors
    /// As a merge patch would answer.
    pub fn merge_patch(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
        subresource: &str,
        body: Value,
    ) -> Result<Value, StatusError> {
        let resource = self.resource(api_version, kind)?;
        check_subresource(&resource, subresource)?;
        let place = Place {
            resource: &resource,
            namespace,
            name,
            subresource,
        };
        let intent = Intent::by("herald-apiserver");
        self.shared
            .write(|state| patch::patch(state, place, patch::Kind::Merge, body, &intent))
            .map(|written| shown(&resource, &written))
    }

    /// Reads an object. Cluster-scoped kinds have the empty namespace.
    ///
    /// # Errors
    /// 404 if it is not there.
    pub fn get(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Value, StatusError> {
        let resource = self.resource(api_version, kind)?;
        let place = Place {
            resource: &resource,
            namespace,
            name,
            subresource: "",
        };
        let found = write::find(&self.shared.state(), place);
        found
            .map(|object| crate::encode::in_version(&resource, &object))
            .ok_or_else(|| StatusError::not_found(&resource.qualified(), name))
    }

    /// Lists objects. The empty namespace means all; `query` is as in a URL, such as
    /// `labelSelector=a%3Db&fieldSelector=spec.type%3DLoadBalancer`, or empty.
    ///
    /// # Errors
    /// As a GET would answer.
    pub fn list(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        query: &str,
    ) -> Result<Vec<Value>, StatusError> {
        let resource = self.resource(api_version, kind)?;
        let options = list::Options::from_query(&resource, &Query::parse(query))?;
        let listed = list::list(&self.shared.state(), &resource, namespace, &options)?;
        let items = listed.items.iter();
        Ok(items
            .map(|object| crate::encode::in_version(&resource, object))
            .collect())
    }

    /// Deletes an object; with finalizers it only gets a deletionTimestamp.
    ///
    /// # Errors
    /// As a DELETE would answer.
    pub fn delete(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        name: &str,
    ) -> Result<(), StatusError> {
        let resource = self.resource(api_version, kind)?;
        let place = Place {
            resource: &resource,
            namespace,
            name,
            subresource: "",
        };
        let options = delete::Options::default();
        self.shared
            .write(|state| delete::delete(state, place, &options))
            .map(|_| ())
    }

    fn resource(&self, api_version: &str, kind: &str) -> Result<Arc<Resource>, StatusError> {
        self.shared
            .state()
            .registry
            .by_kind(api_version, kind)
            .ok_or_else(|| {
                StatusError::new(
                    404,
                    "NotFound",
                    format!("no matches for kind \"{kind}\" in version \"{api_version}\""),
                )
            })
    }

    fn place_of(&self, object: &Value) -> Result<(Arc<Resource>, String, String), StatusError> {
        let text = |key| crate::fields::text(object, &[key]);
        let resource = self.resource(text("apiVersion"), text("kind"))?;
        let namespace = match crate::fields::meta(object, "namespace") {
            "" if resource.namespaced => "default",
            namespace => namespace,
        };
        let name = crate::fields::meta(object, "name");
        Ok((resource, namespace.to_owned(), name.to_owned()))
    }
}

fn shown(resource: &Resource, written: &Written) -> Value {
    crate::encode::in_version(resource, &written.object)
}

/// 404 if a resource does not have a subresource.
pub(crate) fn check_subresource(resource: &Resource, subresource: &str) -> Result<(), StatusError> {
    match subresource {
        "" => Ok(()),
        "status" if resource.status => Ok(()),
        _ => Err(StatusError::no_such_path()),
    }
}
