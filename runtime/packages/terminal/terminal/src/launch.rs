//! Starting a script: its entry in `scripts.json`, its component, its rights.
//!
//! Either the script's process runs when this returns, or nothing is left.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use distro_logic::manifest::{self, Script};
use distro_logic::{right, ProcessId};
use guest::lib::{self, Address};
use guest::{kernel, vfs};
use node_types::NodeName;
use serde_json::{json, Value};

/// Starts `script` and returns the address of its process.
pub fn launch(our: &Address, script: &ProcessId) -> Result<Address, String> {
    let node: NodeName = our.node().parse().map_err(text)?;
    let terminal: ProcessId = our.process.to_string().parse().map_err(text)?;
    let package = script.package_id();
    let directory = manifest::package_dir(&package);

    let listed = vfs::read(our, &format!("{directory}/scripts.json")).map_err(|error| {
        format!("package {package} is not installed, or brings no scripts.json ({error})")
    })?;
    let entry = manifest::find_script(script.process(), &listed)
        .map_err(|error| format!("package {package}: {error}"))?;

    let wasm_path = format!("{directory}/{}.wasm", script.process());
    vfs::fetch(our, &wasm_path).map_err(|error| {
        format!("package {package}: scripts.json names {script}, but its component is missing ({error})")
    })?;

    let id = ProcessId::in_package(&random_name(), &package).map_err(text)?;
    // Given before the process exists, so that whoever the script talks to
    // first may already answer.
    for grant in &entry.grants {
        kernel::grant(our, grant.process().as_str(), &[grant.granted(&node, &id)]);
    }
    start(
        our,
        &id,
        &wasm_path,
        &entry,
        &rights(&node, &terminal, &entry),
    )
    .inspect_err(|_| {
        for grant in &entry.grants {
            let given = json!({"target": grant.process().as_str(),
                               "capabilities": [grant.granted(&node, &id)]});
            kernel::tell(our, &json!({ "DropCapabilities": given }));
        }
    })?;
    format!("{node}@{id}").parse().map_err(text)
}

/// Enters the process and runs it.
fn start(
    our: &Address,
    id: &ProcessId,
    wasm_path: &str,
    entry: &Script,
    capabilities: &[Value],
) -> Result<(), String> {
    kernel::initialize(
        our,
        &kernel::Initialize {
            id: id.as_str(),
            wasm_path,
            wit_version: entry.wit_version,
            book: false,
            on_exit: &json!("None"),
            capabilities,
            public: entry.public,
        },
    )
    .map_err(text)?;
    kernel::run(our, id.as_str()).map_err(|error| {
        kernel::tell(our, &json!({"KillProcess": id.as_str()}));
        text(error)
    })
}

/// What the script may do from its start.
fn rights(node: &NodeName, terminal: &ProcessId, entry: &Script) -> Vec<Value> {
    let mut rights: Vec<Value> = entry
        .requests
        .iter()
        .map(|request| request.requested(node))
        .collect();
    rights.push(right::messaging(node, terminal));
    if entry.request_networking {
        rights.push(right::network(node));
    }
    if entry.root {
        rights.extend(
            lib::our_capabilities()
                .iter()
                .map(|held| json!({"issuer": held.issuer().to_string(), "params": held.params()})),
        );
    }
    rights
}

/// A process name that no other process has.
fn random_name() -> String {
    RandomState::new().build_hasher().finish().to_string()
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
