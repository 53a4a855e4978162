//! From a request to an answer: authentication, faults, routing, and the verbs of resources.

mod access;
mod control;
mod resource;
mod review;

use std::sync::Arc;

use http::{Method, Response};
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::connection::{Body, json_response, set_header};
use crate::discovery;
use crate::faults::{Action, ClientId, RequestFacts};
use crate::openapi;
use crate::protobuf;
use crate::request::{Request, Target};
use crate::server::Shared;
use crate::status_error::StatusError;

/// What becomes of a request.
pub(crate) enum Outcome {
    Reply(Response<Body>),
    /// The connection is dropped without an answer.
    Cut,
    /// The client waits for ever.
    Hang,
}

/// Answers a request.
pub(crate) async fn handle(shared: &Arc<Shared>, client: ClientId, request: Request) -> Outcome {
    if request.path.starts_with(control::PATH) {
        return Outcome::Reply(control::handle(shared, &request));
    }
    shared.faults.resumed().await;
    if let Err(error) = authenticate(shared, &client) {
        return Outcome::Reply(error_response(&error));
    }
    let facts = facts_of(&request, client);
    if let Some(outcome) = before(shared, &facts).await {
        return outcome;
    }
    let response = match access::authorize(shared, &facts, &request) {
        Ok(()) => route(shared, &facts, &request).unwrap_or_else(|error| error_response(&error)),
        Err(error) => error_response(&error),
    };
    if shared
        .faults
        .take(&facts, |action| *action == Action::LoseReply)
        .is_some()
    {
        return Outcome::Cut;
    }
    Outcome::Reply(response)
}

/// Faults that strike before anything happens.
async fn before(shared: &Shared, facts: &RequestFacts) -> Option<Outcome> {
    let kinds = |action: &Action| {
        matches!(
            action,
            Action::Delay { .. } | Action::Hang | Action::Error { .. }
        )
    };
    match shared.faults.take(facts, kinds)? {
        Action::Delay { millis } => {
            tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
            None
        }
        Action::Hang => Some(Outcome::Hang),
        Action::Error {
            code,
            reason,
            message,
            retry_after_seconds,
        } => {
            let reason = reason.unwrap_or_else(|| reason_of(code).to_owned());
            let message = message.unwrap_or_else(|| format!("a fault of the stand-in: {reason}"));
            let mut error = StatusError::new(code, reason, message);
            if let Some(seconds) = retry_after_seconds {
                error = error.retry_after(seconds);
            }
            Some(Outcome::Reply(error_response(&error)))
        }
        _ => None,
    }
}

fn reason_of(code: u16) -> &'static str {
    match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "Unknown",
    }
}

fn authenticate(shared: &Shared, client: &ClientId) -> Result<(), StatusError> {
    if shared.tokens.is_empty() || access::user(shared, client).is_some() {
        return Ok(());
    }
    Err(StatusError::new(401, "Unauthorized", "Unauthorized"))
}

/// The verb and the object of a request, as rules and roles see them.
fn facts_of(request: &Request, client: ClientId) -> RequestFacts {
    let Some(target) = Target::parse(&request.path) else {
        let verb = request.method.as_str().to_lowercase();
        return RequestFacts {
            verb,
            client,
            ..RequestFacts::default()
        };
    };
    let named = target.name.is_some();
    let verb = match request.method {
        Method::GET if request.query.flag("watch") && !named => "watch",
        Method::GET if named => "get",
        Method::GET => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if named => "delete",
        Method::DELETE => "deletecollection",
        _ => "",
    };
    RequestFacts {
        verb: verb.to_owned(),
        resource: target.plural,
        group: target.group,
        subresource: target.subresource.unwrap_or_default(),
        namespace: target.namespace,
        name: target.name.unwrap_or_default(),
        client,
    }
}

fn route(
    shared: &Arc<Shared>,
    facts: &RequestFacts,
    request: &Request,
) -> Result<Response<Body>, StatusError> {
    if let Some(target) = Target::parse(&request.path) {
        return resource::handle(shared, facts, request, &target);
    }
    if request.method != Method::GET {
        return Err(StatusError::method_not_allowed());
    }
    if matches!(request.path.as_str(), "/healthz" | "/livez" | "/readyz") {
        return Ok(text(200, "ok"));
    }
    if let Some(rest) = request.path.strip_prefix("/openapi/") {
        return openapi::handle(&shared.state(), rest);
    }
    let group = request
        .path
        .strip_prefix("/apis/")
        .and_then(|rest| rest.split('/').next());
    let known = group.is_some_and(|group| shared.state().registry.knows_group(group));
    match discover(shared, request) {
        Some(found) => Ok(found),
        None if known || request.path.starts_with("/api/") => Err(StatusError::no_such_path()),
        None => Ok(no_page()),
    }
}

/// Go's own answer to a path that nobody registered.
pub(crate) fn no_page() -> Response<Body> {
    text(404, "404 page not found\n")
}

fn discover(shared: &Shared, request: &Request) -> Option<Response<Body>> {
    let state = shared.state();
    let parts: Vec<&str> = request
        .path
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let aggregated = request
        .header("accept")
        .contains("g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
    let host = request.header("host");
    let body = match parts.as_slice() {
        ["version"] => discovery::version(),
        ["api"] | ["apis"] if aggregated => {
            let body = discovery::aggregated(&state.registry, parts == ["apis"]);
            let mut response = json_response(200, &body);
            response.headers_mut().remove("content-type");
            let kind = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
            set_header(response.headers_mut(), "content-type", kind);
            return Some(response);
        }
        ["api"] => discovery::legacy_versions(host),
        ["apis"] => discovery::group_list(&state.registry),
        ["api", version] => discovery::resource_list(&state.registry, "", version)?,
        ["apis", group] => discovery::group(&state.registry, group)?,
        ["apis", group, version] => discovery::resource_list(&state.registry, group, version)?,
        [] => {
            json!({"paths": ["/api", "/api/v1", "/apis", "/healthz", "/herald-faults", "/livez", "/openapi/v3", "/readyz", "/version"]})
        }
        _ => return None,
    };
    Some(json_response(200, &body))
}

/// A reply in plain text.
pub(crate) fn text(code: u16, words: &'static str) -> Response<Body> {
    let mut response = json_response(code, &Value::Null);
    *response.body_mut() = Body::Full(Some(Bytes::from_static(words.as_bytes())));
    response.headers_mut().remove("content-type");
    set_header(
        response.headers_mut(),
        "content-type",
        "text/plain; charset=utf-8",
    );
    response
}

/// An error as a reply.
pub(crate) fn error_response(error: &StatusError) -> Response<Body> {
    let mut response = json_response(error.code, &error.to_value());
    if let Some(seconds) = error.retry_after_seconds() {
        set_header(response.headers_mut(), "retry-after", &seconds.to_string());
    }
    response
}

/// A body as JSON, from JSON or from protobuf.
pub(crate) fn json_body(request: &Request) -> Result<Value, StatusError> {
    if request.content_type() == protobuf::MEDIA_TYPE {
        return protobuf::decode(&request.body);
    }
    serde_json::from_slice(&request.body).map_err(|error| {
        StatusError::bad_request(format!(
            "couldn't get version/kind; json parse error: {error}"
        ))
    })
}
