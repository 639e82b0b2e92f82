//! One HTTP request from head to answer, in the order that apps rely on.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::header;
use http::request::Parts;
use http::{Method, StatusCode};
use http_body::Body;
use node_api::{HttpBody, HttpRequest, HttpResponse, Origin};
use node_types::{Address, Blob, Edition, KernelMessage};
use parking_lot::RwLock;

use super::client::{Standing, client};
use super::local::not_local;
use super::path::{self, RPC_PATH};
use super::routes::{Flags, Found, Routes};
use super::site::is_anothers_page;
use super::{
    HttpServer, NoAnswer, READY_TIME, app, body as bodies, framing, respond, sockets, statics,
};
use crate::request_from;

/// Seconds that an app has, and is told it has.
const APP_SECONDS: u64 = 15;
/// By this header whoever asks an app of the newest generation says for how
/// many seconds they will wait.
const TIMEOUT: &str = "x-hyperware-http-server-timeout";
/// The most they may say who are strangers: each that waits takes a place.
const STRANGERS_SECONDS: u64 = 60;
/// The most that the owner may say.
const OWNERS_SECONDS: u64 = 600;
/// Where a person signs in.
const LOGIN_PATH: &str = "/login";
/// Where a person signs out, unless an app has bound it.
const LOGOUT_PATH: &str = "/logout";

impl HttpServer {
    /// Answers one request. Never fails: trouble is an HTTP status.
    pub async fn handle(self: &Arc<Self>, request: HttpRequest, origin: Origin) -> HttpResponse {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let (mut head, body) = request.into_parts();
        let raw = head.uri.path();
        if path::reaches_rpc(raw) {
            if let Some(refusal) = not_local(&head, origin) {
                return refusal;
            }
            if path::lookup_form(raw) == RPC_PATH {
                let limit = self.config.local_message_bytes;
                let mut charge = self.tunnel_bodies.charge(Standing::Owner, None);
                return match bodies::read(body, declared(&head), limit, &mut charge).await {
                    Ok(text) => Box::pin(self.rpc(text)).await,
                    Err(error) => error.response(),
                };
            }
        }
        let path = path::lookup_form(raw).into_owned();
        let login_method = head.method == Method::GET || head.method == Method::POST;
        if path == LOGIN_PATH && login_method {
            return Box::pin(self.login_request(&head, body, origin)).await;
        }
        if sockets::is_upgrade(&head) {
            let bodiless = body.is_end_stream();
            let opened = Box::pin(self.upgrade(&mut head, bodiless, &path, origin)).await;
            if let Some(answer) = opened {
                return answer;
            }
        }
        if path == LOGOUT_PATH && head.method == Method::POST && !self.is_bound(&path) {
            return Box::pin(self.logout(&head, origin)).await;
        }
        let Some(found) = self.find(&self.routes, &path).await else {
            return respond::empty(StatusCode::NOT_FOUND);
        };
        let Some(flags) = &found.route.flags else {
            return respond::empty(StatusCode::NOT_FOUND);
        };
        if let Some(refusal) = self.refusal(&head, &found, flags, origin) {
            return refusal;
        }
        let mut answer = match &flags.content {
            Some(content) if statics::is_read(&head.method) => {
                self.prepare(&head, &found.route).await;
                statics::answer(content, &head, flags.authenticated)
            }
            _ => Box::pin(self.forward(&head, &path, &found, body, origin)).await,
        };
        if flags.authenticated {
            let place = self.place(&head, origin);
            framing::guard(&mut answer, place.as_ref(), origin);
        }
        answer
    }

    /// The route for `path`. While the node boots, waits for it to appear.
    pub(super) async fn find(&self, routes: &RwLock<Routes>, path: &str) -> Option<Found> {
        let mut ready = self.ready.subscribe();
        let deadline = tokio::time::Instant::now() + READY_TIME;
        loop {
            let final_answer = *ready.borrow_and_update();
            match routes.read().find(path) {
                // A root binding answers for a path only once it is sure that
                // nothing better will be bound.
                Some(found) if final_answer || !found.by_fallback => return Some(found),
                found if final_answer => return found,
                _ => {}
            }
            match tokio::time::timeout_at(deadline, ready.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return routes.read().find(path),
            }
        }
    }

