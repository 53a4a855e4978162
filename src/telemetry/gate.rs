//! Who may read what a process serves besides its health: whoever comes by loopback, and elsewhere whom the API server
//! knows and lets (`get` on the path), as `kubectl auth can-i get /metrics` tells.
//!
//! ```text
//!   caller ── loopback ────────────────────────────────────────────▶ in
//!      └───── TLS + bearer token ─▶ Memory ─ unknown ─▶ TokenReview ─▶ SubjectAccessReview ─▶ in, or why not
//! ```
//! Monitoring must not end with the API server: who was let in stays so for an hour while it cannot be asked.

mod memory;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    extract::{ConnectInfo, Request},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{NonResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, Client, api::PostParams};
use tokio::{sync::Semaphore, time};

use self::memory::{Memory, Question};
use super::doors::Caller;

/// How long the API server may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many questions are asked at a time: strangers must not keep the API server busy.
const AT_ONCE: usize = 2;

/// The gate of one process.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    client: Client,
    memory: Mutex<Memory>,
    asking: Semaphore,
}

/// What the API server says of somebody who wants to read something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Welcome,
    /// It does not know the token.
    Unknown,
    /// It knows this user, and he may not.
    Forbidden(String),
}

impl Gate {
    /// A gate that asks this API server.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self(Arc::new(Inner {
            client,
            memory: Mutex::default(),
            asking: Semaphore::new(AT_ONCE),
        }))
    }

    /// Lets a request through, or tells why not.
    pub(super) async fn guard(self, request: Request, next: Next) -> Response {
        let caller = request.extensions().get::<ConnectInfo<Caller>>();
        let caller = caller.map(|ConnectInfo(caller)| *caller);
        let path = request.uri().path().to_owned();
        match self.refusal(caller, &path, request.headers()).await {
            None => next.run(request).await,
            Some(refusal) => refusal,
        }
    }

    async fn refusal(
        &self,
        caller: Option<Caller>,
        path: &str,
        headers: &HeaderMap,
    ) -> Option<Response> {
        if caller.is_some_and(|caller| caller.peer.ip().is_loopback()) {
            return None;
        }
        if !caller.is_some_and(|caller| caller.encrypted) {
            return Some((StatusCode::FORBIDDEN, plain(path)).into_response());
        }
        let Some(token) = bearer(headers) else {
            return Some(unauthorized("a bearer token is asked for"));
        };
        match self.verdict(token, path).await {
            Ok(Verdict::Welcome) => None,
            Ok(Verdict::Unknown) => Some(unauthorized("the API server does not know this token")),
            Ok(Verdict::Forbidden(user)) => {
                let why = format!(
                    "User \"{user}\" cannot get path \"{path}\": bind the ClusterRole herald-metrics to him, or one with \
                     nonResourceURLs: [\"{path}\"] and verbs: [get]\n"
                );
                Some((StatusCode::FORBIDDEN, why).into_response())
            }
            Err(why) => {
                let why = format!("the API server cannot be asked who you are: {why}\n");
                Some((StatusCode::SERVICE_UNAVAILABLE, why).into_response())
            }
        }
    }

    async fn verdict(&self, token: &str, path: &str) -> Result<Verdict, String> {
        let question = Question::new(token, path);
        if let Some(known) = self.memory(|memory| memory.recent(&question, Instant::now())) {
            return Ok(known);
        }
        let asked = async {
            let _place = self.0.asking.acquire().await;
            // Somebody else may have asked the same meanwhile.
            match self.memory(|memory| memory.recent(&question, Instant::now())) {
                Some(known) => Ok(known),
                None => self.ask(token, path).await,
            }
        };
        let why = match time::timeout(PATIENCE, asked).await {
            Ok(Ok(verdict)) => {
                let now = Instant::now();
                self.memory(|memory| memory.keep(question, verdict.clone(), now));
                return Ok(verdict);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {PATIENCE:?}"),
        };
        let welcome = self.memory(|memory| memory.was_welcome(&question, Instant::now()));
        if welcome {
            Ok(Verdict::Welcome)
        } else {
            Err(why)
        }
    }

    async fn ask(&self, token: &str, path: &str) -> kube::Result<Verdict> {
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token.to_owned()),
                ..TokenReviewSpec::default()
            },
            ..TokenReview::default()
        };
        let reviews: Api<TokenReview> = Api::all(self.0.client.clone());
        let reviewed = reviews.create(&PostParams::default(), &review).await?;
        let status = reviewed.status.unwrap_or_default();
        let Some(user) = status.user.filter(|_| status.authenticated == Some(true)) else {
            return Ok(Verdict::Unknown);
        };
        let name = user.username.clone().unwrap_or_default();
        let reviews: Api<SubjectAccessReview> = Api::all(self.0.client.clone());
        let review = may_get(user, path);
        let reviewed = reviews.create(&PostParams::default(), &review).await?;
        let allowed = reviewed.status.is_some_and(|status| status.allowed);
        Ok(if allowed {
            Verdict::Welcome
        } else {
            Verdict::Forbidden(name)
        })
    }

    fn memory<T>(&self, look: impl FnOnce(&mut Memory) -> T) -> T {
        let mut memory = self.0.memory.lock().unwrap_or_else(PoisonError::into_inner);
        look(&mut memory)
    }
}

fn may_get(user: UserInfo, path: &str) -> SubjectAccessReview {
    SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: user.username,
            uid: user.uid,
            groups: user.groups,
            extra: user.extra,
            non_resource_attributes: Some(NonResourceAttributes {
                path: Some(path.to_owned()),
                verb: Some("get".to_owned()),
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    }
}

/// The token of `Authorization: Bearer TOKEN` (RFC 6750).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

fn plain(path: &str) -> String {
    format!(
        "{path} is shown to its own host, and elsewhere to whom the API server lets read it:\n  \
         kubectl -n herald-system port-forward deployment/herald-controller 9470   and then http://127.0.0.1:9470{path}\n  \
         curl --insecure --header \"Authorization: Bearer $TOKEN\" https://ADDRESS:9470{path}\n"
    )
}

fn unauthorized(why: &str) -> Response {
    let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
    (StatusCode::UNAUTHORIZED, challenge, format!("{why}\n")).into_response()
}
