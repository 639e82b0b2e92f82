//! A node with the ledger app.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::steps::{self, database, failure, is_done, query, rows, vfs, with};
use super::writer::Writer;
use super::{Api, Host, Kit, PATIENCE, PROCESSES, Ssh, eventually, support, test_package};

/// Where the short text is that [`Books::stock`] leaves in every store.
pub const STOCK: &str = "stock";

/// A node with the ledger app, or with the same app by another name.
#[derive(Clone)]
pub struct Books {
    pub api: Api,
    pub label: String,
    pub package: String,
}

impl Books {
    /// A node called `label` with the ledger, of an account of its own.
    pub async fn open(host: &Host, label: &str) -> Self {
        let api = host.api().sign_up(&format!("{label}@example.org")).await;
        api.create_node(label).await;
        let books = Self {
            api,
            label: label.to_owned(),
            package: steps::LEDGER.to_owned(),
        };
        books.install(host).await;
        books
    }

    /// The same app once more on its node, as `package`.
    pub async fn beside(&self, host: &Host, package: &str) -> Self {
        let books = Self {
            package: package.to_owned(),
            ..self.clone()
        };
        books.install(host).await;
        books
    }

    async fn install(&self, host: &Host) {
        let mut package = test_package(steps::LEDGER);
        let (name, publisher) = self.package.split_once(':').unwrap();
        package.metadata["properties"]["package_name"] = json!(name);
        package.metadata["properties"]["publisher"] = json!(publisher);
        let password = self.api.ssh_password(&self.label).await;
        let tunnel = Ssh::new(host.ssh_port(), &self.label, &password).tunnel();
        Kit::new(tunnel.port).install(&package).await;
        self.ready().await;
    }

    /// The same node of a host that has been started again since.
    pub fn again(&self, host: &Host) -> Self {
        Self {
            api: self.api.again(host),
            ..self.clone()
        }
    }

    /// Waits until all its processes answer.
    pub async fn ready(&self) {
        for process in PROCESSES {
            eventually(process, PATIENCE, async || {
                let answer = self.try_take(process, &[]).await;
                answer
                    .is_some_and(|(status, _)| status == StatusCode::OK)
                    .then_some(())
            })
            .await;
        }
    }

    /// Status and text that came of `steps`, if the host lived that long.
    pub async fn try_take(&self, process: &str, steps: &[Value]) -> Option<(StatusCode, String)> {
        let name = format!("{}.localhost", self.label);
        let path = format!("/{process}:{}/api", self.package);
        self.api
            .try_post(&name, &path, &json!(steps).to_string())
            .await
    }

    /// What came of `steps`, each of which is answered, well or not.
    pub async fn take(&self, process: &str, steps: &[Value]) -> Vec<Value> {
        let answer = self.try_take(process, steps).await;
        let (status, text) = answer.expect("the host lives");
        assert_eq!(status, StatusCode::OK, "{}: {text}", self.label);
        let told: Value = serde_json::from_str(&text).unwrap();
        let Value::Array(told) = told else {
            panic!("{told}");
        };
        assert_eq!(told.len(), steps.len());
        told
    }

    /// What came of one step at the first process.
    pub async fn ask(&self, step: Value) -> Value {
        self.take("one", &[step]).await.remove(0)
    }

    /// Takes steps that write, each of which must be acknowledged.
    pub async fn write(&self, process: &str, steps: &[Value]) {
        let told = self.take(process, steps).await;
        for (step, answer) in steps.iter().zip(&told) {
            assert!(is_done(answer), "{}: {step}: {answer}", self.label);
        }
    }

    /// A step of a database of its own.
    pub fn database(&self, to: &str, db: &str, action: &Value) -> Value {
        database(to, &self.package, db, action)
    }

    /// Makes what `writers` need.
    pub async fn prepare(&self, writers: &[Writer]) {
        for writer in writers {
            self.write(writer.process, &writer.preparing()).await;
        }
    }

    /// Where a file of its own is.
    pub fn file(&self, name: &str) -> String {
        format!("/{}/books/{name}", self.package)
    }

    /// Leaves `text`, which is no base64, in every store.
    pub async fn stock(&self, text: &str) {
        let table = "CREATE TABLE IF NOT EXISTS stock (v TEXT)";
        let insert = steps::write("INSERT INTO stock VALUES (?1)");
        let drive = format!("/{}/books", self.package);
        let steps = [
            vfs(&drive, &json!("CreateDrive")),
            with(vfs(&self.file(STOCK), &json!("Write")), text),
            self.database("kv", STOCK, &json!("Open")),
            with(self.database("kv", STOCK, &steps::set(STOCK)), text),
            self.database("sqlite", STOCK, &json!("Open")),
            self.database("sqlite", STOCK, &steps::write(table)),
            self.database("sqlite", STOCK, &steps::write("DELETE FROM stock")),
            with(
                self.database("sqlite", STOCK, &insert),
                &json!([text]).to_string(),
            ),
            json!({"state": text}),
        ];
        self.write("one", &steps).await;
    }

    /// Every store is read: it has the text and nothing else.
    pub async fn is_stocked(&self, text: &str) {
        let read = query("SELECT v FROM stock");
        let steps = [
            vfs(&self.file(STOCK), &json!("Read")),
            self.database("kv", STOCK, &steps::get(STOCK)),
            self.database("sqlite", STOCK, &read),
            json!({"state": null}),
        ];
        let told = self.take("one", &steps).await;
        assert_eq!(failure(&json!(told)), None, "{}", self.label);
        assert_eq!(told[0]["blob"], *text);
        assert_eq!(told[1]["blob"], *text);
        assert_eq!(rows(&told[2]), [json!({"v": text})]);
        assert_eq!(told[3]["state"], *text);
    }

    /// Bytes it has on disk by its own count, while it runs.
    pub async fn disk_bytes(&self) -> u64 {
        let path = format!("/nodes/{}/usage", self.label);
        let usage = support::json(self.api.get(&path).await).await;
        let bytes = usage["now"]["disk_bytes"].as_u64();
        bytes.unwrap_or_else(|| panic!("{usage}"))
    }
}
