//! The app of one edition on a node, and what is asked of it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::super::support::{Kit, eventually};

/// Longest that a busy machine compiles one component.
const COMPILING: Duration = Duration::from_secs(120);

/// One build of the app.
pub struct Column {
    /// What the table says.
    pub edition: &'static str,
    /// Its crate, which gives its component the name.
    pub component: &'static str,
    /// Its processes begin with this.
    pub process: &'static str,
    /// Interfaces from 1.0 on: `our`, `has-blob`, `last-blob`, grants with
    /// params.
    pub newer: bool,
    /// Whether a failed send says whom it was for.
    pub tells_target: bool,
    /// How its HTTP server is spelled.
    pub server: &'static str,
}

impl Column {
    /// How its HTTP client is spelled.
    pub fn client(&self) -> &'static str {
        if self.newer {
            "http-client:distro:sys"
        } else {
            "http_client:distro:sys"
        }
    }
}

/// All of them.
pub const COLUMNS: [Column; 7] = [
    Column {
        edition: "unversioned",
        component: "unversioned",
        process: "unversioned",
        newer: false,
        tells_target: false,
        server: "http_server:distro:sys",
    },
    Column {
        edition: "v0_7",
        component: "v0_7",
        process: "v0-7",
        newer: false,
        tells_target: false,
        server: "http_server:distro:sys",
    },
    Column {
        edition: "v0_8",
        component: "v0_8",
        process: "v0-8",
        newer: false,
        tells_target: true,
        server: "http_server:distro:sys",
    },
    Column {
        edition: "v0_8 (0.9)",
        component: "v0_9",
        process: "v0-9",
        newer: false,
        tells_target: true,
        server: "http_server:distro:sys",
    },
    Column {
        edition: "v1_0 (0.10)",
        component: "v0_10",
        process: "v0-10",
        newer: true,
        tells_target: true,
        server: "http-server:distro:sys",
    },
    Column {
        edition: "v1_0",
        component: "v1_0",
        process: "v1-0",
        newer: true,
        tells_target: true,
        server: "http-server:distro:sys",
    },
    Column {
        edition: "hyperware",
        component: "hyperware",
        process: "hyperware",
        newer: true,
        tells_target: true,
        server: "http-server:distro:sys",
    },
];

/// One column on one node: process *a*, its peers *b* and *c*, one that
/// anybody and one that nobody may message, and one that may command the kernel.
pub struct Subject {
    pub column: &'static Column,
    pub node: &'static str,
    pub kit: Arc<Kit>,
}

impl Subject {
    /// The id of its process called `suffix`.
    pub fn id(&self, suffix: &str) -> String {
        format!("{}{suffix}:conformance:test.dev", self.column.process)
    }

    /// The address of its process called `suffix`.
    pub fn at(&self, suffix: &str) -> String {
        format!("{}@{}", self.node, self.id(suffix))
    }

    /// Addresses of the three.
    pub fn abc(&self) -> [String; 3] {
        [self.at(""), self.at("-b"), self.at("-c")]
    }

    /// An address for which nothing answers.
    pub fn nobody(&self) -> String {
        format!("{}@nobody:here:sys", self.node)
    }

    /// A module as this edition spells it.
    pub fn module(&self, id: &str) -> String {
        format!("{}@{id}", self.node)
    }

    /// Where its component is.
    pub fn path(&self) -> String {
        format!("/conformance:test.dev/pkg/{}.wasm", self.column.component)
    }

    /// Waits until its component is compiled and *a* answers.
    pub async fn wait_until_it_runs(&self) {
        eventually(self.column.component, COMPILING, async || {
            self.run(json!([])).await.ok()
        })
        .await;
    }

    /// What came of each of `steps`, carried out by *a*.
    pub async fn run(&self, steps: Value) -> Result<Vec<Value>, String> {
        self.run_at(&self.id(""), steps).await
    }

    /// The same by the process with this id.
    pub async fn run_at(&self, id: &str, steps: Value) -> Result<Vec<Value>, String> {
        let asked = steps.as_array().map_or(0, Vec::len);
        let answer = self
            .kit
            .inject(id, &json!({ "run": steps }).to_string())
            .await;
        if answer.status != StatusCode::OK {
            return Err(format!("{id} did not answer: {}", answer.status));
        }
        let results: Vec<Value> = serde_json::from_str(&answer.body)
            .map_err(|error| format!("{id} answered {:?}: {error}", answer.body))?;
        if results.len() != asked {
            return Err(format!("{asked} steps came to {results:?}"));
        }
        Ok(results)
    }
}

/// Whether `got` has everything that `wanted` has.
pub fn matches(got: &Value, wanted: Value) -> Result<(), String> {
    if contains(got, &wanted) {
        Ok(())
    } else {
        Err(format!("{got} where {wanted} was expected"))
    }
}

fn contains(got: &Value, wanted: &Value) -> bool {
    match wanted {
        Value::Object(fields) => fields
            .iter()
            .all(|(name, value)| contains(&got[name], value)),
        _ => got == wanted,
    }
}

/// Whether a wait took a time in `range`, in milliseconds.
pub fn took(got: &Value, range: Range<u64>) -> Result<(), String> {
    match got["millis"].as_u64() {
        Some(millis) if range.contains(&millis) => Ok(()),
        _ => Err(format!("{got} did not take {range:?} ms")),
    }
}

/// A failed send: its kind, and whom it was for where that is told.
pub fn failed(subject: &Subject, got: &Value, kind: &str, target: &str) -> Result<(), String> {
    let target = if subject.column.tells_target {
        json!(target)
    } else {
        Value::Null
    };
    matches(got, json!({ "is": kind, "target": target }))
}
