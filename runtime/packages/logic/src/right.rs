//! Capabilities as manifests and scripts files write them.

use node_types::{alias, NodeName, ProcessId};
use serde::Deserialize;
use serde_json::{json, Value};

/// Params of the right to send messages to the issuer.
const MESSAGING: &str = "messaging";

/// One entry of a capability list: a process id alone is the right to message
/// that process; an object names a process and the params of the right.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Entry {
    /// `"vfs:distro:sys"`
    Messaging(ProcessId),
    /// `{"process":"vfs:distro:sys","params":…}`
    Params {
        /// The issuer of a requested right, the receiver of a granted one.
        process: ProcessId,
        /// What is allowed.
        params: Value,
    },
}

impl Entry {
    /// The process that the entry names, in its canonical spelling.
    #[must_use]
    pub fn process(&self) -> ProcessId {
        let (Self::Messaging(process) | Self::Params { process, .. }) = self;
        alias::canonical(process.clone())
    }

    fn params(&self) -> Value {
        match self {
            Self::Messaging(_) => json!(MESSAGING),
            Self::Params { params, .. } => params.clone(),
        }
    }

    /// The capability itself, issued by `issuer`.
    fn issued_by(&self, node: &NodeName, issuer: &ProcessId) -> Value {
        capability(node, issuer, &self.params())
    }

    /// The capability that a manifest *requests* with this entry: issued by
    /// the process it names.
    #[must_use]
    pub fn requested(&self, node: &NodeName) -> Value {
        self.issued_by(node, &self.process())
    }

    /// The capability that a manifest *grants* with this entry: issued by the
    /// entry's own process `granter`, for the process that it names.
    #[must_use]
    pub fn granted(&self, node: &NodeName, granter: &ProcessId) -> Value {
        self.issued_by(node, granter)
    }
}

/// A capability in the kernel's JSON form: params are JSON *text*.
#[must_use]
pub fn capability(node: &NodeName, issuer: &ProcessId, params: &Value) -> Value {
    json!({"issuer": format!("{node}@{issuer}"), "params": params.to_string()})
}

/// The right to message `process`.
#[must_use]
pub fn messaging(node: &NodeName, process: &ProcessId) -> Value {
    capability(node, process, &json!(MESSAGING))
}

/// The right to use the network.
#[must_use]
pub fn network(node: &NodeName) -> Value {
    json!({"issuer": format!("{node}@kernel:distro:sys"), "params": json!("network").to_string()})
}

/// Reading and writing the drive at `path`.
#[must_use]
pub fn drive(node: &NodeName, path: &str) -> [Value; 2] {
    ["read", "write"].map(|kind| {
        json!({
            "issuer": format!("{node}@vfs:distro:sys"),
            "params": json!({"kind": kind, "drive": path}).to_string(),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> NodeName {
        "a.dev".parse().unwrap()
    }

    #[test]
    fn both_forms_become_capabilities() {
        let entries: Vec<Entry> = serde_json::from_str(
            r#"["http_server:distro:sys", {"process":"vfs:distro:sys","params":{"root":true}}]"#,
        )
        .unwrap();
        assert_eq!(
            entries[0].requested(&node()),
            json!({"issuer":"a.dev@http-server:distro:sys","params":"\"messaging\""})
        );
        assert_eq!(
            entries[1].requested(&node()),
            json!({"issuer":"a.dev@vfs:distro:sys","params":"{\"root\":true}"})
        );
        let granter = "app:pkg:b.dev".parse().unwrap();
        assert_eq!(
            entries[0].granted(&node(), &granter),
            json!({"issuer":"a.dev@app:pkg:b.dev","params":"\"messaging\""})
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [r#"["vfs"]"#, "[1]", r#"[{"process":"a:b:c"}]"#] {
            assert!(serde_json::from_str::<Vec<Entry>>(text).is_err(), "{text}");
        }
    }
}
