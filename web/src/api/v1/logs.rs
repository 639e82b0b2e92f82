//! A node's log: what its terminal has shown, in pages or as it comes.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::{HeaderMap, StatusCode};
use node_api::{LogPage, LogPlace, LogQuery, MAX_VERBOSITY};
use serde::Deserialize;
use tenant_manager::{Followed, LogFollower, Principal};
use tenant_model::AccountId;
use utoipa::IntoParams;

use crate::api::input::{LabelPath, NoInput, QueryInput};
use crate::api::v1::events::{KEEP_ALIVE, LONGEST, too_many};
use crate::api::v1::nodes::refused;
use crate::api::view::{LogLine, LogLines};
use crate::app::App;
use crate::auth::Caller;
use crate::in_flight::Counted;
use crate::problem::{Problem, ProblemBody};

/// Lines of a page if nothing is said.
const LINES: usize = 200;
/// Most lines of a page.
const MOST_LINES: usize = 1000;
/// Verbosity if nothing is said: what people and developers are shown.
const VERBOSITY: u8 = 1;

/// Which part of a log.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::api) struct Wanted {
    /// Most lines, from 1 to 1000; a followed log begins with so many.
    #[param(minimum = 1, maximum = 1000, default = 200)]
    limit: Option<usize>,
    /// `next_cursor` of a page: the lines before that page.
    cursor: Option<String>,
    /// Leaves out what is printed with a higher verbosity; from 0 to 3.
    #[param(minimum = 0, maximum = 3, default = 1)]
    verbosity: Option<u8>,
    /// `true` sends lines as they are printed, as server-sent events: `line`
    /// with a line each, and `skipped` with how many were missed.
    #[serde(default)]
    #[param(required = false)]
    pub(super) follow: bool,
}

/// Read a node's log: what its processes printed, also while it does not run.
#[utoipa::path(
    get, path = "/api/v1/nodes/{label}/logs", operation_id = "getNodeLogs", tag = "nodes",
    params(("label" = String, Path, description = "The node's label"), Wanted),
    responses(
        (status = 200, description = "Lines, oldest first", content(
            (LogLines = "application/json"),
            (LogLine = "text/event-stream"),
        )),
        (status = 404, body = ProblemBody<'static>, description = "The account has no such node"),
        (status = 422, body = ProblemBody<'static>, description = "There is no such part of a log"),
        (status = 429, body = ProblemBody<'static>, description = "Too many streams are open"),
    )
)]
pub(in crate::api) async fn show(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    LabelPath(label): LabelPath,
    QueryInput(wanted): QueryInput<Wanted>,
    headers: HeaderMap,
    _: NoInput,
) -> Result<Response, Problem> {
    let query = wanted.query(&headers)?;
    if !wanted.follow {
        let page = app.manager.node_log(&principal, &label, query).await;
        return Ok(lines(page.map_err(refused)?));
    }
    let log = app.manager.follow_log(&principal, &label, query);
    follow(&app, &principal, log.map_err(refused)?)
}

/// A page of a log, as the answer.
pub(super) fn lines(page: LogPage) -> Response {
    Json(LogLines::from(page)).into_response()
}

/// The lines of `log` as they come, as the answer to `principal`.
pub(super) fn follow(
    app: &App,
    principal: &Principal,
    log: LogFollower,
) -> Result<Response, Problem> {
    let following = Following {
        log,
        ends: tokio::time::Instant::now() + LONGEST,
        _counted: app
            .streams
            .enter(principal.account())
            .ok_or_else(too_many)?,
    };
    let events = stream::unfold(following, |mut following| async move {
        let event = following.next().await?;
        Some((Ok::<_, Infallible>(event), following))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Ok(Sse::new(events).keep_alive(keep_alive).into_response())
}

impl Wanted {
    /// The part of a log that is asked for; who followed it before goes on after
    /// the line that was seen last.
    pub(super) fn query(&self, headers: &HeaderMap) -> Result<LogQuery, Problem> {
        let limit = self.limit.unwrap_or(LINES);
        if !(1..=MOST_LINES).contains(&limit) {
            return Err(no_such_part(format!(
                "`limit` must be from 1 to {MOST_LINES}."
            )));
        }
        let verbosity = self.verbosity.unwrap_or(VERBOSITY);
        if verbosity > MAX_VERBOSITY {
            return Err(no_such_part(format!(
                "`verbosity` must be from 0 to {MAX_VERBOSITY}."
            )));
        }
        let place = match self.cursor.as_deref() {
            None if self.follow => last_seen(headers)?.map_or(LogPlace::Newest, LogPlace::After),
            None => LogPlace::Newest,
            Some(_) if self.follow => {
                let text = "Send `cursor` or `follow`, not both: what is followed is the end.";
                return Err(no_such_part(text.to_owned()));
            }
            Some(cursor) => LogPlace::Before(cursor.parse().map_err(|_| {
                let text = "`cursor` must be the `next_cursor` of an earlier page.";
                no_such_part(text.to_owned())
            })?),
        };
        Ok(LogQuery {
            verbosity,
            limit,
            place,
        })
    }
}

/// A part of a log that there is not.
pub(super) fn no_such_part(detail: String) -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "no-such-part",
        "No such part of the log",
        detail,
    )
}

/// The line that a client has seen last, when it comes back.
fn last_seen(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| {
        let text = "The header Last-Event-ID must be the id of an event of this stream.";
        no_such_part(text.to_owned())
    })
}

/// What one stream holds.
struct Following {
    log: LogFollower,
    ends: tokio::time::Instant,
    _counted: Counted<AccountId>,
}

impl Following {
    async fn next(&mut self) -> Option<Event> {
        let next = tokio::time::timeout_at(self.ends, self.log.next());
        match next.await.ok()?? {
            Followed::Record(record) => Event::default()
                .event("line")
                .id(record.number.to_string())
                .json_data(LogLine::from(record))
                .ok(),
            Followed::Missing(count) => Event::default()
                .event("skipped")
                .json_data(serde_json::json!({ "lines": count }))
                .ok(),
        }
    }
}
