//! The REST API as commands use it.
//!
//! Stateless beyond its connections. Invariant: whatever goes wrong becomes one
//! sentence for a person: the API's own where it gave one, else what to do.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use node_api::Secret;
use reqwest::header::{ACCEPT, HOST};
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use serde_json::Value;

use crate::cli::Remote;
use crate::config::Config;
use crate::control;

/// Where an account's API is if nothing is said.
const DEFAULT: &str = "http://localhost:8000";
/// How long connecting may take; the backlog of a host that starts anew counts
/// as connected.
const CONNECT: Duration = Duration::from_secs(10);
/// How long an answer may take; a node may have to wake for it.
const ANSWER: Duration = Duration::from_secs(60);

/// The API of one host, for one account.
#[derive(Debug)]
pub struct Api {
    client: Client,
    base: Url,
    /// The name to ask it by, where the address does not say it.
    host: Option<String>,
    token: Secret<String>,
    /// Any node may be acted on.
    pub operator: bool,
}

impl Api {
    /// The API that was named; without a token that of the host on the data
    /// directory, as operator.
    ///
    /// # Errors
    /// There is none to be found.
    pub fn find(config: &Config, remote: &Remote) -> anyhow::Result<Self> {
        let Some(token) = remote.token.clone() else {
            ensure!(
                remote.api.is_none(),
                "name the account's token too, with --token or BERTH_TOKEN"
            );
            let api = control::ask_api(&config.data_dir)?;
            return Self::new(
                &format!("http://{}", api.address),
                Some(api.host),
                api.token,
                true,
            );
        };
        let address = remote.api.as_deref().unwrap_or(DEFAULT);
        Self::new(address, None, token, remote.operator)
    }

    fn new(
        address: &str,
        host: Option<String>,
        token: String,
        operator: bool,
    ) -> anyhow::Result<Self> {
        let base = base(address)?;
        let mut client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT);
        if is_here(&base) || host.is_some() {
            // A proxy is for other machines, and would read the token.
            client = client.no_proxy();
        }
        if base.scheme() == "http" {
            // A machine may have no certificates, and needs none for this.
            client = client.tls_certs_only([]);
        }
        let client = client
            .build()
            .context("prepare for HTTPS; install the system's certificates (ca-certificates)")?;
        Ok(Self {
            client,
            base,
            host,
            token: Secret::new(token),
            operator,
        })
    }

    /// The JSON that a GET of `path` gives.
    ///
    /// # Errors
    /// The API cannot be reached, or refuses.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        let request = self.request(Method::GET, path, query).timeout(ANSWER);
        self.json(request).await
    }

    /// The JSON that a POST to `path` gives.
    ///
    /// # Errors
    /// The API cannot be reached, or refuses.
    pub async fn post(&self, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let mut request = self.request(Method::POST, path, &[]).timeout(ANSWER);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.json(request).await
    }

    /// The JSON that a DELETE of `path` gives.
    ///
    /// # Errors
    /// The API cannot be reached, or refuses.
    pub async fn delete(&self, path: &str, query: &[(&str, &str)]) -> anyhow::Result<Value> {
        let request = self.request(Method::DELETE, path, query);
        self.json(request.timeout(ANSWER)).await
    }

    /// A stream of events, after the one with the id `seen`.
    ///
    /// # Errors
    /// The API cannot be reached, or refuses.
    pub async fn events(
        &self,
        path: &str,
        query: &[(&str, &str)],
        seen: Option<&str>,
    ) -> anyhow::Result<Response> {
        let mut request = self.request(Method::GET, path, query);
        // By this a host that ends knows who comes back.
        request = request.header(ACCEPT, "text/event-stream");
        if let Some(seen) = seen {
            request = request.header("last-event-id", seen);
        }
        self.send(request).await
    }

    fn request(&self, method: Method, path: &str, query: &[(&str, &str)]) -> RequestBuilder {
        let kind = if self.operator {
            "operator/nodes"
        } else {
            "nodes"
        };
        let mut url = self.base.clone();
        url.set_path(&format!("/api/v1/{kind}{path}"));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.client.request(method, url);
        let request = match &self.host {
            Some(host) => request.header(HOST, host),
            None => request,
        };
        request.bearer_auth(self.token.expose())
    }

    async fn json(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let answer = self.send(request).await?;
        let text = answer
            .bytes()
            .await
            .map_err(|error| self.unreachable(&error))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} gave no JSON; is it the API of a host?", self.base))
    }

    /// The answer, unless it is a refusal.
    async fn send(&self, request: RequestBuilder) -> anyhow::Result<Response> {
        let answer = request
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = answer.bytes().await.unwrap_or_default();
        match serde_json::from_slice::<Value>(&text) {
            Ok(Value::Object(problem)) if problem["detail"].is_string() => {
                bail!("{}", problem["detail"].as_str().unwrap_or_default())
            }
            _ => bail!("{} answered {status}; is it the API of a host?", self.base),
        }
    }

    /// What a failure below HTTP means. Said without the URL's query.
    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        if error.is_timeout() {
            return anyhow::anyhow!("{} does not answer; try again in a moment", self.base);
        }
        let mut cause: &dyn std::error::Error = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        anyhow::anyhow!(
            "cannot reach {}: {cause}; start the host, or name its address with --api",
            self.base
        )
    }
}

/// Whether an address is of this machine, by its name alone.
fn is_here(base: &Url) -> bool {
    let name = base.host_str().unwrap_or_default().trim_end_matches('.');
    let address = name.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_name) => name == "localhost" || name.ends_with(".localhost"),
    }
}

/// A scheme and an authority.
fn base(address: &str) -> anyhow::Result<Url> {
    let url = Url::parse(address).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.path() == "/"
    });
    url.with_context(|| {
        format!("--api {address}: write it like http://localhost:8000, without a path")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_and_a_host() {
        for good in ["http://localhost:8000", "https://berth.example/"] {
            assert!(base(good).is_ok(), "{good}");
        }
        for bad in ["localhost:8000", "ftp://x", "http://x/api/v1", ""] {
            let error = base(bad).unwrap_err().to_string();
            assert!(error.contains("http://localhost:8000"), "{bad}: {error}");
        }
    }

    #[test]
    fn this_machine_is_asked_without_a_proxy() {
        let here = |address| is_here(&base(address).unwrap());
        for address in [
            "http://localhost:8000",
            "http://alice.LOCALHOST.:8000",
            "http://127.8.0.1",
            "http://[::1]:8000",
            "http://[::ffff:127.0.0.1]",
        ] {
            assert!(here(address), "{address}");
        }
        for address in [
            "https://berth.example",
            "http://localhost.example",
            "http://10.0.0.1",
        ] {
            assert!(!here(address), "{address}");
        }
    }

    #[test]
    fn an_operator_asks_elsewhere() {
        let api = |operator| Api::new(DEFAULT, None, "secret".into(), operator).unwrap();
        let asked = |operator| {
            let request = api(operator).request(Method::GET, "/alice", &[("a", "b c")]);
            request.build().unwrap().url().to_string()
        };
        let own = "http://localhost:8000/api/v1/nodes/alice?a=b+c";
        assert_eq!(asked(false), own);
        assert_eq!(asked(true), own.replace("nodes", "operator/nodes"));
    }
}
