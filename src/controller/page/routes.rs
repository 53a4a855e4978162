//! The routes of the page. They change nothing, and answer GET and HEAD alone.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

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
use crate::page::{self, Picture, View};

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
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map(|ConnectInfo(peer)| peer.ip());
    match refusal(peer, request.headers()) {
        Some(refusal) => refusal.into_response(),
        None => guarded(next.run(request).await),
    }
}

const ELSEWHERE: &str = "This page names every Service of the cluster, so it is shown to nobody but its own host:\n  \
    kubectl -n herald-system port-forward deployment/herald-controller 9470\nand then http://127.0.0.1:9470/\n";
const NAMED: &str = "Nobody reaches this page by a name, but by 127.0.0.1 or localhost: else a page of somebody else's, \
    whose name is made to lead here, could read it.\n";

/// Why somebody may not look. Wherever else this port is served, the page is for whoever reaches it by loopback, as by
/// `kubectl port-forward`: the API server has asked him who he is.
fn refusal(peer: Option<IpAddr>, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
    if !peer.is_some_and(|peer| peer.to_canonical().is_loopback()) {
        return Some((StatusCode::FORBIDDEN, ELSEWHERE));
    }
    (!is_direct(headers)).then_some((StatusCode::MISDIRECTED_REQUEST, NAMED))
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
    fn only_its_own_host_sees_the_page() {
        let refused = |peer: Option<&str>| {
            let peer = peer.map(|peer| peer.parse().unwrap());
            refusal(peer, &HeaderMap::new()).map(|(code, _)| code)
        };
        assert_eq!(refused(Some("127.0.0.1")), None);
        assert_eq!(refused(Some("::1")), None);
        assert_eq!(
            refused(Some("::ffff:127.0.0.1")),
            None,
            "by a socket of both families"
        );
        for peer in [Some("10.244.1.7"), Some("fd77::7"), None] {
            assert_eq!(refused(peer), Some(StatusCode::FORBIDDEN), "{peer:?}");
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
