//! Following a log over the REST API: lines as they come, over new starts of the
//! host.
//!
//! Stateless beyond its connection. Invariant: no line is printed twice; the
//! stream goes on after the last that was seen.

use std::time::Duration;

use anyhow::ensure;
use reqwest::Response;
use serde_json::Value;
use tokio::time::Instant;

use crate::api_client::Api;
use crate::cli::Remote;
use crate::commands::nodes::print_line;
use crate::commands::say;
use crate::config::Config;

/// Before a stream of lines that ended is asked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long a host on this machine may be away: as long as a new start may take.
const AWAY: Duration = Duration::from_secs(90);
/// Most that is kept of an event that has not ended, bytes.
const MOST_EVENT: usize = 4 << 20;

/// Prints the lines at `path` as they come, until interrupted. A stream that
/// ends, because the host starts anew say, is asked for again.
///
/// # Errors
/// The API cannot be reached, or refuses.
pub async fn follow(
    config: &Config,
    remote: &Remote,
    path: &str,
    query: &[(&str, &str)],
) -> anyhow::Result<()> {
    let mut seen: Option<String> = None;
    let mut stream = Api::find(config, remote)?.events(path, query, None).await?;
    loop {
        let mut events = Events::default();
        // An error is an end too: whoever cannot be reached again says so.
        while let Ok(Some(chunk)) = stream.chunk().await {
            for event in events.take(&chunk)? {
                if let Some(id) = &event.id {
                    seen = Some(id.clone());
                }
                event.print(remote.json)?;
            }
        }
        stream = again(config, remote, path, query, seen.as_deref()).await?;
    }
}

/// The stream once more. Where the host on the data directory is asked, its
/// token was good for a minute and its address may be another now; it takes a
/// moment until it tells.
async fn again(
    config: &Config,
    remote: &Remote,
    path: &str,
    query: &[(&str, &str)],
    seen: Option<&str>,
) -> anyhow::Result<Response> {
    let until = Instant::now() + AWAY;
    loop {
        tokio::time::sleep(AGAIN).await;
        let opened = match Api::find(config, remote) {
            Ok(api) => api.events(path, query, seen).await,
            Err(error) => Err(error),
        };
        match opened {
            Err(_away) if remote.token.is_none() && Instant::now() < until => {}
            opened => return opened,
        }
    }
}

/// Server-sent events, as far as the API uses them.
#[derive(Debug, Default)]
struct Events {
    rest: Vec<u8>,
}

/// One of them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    kind: String,
    id: Option<String>,
    data: String,
}

impl Events {
    /// The events that end with this piece of the stream.
    fn take(&mut self, chunk: &[u8]) -> anyhow::Result<Vec<Event>> {
        self.rest.extend_from_slice(chunk);
        let mut events = Vec::new();
        while let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
            let after = self.rest.split_off(end + 2);
            let event = std::mem::replace(&mut self.rest, after);
            events.push(Event::parse(&String::from_utf8_lossy(&event)));
        }
        ensure!(
            self.rest.len() <= MOST_EVENT,
            "the API sent a line that is too long"
        );
        Ok(events)
    }
}

impl Event {
    fn parse(text: &str) -> Self {
        let mut event = Self::default();
        for (field, value) in text.lines().filter_map(|line| line.split_once(':')) {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => event.kind = value.to_owned(),
                "id" => event.id = Some(value.to_owned()),
                "data" => event.data.push_str(value),
                // Comments keep the connection alive.
                _ => {}
            }
        }
        event
    }

    fn print(&self, as_json: bool) -> anyhow::Result<()> {
        let data: Value = serde_json::from_str(&self.data).unwrap_or_default();
        match self.kind.as_str() {
            "line" => print_line(&data, as_json),
            "skipped" if !as_json => say(&format!(
                "({} records are not kept any more)",
                data["lines"]
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_pieces() {
        let mut events = Events::default();
        let wire = b": hello\n\nevent: line\nid: 7\ndata: {\"text\":\"a\"}\n\nevent: skip";
        let (first, second) = wire.split_at(20);
        let mut all = events.take(first).unwrap();
        all.extend(events.take(second).unwrap());
        assert_eq!(all[0], Event::default());
        assert_eq!(all[1].kind, "line");
        assert_eq!(all[1].id.as_deref(), Some("7"));
        assert_eq!(all[1].data, "{\"text\":\"a\"}");
        assert_eq!(all.len(), 2);
    }
}
