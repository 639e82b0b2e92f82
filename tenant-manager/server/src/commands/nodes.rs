//! `berth node` over the REST API: lists nodes, shows one, acts on one, prints
//! its log.
//!
//! Stateless. What the API answers is printed as it is with `--json`, else as a
//! table or a sentence.

use std::io::{IsTerminal, Read};

use anyhow::{Context, ensure};
use node_api::LogRecord;
use serde_json::{Value, json};
use tenant_model::Label;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::api_client::Api;
use crate::cli::Remote;
use crate::commands::node::{Wanted, line};
use crate::commands::{follow, say, with_tasks};
use crate::config::Config;
use crate::usage_text::mib;

/// Most lines that the API gives at once.
const MOST_LINES: usize = 1000;
/// Longest password that is read, bytes.
const MOST_PASSWORD: u64 = 4096;
/// Most pages of a list.
const MOST_PAGES: usize = 10_000;

/// What operators do not do in an owner's place.
const OWNER_ONLY: &str =
    "only an account does this, with nodes of its own: name its token, without --operator";

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
    /// It is put away; its data too if this says so.
    Archive(bool),
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
    match asked {
        Asked::Suspend(_) | Asked::Resume => api.operator = true,
        Asked::Archive(_) => ensure!(!api.operator, OWNER_ONLY),
        Asked::Show | Asked::Act(_) => {}
    }
    let path = format!("/{label}");
    let node = with_tasks(async |_tasks| match asked {
        Asked::Show => api.get(&path, &[]).await,
        Asked::Act(verb) => api.post(&format!("{path}/{verb}"), None).await,
        Asked::Resume => api.post(&format!("{path}/resume"), None).await,
        Asked::Archive(purge) => {
            let query = [("purge", if *purge { "true" } else { "false" })];
            api.delete(&path, &query).await
        }
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
    tell(&label, &node)
}

/// Makes a node of the account, with the password on standard input.
///
/// # Errors
/// There is no token or no password, or the API cannot be reached, or refuses.
pub fn create(config: &Config, remote: &Remote, label: &str) -> anyhow::Result<()> {
    let label = Label::parse(label)?;
    let api = Api::find(config, remote)?;
    ensure!(!api.operator, OWNER_ONLY);
    let body = json!({"label": label.as_str(), "password": password()?});
    let node = with_tasks(async |_tasks| api.post("", Some(&body)).await)?;
    if remote.json {
        return print_json(&node);
    }
    tell(&label, &node)
}

/// The first line of standard input. A command line is seen by others, and so
/// is what is typed.
fn password() -> anyhow::Result<String> {
    let input = std::io::stdin();
    ensure!(
        !input.is_terminal(),
        "give the node's password on standard input, such as from a file: \
         berth node create LABEL < FILE"
    );
    let mut text = String::new();
    let read = input.take(MOST_PASSWORD).read_to_string(&mut text);
    read.context("read the node's password from standard input")?;
    let line = text.lines().next().unwrap_or_default();
    ensure!(
        !line.is_empty(),
        "standard input holds no password for the node"
    );
    Ok(line.to_owned())
}

/// Says how a node is now.
fn tell(label: &Label, node: &Value) -> anyhow::Result<()> {
    let status = text(node, "status");
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
    let path = format!("/{label}/logs");
    let verbosity = wanted.verbosity.to_string();
    if wanted.follow {
        ensure!(
            wanted.lines <= MOST_LINES,
            "a log that is followed over the API begins with at most {MOST_LINES} lines: \
             name so many with -n"
        );
        let begin = wanted.lines.max(1).to_string();
        let query = [
            ("limit", begin.as_str()),
            ("verbosity", &verbosity),
            ("follow", "true"),
        ];
        return with_tasks(async |_tasks| follow::follow(config, remote, &path, &query).await);
    }
    let api = Api::find(config, remote)?;
    with_tasks(async |_tasks| {
        let query = [("verbosity", verbosity.as_str())];
        let (pages, cursor) = newest_pages(&api, &path, wanted.lines, &query).await?;
        // Each holds what came before the one before it.
        let lines: Vec<Value> = pages.into_iter().rev().flatten().collect();
        if remote.json {
            return print_json(&json!({"items": lines, "next_cursor": cursor}));
        }
        for record in &lines {
            print_line(record, false)?;
        }
        Ok(())
    })
}

/// So many of what a log holds, from its end, in as many pages as that takes; and
/// where there are more.
///
/// # Errors
/// The API cannot be reached, or refuses.
pub async fn newest_pages(
    api: &Api,
    path: &str,
    count: usize,
    wanted: &[(&str, &str)],
) -> anyhow::Result<(Vec<Vec<Value>>, Option<String>)> {
    let mut pages: Vec<Vec<Value>> = Vec::new();
    let mut cursor: Option<String> = None;
    // As with the files of a host: none are none.
    let mut left = count;
    while left > 0 {
        let limit = left.min(MOST_LINES).to_string();
        let mut query = vec![("limit", limit.as_str())];
        query.extend_from_slice(wanted);
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let mut page = api.get(path, &query).await?;
        let items = page["items"].as_array_mut().map(std::mem::take);
        let items = items.context("the API gave no lines; is it another version?")?;
        left = left.saturating_sub(items.len());
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        let empty = items.is_empty();
        pages.push(items);
        if cursor.is_none() || empty {
            break;
        }
    }
    Ok((pages, cursor))
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

/// Prints what the API gave.
///
/// # Errors
/// Standard output is closed.
pub fn print_json(value: &Value) -> anyhow::Result<()> {
    say(&format!("{value:#}"))
}

/// The text in a field, on one line.
pub fn text(item: &Value, field: &str) -> String {
    let text = item[field].as_str().unwrap_or_default();
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
    aligned(&rows)
}

/// Rows whose columns stand below each other; all have as many.
pub fn aligned(rows: &[Vec<String>]) -> Vec<String> {
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

/// Prints a line of a log.
///
/// # Errors
/// It is no line, or standard output is closed.
pub fn print_line(record: &Value, as_json: bool) -> anyhow::Result<()> {
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
}
