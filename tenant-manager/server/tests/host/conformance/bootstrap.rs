//! What a node has from its first boot on: modules, what they may, and what
//! the distro's own packages get.

use std::path::Path;

use serde_json::{Value, json};

use super::{Node, host_of_editions};

const NETWORK: &str = "\"network\"";
const MESSAGING: &str = "\"messaging\"";

fn right(issuer: &str, params: &str) -> Value {
    json!({"issuer": format!("alice.dev@{issuer}"), "params": params})
}

impl Node {
    /// The kernel's process map.
    async fn process_map(&self) -> serde_json::Map<String, Value> {
        let asked = json!({"Debug": "ProcessMap"}).to_string();
        let answer = self
            .kit
            .rpc("kernel:distro:sys", &asked, None, Some(5))
            .await;
        let mut told: Value = serde_json::from_str(&answer.body).unwrap();
        match told["Debug"]["ProcessMap"].take() {
            Value::Object(map) => map,
            other => panic!("no process map: {other}"),
        }
    }
}

fn holds(process: &Value, right: &Value) -> bool {
    let held = process["capabilities"].as_array().unwrap();
    // Params are the same if they are the same JSON.
    let json = |right: &Value| -> (Value, Value) {
        let params = right["params"].as_str().unwrap();
        let params = serde_json::from_str(params).unwrap_or(Value::Null);
        (right["issuer"].clone(), params)
    };
    held.iter().any(|held| json(held) == json(right))
}

#[tokio::test]
async fn modules_and_distro_packages_have_what_they_need_and_no_more() {
    let host = host_of_editions();
    let node = Node::of_editions(&host, "alice").await;
    let map = node.process_map().await;
    let modules: Vec<&String> = map
        .keys()
        .filter(|id| map[*id]["wasm_bytes_handle"] == "")
        .collect();
    for name in [
        "kernel",
        "net",
        "vfs",
        "kv",
        "sqlite",
        "fd-manager",
        "state",
        "timer",
        "http-server",
        "terminal",
    ] {
        let id = format!("{name}:distro:sys");
        assert!(modules.contains(&&id), "{id} is not in {modules:?}");
    }
    for id in &modules {
        let module = &map[*id];
        assert_eq!(module["public"], *id == "timer:distro:sys", "{id}");
        assert!(holds(module, &right("kernel:distro:sys", NETWORK)), "{id}");
        for other in &modules {
            assert!(holds(module, &right(other, MESSAGING)), "{id} and {other}");
        }
    }
    // An app is heard by the modules that its manifest names, and no others.
    for (id, heard) in [("http-server:distro:sys", true), ("net:distro:sys", false)] {
        let messaging = right("v1-0:conformance:test.dev", MESSAGING);
        assert_eq!(holds(&map[id], &messaging), heard, "{id}");
    }

    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for package in ["terminal", "app-store", "homepage"] {
        let path = format!("runtime/packages/{package}/pkg/manifest.json");
        let manifest = std::fs::read(sources.join(path)).unwrap();
        let manifest: Vec<Value> = serde_json::from_slice(&manifest).unwrap();
        for entry in manifest {
            let id = format!("{}:{package}:sys", entry["process_name"].as_str().unwrap());
            let process = &map[&id];
            let mut wanted = vec![right(&id, MESSAGING)];
            for kind in ["read", "write"] {
                let params = json!({"kind": kind, "drive": format!("/{package}:sys/pkg")});
                wanted.push(right("vfs:distro:sys", &params.to_string()));
            }
            if entry["request_networking"] == true {
                wanted.push(right("kernel:distro:sys", NETWORK));
            }
            for request in entry["request_capabilities"].as_array().unwrap() {
                wanted.push(match request {
                    Value::String(issuer) => right(issuer, MESSAGING),
                    other => right(
                        other["process"].as_str().unwrap(),
                        &other["params"].to_string(),
                    ),
                });
            }
            // Of issuers that exist here.
            wanted.retain(|right| {
                let issuer = right["issuer"].as_str().unwrap();
                map.contains_key(issuer.trim_start_matches("alice.dev@"))
            });
            for right in wanted {
                assert!(holds(process, &right), "{id} does not hold {right}");
            }
            for grant in entry["grant_capabilities"].as_array().unwrap() {
                let (to, given) = match grant {
                    Value::String(to) => (to.as_str(), right(&id, MESSAGING)),
                    other => {
                        let to = other["process"].as_str().unwrap();
                        (to, right(&id, &other["params"].to_string()))
                    }
                };
                // To those that exist here.
                if let Some(holder) = map.get(to) {
                    assert!(holds(holder, &given), "{to} does not hold {given}");
                }
            }
        }
    }
}
