//! The stand-in API server as a process of its own.

use std::{net::Ipv4Addr, process::ExitCode};

use anyhow::anyhow;
use herald_apiserver::ApiServer;
use tokio::net::TcpListener;

use crate::program::{Program, parent_gone};

/// The word that makes this binary the server.
pub const ROLE: &str = "stand-in";
const SAYS: &str = "listening at ";

/// Serves until the benchmark is gone.
pub async fn play() -> anyhow::Result<ExitCode> {
    let api = ApiServer::builder()
        // Long enough to count afterwards what was written, and for no watch to fall behind.
        .event_log(200_000)
        .build()
        .map_err(|status| anyhow!("{status}"))?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    eprintln!("{SAYS}{}", listener.local_addr()?);
    tokio::select! {
        served = api.serve(listener) => served?,
        () = parent_gone() => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Starts it; gives its URL.
pub async fn start() -> anyhow::Result<(Program, String)> {
    let mut program = Program::role(ROLE, &[], None)?;
    let (_, line) = program.said(SAYS).await?;
    let address = line.trim_start_matches(SAYS).to_owned();
    Ok((program, format!("http://{address}")))
}
