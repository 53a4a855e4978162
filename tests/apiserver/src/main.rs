//! The stand-in API server for hand tests: `herald-apiserver [ADDRESS:PORT]`.

use std::process::ExitCode;

use herald_apiserver::ApiServer;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    match run(&address).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("herald-apiserver: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(address: &str) -> Result<(), Box<dyn std::error::Error>> {
    let server = ApiServer::builder().build()?;
    let listener = TcpListener::bind(address).await?;
    println!(
        "kubectl -s http://{} get services -A",
        listener.local_addr()?
    );
    tokio::select! {
        served = server.serve(listener) => served?,
        _ = tokio::signal::ctrl_c() => server.stop().await,
    }
    Ok(())
}
