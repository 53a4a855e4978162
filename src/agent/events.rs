//! Writes Events on Services: an address moved to this node. Best effort; what cannot be written soon is dropped.

use kube::Client;
use tokio::sync::mpsc;
use tracing::warn;

use super::moves::Move;
use crate::{
    api,
    cluster::{self, ServiceEvent},
};

/// Moves that wait to be told; see [`super::moves::Allowance`].
pub(super) const BACKLOG: usize = 32;

/// Tells moves until the sender is gone.
pub(super) async fn publish(client: Client, node: String, mut moves: mpsc::Receiver<Move>) {
    let mut failing = false;
    while let Some(told) = moves.recv().await {
        let Some(told) = event(&node, told) else {
            continue;
        };
        match cluster::tell(client.clone(), told).await {
            Ok(()) => failing = false,
            Err(why) if !std::mem::replace(&mut failing, true) => {
                warn!(why, "an Event was not written");
            }
            Err(_) => {}
        }
    }
}

/// `None` where the Service is not known.
fn event(node: &str, told: Move) -> Option<ServiceEvent> {
    let (service, uid) = told.service?;
    Some(ServiceEvent {
        service,
        uid,
        controller: api::AGENT,
        instance: node.to_owned(),
        action: "Announce",
        reason: api::EVENT_MOVED.to_owned(),
        note: told.note,
        well: true,
    })
}

#[cfg(test)]
mod tests {
    use herald_spi::ServiceKey;

    use super::*;

    #[test]
    fn an_event_stands_on_its_service_and_names_the_node() {
        let told = Move {
            service: Some((ServiceKey::new("shop", "web"), "uid-1".to_owned())),
            note: "moved".to_owned(),
            without_owner: None,
        };
        let nobody = Move {
            service: None,
            ..told.clone()
        };
        assert_eq!(event("b", nobody), None);
        let event = event("b", told).unwrap();
        assert_eq!(event.service, ServiceKey::new("shop", "web"));
        assert_eq!(
            (event.uid.as_str(), event.reason.as_str()),
            ("uid-1", "Moved")
        );
        assert_eq!(event.instance, "b");
    }
}
