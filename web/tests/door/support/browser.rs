//! A browser without a script: keeps cookies, follows links and redirects,
//! fills in forms.

use std::collections::BTreeMap;

use super::{Answer, Form, Host, Markup};

/// One person's browser.
pub struct Browser<'a> {
    pub host: &'a Host,
    pub cookies: BTreeMap<String, String>,
    /// Where it is.
    pub path: String,
    /// What it got there.
    pub answer: Answer,
    pub page: Markup,
}

impl<'a> Browser<'a> {
    pub fn new(host: &'a Host) -> Self {
        Self {
            host,
            cookies: BTreeMap::new(),
            path: String::new(),
            answer: Answer {
                status: 0,
                headers: Vec::new(),
                body: Vec::new(),
            },
            page: Markup::default(),
        }
    }

    /// A browser of somebody who just signed up.
    pub async fn signed_up(host: &'a Host, email: &str) -> Self {
        let mut browser = Self::new(host);
        browser.open("/sign-up").await;
        let fields = [("email", email), ("password", "long enough")];
        browser.submit("/sign-up", &fields).await;
        assert_eq!(browser.path, "/nodes", "{}", browser.answer.text());
        browser
    }

    fn authority(&self) -> String {
        format!("localhost:{}", self.host.address.port())
    }

    /// The session's token, which no script can read.
    pub fn session(&self) -> &str {
        self.cookies.get("berth-session").map_or("", String::as_str)
    }

    /// One request with the cookies and nothing else followed.
    pub async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let cookies: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let cookies = cookies.join("; ");
        let mut all = vec![("Accept", "text/html")];
        if !cookies.is_empty() {
            all.push(("Cookie", &cookies));
        }
        all.extend_from_slice(headers);
        let path = path.split('#').next().unwrap();
        let authority = self.authority();
        let answer = self
            .host
            .send(method, &authority, path, &all, body.as_bytes())
            .await;
        for (_, cookie) in answer
            .headers
            .iter()
            .filter(|(name, _)| name == "set-cookie")
        {
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }

    /// Goes to a page, following redirects on this host.
    pub async fn open(&mut self, path: &str) -> &Answer {
        let answer = self.send("GET", path, &[], "").await;
        self.arrive(path.to_owned(), answer).await
    }

    async fn arrive(&mut self, path: String, answer: Answer) -> &Answer {
        let (mut path, mut answer) = (path, answer);
        for _ in 0..5 {
            let Some(target) = answer.header("location").map(str::to_owned) else {
                break;
            };
            if !target.starts_with('/') {
                path = target;
                break;
            }
            answer = self.send("GET", &target, &[], "").await;
            path = target;
        }
        self.page = if answer.status == 303 {
            Markup::default()
        } else {
            Markup::read(&answer.text())
        };
        self.path = path;
        self.answer = answer;
        &self.answer
    }

    /// The form of this page with this action.
    pub fn form(&self, action: &str) -> Form {
        let found = self
            .page
            .forms()
            .into_iter()
            .find(|form| form.action == action);
        found.unwrap_or_else(|| panic!("no form for {action}:\n{}", self.answer.text()))
    }

    /// Fills in and sends the form of this page with this action, as a browser
    /// would.
    pub async fn submit(&mut self, action: &str, typed: &[(&str, &str)]) -> &Answer {
        let form = self.form(action);
        assert!(!form.disabled, "the button of {action} cannot be pressed");
        let body = fill_in(&form, typed);
        if !form.post {
            return self.open(&format!("{action}?{body}")).await;
        }
        let answer = self.post(action, &body).await;
        self.arrive(action.to_owned(), answer).await
    }

    /// Sends `body` as a form of this origin.
    pub async fn post(&mut self, action: &str, body: &str) -> Answer {
        let origin = format!("http://{}", self.authority());
        let headers = [
            ("Origin", origin.as_str()),
            ("Sec-Fetch-Site", "same-origin"),
            ("Content-Type", "application/x-www-form-urlencoded"),
        ];
        self.send("POST", action, &headers, body).await
    }

    /// Makes a node by the form, and waits until it runs.
    pub async fn make_node(&mut self, label: &str) {
        self.open("/nodes/new").await;
        let fields = [("label", label), ("password", "node password")];
        self.submit("/nodes/new", &fields).await;
        assert_eq!(
            self.path,
            format!("/nodes/{label}"),
            "{}",
            self.answer.text()
        );
        self.until(label, "active").await;
    }

    /// Looks at the node's page until it has this status.
    pub async fn until(&mut self, label: &str, status: &str) {
        let page = format!("/nodes/{label}");
        let looking = async {
            loop {
                self.open(&page).await;
                if self.page.status().as_deref() == Some(status) {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        let looked = tokio::time::timeout(super::PATIENCE, looking).await;
        assert!(looked.is_ok(), "{label} did not become {status}");
    }
}

/// The body of `form` with `typed` in its fields.
pub fn fill_in(form: &Form, typed: &[(&str, &str)]) -> String {
    for (name, _) in typed {
        let known = form.fields.iter().any(|(field, _)| field == name);
        assert!(known, "no field {name} in {form:?}");
    }
    let mut pairs = Vec::new();
    for (name, value) in &form.fields {
        let typed = typed.iter().find(|(field, _)| field == name);
        let value = typed.map_or(value.as_str(), |(_, value)| value);
        pairs.push(format!("{}={}", encode(name), encode(value)));
    }
    pairs.join("&")
}

/// `text` as part of a form's body.
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
