//! The doors of the node: who asks it for something, and how.

use std::sync::Mutex;
use std::time::Duration;

use reqwest::header::{COOKIE, HOST, HeaderMap, SET_COOKIE};
use reqwest::{Client, Method};
use tokio::time::{Instant, sleep_until};

use super::super::super::support::api::client;
use super::super::super::support::{Host, Origin, Visitor};
use super::Node;

/// The subdomain of the columns' package.
const SUBDOMAIN: &str = "conformance-test-dev";
/// Between calls out of the node: a plan allows so many a second.
const BETWEEN_CALLS: Duration = Duration::from_millis(50);

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Nobody known, at the front door.
    Stranger,
    /// The owner's browser, there.
    Owner,
    /// Nobody known, at the subdomain of the package.
    Subdomain,
    /// The owner's machine, through the tunnel.
    Tunnel,
}

/// See the module's documentation.
pub struct Site {
    /// Address of the front door.
    door: String,
    tunnel: u16,
    /// The owner's cookie.
    cookie: String,
    client: Client,
    /// What nodes call.
    pub origin: Origin,
    /// When the next call may be made.
    next_call: Mutex<Instant>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    pub fn has_status(&self, status: u16) -> Result<(), String> {
        if self.status == status {
            Ok(())
        } else {
            let Self { status: got, .. } = self;
            let text = self.text();
            Err(format!("{got} where {status} was expected: {text:.200}"))
        }
    }

    /// Whether it is the page where the owner signs in.
    pub fn is_login(&self) -> Result<(), String> {
        self.has_status(200)?;
        if self.header("content-type").starts_with("text/html") && self.text().contains("password")
        {
            Ok(())
        } else {
            Err(format!("no login page: {:.200}", self.text()))
        }
    }
}

impl Site {
    pub(super) async fn of(host: &Host, node: &Node) -> Self {
        let owner = Visitor::owner(host, &node.api, "alice").await;
        let client = client();
        Self {
            door: host.http(),
            tunnel: node.tunnel.port,
            cookie: owner.cookie().unwrap().to_owned(),
            client,
            origin: Origin::start().await,
            next_call: Mutex::new(Instant::now()),
        }
    }

    /// The address that somebody connects to.
    pub fn address(&self, by: By) -> String {
        match by {
            By::Tunnel => format!("127.0.0.1:{}", self.tunnel),
            _ => self.door.clone(),
        }
    }

    /// Name and port in the address bar.
    pub fn authority(&self, by: By) -> String {
        let port = self.door.rsplit(':').next().unwrap_or_default();
        match by {
            By::Tunnel => format!("localhost:{}", self.tunnel),
            By::Subdomain => format!("{SUBDOMAIN}.alice.localhost:{port}"),
            By::Stranger | By::Owner => format!("alice.localhost:{port}"),
        }
    }

    /// What somebody sends as `Cookie`.
    pub fn cookie(&self, by: By) -> Option<&str> {
        (by == By::Owner).then_some(self.cookie.as_str())
    }

    /// One request.
    pub async fn send(
        &self,
        by: By,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, String> {
        let method = Method::from_bytes(method.as_bytes()).map_err(|error| error.to_string())?;
        let url = format!("http://{}{path}", self.address(by));
        let mut request = self
            .client
            .request(method, url)
            .header(HOST, self.authority(by))
            .body(body);
        if let Some(cookie) = self.cookie(by) {
            request = request.header(COOKIE, cookie);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let told = |error: reqwest::Error| format!("{path}: {error:?}");
        let answer = request.send().await.map_err(told)?;
        Ok(Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.bytes().await.map_err(told)?.to_vec(),
        })
    }

    /// GET.
    pub async fn get(&self, by: By, path: &str) -> Result<Answer, String> {
        self.send(by, "GET", path, &[], Vec::new()).await
    }

    /// Signs the owner in at the subdomain, for the paths of one process; the
    /// cookie.
    pub async fn sign_in(&self, process: &str) -> Result<String, String> {
        let encoded = process.replace(':', "%3A");
        let form = format!("password=node+password&subdomain={encoded}&redirect=%2F");
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        let answer = self
            .send(By::Subdomain, "POST", "/login", &kind, form.into_bytes())
            .await?;
        answer.has_status(303)?;
        let cookie = answer.header(SET_COOKIE.as_str()).split(';').next();
        Ok(cookie.unwrap_or_default().to_owned())
    }

    /// Waits until the node may make so many calls more.
    pub async fn turn(&self, calls: usize) {
        let at = {
            let mut next = self.next_call.lock().unwrap();
            let at = (*next).max(Instant::now());
            *next = at + BETWEEN_CALLS * u32::try_from(calls).unwrap_or(u32::MAX);
            at
        };
        sleep_until(at).await;
    }
}

/// A port of the loopback address on which nobody listens.
pub fn free_port() -> u16 {
    super::super::super::support::ssh::free_port()
}