    fn is_bound(&self, path: &str) -> bool {
        let found = self.routes.read().find(path);
        found.is_some_and(|found| !found.by_fallback)
    }

    /// The answer for a request that may not use the route.
    fn refusal(
        &self,
        head: &Parts,
        found: &Found,
        flags: &Flags,
        origin: Origin,
    ) -> Option<HttpResponse> {
        let owner = &found.route.owner;
        let place = self.place(head, origin);
        let elsewhere = self.elsewhere(head, place.as_ref(), found, flags, wanted(head));
        if elsewhere.is_some() {
            return elsewhere;
        }
        if flags.authenticated {
            let subdomain = flags.secure.then_some(owner);
            let now = self.clock.now();
            if !self.login().tokens.accepts(&head.headers, subdomain, now) {
                return Some(self.login().page(subdomain, wanted(head), None));
            }
            if !head.method.is_safe() && is_anothers_page(head, origin) {
                let sentence = "This page may not act for the node's owner.\n".to_owned();
                return Some(respond::text(StatusCode::FORBIDDEN, sentence));
            }
        }
        flags.local_only.then(|| not_local(head, origin)).flatten()
    }

    async fn forward(
        &self,
        head: &Parts,
        path: &str,
        found: &Found,
        body: HttpBody,
        origin: Origin,
    ) -> HttpResponse {
        let (limit, budget) = match origin {
            Origin::Public => (self.config.public_message_bytes, &self.public_bodies),
            Origin::Tunnel => (self.config.local_message_bytes, &self.tunnel_bodies),
        };
        let standing = Standing::of(found.route.flags.as_ref(), origin);
        let mut charge = budget.charge(standing, client(head));
        let bytes = match bodies::read(body, declared(head), limit, &mut charge).await {
            Ok(bytes) => bytes,
            Err(error) => return error.response(),
        };
        let seconds = self.seconds(head, found, standing);
        let description = app::describe(head, path, found);
        let message = self.message_for(found, description, bytes, seconds);
        let time = Duration::from_secs(seconds);
        match self.ask(message, standing, time).await {
            Ok(answer) => app::translate(answer),
            Err(NoAnswer::Refused | NoAnswer::TimedOut) => {
                respond::empty(StatusCode::REQUEST_TIMEOUT)
            }
            Err(NoAnswer::Busy) => respond::busy("Too many requests are waiting for this node."),
            Err(NoAnswer::Stopping) => respond::busy("The node is stopping."),
        }
    }

    /// How long the app of a route may take to answer.
    fn seconds(&self, head: &Parts, found: &Found, standing: Standing) -> u64 {
        let Some(given) = head.headers.get(TIMEOUT) else {
            return APP_SECONDS;
        };
        if self.port.edition(&found.route.owner) != Some(Edition::Hyperware) {
            return APP_SECONDS;
        }
        let most = match standing {
            Standing::Stranger => STRANGERS_SECONDS,
            Standing::Owner => OWNERS_SECONDS,
        };
        let given = given.to_str().ok().and_then(|text| text.parse().ok());
        given.map_or(APP_SECONDS, |given: u64| given.clamp(1, most))
    }

    fn message_for(
        &self,
        found: &Found,
        description: bytes::Bytes,
        bytes: bytes::Bytes,
        seconds: u64,
    ) -> KernelMessage {
        request_from(
            self.address.clone(),
            self.port.new_message_id(),
            Address::new(self.config.our.clone(), found.route.owner.clone()),
            description,
            Some(seconds),
            Some(Blob { mime: None, bytes }),
        )
    }
}

/// Path and query that the client asked for.
fn wanted(head: &Parts) -> &str {
    head.uri.path_and_query().map_or("/", |wanted| {
        let text = wanted.as_str();
        if text.starts_with('/') { text } else { "/" }
    })
}

fn declared(head: &Parts) -> Option<u64> {
    let value = head.headers.get(header::CONTENT_LENGTH)?;
    value.to_str().ok()?.parse().ok()
}
