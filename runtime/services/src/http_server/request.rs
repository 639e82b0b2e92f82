//! One HTTP request from head to answer, in the order that apps rely on.

use http::header;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use node_api::{HttpBody, HttpRequest, HttpResponse, Origin, body};
use node_types::{Address, Blob, KernelMessage, PackageId};

use super::path::{self, RPC_PATH};
use super::routes::{Content, Flags, Found};
use super::{HttpServer, NoAnswer, READY_TIME, app, body as bodies, respond};
use crate::request_from;

/// Seconds that an app is told it has.
const APP_SECONDS: u64 = 15;
/// Where a person signs in.
const LOGIN_PATH: &str = "/login";

impl HttpServer {
    /// Answers one request. Never fails: trouble is an HTTP status.
    pub async fn handle(&self, request: HttpRequest, origin: Origin) -> HttpResponse {
        let (head, body) = request.into_parts();
        let raw = head.uri.path();
        if path::reaches_rpc(raw) {
            if origin == Origin::Public || sent_by_a_foreign_page(&head) {
                return respond::empty(StatusCode::FORBIDDEN);
            }
            if path::lookup_form(raw) == RPC_PATH {
                let limit = self.config.local_message_bytes;
                let mut charge = self.tunnel_bodies.charge();
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
        let Some(found) = self.find(&path).await else {
            return respond::empty(StatusCode::NOT_FOUND);
        };
        let Some(flags) = &found.route.flags else {
            return respond::empty(StatusCode::NOT_FOUND);
        };
        if let Some(refusal) = self.refusal(&head, &found, flags, origin) {
            return refusal;
        }
        match &flags.content {
            Some(content) if head.method == Method::GET => cached(content),
            _ => Box::pin(self.forward(&head, &path, &found, body, origin)).await,
        }
    }

    /// The route for `path`. While the node boots, waits for it to appear.
    async fn find(&self, path: &str) -> Option<Found> {
        let mut ready = self.ready.subscribe();
        let deadline = tokio::time::Instant::now() + READY_TIME;
        loop {
            let final_answer = *ready.borrow_and_update();
            match self.routes.read().find(path) {
                // A root binding answers for a path only once it is sure that
                // nothing better will be bound.
                Some(found) if final_answer || !found.by_fallback => return Some(found),
                found if final_answer => return found,
                _ => {}
            }
            match tokio::time::timeout_at(deadline, ready.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return self.routes.read().find(path),
            }
        }
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
        if flags.secure
            && let Some(elsewhere) = self.other_subdomain(head, &owner.package_id(), origin)
        {
            return Some(elsewhere);
        }
        if flags.authenticated {
            let subdomain = flags.secure.then_some(owner);
            let now = self.clock.now();
            if !self.login().tokens.accepts(&head.headers, subdomain, now) {
                return Some(self.login().page(subdomain, wanted(head), None));
            }
        }
        let foreign = origin == Origin::Public || sent_by_a_foreign_page(head);
        (flags.local_only && foreign).then(|| respond::empty(StatusCode::FORBIDDEN))
    }

    /// A secure path lives on its package's own subdomain; elsewhere the
    /// client is sent there.
    fn other_subdomain(
        &self,
        head: &Parts,
        package: &PackageId,
        origin: Origin,
    ) -> Option<HttpResponse> {
        let Some(host) = app::host(head) else {
            let sentence = "This path needs a Host header.\n".to_owned();
            return Some(respond::text(StatusCode::UNAUTHORIZED, sentence));
        };
        let label = secure_label(package);
        let (first, rest) = host.split_once('.').unwrap_or((host, ""));
        if first.eq_ignore_ascii_case(&label) {
            return None;
        }
        // From another package's subdomain, go beside it and not below it.
        let our = self.config.our.as_str().split('.').next();
        let base = if rest.split('.').next() == our {
            rest
        } else {
            host
        };
        let tls = self.config.tls && origin == Origin::Public;
        let scheme = if tls { "https" } else { "http" };
        // The target begins with a slash, so it cannot extend the host.
        let location = format!("{scheme}://{label}.{base}{}", wanted(head));
        Some(respond::redirect(StatusCode::TEMPORARY_REDIRECT, &location))
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
        let mut charge = budget.charge();
        let bytes = match bodies::read(body, declared(head), limit, &mut charge).await {
            Ok(bytes) => bytes,
            Err(error) => return error.response(),
        };
        let message = self.message_for(found, app::describe(head, path, found), bytes);
        match self.ask(message).await {
            Ok(answer) => app::translate(answer),
            Err(NoAnswer::Refused | NoAnswer::TimedOut) => {
                respond::empty(StatusCode::REQUEST_TIMEOUT)
            }
            Err(NoAnswer::Busy) => respond::busy("Too many requests are waiting for this node."),
            Err(NoAnswer::Stopping) => respond::busy("The node is stopping."),
        }
    }

    fn message_for(
        &self,
        found: &Found,
        description: bytes::Bytes,
        bytes: bytes::Bytes,
    ) -> KernelMessage {
        request_from(
            self.address.clone(),
            self.port.new_message_id(),
            Address::new(self.config.our.clone(), found.route.owner.clone()),
            description,
            Some(APP_SECONDS),
            Some(Blob { mime: None, bytes }),
        )
    }
}

fn cached(content: &Content) -> HttpResponse {
    let mut response = Response::new(body(content.bytes.clone()));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content.mime.clone());
    response
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

/// The label of the subdomain on which a package's secure paths live.
fn secure_label(package: &PackageId) -> String {
    format!("{}-{}", package.package(), package.publisher())
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect()
}

/// Whether a browser sent this for a page from elsewhere. The tunnel ends in a
/// port of the owner's machine, which any page in the owner's browser reaches.
fn sent_by_a_foreign_page(head: &Parts) -> bool {
    let Some(origin) = head.headers.get(header::ORIGIN) else {
        return false;
    };
    let Some((_, host)) = origin.to_str().ok().and_then(|text| text.split_once("://")) else {
        return true;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    // Names below `localhost` are other tenants' pages.
    !matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}
