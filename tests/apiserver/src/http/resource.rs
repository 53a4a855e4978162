//! The verbs on resources: from a path, a query and a body to a write or a read, and its answer.

use std::sync::Arc;

use http::{Method, Response};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{json_body, review};
use crate::apply::managed;
use crate::connection::{Body, json_response, set_header};
use crate::crd;
use crate::delete::{self, Deleted};
use crate::encode::Format;
use crate::faults::{Action, RequestFacts};
use crate::fields;
use crate::list;
use crate::patch;
use crate::protobuf;
use crate::request::{Request, Target};
use crate::resource::Resource;
use crate::server::{Shared, check_subresource};
use crate::status_error::{Cause, StatusError};
use crate::store;
use crate::watch::{self, Watch};
use crate::write::{self, Intent, Place, Strictness, Written};

/// How many pieces of a watch wait for a slow client before the log takes over.
const WATCH_CHANNEL: usize = 16;

type Answer = Result<Response<Body>, StatusError>;

/// Everything about a request to a resource.
struct Call<'a> {
    shared: &'a Arc<Shared>,
    facts: &'a RequestFacts,
    request: &'a Request,
    resource: Arc<Resource>,
    namespace: &'a str,
    name: &'a str,
    subresource: &'a str,
}

/// Answers a request to a resource.
pub(crate) fn handle(
    shared: &Arc<Shared>,
    facts: &RequestFacts,
    request: &Request,
    target: &Target,
) -> Answer {
    let found = {
        let state = shared.state();
        let served = state.registry.knows_group(&target.group);
        let resource = state.resource(&target.group, &target.version, &target.plural);
        if served { Some(resource) } else { None }
    };
    // Nobody registered the path: Go's own answer, in plain text.
    let Some(resource) = found else {
        return Ok(super::no_page());
    };
    let resource = resource?;
    let subresource = target.subresource.as_deref().unwrap_or_default();
    if matches!(
        subresource,
        "scale" | "finalize" | "log" | "exec" | "binding" | "eviction" | "token" | "proxy"
    ) {
        let what = format!("the subresource {}/{subresource}", target.plural);
        return Err(StatusError::not_implemented(what));
    }
    check_subresource(&resource, subresource)?;
    if !resource.namespaced && !target.namespace.is_empty() {
        return Err(StatusError::no_such_path());
    }
    let name = target.name.as_deref().unwrap_or_default();
    if resource.namespaced && target.namespace.is_empty() && !name.is_empty() {
        return Err(StatusError::no_such_path());
    }
    let call = Call {
        shared,
        facts,
        request,
        resource,
        namespace: &target.namespace,
        name,
        subresource,
    };
    match (request.method.clone(), name.is_empty()) {
        (Method::POST, true) => call.create(),
        _ if call.resource.review => Err(StatusError::method_not_allowed()),
        (Method::GET, true) if request.query.flag("watch") => call.watch(),
        (Method::GET, true) => call.list(),
        (Method::GET, false) => call.get(),
        (Method::PUT, false) => call.update(),
        (Method::PATCH, false) => call.patch(),
        (Method::DELETE, false) => call.delete(),
        (Method::DELETE, true) if !call.resource.is("", "Namespace") => call.delete_collection(),
        _ => Err(StatusError::method_not_allowed()),
    }
}

