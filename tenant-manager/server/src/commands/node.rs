//! `berth node`: looks after nodes through the data directory of their host.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use lifecycle::Tasks;
use node_api::{LogPlace, LogQuery, LogRecord, NodeLogs};
use node_runtime::LogFiles;
use tenant_manager::log_dir;
use tenant_model::{Label, TenantId};
use time::format_description::well_known::Rfc3339;

use crate::commands::{say, with_database, with_tasks};
use crate::config::Config;
use crate::control;

/// How often a followed log is looked at: it is written by another process.
const LOOK: Duration = Duration::from_millis(300);
/// Records read at once while following.
const BATCH: usize = 1000;

/// What to print of a log.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Most lines.
    pub lines: usize,
    /// Records with a higher verbosity are left out.
    pub verbosity: u8,
    /// Goes on until it is interrupted.
    pub follow: bool,
}

/// Prints the log of the node with `label`, a record a line: its time, its
/// source and its text.
///
/// # Errors
/// No such node, or its log or the database cannot be read.
pub fn logs(config: &Config, label: &str, wanted: Wanted) -> anyhow::Result<()> {
    let label = Label::parse(label)?;
    let data = &config.data_dir;
    ensure!(
        data.is_dir(),
        "there is no data directory {}; name the host's with --data-dir",
        data.display()
    );
    let tenant = find(config, &label)?;
    let dir = log_dir(data, tenant);
    with_tasks(async |tasks| print(&dir, wanted, tasks).await)
}

/// Prints what the node with `label` uses.
///
/// # Errors
/// No such node, or no host runs on the data directory.
pub fn usage(config: &Config, label: &str, history: bool) -> anyhow::Result<()> {
    let label = Label::parse(label)?;
    let history = if history { " history" } else { "" };
    let text = control::ask(&config.data_dir, &format!("usage {label}{history}"))?;
    say(text.trim_end())
}

fn find(config: &Config, label: &Label) -> anyhow::Result<TenantId> {
    with_database(config, async |database, _tasks| {
        let tenants = database.pg.repositories().tenants;
        let found = tenants.labelled(label).await?;
        found.with_context(|| format!("no node of this host has the label {label}"))
    })
}

async fn print(dir: &Path, wanted: Wanted, tasks: Tasks) -> anyhow::Result<()> {
    let logs = LogFiles::new(tasks);
    let coloured = std::io::stdout().is_terminal();
    let mut query = LogQuery {
        verbosity: wanted.verbosity,
        limit: wanted.lines,
        place: LogPlace::Newest,
    };
    loop {
        let page = logs.read(dir, query).await;
        let page = page.context("run this as the user that the host runs as, or as root")?;
        if page.missing > 0 {
            say(&format!("({} records are not kept any more)", page.missing))?;
        }
        for record in &page.records {
            say(&line(record, coloured))?;
        }
        if !wanted.follow {
            return Ok(());
        }
        let last = page.records.last().map_or(0, |record| record.number);
        let (seen, more) = match query.place {
            // Another log is here now.
            LogPlace::After(number) if page.newest < number => (0, false),
            LogPlace::After(_) if page.more => (last, true),
            _ => (page.newest, false),
        };
        query.limit = BATCH;
        query.place = LogPlace::After(seen);
        if !more {
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// One record on one line, whatever its text holds.
pub fn line(record: &LogRecord, coloured: bool) -> String {
    let time = record.time.format(&Rfc3339).unwrap_or_default();
    let mut text = if coloured {
        record.text.clone()
    } else {
        record.plain()
    };
    if text.contains('\n') {
        text = text.replace('\n', "\\n");
    }
    if text.contains('\u{1b}') {
        text.push_str("\u{1b}[0m");
    }
    format!("{time} {} {text}", record.source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_without_colours_unless_they_are_seen() {
        let record = LogRecord {
            number: 1,
            time: time::OffsetDateTime::UNIX_EPOCH,
            verbosity: 0,
            source: "app:pack:me.dev".to_owned(),
            text: "\u{1b}[31mred\nand more".to_owned(),
        };
        let start = "1970-01-01T00:00:00Z app:pack:me.dev";
        assert_eq!(line(&record, false), format!("{start} red\\nand more"));
        let coloured = format!("{start} \u{1b}[31mred\\nand more\u{1b}[0m");
        assert_eq!(line(&record, true), coloured);
    }
}
