//! A node's log on pages: its end beside everything else about the node, and
//! all of it on a page of its own.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use node_api::{LogPlace, LogQuery, LogRecord, MAX_VERBOSITY};
use serde::Deserialize;
use tenant_manager::{NodeOpError, Principal};
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::failure::Failure;
use super::form::Asking;
use super::node;
use super::page::{self, Here, Layout, sentence};
use super::visitor::{NodePath, Visitor};
use crate::app::App;

/// Lines beside everything else about a node.
const FEW: usize = 50;
/// Lines on the log's own page.
const MANY: usize = 500;
/// What people and developers are shown.
const VERBOSITY: u8 = 1;

/// What may stand in the query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    verbosity: Option<u8>,
    cursor: Option<u64>,
}

/// Part of a log, in words.
#[derive(Debug, Template)]
#[template(path = "dashboard/log-lines.html")]
pub(super) struct Shown {
    lines: Result<Vec<Line>, String>,
    /// What is said in the place of no lines.
    empty: &'static str,
    /// Where lines come from as they are printed, if this is the end.
    live: Option<String>,
    /// The newest record, whether it is shown or not.
    last: u64,
    /// Where older lines are.
    older: Option<u64>,
}

/// The template escapes what it inserts, so its text is not escaped again.
impl askama::filters::HtmlSafe for Shown {}

/// One print.
#[derive(Debug)]
struct Line {
    time: String,
    /// The time, short.
    clock: String,
    source: String,
    text: String,
}

/// How much can be shown.
struct Choice {
    verbosity: u8,
    name: &'static str,
}

const CHOICES: [Choice; 4] = [
    Choice {
        verbosity: 0,
        name: "Important",
    },
    Choice {
        verbosity: 1,
        name: "Usual",
    },
    Choice {
        verbosity: 2,
        name: "Detailed",
    },
    Choice {
        verbosity: MAX_VERBOSITY,
        name: "Everything",
    },
];

#[derive(Template)]
#[template(path = "dashboard/log.html")]
struct LogPage<'a> {
    layout: Layout,
    label: &'a str,
    log: Shown,
    verbosity: u8,
    choices: &'static [Choice],
}

impl Shown {
    /// The end of the log, beside everything else about the node.
    pub(super) async fn newest(app: &App, principal: &Principal, label: &str) -> Self {
        let query = LogQuery {
            verbosity: VERBOSITY,
            limit: FEW,
            place: LogPlace::Newest,
        };
        Self::read(app, principal, label, query).await
    }

    async fn read(app: &App, principal: &Principal, label: &str, query: LogQuery) -> Self {
        let at_end = query.place == LogPlace::Newest;
        let LogQuery {
            verbosity, limit, ..
        } = query;
        let live = || format!("/api/v1/nodes/{label}/logs?verbosity={verbosity}&limit={limit}");
        let mut shown = Self {
            lines: Ok(Vec::new()),
            empty: if at_end {
                "Nothing has been printed yet. What the node’s apps print, and why one of them \
                 failed, stands here."
            } else {
                "Nothing older is kept."
            },
            live: at_end.then(live),
            last: 0,
            older: None,
        };
        match app.manager.node_log(principal, label, query).await {
            Ok(page) => {
                let first = page.records.first().filter(|_| page.more);
                shown.older = first.map(|record| record.number);
                shown.last = page.newest;
                shown.lines = Ok(page.records.iter().map(Line::new).collect());
            }
            Err(NodeOpError::NotFound) => {}
            Err(NodeOpError::Conflict(text) | NodeOpError::Unavailable(text)) => {
                shown.lines = Err(sentence(&text));
            }
        }
        shown
    }
}

impl Line {
    fn new(record: &LogRecord) -> Self {
        let clock = format_description!("[month]-[day] [hour]:[minute]:[second]");
        Self {
            time: record.time.format(&Rfc3339).unwrap_or_default(),
            clock: record.time.format(clock).unwrap_or_default(),
            source: record.source.clone(),
            text: record.plain(),
        }
    }
}

pub(super) async fn show(
    State(app): State<Arc<App>>,
    visitor: Visitor,
    NodePath(label): NodePath,
    Asking(asked): Asking<Asked>,
) -> Result<Response, Failure> {
    let node = node::find(&app, &visitor, &label).await?;
    let verbosity = asked.verbosity.unwrap_or(VERBOSITY).min(MAX_VERBOSITY);
    let query = LogQuery {
        verbosity,
        limit: MANY,
        place: asked.cursor.map_or(LogPlace::Newest, LogPlace::Before),
    };
    let label = node.label.as_str();
    Ok(page::ok(&LogPage {
        layout: Layout::signed_in(format!("Log of {label}"), &visitor, Here::Nodes),
        log: Shown::read(&app, &visitor.principal, label, query).await,
        label,
        verbosity,
        choices: &CHOICES,
    }))
}
