//! `peers`: the nodes that this one has talked with lately.

use guest::lib::net::{NetAction, NetResponse};
use guest::lib::Address;
use guest::net;

guest::script!(peers);

fn peers(our: &Address, _arguments: &str) -> String {
    match net::ask(our, &NetAction::GetPeers) {
        Ok(NetResponse::Peers(peers)) if peers.is_empty() => {
            "no peers: no message has come or gone since this node started".to_owned()
        }
        Ok(NetResponse::Peers(peers)) => peers
            .iter()
            .map(|peer| format!("{peer:#?}"))
            .collect::<Vec<_>>()
            .join("\n"),
        Ok(other) => format!("unexpected answer: {other:?}"),
        Err(error) => error.to_string(),
    }
}
