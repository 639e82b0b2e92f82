//! `homepage:homepage:sys`: the node's first page, and the root of its paths.
//!
//! Apps put their entries up by message ([`distro_logic::homepage`] decides
//! what is taken), browsers see them by HTTP ([`serve`]), and open pages hear
//! of changes over their WebSocket and fetch what is new. Invariant: what was
//! changed is saved before anybody hears of it. It never stops by itself.

mod serve;
mod site;

use std::collections::BTreeSet;

use distro_logic::homepage::board::Board;
use distro_logic::homepage::page;
use distro_logic::homepage::request::{params_are, Request};
use distro_logic::processes::Processes;
use guest::lib::http::server::{send_ws_push, HttpServerRequest, WsMessageType};
use guest::lib::{self, Address, Capability, LazyLoadBlob, Message};
use guest::{kernel, print, respond};
use node_types::ProcessId;
use serde_json::json;

guest::process!(run);

const HTTP_SERVER: &str = "http-server:distro:sys";
/// More than the host keeps open for a node.
const MOST_CHANNELS: usize = 256;

/// The homepage at work.
struct Homepage {
    our: Address,
    board: Board,
    /// WebSockets of open pages.
    channels: BTreeSet<u32>,
}

fn run(our: Address) {
    let board = match lib::get_state() {
        None => Board::default(),
        Some(saved) => Board::from_saved(&saved).unwrap_or_else(|| {
            print("the saved entries could not be read; starting with an empty page");
            Board::default()
        }),
    };
    let mut homepage = Homepage {
        our,
        board,
        channels: BTreeSet::new(),
    };
    site::bind(homepage.our.node(), homepage.board.stylesheet());
    if let Some(alive) = homepage.alive() {
        if homepage.board.drop_gone(&alive) {
            homepage.save();
        }
    }
    loop {
        if let Ok(message) = lib::await_message() {
            homepage.handle(&message);
        }
    }
}

impl Homepage {
    fn handle(&mut self, message: &Message) {
        let Message::Request {
            source,
            body,
            capabilities,
            ..
        } = message
        else {
            return;
        };
        // The page is the owner's, not other nodes'.
        if source.node() != self.our.node() {
            return;
        }
        let Ok(process) = source.process.to_string().parse::<ProcessId>() else {
            return;
        };
        if process.as_str() == HTTP_SERVER {
            if let Ok(request) = HttpServerRequest::from_bytes(body) {
                return self.serve(request);
            }
        }
        match Request::read(body) {
            Ok(request) => self.carry_out(&process, request, capabilities),
            Err(reason) => print(&format!("{process}: {reason}")),
        }
    }

    fn carry_out(&mut self, process: &ProcessId, request: Request, rights: &[Capability]) {
        if let Some(needed) = request.needs() {
            if !self.may(needed, rights) {
                return print(&format!(
                    "{process} may not do that: it needs the capability {needed:?}"
                ));
            }
        }
        let changed = match request {
            Request::Add(offer) => {
                let our = self.our.clone();
                let change = self.board.add(process, offer, || processes(&our));
                for remark in change.remarks {
                    print(&format!("{process}: {remark}"));
                }
                change.changed
            }
            Request::Remove => self.board.remove(process),
            Request::RemoveOther(other) => self.board.forget(&other),
            Request::SetStylesheet(sheet) => match self.board.set_stylesheet(sheet) {
                Ok(changed) => {
                    site::bind_stylesheet(self.board.stylesheet());
                    changed
                }
                Err(reason) => return print(&format!("{process}: {reason}")),
            },
            Request::GetApps => {
                let alive = self.alive();
                let apps = page::listing(&self.board.shown(alive.as_ref()));
                return respond(json!({ "GetApps": apps }).to_string());
            }
        };
        if changed {
            self.save();
            self.tell();
        }
    }

    /// Whether one of `rights`, which the kernel vouches for, is ours to give
    /// and says `word`.
    fn may(&self, word: &str, rights: &[Capability]) -> bool {
        rights
            .iter()
            .any(|right| right.issuer == self.our && params_are(&right.params, word))
    }

    /// The node's processes; `None` if the kernel does not tell.
    fn alive(&self) -> Option<Processes> {
        processes(&self.our)
    }

    fn save(&self) {
        lib::set_state(&self.board.to_saved());
    }

    /// Tells every open page that there is something new to fetch.
    fn tell(&self) {
        for channel in &self.channels {
            let news = LazyLoadBlob {
                mime: None,
                bytes: br#"{"kind":"apps"}"#.to_vec(),
            };
            send_ws_push(*channel, WsMessageType::Text, news);
        }
    }

    fn serve(&mut self, request: HttpServerRequest) {
        match request {
            HttpServerRequest::Http(request) => self.answer(&request),
            HttpServerRequest::WebSocketOpen { channel_id, .. } => {
                if self.channels.len() < MOST_CHANNELS {
                    self.channels.insert(channel_id);
                }
            }
            HttpServerRequest::WebSocketClose(channel_id) => {
                self.channels.remove(&channel_id);
            }
            // Pages have nothing to say here.
            HttpServerRequest::WebSocketPush { .. } => {}
        }
    }
}

fn processes(our: &Address) -> Option<Processes> {
    Processes::from_json(kernel::process_map(our).ok()?).ok()
}
