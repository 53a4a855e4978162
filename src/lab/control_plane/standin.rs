//! The stand-in API server, in the lab's own process.

use std::{net::Ipv4Addr, path::Path};

use anyhow::{Context as _, anyhow};
use herald_apiserver::ApiServer;
use tokio::{
    net::{TcpListener, UnixListener},
    task::JoinSet,
};

use super::super::{
    kubeconfig::{self, Access},
    rights::{Tokens, Who},
    role,
};

/// A running stand-in; dropping it ends it.
pub(in super::super) struct Standin {
    pub(super) access: Access,
    pub(super) port: u16,
    tasks: JoinSet<std::io::Result<()>>,
}

impl Standin {
    /// Serves on that port, or any if it is 0, and on the unix socket.
    pub(super) async fn start(dir: &Path, port: u16) -> anyhow::Result<Self> {
        let tokens = Tokens::new();
        let mut builder = ApiServer::builder().enforce_rbac();
        for who in Who::ALL {
            builder = builder.token_of(tokens.of(who), who.user(), who.groups());
        }
        // kubectl sends no token where the connection is not encrypted.
        let server = builder
            .anonymous(Who::People.user(), Who::People.groups())
            .build()
            .map_err(|status| anyhow!("the stand-in API server does not start: {status}"))?;
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .with_context(|| format!("cannot listen on port {port}: choose another with --port"))?;
        let port = tcp.local_addr().context("no port")?.port();
        let unix = UnixListener::bind(role::api_socket(dir)).context("no unix socket")?;
        let mut tasks = JoinSet::new();
        tasks.spawn({
            let server = server.clone();
            async move { server.serve(tcp).await }
        });
        tasks.spawn(async move { server.serve(unix).await });
        let url = format!("http://127.0.0.1:{port}");
        let access = Access {
            url,
            authority: None,
            tokens,
        };
        kubeconfig::write(dir, &access)?;
        Ok(Self {
            access,
            port,
            tasks,
        })
    }

    /// Ends it.
    pub(super) async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Waits until it fails.
    pub(super) async fn failed(&mut self) -> String {
        match self.tasks.join_next().await {
            Some(Ok(Err(error))) => format!("the stand-in API server stopped: {error}"),
            _ => "the stand-in API server stopped".to_owned(),
        }
    }
}
