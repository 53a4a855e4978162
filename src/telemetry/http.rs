//! `/livez` and `/readyz`, which everybody may read; `/metrics` and what else a process serves, which not everybody may.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::net::TcpListener;

use super::{
    doors::{Caller, Doors},
    gate::Gate,
};

/// Why the HTTP address cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: choose another address with --http")]
pub struct HttpError {
    address: SocketAddr,
    source: std::io::Error,
}

/// Is the process alive, and is it ready? Neither answer asks the API server.
#[derive(Clone, Debug)]
pub struct Health {
    started: Instant,
    beat: Arc<AtomicU64>,
    ready: Arc<AtomicBool>,
}

/// A main loop that is silent for longer is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(30);

impl Default for Health {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            beat: Arc::default(),
            ready: Arc::default(),
        }
    }
}

impl Health {
    /// The main loop says that it turns; at least every few seconds.
    pub fn beat(&self) {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.beat.store(millis, Ordering::Relaxed);
    }

    /// Everything needed has been read once.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }

    fn alive(&self) -> bool {
        let last = Duration::from_millis(self.beat.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(last) < STUCK_AFTER
    }
}

struct Served {
    health: Health,
    registry: Registry,
}

/// Takes the address, so that a taken one is an error at the start.
///
/// # Errors
/// When the address is taken or not this machine's.
pub async fn bind(address: SocketAddr) -> Result<TcpListener, HttpError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| HttpError { address, source })
}

/// Serves until the task is dropped, with `more` beside the process's own routes. What is not health is for those whom the
/// gate lets in.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    health: Health,
    registry: Registry,
    more: Router,
    gate: Gate,
) -> std::io::Result<()> {
    let served = Arc::new(Served { health, registry });
    let guard = middleware::from_fn(move |request, next| gate.clone().guard(request, next));
    let guarded = Router::new()
        .route("/metrics", get(metrics))
        .with_state(Arc::clone(&served))
        .merge(more)
        .layer(guard);
    let router = Router::new()
        .route(
            "/livez",
            get(async |State(s): State<Arc<Served>>| verdict(s.health.alive(), "stuck")),
        )
        .route(
            "/readyz",
            get(async |State(s): State<Arc<Served>>| {
                verdict(
                    s.health.ready.load(Ordering::Relaxed),
                    "waiting for the first lists",
                )
            }),
        )
        .with_state(served)
        .merge(guarded);
    let doors = Doors::new(listener);
    let service = router.into_make_service_with_connect_info::<Caller>();
    axum::serve(doors, service).await
}

fn verdict(good: bool, otherwise: &'static str) -> (StatusCode, &'static str) {
    if good {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, otherwise)
    }
}

async fn metrics(State(served): State<Arc<Served>>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let mut text = String::new();
    match encode(&mut text, &served.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
