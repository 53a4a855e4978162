//! The routes of the page. They change nothing, and answer GET and HEAD alone.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Query, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use k8s_openapi::jiff::Timestamp;
use serde_json::json;
use tokio::{
    sync::{mpsc, oneshot},
    time,
};

use super::Visit;
use crate::{
    page::{self, Picture, View},
    telemetry::Caller,
};

/// How long a visitor waits, at most.
const PATIENCE: Duration = Duration::from_secs(12);

type Visits = mpsc::Sender<Visit>;

/// The routes.
pub(super) fn routes(visits: Visits) -> Router {
    Router::new()
        .route("/", get(document))
        .route("/status.json", get(status))
        .route("/pools.json", get(pools))
        .with_state(visits)
        .layer(middleware::from_fn(guard))
}

async fn guard(request: Request, next: Next) -> Response {
    let caller = request.extensions().get::<ConnectInfo<Caller>>();
    let peer = caller.map(|ConnectInfo(caller)| caller.peer.ip());
    if is_misled(peer, request.headers()) {
        return (StatusCode::MISDIRECTED_REQUEST, NAMED).into_response();
    }
    guarded(next.run(request).await)
}

const NAMED: &str = "From its own host this page is reached by 127.0.0.1 or localhost, and by no other name: else a page of somebody else's, \
    whose name is made to lead here, could read it.\n";

/// Whether a browser on this host was led here by a name. By loopback nobody is asked who he is, as with
/// `kubectl port-forward`; from elsewhere the gate has asked already.
fn is_misled(peer: Option<IpAddr>, headers: &HeaderMap) -> bool {
    peer.is_none_or(|peer| peer.is_loopback()) && !is_direct(headers)
}

/// Whether the host was asked by an address, or as `localhost`: a browser must not be led here by a name that its user
/// does not know of (DNS rebinding).
fn is_direct(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(header::HOST) else {
        return true;
    };
    let Ok(host) = host.to_str() else {
        return false;
    };
    let bare = match host.rsplit_once(':') {
        Some((bare, port)) if port.bytes().all(|b| b.is_ascii_digit()) => bare,
        _ => host,
    };
    let bare = bare.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok()
}

/// The answer, which no browser keeps, guesses the type of, or shows inside another page.
fn guarded(mut response: Response) -> Response {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, page::policy()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn document(State(visits): State<Visits>, Query(view): Query<View>) -> Response {
    match picture(&visits).await {
        Ok(picture) => {
            let now = Timestamp::now().as_second();
            Html(page::document(&picture, &view, now)).into_response()
        }
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, Html(page::refusal(&why))).into_response(),
    }
}

/// As `herald status -o json`.
async fn status(State(visits): State<Visits>, Query(view): Query<View>) -> Response {
    match picture(&visits).await {
        Ok(picture) => Json(view.part(&picture.status)).into_response(),
        Err(why) => unavailable(&why),
    }
}

/// As `herald pools -o json`.
async fn pools(State(visits): State<Visits>) -> Response {
    match picture(&visits).await {
        Ok(picture) => Json(&picture.pools).into_response(),
        Err(why) => unavailable(&why),
    }
}

fn unavailable(why: &str) -> Response {
    (
        StatusCode::SERVICE_UNAVAILABLE,
        Json(json!({ "error": why })),
    )
        .into_response()
}

async fn picture(visits: &Visits) -> Result<Arc<Picture>, String> {
    let (visit, answer) = oneshot::channel();
    visits
        .try_send(visit)
        .map_err(|_| "too many are looking at this page".to_owned())?;
    match time::timeout(PATIENCE, answer).await {
        Ok(Ok(picture)) => picture,
        Ok(Err(_)) => Err("this controller ends".to_owned()),
        Err(_) => Err(format!("it could not be read within {PATIENCE:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_only_for_those_whom_the_gate_has_asked() {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::HOST,
            HeaderValue::from_static("herald.example:9470"),
        );
        for (peer, misled) in [
            (Some("127.0.0.1"), true),
            (Some("::1"), true),
            (None, true),
            (Some("10.244.1.7"), false),
        ] {
            let peer = peer.map(|peer| peer.parse().unwrap());
            assert_eq!(is_misled(peer, &headers), misled, "{peer:?}");
        }
    }

    #[test]
    fn a_name_that_leads_to_loopback_reads_nothing() {
        for (host, direct) in [
            ("127.0.0.1:9470", true),
            ("localhost:9470", true),
            ("LOCALHOST", true),
            ("[::1]:9470", true),
            ("192.168.1.5", true),
            ("evil.example:9470", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example:80", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
            assert_eq!(is_direct(&headers), direct, "{host}");
        }
        assert!(is_direct(&HeaderMap::new()));
    }
}
