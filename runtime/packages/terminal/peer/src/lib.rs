//! `peer NODE`: what this node knows of another one.

use guest::lib::net::{NetAction, NetResponse};
use guest::lib::Address;
use guest::net;

guest::script!(peer);

fn peer(our: &Address, arguments: &str) -> String {
    if arguments.is_empty() || arguments.contains(char::is_whitespace) {
        return "usage: peer NODE".to_owned();
    }
    let node = match arguments {
        "our" => our.node(),
        node => node,
    };
    match net::ask(our, &NetAction::GetPeer(node.to_owned())) {
        Ok(NetResponse::Peer(Some(identity))) => format!("{identity:#?}"),
        Ok(NetResponse::Peer(None)) => format!("no node called '{node}' is known"),
        Ok(other) => format!("unexpected answer: {other:?}"),
        Err(error) => error.to_string(),
    }
}
