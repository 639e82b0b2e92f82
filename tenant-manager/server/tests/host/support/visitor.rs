//! A browser at a node, as far as requests and cookies go.

use reqwest::header::{HOST, LOCATION, SET_COOKIE};
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;

use super::api::client;
use super::{Api, Host, json};

/// Somebody at `<label>.localhost`, signed in or not.
#[derive(Clone)]
pub struct Visitor {
    client: Client,
    label: String,
    cookie: Option<String>,
}

impl Visitor {
    /// Nobody known.
    pub fn stranger(label: &str) -> Self {
        let client = client();
        Self {
            client,
            label: label.to_owned(),
            cookie: None,
        }
    }

    /// The owner, by a one-time link.
    pub async fn owner(host: &Host, api: &Api, label: &str) -> Self {
        let answer = api.act(&format!("/nodes/{label}/open")).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let url = json(answer).await["url"].as_str().unwrap().to_owned();
        let path = url.splitn(4, '/').nth(3).unwrap();
        let stranger = Self::stranger(label);
        let followed = stranger
            .send(host, Method::GET, &format!("/{path}"), "", &[])
            .await;
        assert_eq!(followed.status(), StatusCode::SEE_OTHER);
        assert_eq!(followed.headers()[LOCATION], "/");
        let cookie = followed.headers()[SET_COOKIE].to_str().unwrap();
        Self {
            cookie: cookie.split(';').next().map(str::to_owned),
            ..stranger
        }
    }

    /// What it sends as `Cookie`.
    pub fn cookie(&self) -> Option<&str> {
        self.cookie.as_deref()
    }

    /// The node's host name and port, as in the address bar.
    pub fn authority(&self, host: &Host) -> String {
        let address = host.http();
        let port = address.rsplit(':').next().unwrap();
        format!("{}.localhost:{port}", self.label)
    }

    /// One request.
    pub async fn send(
        &self,
        host: &Host,
        method: Method,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Response {
        let mut request = self
            .client
            .request(method, format!("http://{}{path}", host.http()))
            .header(HOST, self.authority(host))
            .body(body.to_owned());
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// GET.
    pub async fn get(&self, host: &Host, path: &str) -> Response {
        self.send(host, Method::GET, path, "", &[]).await
    }

    /// The text of a page that must be there.
    pub async fn page(&self, host: &Host, path: &str) -> String {
        let answer = self.get(host, path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.text().await.unwrap()
    }

    /// The entries of the homepage.
    pub async fn apps(&self, host: &Host) -> Vec<Value> {
        let text = self.page(host, "/apps").await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
    }

    /// Their ids, in order.
    pub async fn app_ids(&self, host: &Host) -> Vec<String> {
        let apps = self.apps(host).await;
        apps.iter()
            .map(|app| app["id"].as_str().unwrap().to_owned())
            .collect()
    }
}
