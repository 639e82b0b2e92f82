//! The very requests that the `kit` CLI sends, of its generations 0.6 and 1.0.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A package as `kit build` leaves it: the archive and its metadata.
pub struct Package {
    /// The archive.
    pub zip: Vec<u8>,
    /// Contents of `metadata.json`.
    pub metadata: Value,
}

impl Package {
    /// `{"package_name":…,"publisher_node":…}`.
    pub fn id(&self) -> Value {
        let properties = &self.metadata["properties"];
        json!({
            "package_name": properties["package_name"],
            "publisher_node": properties["publisher"],
        })
    }

    /// Lower-case hex of the archive's SHA-256.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(&self.zip))
    }

    /// Metadata as kit 0.6 sends it: code hashes are a list of pairs.
    fn paired_metadata(&self) -> Value {
        let mut metadata = self.metadata.clone();
        let hashes = &mut metadata["properties"]["code_hashes"];
        if let Some(map) = hashes.as_object() {
            *hashes = map
                .iter()
                .map(|(version, hash)| json!([version, hash]))
                .collect();
        }
        metadata
    }
}

/// A test package that the build left beside the binary.
pub fn test_package(name: &str) -> Package {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_berth"));
    let directory = binary.parent().unwrap().join("test-packages");
    let read = |extension: &str| {
        let path = directory.join(format!("{name}.{extension}"));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    Package {
        zip: read("zip"),
        metadata: serde_json::from_slice(&read("metadata.json")).unwrap(),
    }
}

/// An answer of the RPC, as kit reads it.
#[derive(Debug)]
pub struct RpcAnswer {
    /// HTTP status; kit wants exactly 200.
    pub status: StatusCode,
    /// The bytes of the response's body, as text.
    pub body: String,
    /// The decoded blob.
    pub blob: Option<Vec<u8>>,
}

/// kit at the local end of a tunnel.
pub struct Kit {
    client: Client,
    url: String,
}

impl Kit {
    /// kit with `--port PORT`.
    pub fn new(port: u16) -> Self {
        let client = Client::builder()
            .no_proxy()
            // A run of kit is a connection of its own.
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_secs(60))
            .build()
            .unwrap();
        Self {
            client,
            url: format!("http://localhost:{port}/rpc:distro:sys/message"),
        }
    }

    /// One RPC. Keys are those kit sends.
    pub async fn rpc(
        &self,
        process: &str,
        body: &str,
        data: Option<&[u8]>,
        expects: Option<u64>,
    ) -> RpcAnswer {
        let sent = self.send(process, body, data, expects).await;
        told(sent.unwrap()).await
    }

    /// The same without a blob, through a tunnel that may lead nowhere.
    pub async fn try_rpc(
        &self,
        process: &str,
        body: &str,
        expects: Option<u64>,
    ) -> Option<RpcAnswer> {
        let sent = self.send(process, body, None, expects).await.ok()?;
        Some(told(sent).await)
    }

    async fn send(
        &self,
        process: &str,
        body: &str,
        data: Option<&[u8]>,
        expects: Option<u64>,
    ) -> reqwest::Result<reqwest::Response> {
        let request = json!({
            "body": body,
            "context": null,
            "data": data.map(|bytes| STANDARD.encode(bytes)),
            "expects_response": expects,
            "inherit": false,
            "metadata": null,
            "mime": "application/octet-stream",
            "node": null,
            "process": process,
        });
        self.client.post(&self.url).json(&request).send().await
    }

    /// `kit inject-message`.
    pub async fn inject(&self, process: &str, body: &str) -> RpcAnswer {
        self.rpc(process, body, None, Some(15)).await
    }

    /// `kit start-package` of generation 1.0. The two answers.
    pub async fn start_package_1_0(&self, package: &Package) -> (String, String) {
        let new = json!({"NewPackage": {"package_id": package.id(), "mirror": true}});
        let install = json!({"Install": {
            "package_id": package.id(),
            "version_hash": package.hash(),
            "metadata": package.paired_metadata(),
        }});
        self.start_package("main:app-store:sys", package, &new, &install)
            .await
    }

    /// `kit start-package` of generation 0.6. The two answers.
    pub async fn start_package_0_6(&self, package: &Package) -> (String, String) {
        let new = json!({"NewPackage": {
            "package_id": package.id(),
            "metadata": package.paired_metadata(),
            "mirror": true,
        }});
        let install = json!({"Install": package.id()});
        self.start_package("main:app_store:sys", package, &new, &install)
            .await
    }

    async fn start_package(
        &self,
        store: &str,
        package: &Package,
        new: &Value,
        install: &Value,
    ) -> (String, String) {
        let first = self
            .rpc(store, &new.to_string(), Some(&package.zip), Some(15))
            .await;
        assert_eq!(first.status, StatusCode::OK, "{first:?}");
        let second = self.rpc(store, &install.to_string(), None, Some(15)).await;
        assert_eq!(second.status, StatusCode::OK, "{second:?}");
        (first.body, second.body)
    }

    /// Installs, by generation 1.0, what must install.
    pub async fn install(&self, package: &Package) {
        let (new, install) = self.start_package_1_0(package).await;
        assert_eq!(new, r#"{"NewPackageResponse":"Success"}"#);
        assert_eq!(install, r#"{"InstallResponse":"Success"}"#);
    }

    /// `kit remove-package`; the answer.
    pub async fn remove_package(&self, package: &Package) -> String {
        let body = json!({"Uninstall": package.id()}).to_string();
        self.rpc("main:app-store:sys", &body, None, Some(15))
            .await
            .body
    }
}

/// What came back.
async fn told(answer: reqwest::Response) -> RpcAnswer {
    let status = answer.status();
    let text = answer.text().await.unwrap();
    if status != StatusCode::OK || text.is_empty() {
        return RpcAnswer {
            status,
            body: text,
            blob: None,
        };
    }
    let value: Value = serde_json::from_str(&text).unwrap();
    let blob = value["lazy_load_blob"]["bytes"]
        .as_array()
        .and_then(|ascii| STANDARD.decode(bytes(ascii)).ok());
    let body = String::from_utf8(bytes(value["body"].as_array().unwrap())).unwrap();
    RpcAnswer { status, body, blob }
}

fn bytes(array: &[Value]) -> Vec<u8> {
    array
        .iter()
        .map(|number| u8::try_from(number.as_u64().unwrap()).unwrap())
        .collect()
}
