//! Where a node's apps connected to, or tried to, on a page of its own.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use node_api::{EgressOutcome, EgressPage, EgressQuery, EgressRecord};
use serde::Deserialize;
use tenant_manager::NodeOpError;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::failure::Failure;
use super::form::Asking;
use super::node;
use super::page::{self, Here, Layout, sentence};
use super::visitor::{NodePath, Visitor};
use crate::app::App;

/// Connections on a page.
const MANY: usize = 100;

/// What may stand in the query of the page.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    cursor: Option<u64>,
}

#[derive(Template)]
#[template(path = "dashboard/egress.html")]
struct Connections<'a> {
    layout: Layout,
    label: &'a str,
    rows: Result<Vec<Row>, String>,
    /// These are not the newest.
    is_older: bool,
    /// Where older ones are.
    older: Option<u64>,
}

/// One connection.
struct Row {
    time: String,
    /// The time, short.
    clock: String,
    process: String,
    target: Option<String>,
    address: Option<String>,
    outcome: &'static str,
    /// Which status looks like it.
    status: &'static str,
    reason: Option<String>,
}

impl Row {
    fn new(record: EgressRecord) -> Self {
        let clock = format_description!("[month]-[day] [hour]:[minute]:[second]");
        let (outcome, status) = match record.outcome {
            EgressOutcome::Connected => ("Connected", "active"),
            EgressOutcome::Refused => ("Refused", "suspended"),
            EgressOutcome::Failed => ("Failed", "stopped"),
        };
        // A record about others has no place of its own.
        let has_target = !record.host.is_empty();
        let target = || format!("{}://{}:{}", record.scheme, record.host, record.port);
        Self {
            time: record.time.format(&Rfc3339).unwrap_or_default(),
            clock: record.time.format(clock).unwrap_or_default(),
            target: has_target.then(target),
            address: record.address.map(|address| address.ip().to_string()),
            outcome,
            status,
            reason: record.reason.as_deref().map(sentence),
            process: record.process,
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
    let label = node.label.as_str();
    let query = EgressQuery {
        limit: MANY,
        before: asked.cursor,
    };
    let read = app
        .manager
        .node_egress(&visitor.principal, label, query)
        .await;
    let page = match read {
        Ok(page) => Ok(page),
        // Gone this moment: there is nothing of it.
        Err(NodeOpError::NotFound) => Ok(EgressPage::default()),
        Err(NodeOpError::Conflict(text) | NodeOpError::Unavailable(text)) => Err(sentence(&text)),
    };
    let last = page.as_ref().ok().filter(|page| page.more);
    let older = last.and_then(|page| page.records.last());
    let older = older.map(|record| record.number);
    Ok(page::ok(&Connections {
        layout: Layout::signed_in(
            format!("Outgoing connections of {label}"),
            &visitor,
            Here::Nodes,
        ),
        label,
        rows: page.map(|page| page.records.into_iter().map(Row::new).collect()),
        is_older: asked.cursor.is_some(),
        older,
    }))
}
