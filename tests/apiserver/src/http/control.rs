//! `/herald-faults`: the control endpoint. It is never subject to faults, pauses or tokens.
//!
//! | request | does |
//! |---|---|
//! | `GET /herald-faults` | lists the rules, with how often each took effect |
//! | `POST /herald-faults` | adds a rule, such as `{"verb": "patch", "count": 1, "fault": {"action": "loseReply"}}` |
//! | `DELETE /herald-faults`, `/herald-faults/ID` | removes all rules, or one |
//! | `POST /herald-faults/pause`, `/resume` | stops answering, and answers again |
//! | `POST /herald-faults/compact` | forgets the history: resumed watches are 410 Gone |

use http::{Method, Response};
use serde_json::json;

use crate::connection::{Body, json_response};
use crate::faults::Fault;
use crate::request::Request;
use crate::server::Shared;
use crate::status_error::StatusError;

/// Where the endpoint is.
pub(crate) const PATH: &str = "/herald-faults";

/// Answers a request to the control endpoint.
pub(crate) fn handle(shared: &Shared, request: &Request) -> Response<Body> {
    let rest = request
        .path
        .strip_prefix(PATH)
        .unwrap_or_default()
        .trim_matches('/');
    let faults = &shared.faults;
    match (&request.method, rest) {
        (&Method::GET, "") => listed(shared, 200),
        (&Method::POST, "") => match serde_json::from_slice::<Fault>(&request.body) {
            Ok(fault) => json_response(201, &json!({"id": faults.add(fault)})),
            Err(error) => refused(400, "BadRequest", format!("this is not a fault: {error}")),
        },
        (&Method::POST, "pause") => {
            faults.pause();
            listed(shared, 200)
        }
        (&Method::POST, "resume") => {
            faults.resume();
            listed(shared, 200)
        }
        (&Method::POST, "compact") => {
            shared.state().store.compact();
            listed(shared, 200)
        }
        (&Method::DELETE, "") => {
            faults.clear();
            listed(shared, 200)
        }
        (&Method::DELETE, id) => match id.parse() {
            Ok(id) if faults.remove(id) => listed(shared, 200),
            _ => refused(404, "NotFound", format!("there is no fault \"{id}\"")),
        },
        _ => crate::http::error_response(&StatusError::method_not_allowed()),
    }
}

fn listed(shared: &Shared, code: u16) -> Response<Body> {
    let faults = &shared.faults;
    json_response(
        code,
        &json!({"paused": faults.is_paused(), "faults": faults.list()}),
    )
}

fn refused(code: u16, reason: &str, message: String) -> Response<Body> {
    crate::http::error_response(&StatusError::new(code, reason, message))
}