impl Call<'_> {
    fn place(&self) -> Place<'_> {
        Place {
            resource: &self.resource,
            namespace: self.namespace,
            name: self.name,
            subresource: self.subresource,
        }
    }

    fn get(&self) -> Answer {
        let format = Format::of(self.request)?;
        let stale = self.stale();
        let state = self.shared.state();
        let found = match stale {
            Some(revision) => {
                let objects = state.store.snapshot(&self.resource.store_name(), revision);
                let key = (self.namespace.to_owned(), self.name.to_owned());
                objects.ok().and_then(|objects| objects.get(&key).cloned())
            }
            None => write::find(&state, self.place()),
        };
        let Some(object) = found else {
            return Err(StatusError::not_found(
                &self.resource.qualified(),
                self.name,
            ));
        };
        Ok(json_response(200, &format.object(&self.resource, &object)))
    }

    fn list(&self) -> Answer {
        let format = Format::of(self.request)?;
        let mut options = list::Options::from_query(&self.resource, &self.request.query)?;
        if let Some(revision) = self.stale()
            && options.next.is_none()
        {
            options.revision = Some(revision);
            options.exact = true;
        }
        let listed = list::list(
            &self.shared.state(),
            &self.resource,
            self.namespace,
            &options,
        )?;
        Ok(json_response(200, &format.list(&self.resource, &listed)))
    }

    /// The revision that a fault wants to be shown.
    fn stale(&self) -> Option<u64> {
        let stale = |action: &Action| matches!(action, Action::StaleList { .. });
        match self.shared.faults.take(self.facts, stale)? {
            Action::StaleList { resource_version } => resource_version,
            _ => None,
        }
    }

    fn watch(&self) -> Answer {
        let format = Format::of(self.request)?;
        let options = watch::Options::from_query(&self.resource, &self.request.query)?;
        let (sender, receiver) = mpsc::channel(WATCH_CHANNEL);
        let watch = Watch::new(
            Arc::clone(self.shared),
            Arc::clone(&self.resource),
            self.namespace,
            options,
            format,
            self.facts.clone(),
        );
        let stop = self.shared.stop.clone();
        self.shared.tasks.spawn(watch.run(sender, stop));
        let mut response = Response::new(Body::Watch(receiver));
        set_header(response.headers_mut(), "content-type", "application/json");
        Ok(response)
    }

    fn create(&self) -> Answer {
        let format = Format::of(self.request)?;
        let body = self.body()?;
        if self.resource.review {
            let client = &self.facts.client;
            let answer = review::answer(self.shared, client, &self.resource, body)?;
            return Ok(json_response(201, &answer));
        }
        if self.resource.namespaced && self.namespace.is_empty() {
            return Err(StatusError::method_not_allowed());
        }
        let intent = self.intent()?;
        let definition = self.definition(&body)?;
        let mut written = self
            .shared
            .write(|state| write::create(state, &self.resource, self.namespace, body, &intent))?;
        written.warnings.extend(definition);
        Ok(self.written(format, &written))
    }

    fn update(&self) -> Answer {
        let format = Format::of(self.request)?;
        let body = self.body()?;
        let intent = self.intent()?;
        let definition = self.definition(&body)?;
        let mut written = self
            .shared
            .write(|state| write::update(state, self.place(), body, &intent))?;
        written.warnings.extend(definition);
        Ok(self.written(format, &written))
    }

    fn patch(&self) -> Answer {
        let custom = self.resource.custom().is_some();
        let kind = patch::Kind::of(self.request.content_type(), custom)?;
        let format = Format::of(self.request)?;
        let intent = self.intent()?;
        let given = self.request.query.get("fieldManager").is_some();
        let forced = self.request.query.has("force");
        if kind == patch::Kind::Apply && !given {
            let why = "is required for apply patch";
            let cause = Cause::required("fieldManager", why);
            return Err(StatusError::invalid(
                "meta.k8s.io",
                "PatchOptions",
                "",
                &[cause],
            ));
        }
        if kind != patch::Kind::Apply && forced {
            let cause = Cause::forbidden("force", "may not be specified for non-apply patch");
            return Err(StatusError::invalid(
                "meta.k8s.io",
                "PatchOptions",
                "",
                &[cause],
            ));
        }
        let body = match (serde_json::from_slice(&self.request.body), kind) {
            (Ok(body), _) => body,
            (Err(_), patch::Kind::Apply) => {
                return Err(StatusError::not_implemented(
                    "YAML in apply patches; send JSON, which is YAML",
                ));
            }
            (Err(error), _) => {
                return Err(StatusError::bad_request(format!(
                    "error decoding patch: {error}"
                )));
            }
        };
        let written = self
            .shared
            .write(|state| patch::patch(state, self.place(), kind, body, &intent))?;
        Ok(self.written(format, &written))
    }

    fn delete(&self) -> Answer {
        if !self.subresource.is_empty() {
            return Err(StatusError::method_not_allowed());
        }
        let format = Format::of(self.request)?;
        let options = self.delete_options()?;
        let deleted = self
            .shared
            .write(|state| delete::delete(state, self.place(), &options))?;
        match deleted {
            Deleted::Pending(object) => {
                Ok(json_response(200, &format.object(&self.resource, &object)))
            }
            Deleted::Gone(object) if self.resource.returns_deleted() => {
                Ok(json_response(200, &format.object(&self.resource, &object)))
            }
            Deleted::Gone(object) => {
                let mut details = json!({
                    "name": self.name, "kind": self.resource.plural, "uid": fields::meta(&object, "uid"),
                });
                if !self.resource.group.is_empty() {
                    fields::set(&mut details, &["group"], json!(self.resource.group));
                }
                let status = json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                    "details": details,
                });
                Ok(json_response(200, &status))
            }
        }
    }

    fn delete_collection(&self) -> Answer {
        let format = Format::of(self.request)?;
        let options = self.delete_options()?;
        let wanted = list::Options::from_query(&self.resource, &self.request.query)?;
        let deleted = self.shared.write(|state| {
            let listed = list::list(state, &self.resource, self.namespace, &wanted)?;
            let keys: Vec<store::Key> = listed
                .items
                .iter()
                .map(|object| store::key_of(object))
                .collect();
            let items = delete::delete_collection(state, &self.resource, &keys, &options)?;
            Ok(list::Listed {
                items,
                revision: state.store.revision(),
                next: None,
                remaining: None,
            })
        })?;
        Ok(json_response(200, &format.list(&self.resource, &deleted)))
    }

    fn delete_options(&self) -> Result<delete::Options, StatusError> {
        let query = &self.request.query;
        let mut body = if self.request.body.is_empty() {
            json!({})
        } else {
            json_body(self.request)?
        };
        if let Some(policy) = query.get("propagationPolicy") {
            fields::set_default(&mut body, &["propagationPolicy"], json!(policy));
        }
        let mut options = delete::Options::from_body(&body)?;
        options.dry_run |= self.dry_run()?;
        Ok(options)
    }

    /// A JSON body of a supported media type.
    fn body(&self) -> Result<Value, StatusError> {
        match self.request.content_type() {
            "" | "application/json" | protobuf::MEDIA_TYPE => json_body(self.request),
            other => Err(StatusError::unsupported_media_type(format!(
                "the body of the request was in an unknown format - accepted media types include: application/json, application/vnd.kubernetes.protobuf (the stand-in does not read {other})"
            ))),
        }
    }

    fn intent(&self) -> Result<Intent, StatusError> {
        let query = &self.request.query;
        let strictness = match query.get("fieldValidation") {
            None | Some("Warn") => Strictness::Warn,
            Some("Ignore") => Strictness::Ignore,
            Some("Strict") => Strictness::Strict,
            Some(other) => {
                let allowed = ["Ignore", "Strict", "Warn"];
                let cause = Cause::unsupported("fieldValidation", &json!(other), &allowed);
                return Err(StatusError::invalid(
                    "meta.k8s.io",
                    "PatchOptions",
                    "",
                    &[cause],
                ));
            }
        };
        let agent = self.request.header("user-agent");
        Ok(Intent {
            manager: managed::name_of(query.get("fieldManager"), agent),
            dry_run: self.dry_run()?,
            strictness,
            force: query.flag("force"),
        })
    }

    fn dry_run(&self) -> Result<bool, StatusError> {
        let mut dry_run = false;
        for value in self.request.query.all("dryRun") {
            if value != "All" {
                let cause = Cause::unsupported("dryRun", &json!([value]), &["All"]);
                return Err(StatusError::invalid("meta.k8s.io", "Options", "", &[cause]));
            }
            dry_run = true;
        }
        Ok(dry_run)
    }

    /// Refusals and warnings about a definition that is being written.
    fn definition(&self, body: &Value) -> Result<Vec<String>, StatusError> {
        if !self
            .resource
            .is("apiextensions.k8s.io", "CustomResourceDefinition")
        {
            return Ok(Vec::new());
        }
        crd::definition::refuse_unsupported(body)?;
        Ok(crd::definition::warnings(body))
    }

    fn written(&self, format: Format, written: &Written) -> Response<Body> {
        let code = if written.created { 201 } else { 200 };
        let mut response = json_response(code, &format.object(&self.resource, &written.object));
        for warning in &written.warnings {
            let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
            set_header(
                response.headers_mut(),
                "warning",
                &format!("299 - \"{quoted}\""),
            );
        }
        response
    }
}
