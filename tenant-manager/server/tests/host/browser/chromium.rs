//! Headless Chromium, steered through ChromeDriver.
//!
//! A [`Chromium`] owns its driver process; dropping it ends both. Names under
//! `.test` and `.localhost` are mapped to loopback, so that pages can live on
//! real-looking hosts, and no other name resolves.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

/// How long a page may take to become what a test expects.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How a person looks at pages.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Of the window, CSS pixels.
    pub width: u32,
    /// Of the window, CSS pixels.
    pub height: u32,
    /// Whether the system prefers dark pages.
    pub dark: bool,
    /// Whether pages may run scripts.
    pub scripts: bool,
}

impl Default for Look {
    fn default() -> Self {
        Self {
            width: 1280,
            height: 900,
            dark: false,
            scripts: true,
        }
    }
}

/// A running browser with an empty profile.
pub struct Chromium {
    pub client: Client,
    driver: Driver,
}

struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        // The driver ends its browser when it is asked to; killed, it cannot.
        let pid = self.0.id().to_string();
        let _ = Command::new("kill").args(["-s", "TERM", &pid]).status();
        let _ = self.0.wait();
    }
}

#[derive(Debug)]
struct Devtools(Value);

impl WebDriverCompatibleCommand for Devtools {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!(
            "session/{}/goog/cdp/execute",
            session.unwrap_or_default()
        ))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.0.to_string()))
    }
}

fn start_driver() -> (Driver, u16) {
    let mut child = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver is installed by infra/setup");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let port = loop {
        let line = lines.next().expect("chromedriver says its port").unwrap();
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            break port.trim_end_matches('.').parse().unwrap();
        }
    };
    std::thread::spawn(move || lines.for_each(drop));
    (Driver(child), port)
}

impl Chromium {
    /// Starts a browser.
    pub async fn start(look: Look) -> Self {
        let (driver, port) = start_driver();
        let capabilities = json!({"goog:chromeOptions": {"args": [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", "--hide-scrollbars",
            "--host-resolver-rules=MAP *.test 127.0.0.1, MAP *.localhost 127.0.0.1, \
             MAP localhost 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            format!("--window-size={},{}", look.width, look.height),
        ]}});
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        let browser = Self { client, driver };
        let size = json!({"width": look.width, "height": look.height, "deviceScaleFactor": 1,
            "mobile": look.width < 600});
        browser
            .devtools("Emulation.setDeviceMetricsOverride", size)
            .await;
        let theme = if look.dark { "dark" } else { "light" };
        let theme = json!({"features": [{"name": "prefers-color-scheme", "value": theme}]});
        browser.devtools("Emulation.setEmulatedMedia", theme).await;
        if !look.scripts {
            let off = json!({"value": true});
            browser
                .devtools("Emulation.setScriptExecutionDisabled", off)
                .await;
        }
        browser
    }

    /// Sends a command of the DevTools protocol.
    pub async fn devtools(&self, command: &str, params: Value) -> Value {
        let command = Devtools(json!({"cmd": command, "params": params}));
        self.client.issue_cmd(command).await.unwrap()
    }

    /// Opens `url` as if it was typed.
    pub async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// The address of the page.
    pub async fn url(&self) -> String {
        self.client.current_url().await.unwrap().to_string()
    }

    /// The element that `css` names, once there is one.
    pub async fn find(&self, css: &str) -> Element {
        match self
            .client
            .wait()
            .at_most(PATIENCE)
            .every(TICK)
            .for_element(Locator::Css(css))
            .await
        {
            Ok(element) => element,
            Err(error) => panic!("no {css}: {error}\n{}", self.page().await),
        }
    }

    /// How many elements `css` names now.
    pub async fn count(&self, css: &str) -> usize {
        self.client.find_all(Locator::Css(css)).await.unwrap().len()
    }

    /// Types into a field, in place of what it holds.
    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Clicks what `css` names.
    pub async fn click(&self, css: &str) {
        let element = self.find(css).await;
        if let Err(error) = element.click().await {
            panic!("{css} cannot be clicked: {error}\n{}", self.page().await);
        }
    }

    /// Clicks the visible button or link that says `text`.
    pub async fn press(&self, text: &str) {
        let path = format!(
            "(//button[normalize-space()='{text}'] | //a[normalize-space()='{text}'] | \
             //summary[normalize-space()='{text}'])"
        );
        let look = self.client.wait().at_most(PATIENCE).every(TICK);
        if let Err(error) = look.for_element(Locator::XPath(&path)).await {
            panic!("nothing says {text:?}: {error}\n{}", self.page().await);
        }
        for element in self.client.find_all(Locator::XPath(&path)).await.unwrap() {
            if element.is_displayed().await.unwrap_or(false) {
                element.click().await.unwrap();
                return;
            }
        }
        panic!("nothing visible says {text:?}\n{}", self.page().await);
    }

    /// Waits until the page's text contains `text`.
    pub async fn sees(&self, text: &str) {
        self.until(&format!("the text {text:?}"), async || {
            self.text().await.contains(text)
        })
        .await;
    }

    /// Waits until `holds`.
    pub async fn until<F: Future<Output = bool>>(&self, what: &str, holds: impl Fn() -> F) {
        let end = std::time::Instant::now() + PATIENCE;
        while !holds().await {
            if std::time::Instant::now() > end {
                panic!(
                    "{what}: not within {PATIENCE:?}, at {}\n{}",
                    self.url().await,
                    self.page().await
                );
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// The visible text of the page.
    pub async fn text(&self) -> String {
        // A page that is being replaced has no body for a moment.
        match self.client.find(Locator::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    async fn page(&self) -> String {
        self.client.source().await.unwrap_or_default()
    }

    /// Runs a script in the page; its value.
    pub async fn script(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// Runs a script whose promise is awaited; its value.
    pub async fn promised(&self, body: &str) -> Value {
        let script = format!(
            "const done = arguments[arguments.length - 1]; \
             (async () => {{ {body} }})().then(done, error => done({{failed: String(error)}}));"
        );
        self.client
            .execute_async(&script, Vec::new())
            .await
            .unwrap()
    }

    /// Ends the session; the browser's processes are gone afterwards.
    pub async fn close(self) {
        let _ = self.client.close().await;
        drop(self.driver);
    }
}

const TICK: Duration = Duration::from_millis(30);
