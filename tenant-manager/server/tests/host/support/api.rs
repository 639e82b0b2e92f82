//! The REST API and nodes over HTTP, as curl would call them.

use std::time::Duration;

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;

use super::{Host, eventually};

/// Follows no redirects and uses no proxy, and is patient.
pub fn client() -> Client {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .no_proxy()
        .build()
        .unwrap()
}

/// A client of one host, signed in or not.
#[derive(Clone)]
pub struct Api {
    client: Client,
    address: String,
    /// Name and port of the dashboard, where it is not the address.
    host: Option<String>,
    token: Option<String>,
}

impl Api {
    /// Nobody, at `address`.
    pub fn new(address: &str) -> Self {
        let client = client();
        Self {
            client,
            address: address.to_owned(),
            host: None,
            token: None,
        }
    }

    /// The same client of a host whose dashboard is called `host`.
    pub fn called(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// Signs `email` up and becomes it.
    pub async fn sign_up(&self, email: &str) -> Self {
        let answer = self
            .post(
                "/accounts",
                &serde_json::json!({"email": email, "password": "correct horse"}),
            )
            .await;
        assert_eq!(answer.status(), StatusCode::CREATED);
        let body = json(answer).await;
        assert!(body["account_id"].is_string());
        Self {
            token: Some(body["token"].as_str().unwrap().to_owned()),
            ..self.clone()
        }
    }

    /// The same client of a host that has been started again since.
    pub fn again(&self, host: &Host) -> Self {
        host.api().with_token(self.token.as_deref())
    }

    /// Signs in to an account that is there.
    pub async fn sign_in(&self, email: &str, password: &str) -> Self {
        let body = serde_json::json!({"email": email, "password": password});
        let answer = json(self.post("/sessions", &body).await).await;
        self.with_token(answer["token"].as_str())
    }

    /// The same client with another token, or none.
    pub fn with_token(&self, token: Option<&str>) -> Self {
        Self {
            token: token.map(str::to_owned),
            ..self.clone()
        }
    }

    /// Its token.
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap()
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self
            .client
            .request(method, format!("http://{}/api/v1{path}", self.address));
        let request = match &self.host {
            Some(host) => request.header("host", host),
            None => request,
        };
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// GET of an operation.
    pub async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path)
            .json(body)
            .send()
            .await
            .unwrap()
    }

    /// POST without a body.
    pub async fn act(&self, path: &str) -> Response {
        self.request(Method::POST, path).send().await.unwrap()
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Response {
        self.request(Method::DELETE, path).send().await.unwrap()
    }

    /// An operation on a host that may end meanwhile.
    pub async fn attempt(&self, method: Method, path: &str, body: &Value) -> Option<StatusCode> {
        let request = self.request(method, path);
        let request = match body {
            Value::Null => request,
            body => request.json(body),
        };
        Some(request.send().await.ok()?.status())
    }

    /// The node's status; `absent` if there is no such node.
    pub async fn status(&self, label: &str) -> String {
        let answer = self.get(&format!("/nodes/{label}")).await;
        if answer.status() == StatusCode::NOT_FOUND {
            return "absent".to_owned();
        }
        assert_eq!(answer.status(), StatusCode::OK, "{label}");
        let node = json(answer).await;
        node["status"].as_str().unwrap().to_owned()
    }

    /// Puts a running node to sleep, and waits for that.
    pub async fn hibernate(&self, label: &str) {
        let answer = self.act(&format!("/nodes/{label}/hibernate")).await;
        assert_eq!(
            answer.status(),
            StatusCode::ACCEPTED,
            "{label}: {:?}",
            answer.text().await
        );
        self.wait_for_status(label, "hibernated").await;
    }

    /// Creates a node and waits until it is active.
    pub async fn create_node(&self, label: &str) -> Value {
        let body = serde_json::json!({"label": label, "password": "node password"});
        let answer = self.post("/nodes", &body).await;
        assert_eq!(
            answer.status(),
            StatusCode::ACCEPTED,
            "{:?}",
            answer.text().await
        );
        self.wait_for_status(label, "active").await
    }

    /// Waits until the node has `status`.
    pub async fn wait_for_status(&self, label: &str, status: &str) -> Value {
        eventually(
            &format!("{label} {status}"),
            Duration::from_secs(30),
            async || {
                let node = json(self.get(&format!("/nodes/{label}")).await).await;
                assert_ne!(node["status"], "broken", "{node}");
                (node["status"] == status).then_some(node)
            },
        )
        .await
    }

    /// The node's SSH password.
    pub async fn ssh_password(&self, label: &str) -> String {
        let answer = json(self.get(&format!("/nodes/{label}/ssh-password")).await).await;
        answer["password"]
            .as_str()
            .unwrap_or_else(|| panic!("{answer}"))
            .to_owned()
    }

    /// A request to a node through the proxy, by Host header.
    pub async fn node(&self, method: Method, host: &str, path: &str, body: &str) -> Response {
        let port = self.address.rsplit(':').next().unwrap();
        self.client
            .request(method, format!("http://{}{path}", self.address))
            .header("host", format!("{host}:{port}"))
            .body(body.to_owned())
            .send()
            .await
            .unwrap()
    }

    /// A form sent to a node through the proxy.
    pub async fn node_form(&self, host: &str, path: &str, form: &str) -> Response {
        let port = self.address.rsplit(':').next().unwrap();
        self.client
            .post(format!("http://{}{path}", self.address))
            .header("host", format!("{host}:{port}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form.to_owned())
            .send()
            .await
            .unwrap()
    }

    /// A request without a body and with more headers.
    pub async fn node_with(
        &self,
        method: Method,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Response {
        let port = self.address.rsplit(':').next().unwrap();
        let mut request = self
            .client
            .request(method, format!("http://{}{path}", self.address))
            .header("host", format!("{host}:{port}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// The same, of a host that may be killed meanwhile.
    pub async fn try_node(
        &self,
        method: Method,
        host: &str,
        path: &str,
    ) -> Option<(StatusCode, String)> {
        let request = self
            .client
            .request(method, format!("http://{}{path}", self.address));
        let answer = request.header("host", host).send().await.ok()?;
        let status = answer.status();
        Some((status, answer.text().await.ok()?))
    }

    /// POST to a node of a host that may be killed meanwhile.
    pub async fn try_post(
        &self,
        host: &str,
        path: &str,
        body: &str,
    ) -> Option<(StatusCode, String)> {
        let request = self.client.post(format!("http://{}{path}", self.address));
        let request = request.header("host", host).body(body.to_owned());
        let answer = request.send().await.ok()?;
        let status = answer.status();
        Some((status, answer.text().await.ok()?))
    }

    /// GET from a node through the proxy.
    pub async fn node_get(&self, host: &str, path: &str) -> (StatusCode, String) {
        let answer = self.node(Method::GET, host, path, "").await;
        (answer.status(), answer.text().await.unwrap())
    }
}

/// The JSON body of an answer.
pub async fn json(answer: Response) -> Value {
    let text = answer.text().await.unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
}
