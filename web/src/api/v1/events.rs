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
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A stream ends after this long, and whoever watches asks again: so an ended
/// session is noticed.
pub(super) const LONGEST: Duration = Duration::from_secs(30 * 60);

/// What whoever has too many streams is told to wait.
const FULL_RETRY: Duration = Duration::from_secs(10);

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
    let watching = Watching::new(app, principal).ok_or_else(too_many)?;
    let events = stream::unfold(watching, |mut watching| async move {
        let event = watching.next().await?;
        Some((Ok(event), watching))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// The account has as many streams as it may.
pub(super) fn too_many() -> Problem {
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-streams",
        "Too many event streams",
        "Close a window with the dashboard, or another program that watches, and try again.",
    )
    .retry_after(FULL_RETRY)
}

impl Watching {
    /// `None` if the account watches often enough already.
    fn new(app: Arc<App>, principal: Principal) -> Option<Self> {
        Some(Self {
            _counted: app.streams.enter(principal.account())?,
            changes: app.manager.changes(&principal),
            app,
            principal,
            first: true,
            ends: tokio::time::Instant::now() + LONGEST,
        })
    }

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

#[cfg(test)]
mod tests {
    use tenant_manager::testing::manager_with_fakes;

    use super::*;
    use crate::options::tests::options;

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_after_a_while_by_itself() {
        let fakes = manager_with_fakes().await.unwrap();
        let ann = fakes.account("ann@example.org").await.unwrap();
        let options = options("localhost", "localhost");
        let clock = Arc::new(fakes.clock.clone());
        let app = App::new(options, 8000, fakes.manager.clone(), clock).unwrap();
        let mut watching = Watching::new(Arc::new(app), ann.clone()).unwrap();
        let begun = tokio::time::Instant::now();
        assert!(watching.next().await.is_some(), "the list, at once");
        assert_eq!(begun.elapsed(), Duration::ZERO);
        tokio::time::advance(LONGEST / 2).await;
        fakes.node(&ann, "alice").await.unwrap();
        assert!(watching.next().await.is_some(), "a change");
        while watching.next().await.is_some() {}
        assert!((LONGEST..LONGEST + KEEP_ALIVE).contains(&begun.elapsed()));
        assert!(watching.app.streams.enter(ann.account()).is_some());
    }
}
