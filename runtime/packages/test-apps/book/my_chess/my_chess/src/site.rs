//! The page, for the node's owner alone: `/games` is all that it does and
//! reads; a WebSocket tells it what changes.

use std::collections::{HashMap, HashSet};

use kinode_process_lib::http::{
    self, HttpServerRequest, IncomingHttpRequest, Method, StatusCode, WsMessageType,
};
use kinode_process_lib::{get_blob, Address, LazyLoadBlob};
use serde::Deserialize;
use serde_json::json;

use crate::game::Game;
use crate::Chess;

/// What a page wants begun.
#[derive(Deserialize)]
struct Wanted {
    /// The other node.
    id: String,
    white: Option<String>,
    black: Option<String>,
}

/// A move made on a page.
#[derive(Deserialize)]
struct Played {
    id: String,
    #[serde(rename = "move")]
    move_str: String,
}

/// Binds its paths.
pub fn open(our: &Address) -> anyhow::Result<()> {
    http::serve_ui(our, "ui", true, false, vec!["/"])?;
    http::bind_http_path("/games", true, false)?;
    http::bind_ws_path("/", true, false)?;
    Ok(())
}

/// Shows what became of a game to all open pages.
pub fn show(pages: &HashSet<u32>, game: &Game) {
    let update = json!({"kind": "game_update", "data": game}).to_string();
    for page in pages {
        let blob = LazyLoadBlob {
            mime: Some("application/json".to_owned()),
            bytes: update.clone().into_bytes(),
        };
        http::send_ws_push(*page, WsMessageType::Binary, blob);
    }
}

/// Answers what the HTTP server hands over.
pub fn handle(chess: &mut Chess, request: &HttpServerRequest) -> anyhow::Result<()> {
    match request {
        HttpServerRequest::Http(request) => {
            let json = HashMap::from([("Content-Type".to_owned(), "application/json".to_owned())]);
            match answer(chess, request) {
                Ok(body) => http::send_response(StatusCode::OK, Some(json), body),
                Err(status) => http::send_response(status, None, Vec::new()),
            }
        }
        HttpServerRequest::WebSocketOpen { channel_id, .. } => {
            chess.pages.insert(*channel_id);
        }
        HttpServerRequest::WebSocketClose(channel_id) => {
            chess.pages.remove(channel_id);
        }
        // Pages only listen.
        HttpServerRequest::WebSocketPush { .. } => {}
    }
    Ok(())
}

fn answer(chess: &mut Chess, request: &IncomingHttpRequest) -> Result<Vec<u8>, StatusCode> {
    let body = get_blob().unwrap_or_default().bytes;
    let method = request.method().map_err(|_| StatusCode::BAD_REQUEST)?;
    let told = match method {
        Method::GET => serde_json::to_vec(&chess.games),
        Method::POST => {
            let wanted: Wanted = parsed(&body)?;
            let our = chess.our.node.clone();
            let white = wanted.white.unwrap_or_else(|| our.clone());
            let black = wanted.black.unwrap_or_else(|| wanted.id.clone());
            if white != wanted.id && black != wanted.id {
                return Err(StatusCode::BAD_REQUEST);
            }
            serde_json::to_vec(&chess.begin(&white, &black)?)
        }
        Method::PUT => {
            let played: Played = parsed(&body)?;
            serde_json::to_vec(&chess.play(&played.id, &played.move_str)?)
        }
        Method::DELETE => {
            let with = request.query_params().get("id");
            let with = with.ok_or(StatusCode::BAD_REQUEST)?.clone();
            serde_json::to_vec(&chess.resign(&with)?)
        }
        _ => return Err(StatusCode::METHOD_NOT_ALLOWED),
    };
    told.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

fn parsed<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, StatusCode> {
    serde_json::from_slice(body).map_err(|_| StatusCode::BAD_REQUEST)
}
