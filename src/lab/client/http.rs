//! One HTTP request over one connection.

use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

const MOST_BYTES: usize = 256 << 10;

/// The body of the answer to `GET /`, without white space around it.
pub(in crate::lab) async fn get(at: SocketAddr) -> anyhow::Result<String> {
    let stream = TcpStream::connect(at).await.context("no connection")?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/")
        .header("host", at.to_string())
        .body(Empty::<Bytes>::new())?;
    let read = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MOST_BYTES)
            .collect()
            .await;
        let body = body.map_err(|error| anyhow::anyhow!(error))?.to_bytes();
        if !status.is_success() {
            bail!("HTTP {status}");
        }
        Ok(String::from_utf8_lossy(&body).trim().to_owned())
    };
    tokio::select! {
        body = read => body,
        ended = connection => {
            ended.context("the connection broke off")?;
            bail!("the connection ended without an answer")
        }
    }
}
