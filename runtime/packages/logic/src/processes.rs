//! The kernel's process map, as `top`, `kfetch` and the app store read it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use node_types::{PackageId, ProcessId, UsageReport};
use serde::Deserialize;
use serde_json::Value;

use crate::usage;

/// What the kernel tells of one process.
#[derive(Debug, Clone, Deserialize)]
pub struct Process {
    /// Where its component is; empty for a module of the runtime.
    #[serde(default)]
    wasm_bytes_handle: String,
    #[serde(default)]
    wit_version: Option<u32>,
    #[serde(default)]
    on_exit: Value,
    #[serde(default)]
    capabilities: Vec<Capability>,
    #[serde(default)]
    public: bool,
}

#[derive(Debug, Clone, Deserialize)]
struct Capability {
    issuer: String,
    params: String,
}

/// All processes by id.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub struct Processes(BTreeMap<ProcessId, Process>);

impl Processes {
    /// Reads the map out of the kernel's answer.
    ///
    /// # Errors
    /// A sentence when it has another shape.
    pub fn from_json(map: Value) -> Result<Self, String> {
        serde_json::from_value(map)
            .map_err(|error| format!("the kernel's process map cannot be read: {error}"))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `process` is among them.
    #[must_use]
    pub fn contains(&self, process: &ProcessId) -> bool {
        self.0.contains_key(process)
    }

    /// The processes of `package`, children that it spawned among them.
    pub fn of_package<'a>(
        &'a self,
        package: &'a PackageId,
    ) -> impl Iterator<Item = &'a ProcessId> + 'a {
        self.0.keys().filter(move |id| id.package_id() == *package)
    }

    /// What `top` prints for one process, or `None` if it is not there.
    #[must_use]
    pub fn describe(
        &self,
        id: &ProcessId,
        used: Option<&UsageReport>,
        with_capabilities: bool,
    ) -> Option<String> {
        let process = self.0.get(id)?;
        let mut text = format!("{id}\n");
        let source = match process.wasm_bytes_handle.as_str() {
            "" => "(runtime)",
            handle => handle,
        };
        let wit = match process.wit_version {
            Some(version) => version.to_string(),
            None => "none".to_owned(),
        };
        let on_exit = match &process.on_exit {
            Value::String(text) => text.clone(),
            Value::Object(fields) => match fields.values().next() {
                Some(Value::Array(list)) => format!("{} requests", list.len()),
                _ => "requests".to_owned(),
            },
            _ => "None".to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "    {source}\n    wit: {wit}\n    on exit: {on_exit}\n    public: {}\n    capabilities: {}",
            process.public,
            process.capabilities.len()
        );
        if let Some(used) = used {
            text.push_str(&usage::describe(used, id));
        }
        if with_capabilities {
            let mut lines: Vec<_> = process
                .capabilities
                .iter()
                .map(|capability| format!("{}({})", capability.issuer, capability.params))
                .collect();
            lines.sort();
            for line in lines {
                let _ = write!(text, "\n        {line}");
            }
        }
        Some(text)
    }

    /// What `top` prints for all.
    #[must_use]
    pub fn describe_all(&self, used: Option<&UsageReport>, with_capabilities: bool) -> String {
        let mut text = String::new();
        for id in self.0.keys() {
            if let Some(lines) = self.describe(id, used, with_capabilities) {
                let _ = writeln!(text, "{lines}");
            }
        }
        if let Some(used) = used {
            let _ = writeln!(text, "{}", usage::summary(used));
        }
        let _ = write!(text, "top: {} running processes", self.len());
        text
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map() -> Processes {
        Processes::from_json(json!({
            "vfs:distro:sys": {"wasm_bytes_handle":"","wit_version":null,"on_exit":"Restart","capabilities":[],"public":false},
            "chat:chat:b.dev": {"wasm_bytes_handle":"/chat:b.dev/pkg/chat.wasm","wit_version":1,
                "on_exit":{"Requests":[1,2]},"public":true,
                "capabilities":[{"issuer":"a.dev@vfs:distro:sys","params":"\"messaging\""}]},
            "8812:chat:b.dev": {"wasm_bytes_handle":"/chat:b.dev/pkg/w.wasm","wit_version":1,"on_exit":"None","capabilities":[],"public":false},
        }))
        .unwrap()
    }

    #[test]
    fn top_tells_modules_from_wasm() {
        let text = map().describe_all(None, true);
        assert!(text.contains("vfs:distro:sys\n    (runtime)\n"));
        assert!(text.contains(
            "chat:chat:b.dev\n    /chat:b.dev/pkg/chat.wasm\n    wit: 1\n    on exit: 2 requests\n    public: true\n    capabilities: 1\n        a.dev@vfs:distro:sys(\"messaging\")"
        ));
        assert!(text.ends_with("top: 3 running processes"));
        let used = UsageReport::default();
        let text = map().describe_all(Some(&used), false);
        assert!(text.contains("\nmemory 0.0 of 0 MiB"), "{text}");
        assert!(text.ends_with("\ntop: 3 running processes"));
        assert_eq!(map().describe(&"x:y:z".parse().unwrap(), None, false), None);
    }

    #[test]
    fn a_package_owns_its_spawned_children() {
        let package = "chat:b.dev".parse().unwrap();
        assert_eq!(map().of_package(&package).count(), 2);
        assert_eq!(map().of_package(&"chat:c.dev".parse().unwrap()).count(), 0);
    }
}
