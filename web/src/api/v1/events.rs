//! The account's nodes as they change, for pages and programs that watch.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::Stream;
use futures::stream;
use http::StatusCode;
use tenant_manager::{NodeChanges, Principal};
use tenant_model::AccountId;

use crate::api::input::NoInput;
use crate::api::view::NodeList;
use crate::app::App;
use crate::auth::Caller;
use crate::in_flight::Counted;
use crate::problem::{Problem, ProblemBody};

/// A comment is sent when nothing else was for so long.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A stream ends after this long, and whoever watches asks again: so an ended
/// session is noticed.
const LONGEST: Duration = Duration::from_secs(30 * 60);

/// What one stream holds.
struct Watching {
    app: Arc<App>,
    principal: Principal,
    changes: NodeChanges,
    first: bool,
    ends: tokio::time::Instant,
    _counted: Counted<AccountId>,
}

/// Watch the account's nodes: an event `nodes` with the list, at once and
/// whenever something about them changes.
#[utoipa::path(
    get, path = "/api/v1/events", operation_id = "watchNodes", tag = "nodes",
    responses(
        (status = 200, body = NodeList, content_type = "text/event-stream"),
        (status = 429, body = ProblemBody<'static>, description = "Too many streams are open"),
    )
)]
pub(in crate::api) async fn watch(
    State(app): State<Arc<App>>,
    Caller(principal): Caller,
    _: NoInput,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let counted = app.streams.enter(principal.account()).ok_or_else(|| {
        Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-streams",
            "Too many event streams",
            "Close a window with the dashboard, or another program that watches, and try again.",
        )
    })?;
    let watching = Watching {
        changes: app.manager.changes(&principal),
        app,
        principal,
        first: true,
        ends: tokio::time::Instant::now() + LONGEST,
        _counted: counted,
    };
    let events = stream::unfold(watching, |mut watching| async move {
        let event = watching.next().await?;
        Some((Ok(event), watching))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

impl Watching {
    async fn next(&mut self) -> Option<Event> {
        if !std::mem::take(&mut self.first) {
            let changed = tokio::time::timeout_at(self.ends, self.changes.next());
            changed.await.ok()??;
        }
        let nodes = self.app.manager.nodes(&self.principal).await.ok()?;
        let list = NodeList::new(nodes, &self.app);
        Event::default().event("nodes").json_data(list).ok()
    }
}
