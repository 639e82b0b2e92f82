//! `berth node egress` over the REST API: where a node's apps connected to, or
//! tried to.
//!
//! Stateless. What the API answers is printed as it is with `--json`, else as a
//! table, a connection a row.

use serde_json::{Value, json};
use tenant_model::Label;

use crate::api_client::Api;
use crate::cli::Remote;
use crate::commands::nodes::{aligned, newest_pages, print_json, text};
use crate::commands::{say, with_tasks};
use crate::config::Config;

/// Prints the newest connections of a node, newest first.
///
/// # Errors
/// The API cannot be reached, or refuses.
pub fn run(config: &Config, remote: &Remote, label: &str, limit: u32) -> anyhow::Result<()> {
    let label = Label::parse(label)?;
    let api = Api::find(config, remote)?;
    let path = format!("/{label}/egress");
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let (pages, cursor) = with_tasks(async |_tasks| newest_pages(&api, &path, limit, &[]).await)?;
    let connections: Vec<Value> = pages.into_iter().flatten().collect();
    if remote.json {
        return print_json(&json!({"items": connections, "next_cursor": cursor}));
    }
    for row in table(&connections) {
        say(&row)?;
    }
    Ok(())
}

/// The rows of a table, its head first.
fn table(connections: &[Value]) -> Vec<String> {
    let head = ["TIME", "OUTCOME", "WHERE", "ADDRESS", "PROCESS", "REASON"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(connections.iter().map(|connection| {
        vec![
            text(connection, "time"),
            text(connection, "outcome"),
            target(connection),
            text(connection, "address"),
            text(connection, "process"),
            text(connection, "reason"),
        ]
    }));
    aligned(&rows)
}

/// Where it was to go; nothing where connections are missing.
fn target(connection: &Value) -> String {
    let host = text(connection, "host");
    if host.is_empty() {
        return host;
    }
    format!(
        "{}://{host}:{}",
        text(connection, "scheme"),
        connection["port"]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_a_row_whatever_its_texts_hold() {
        let connections = [
            json!({"time": "2026-01-01T00:00:00Z", "process": "main:app:me.dev",
                   "scheme": "https", "host": "api.example.org", "port": 443,
                   "address": "192.0.2.7:443", "outcome": "connected", "reason": null}),
            json!({"time": "2026-01-01T00:00:01Z", "process": "main:app:me.dev",
                   "scheme": "http", "host": "a\nb\u{1b}[2J", "port": 80,
                   "address": null, "outcome": "refused", "reason": "no\nway"}),
            json!({"time": "2026-01-01T00:00:02Z", "process": "kernel:distro:sys",
                   "scheme": "", "host": "", "port": 0, "address": null,
                   "outcome": "failed", "reason": "3 connections are missing here"}),
        ];
        let rows = table(&connections);
        assert_eq!(rows.len(), 4);
        let words = |row: &str| {
            row.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let first = [
            "2026-01-01T00:00:00Z",
            "connected",
            "https://api.example.org:443",
            "192.0.2.7:443",
            "main:app:me.dev",
        ];
        assert_eq!(words(&rows[1]), first);
        assert!(
            rows[2].ends_with("main:app:me.dev    no way"),
            "{}",
            rows[2]
        );
        assert!(!rows.concat().contains(char::is_control), "{rows:?}");
        assert!(!rows[3].contains("://"), "{}", rows[3]);
        assert_eq!(table(&[]).len(), 1);
    }
}
