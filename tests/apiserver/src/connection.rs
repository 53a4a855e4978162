//! Listening, and one task per connection: the place where faults cut and refuse.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as HttpBody, Bytes, Frame, Incoming, SizeHint};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::mpsc;

use crate::faults::ClientId;
use crate::http::{Outcome, handle};
use crate::request::Request;
use crate::server::{ApiServer, Shared};
use crate::status_error::StatusError;
use crate::watch::Piece;

/// The largest body that Kubernetes takes.
const MAX_BODY: usize = 3 * 1024 * 1024;
/// How long `stop` waits for connections to end by themselves.
const STOP_GRACE: Duration = Duration::from_millis(500);

/// What a server can listen on: a TCP or a Unix socket.
pub trait Listener: Send + 'static {
    /// An accepted connection.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// The next connection.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        let (stream, _) = TcpListener::accept(self).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn accept(&mut self) -> io::Result<UnixStream> {
        UnixListener::accept(self).await.map(|(stream, _)| stream)
    }
}

/// The body of a reply: all at once, or the stream of a watch.
pub(crate) enum Body {
    Full(Option<Bytes>),
    Watch(mpsc::Receiver<Piece>),
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match &mut *self {
            Self::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Watch(pieces) => pieces
                .poll_recv(context)
                .map(|piece| piece.map(|bytes| bytes.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Watch(_) => SizeHint::default(),
        }
    }
}

impl ApiServer {
    /// Serves a listener until [`ApiServer::stop`]. Several may be served at once.
    ///
    /// # Errors
    /// When accepting fails for another reason than a connection that is gone again.
    pub async fn serve<L: Listener>(&self, mut listener: L) -> io::Result<()> {
        let shared = &self.shared;
        loop {
            let accepted = tokio::select! {
                () = shared.stop.cancelled() => return Ok(()),
                accepted = listener.accept() => accepted,
            };
            match accepted {
                // The listener's queue holds it; closing it is the refusal.
                Ok(stream) if shared.faults.refuses_connections() => drop(stream),
                Ok(stream) => {
                    let shared = Arc::clone(shared);
                    self.shared.tasks.spawn(serve_connection(shared, stream));
                }
                Err(error) if is_transient(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends watches and connections, then returns. A request that hangs is cut after half a second.
    pub async fn stop(&self) {
        let Shared {
            stop, abort, tasks, ..
        } = &*self.shared;
        stop.cancel();
        tasks.close();
        if tokio::time::timeout(STOP_GRACE, tasks.wait())
            .await
            .is_err()
        {
            abort.cancel();
            tasks.wait().await;
        }
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// The connection is dropped without an answer.
#[derive(Debug)]
struct Cut;

impl std::fmt::Display for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is cut by a fault")
    }
}

impl std::error::Error for Cut {}

async fn serve_connection<S>(shared: Arc<Shared>, stream: S)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let client: Arc<Mutex<Option<ClientId>>> = Arc::default();
    let service = service_fn(|request| {
        let (shared, client) = (Arc::clone(&shared), Arc::clone(&client));
        async move { answer(&shared, &client, request).await }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let mut rules = shared.faults.changes();
    let mut stopping = false;
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = shared.abort.cancelled() => return,
            () = shared.stop.cancelled(), if !stopping => {
                stopping = true;
                connection.as_mut().graceful_shutdown();
            }
            changed = rules.changed() => {
                if changed.is_err() || is_cut(&shared, &client) {
                    return;
                }
            }
        }
    }
}

fn is_cut(shared: &Shared, client: &Mutex<Option<ClientId>>) -> bool {
    let client = client.lock().unwrap_or_else(PoisonError::into_inner);
    let partitioned = client
        .as_ref()
        .is_some_and(|client| shared.faults.is_partitioned(client));
    partitioned || shared.faults.refuses_connections()
}

async fn answer(
    shared: &Arc<Shared>,
    client: &Mutex<Option<ClientId>>,
    request: hyper::Request<Incoming>,
) -> Result<Response<Body>, Cut> {
    let (parts, body) = request.into_parts();
    let who = client_of(&parts.headers);
    *client.lock().unwrap_or_else(PoisonError::into_inner) = Some(who.clone());
    if shared.faults.is_partitioned(&who) {
        return Err(Cut);
    }
    let body = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            let message = format!("Request entity too large: limit is {MAX_BODY}");
            let error = StatusError::new(413, "RequestEntityTooLarge", message);
            return Ok(crate::http::error_response(&error));
        }
    };
    let request = Request::new(parts.method, &parts.uri, parts.headers, body);
    match handle(shared, who, request).await {
        Outcome::Reply(response) => Ok(response),
        Outcome::Cut => Err(Cut),
        Outcome::Hang => std::future::pending().await,
    }
}

fn client_of(headers: &HeaderMap) -> ClientId {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let token = text("authorization").and_then(|header| {
        let (scheme, token) = header.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| token.trim().to_owned())
    });
    ClientId {
        user_agent: text("user-agent").unwrap_or_default().to_owned(),
        token,
    }
}

/// A reply with a JSON body.
pub(crate) fn json_response(code: u16, body: &serde_json::Value) -> Response<Body> {
    let mut text = body.to_string();
    text.push('\n');
    let mut response = Response::new(Body::Full(Some(Bytes::from(text))));
    *response.status_mut() =
        StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    set_header(response.headers_mut(), "content-type", "application/json");
    response
}

/// Sets a header, unless its value cannot be one.
pub(crate) fn set_header(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = http::HeaderValue::from_str(value) {
        headers.append(name, value);
    }
}
