//! `net-diagnostics`: how the network looks from this node.

use guest::lib::net::{NetAction, NetResponse};
use guest::lib::Address;
use guest::net;

guest::script!(net_diagnostics);

fn net_diagnostics(our: &Address, _arguments: &str) -> String {
    match net::ask(our, &NetAction::GetDiagnostics) {
        Ok(NetResponse::Diagnostics(text)) => text.replace("\r\n", "\n"),
        Ok(other) => format!("unexpected answer: {other:?}"),
        Err(error) => error.to_string(),
    }
}
