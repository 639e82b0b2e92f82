//! `berth node` over the REST API: lists nodes, shows one, acts on one, prints
//! its log.
//!
//! Stateless. What the API answers is printed as it is with `--json`, else as a
//! table or a sentence.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context, ensure};
use node_api::LogRecord;
use serde_json::{Value, json};
use tenant_model::Label;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::api_client::Api;
use crate::cli::Remote;
use crate::commands::node::{Wanted, line};
use crate::commands::{say, with_tasks};
use crate::config::Config;
use crate::usage_text::mib;

/// Most lines that the API gives at once.
const MOST_LINES: usize = 1000;
/// Before a stream of lines that ended is asked for again.
const AGAIN: Duration = Duration::from_secs(1);
/// Most that is kept of an event that has not ended, bytes.
const MOST_EVENT: usize = 4 << 20;
/// Most pages of a list.
const MOST_PAGES: usize = 10_000;

/// What is done with one node.
#[derive(Debug)]
pub enum Asked {
    /// It is shown.
    Show,
    /// An operation of this name.
    Act(&'static str),
    /// It is suspended, for this reason.
    Suspend(String),
    /// It is let go again.
    Resume,
}

/// Whether the API is to be asked where there is another way.
pub fn is_remote(remote: &Remote) -> bool {
    remote.token.is_some() || remote.api.is_some() || remote.operator || remote.json
}

/// Prints the nodes of the account, or of all.
///
/// # Errors
/// The API cannot be reached, or refuses.
pub fn list(config: &Config, remote: &Remote, status: Option<&str>) -> anyhow::Result<()> {
    let api = Api::find(config, remote)?;
    let nodes = with_tasks(async |_tasks| all_pages(&api, status).await)?;
    if remote.json {
        return print_json(&json!({"items": nodes, "next_cursor": null}));
    }
    for row in table(&nodes, api.operator) {
        say(&row)?;
    }
    Ok(())
}

/// Asks for one node, or acts on it.
///
/// # Errors
/// The API cannot be reached, or refuses.
pub fn one(config: &Config, remote: &Remote, label: &str, asked: &Asked) -> anyhow::Result<()> {
    let label = Label::parse(label)?;
    let mut api = Api::find(config, remote)?;
    if matches!(asked, Asked::Suspend(_) | Asked::Resume) {
        api.operator = true;
    }
    let path = format!("/{label}");
    let node = with_tasks(async |_tasks| match asked {
        Asked::Show => api.get(&path, &[]).await,
        Asked::Act(verb) => api.post(&format!("{path}/{verb}"), None).await,
        Asked::Resume => api.post(&format!("{path}/resume"), None).await,
        Asked::Suspend(reason) => {
            let body = json!({ "reason": reason });
            api.post(&format!("{path}/suspend"), Some(&body)).await
        }
    })?;
    if remote.json {
        return print_json(&node);
    }
    if matches!(asked, Asked::Show) {
        for row in table(std::slice::from_ref(&node), api.operator) {
            say(&row)?;
        }
        return Ok(());
    }
    let status = text(&node, "status");
    say(&format!(
        "{label} is {}",
        if status.is_empty() { "told" } else { &status }
    ))
}

/// Prints the log of a node as the API gives it.
///
/// # Errors
/// The API cannot be reached, or refuses.
pub fn logs(config: &Config, remote: &Remote, label: &str, wanted: Wanted) -> anyhow::Result<()> {
    let label = Label::parse(label)?;
    let api = Api::find(config, remote)?;
    let path = format!("/{label}/logs");
    let limit = wanted.lines.clamp(1, MOST_LINES).to_string();
    let verbosity = wanted.verbosity.to_string();
    let query = [("limit", limit.as_str()), ("verbosity", verbosity.as_str())];
    with_tasks(async |_tasks| {
        if wanted.follow {
            return follow(&api, &path, &query, remote.json).await;
        }
        let page = api.get(&path, &query).await?;
        if remote.json {
            return print_json(&page);
        }
        for record in page["items"].as_array().into_iter().flatten() {
            print_line(record, false)?;
        }
        Ok(())
    })
}

async fn all_pages(api: &Api, status: Option<&str>) -> anyhow::Result<Vec<Value>> {
    let mut nodes = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let mut query = Vec::new();
        // The account's own list is short and has no parameters.
        if let Some(status) = status.filter(|_| api.operator) {
            query.push(("status", status));
        }
        if let Some(cursor) = &cursor {
            query.push(("cursor", cursor.as_str()));
        }
        let mut page = api.get("", &query).await?;
        let items = page["items"].as_array_mut().map(std::mem::take);
        let items = items.context("the API gave no list; is it another version?")?;
        nodes.extend(items.into_iter().filter(|node| match status {
            Some(status) => node["status"] == status,
            None => true,
        }));
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    Ok(nodes)
}

fn print_json(value: &Value) -> anyhow::Result<()> {
    say(&format!("{value:#}"))
}

fn text(node: &Value, field: &str) -> String {
    let text = node[field].as_str().unwrap_or_default();
    // One row stays one row, whatever a reason quotes.
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

/// The rows of a table, its head first.
fn table(nodes: &[Value], with_owner: bool) -> Vec<String> {
    let mut head = vec!["LABEL", "STATUS", "LAST STARTED", "MEMORY", "DISK"];
    if with_owner {
        head.push("OWNER");
    }
    head.push("REASON");
    let mut rows = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    rows.extend(nodes.iter().map(|node| {
        let size = |field: &str| {
            let bytes = node["usage"][field].as_u64();
            bytes.map_or_else(String::new, |bytes| format!("{} MiB", mib(bytes)))
        };
        let mut row = vec![
            text(node, "label"),
            text(node, "status"),
            text(node, "last_started_at"),
            size("memory_bytes"),
            size("disk_bytes"),
        ];
        if with_owner {
            row.push(text(node, "owner"));
        }
        row.push(text(node, "status_reason"));
        row
    }));
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns).filter_map(width).collect();
    let aligned = rows.iter().map(|row| {
        let cells = row.iter().zip(&widths);
        let cells: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    });
    aligned.collect()
}

/// Prints lines as they come, until interrupted. A stream that ends, because the
/// host starts anew say, is asked for again.
async fn follow(
    api: &Api,
    path: &str,
    query: &[(&str, &str)],
    as_json: bool,
) -> anyhow::Result<()> {
    let mut seen: Option<String> = None;
    let query = [query, &[("follow", "true")]].concat();
    loop {
        let mut stream = api.events(path, &query, seen.as_deref()).await?;
        let mut events = Events::default();
        // An error is an end too: whoever cannot be reached again says so.
        while let Ok(Some(chunk)) = stream.chunk().await {
            for event in events.take(&chunk)? {
                if let Some(id) = &event.id {
                    seen = Some(id.clone());
                }
                event.print(as_json)?;
            }
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Prints a line of a log.
fn print_line(record: &Value, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return say(&record.to_string());
    }
    let time = OffsetDateTime::parse(record["time"].as_str().unwrap_or_default(), &Rfc3339);
    let record = LogRecord {
        number: 0,
        time: time.context("the API gave a line without a time; is it another version?")?,
        verbosity: 0,
        source: text(record, "source"),
        text: record["text"].as_str().unwrap_or_default().to_owned(),
    };
    say(&line(&record, std::io::stdout().is_terminal()))
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
    fn a_table_is_aligned_and_a_row_stays_a_row() {
        let nodes = [
            json!({"label": "alice", "status": "active", "status_reason": null,
                   "last_started_at": "2026-01-01T00:00:00Z", "owner": "ann@example.org",
                   "usage": {"memory_bytes": 3 << 20, "disk_bytes": 1 << 19}}),
            json!({"label": "b", "status": "broken", "status_reason": "it\nfailed"}),
        ];
        let expected = [
            "LABEL  STATUS  LAST STARTED          MEMORY   DISK     REASON",
            "alice  active  2026-01-01T00:00:00Z  3.0 MiB  0.5 MiB",
            "b      broken                                          it failed",
        ];
        assert_eq!(table(&nodes, false), expected);
        assert!(table(&nodes, true)[1].ends_with("0.5 MiB  ann@example.org"));
        assert_eq!(table(&[], false).len(), 1);
    }

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
