//! Answers for static content, which take no process.
//!
//! Owns nothing: content and tags are in the table of bound paths. What takes
//! long, hashing and compressing, is done once and off the async threads, one
//! compression at a time; meanwhile content goes out as it is. A browser keeps
//! what it got but asks each time whether it is still good, so that a new build
//! of an app shows at once.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH, RANGE, VARY,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use node_api::{HttpResponse, body, empty_body};
use tokio::sync::Semaphore;

use super::HttpServer;
use super::conditions::{self, Wanted};
use super::content::Content;
use super::routes::Route;

/// Hashing and compressing at once, of all nodes of the process: both are work of
/// the host that counts for no node's share of the processors.
static TURNS: Semaphore = Semaphore::const_new(1);

/// Headers of an answer, at most.
const HEADERS: usize = 8;

/// Whether a request is answered with static content where there is some.
pub(super) fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

/// The answer to a request for `content`. `private` says that it is for the
/// owner alone.
pub(super) fn answer(content: &Content, head: &Parts, private: bool) -> HttpResponse {
    let tags = content.tags();
    let given = &head.headers;
    let shown = if private {
        "private, no-cache"
    } else {
        "no-cache"
    };
    let shared = Shared {
        content,
        cache: HeaderValue::from_static(shown),
    };
    let both = [&tags.plain, &tags.packed];
    if given.contains_key(IF_MATCH)
        && !both
            .map(|tag| conditions::names(given, &IF_MATCH, tag, false))
            .contains(&true)
    {
        return shared.bare(StatusCode::PRECONDITION_FAILED, &tags.plain);
    }
    if let Some(tag) = unchanged(content, given) {
        return shared.bare(StatusCode::NOT_MODIFIED, tag);
    }
    if head.method == Method::GET && given.contains_key(RANGE) {
        match conditions::wanted(given, content.bytes.len(), &tags.plain) {
            Wanted::All => {}
            Wanted::Part(range) => {
                let (first, last) = (range.start, range.end - 1);
                let part = content.bytes.slice(range);
                let mut response = shared.full(head, StatusCode::PARTIAL_CONTENT, &part);
                let all = content.bytes.len();
                set_range(&mut response, &format!("bytes {first}-{last}/{all}"));
                return response;
            }
            Wanted::Nothing => {
                let status = StatusCode::RANGE_NOT_SATISFIABLE;
                let mut response = shared.bare(status, &tags.plain);
                set_range(&mut response, &format!("bytes */{}", content.bytes.len()));
                return response;
            }
        }
    }
    match content.packed() {
        Some(packed) if conditions::prefers_gzip(given) => {
            let mut response = shared.with(head, StatusCode::OK, &tags.packed, packed);
            let gzip = HeaderValue::from_static("gzip");
            response.headers_mut().insert(CONTENT_ENCODING, gzip);
            response
        }
        _ => shared.full(head, StatusCode::OK, &content.bytes),
    }
}

/// The tag of the content that the client has already, in whichever form.
fn unchanged<'a>(content: &'a Content, given: &HeaderMap) -> Option<&'a HeaderValue> {
    if !given.contains_key(IF_NONE_MATCH) {
        return None;
    }
    let tags = content.tags();
    let has = |tag: &HeaderValue| conditions::names(given, &IF_NONE_MATCH, tag, true);
    // It has the compressed form only if it can read it.
    [&tags.plain, &tags.packed].into_iter().find(|tag| has(tag))
}

fn set_range(response: &mut HttpResponse, range: &str) {
    if let Ok(range) = HeaderValue::try_from(range) {
        response.headers_mut().insert(CONTENT_RANGE, range);
    }
}

/// What all answers for some content have in common.
struct Shared<'a> {
    content: &'a Content,
    cache: HeaderValue,
}

impl Shared<'_> {
    /// An answer without content.
    fn bare(&self, status: StatusCode, tag: &HeaderValue) -> HttpResponse {
        self.build(status, tag, empty_body())
    }

    /// An answer with the content as it is, or a part of it.
    fn full(&self, head: &Parts, status: StatusCode, bytes: &Bytes) -> HttpResponse {
        let mut response = self.with(head, status, &self.content.tags().plain, bytes);
        let ranges = HeaderValue::from_static("bytes");
        response.headers_mut().insert(ACCEPT_RANGES, ranges);
        response
    }

    /// An answer with content, which a `HEAD` is only told the length of.
    fn with(
        &self,
        head: &Parts,
        status: StatusCode,
        tag: &HeaderValue,
        bytes: &Bytes,
    ) -> HttpResponse {
        let mut response = if head.method == Method::HEAD {
            let mut response = self.build(status, tag, empty_body());
            let length = HeaderValue::from(bytes.len());
            response.headers_mut().insert(CONTENT_LENGTH, length);
            response
        } else {
            self.build(status, tag, body(bytes.clone()))
        };
        let mime = self.content.mime.clone();
        response.headers_mut().insert(CONTENT_TYPE, mime);
        response
    }

    fn build(
        &self,
        status: StatusCode,
        tag: &HeaderValue,
        body: node_api::HttpBody,
    ) -> HttpResponse {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.reserve(HEADERS);
        headers.insert(ETAG, tag.clone());
        headers.insert(CACHE_CONTROL, self.cache.clone());
        if self.content.packable {
            headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        }
        response
    }
}

impl HttpServer {
    /// Does what has to be done once before content is answered, if this
    /// request is the first to need it.
    pub(super) async fn prepare(self: &Arc<Self>, head: &Parts, route: &Arc<Route>) {
        let Some(content) = route.content() else {
            return;
        };
        if content.needs_hashing()
            && let Ok(turn) = TURNS.acquire().await
        {
            let route = Arc::clone(route);
            let hashing = self.tasks.blocking(move || {
                if let Some(content) = route.content() {
                    content.tags();
                }
                drop(turn);
            });
            Box::pin(hashing).await;
        }
        if self.is_to_pack(head, content)
            && let Ok(permit) = Arc::clone(&self.packing).try_acquire_owned()
            && let Ok(turn) = TURNS.acquire().await
        {
            let (server, route) = (Arc::clone(self), Arc::clone(route));
            // Finished and kept even if nobody waits for it any more.
            let packing = self.tasks.blocking(move || {
                server.pack(&route);
                drop((permit, turn));
            });
            Box::pin(packing).await;
        }
    }

    /// Whether the client would get compressed content if there were some.
    fn is_to_pack(&self, head: &Parts, content: &Content) -> bool {
        content.needs_packing()
            && !head.headers.contains_key(RANGE)
            && conditions::prefers_gzip(&head.headers)
            && unchanged(content, &head.headers).is_none()
            && self.has_room_to_pack(content)
    }

    fn has_room_to_pack(&self, content: &Content) -> bool {
        let routes = self.routes.read();
        routes.has_room_to_pack(content.most_packed())
    }

    /// Compresses the content of a route and keeps it if that is worth it.
    fn pack(&self, route: &Arc<Route>) {
        if let Some(content) = route.content()
            && content.needs_packing()
        {
            let packed = content.pack();
            self.routes.write().keep_packed(route, packed);
        }
    }
}
