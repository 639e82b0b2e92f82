//! How many WebSockets a node has at once. All columns fill it together, after
//! everything else, since they share it.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use tokio::time::Instant;

use super::line::Line;
use super::{By, COLUMNS, Cell, Table, Verdict, Web};

/// Most open WebSockets of a node.
const MOST: usize = 128;
/// How long a place may take to become free.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between tries.
const PAUSE: Duration = Duration::from_millis(20);

/// Adds the row.
pub async fn look(table: &mut Table<{ COLUMNS.len() }>, webs: &[Web; COLUMNS.len()]) {
    let filling = webs.iter().enumerate();
    let filled = join_all(filling.map(async |(at, web)| fill(web, part(at)).await)).await;
    // Only now are all of them taken.
    let mut cells = Vec::new();
    for (web, lines) in webs.iter().zip(filled) {
        // Whoever comes later finds the node full again.
        cells.push(match lines {
            Ok(mut lines) => {
                let verdict = is_full(web, &mut lines).await;
                (verdict, lines)
            }
            Err(error) => (Err(error), Vec::new()),
        });
    }
    let name = "sockets: a node has 128 at once and no more".to_owned();
    table.push(name, cells.into_iter().map(|(cell, _)| cell).collect());
}

/// How many of them the column at this place opens.
fn part(at: usize) -> usize {
    MOST / COLUMNS.len() + usize::from(at < MOST % COLUMNS.len())
}

/// Opens so many of the column's, as soon as there is room.
async fn fill(web: &Web, count: usize) -> Result<Vec<Line>, String> {
    let path = json!({"path": "/ws-crowd", "authenticated": true});
    web.does(vec![web.call("bind_ws_path", path)]).await?;
    let mut lines = Vec::new();
    while lines.len() < count {
        lines.push(when_there_is_room(web).await?);
    }
    Ok(lines)
}

/// Opens one when another has left.
async fn when_there_is_room(web: &Web) -> Result<Line, String> {
    let end = Instant::now() + PATIENCE;
    loop {
        match try_open(web, By::Owner).await? {
            Ok(line) => return Ok(line),
            Err(status) if status != 503 || Instant::now() > end => {
                return Err(format!("refused with {status}"));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn try_open(web: &Web, by: By) -> Result<Result<Line, u16>, String> {
    let path = web.path("/ws-crowd");
    let cookie = web.site.cookie(By::Owner).unwrap_or_default();
    let headers = [("cookie", cookie)];
    Line::try_open(&web.site, by, &path, &headers).await
}

/// One more is refused by either door, until one has left.
async fn is_full(web: &Web, lines: &mut Vec<Line>) -> Verdict {
    for by in [By::Owner, By::Tunnel] {
        match try_open(web, by).await? {
            Err(503) => {}
            Err(status) => return Err(format!("{by:?}: refused with {status}")),
            Ok(_) => return Err(format!("{by:?}: one more opened")),
        }
    }
    lines.pop();
    lines.push(when_there_is_room(web).await?);
    Ok(Cell::Conforms)
}
