//! A node: its backend, its data path, and its agent as a process of its own.

mod data_path;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::bail;
use ipnet::IpNet;
use serde_json::json;
use tokio::task::JoinSet;

use self::data_path::DataPath;
use super::{
    backend,
    line::{DataPathKind, Line, NodeOrder},
    relay::{self, Relay},
    role::{self, Place},
    supervised::Supervised,
    wire::Wire,
};

/// Serves orders until the lab hangs up.
pub(super) async fn serve(mut line: Line, place: &Place, name: &str) -> anyhow::Result<()> {
    let mut agent = Supervised::agent(place, name);
    let mut joined: Option<Joined> = None;
    loop {
        tokio::select! {
            order = line.receive() => {
                let answer = match order? {
                    None => break,
                    Some(NodeOrder::Join { addresses, api_port, data_path }) => {
                        match Joined::new(place, name, &addresses, api_port, &data_path).await {
                            Ok(new) => {
                                joined = Some(new);
                                Ok(json!(null))
                            }
                            Err(error) => Err(error),
                        }
                    }
                    Some(NodeOrder::StartAgent) => agent.start().map(|pid| json!(pid)),
                    Some(NodeOrder::KillAgent) => agent.kill().await.map(|()| json!(null)),
                    Some(NodeOrder::Agent) => Ok(json!(agent.pid())),
                    Some(NodeOrder::Leave) => {
                        agent.leave().await;
                        joined = None;
                        Ok(json!(null))
                    }
                };
                line.answer(answer).await?;
            }
            () = agent.tend() => {}
            why = DataPath::failed(joined.as_mut().map(|j| &mut j.data_path)) => bail!(why),
        }
    }
    agent.leave().await;
    Ok(())
}

/// What runs on a node that is on the segment; dropping it ends it.
struct Joined {
    data_path: DataPath,
    _backend: JoinSet<()>,
    _api: Relay,
}

impl Joined {
    async fn new(
        place: &Place,
        name: &str,
        subnets: &[IpNet],
        api_port: u16,
        data_path: &DataPathKind,
    ) -> anyhow::Result<Self> {
        let wire = Wire::open().await?;
        wire.join(subnets).await?;
        let addresses: Vec<IpAddr> = subnets.iter().map(IpNet::addr).collect();
        let api_server = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), api_port);
        Ok(Self {
            _api: relay::tcp_to_unix(api_server, role::api_socket(&place.dir)).await?,
            _backend: backend::serve(name, &addresses).await?,
            data_path: DataPath::start(data_path, place, name, wire).await?,
        })
    }
}
