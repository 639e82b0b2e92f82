//! Core modules to components: the adapter for WASI, and a look at the result.

use anyhow::{Context as _, bail, ensure};
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wit_component::{ComponentEncoder, DecodedWasm};

/// What a process imports, one of them.
const INTERFACES: [&str; 5] = [
    "kinode:process/standard",
    "kinode:process/standard@0.7.0",
    "kinode:process/standard@0.8.0",
    "kinode:process/standard@1.0.0",
    "hyperware:process/standard@1.0.0",
];
/// What every process exports.
const ENTRY: &str = "init";

/// The outside of a component.
#[derive(Debug)]
pub struct Outside {
    /// It can be started.
    pub is_process: bool,
    /// Interfaces of other packages that it imports.
    pub api_imports: Vec<String>,
}

/// Wraps a `wasm32-wasip1` module: a process or script, or the functions of an
/// API.
pub fn from_module(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .context("read the interface in the module")?
        .adapter(
            WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
            WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
        )
        .context("add the WASI adapter")?
        .encode()
        .context("encode the component")
}

/// Looks at a component, which has to be for a node.
pub fn outside(component: &[u8]) -> anyhow::Result<Outside> {
    let DecodedWasm::Component(resolve, world) =
        wit_component::decode(component).context("decode the component")?
    else {
        bail!("it is a WIT package, not a component");
    };
    let world = &resolve.worlds[world];
    let names = |keys: Vec<_>| -> Vec<String> {
        keys.into_iter()
            .map(|key| resolve.name_world_key(key))
            .collect()
    };
    let imports = names(world.imports.keys().collect());
    let exports = names(world.exports.keys().collect());
    ensure!(
        !exports.is_empty(),
        "it does not export `{ENTRY}`: name guest::process! or guest::script! in the crate"
    );
    ensure!(
        imports.iter().any(|name| is_standard(name)),
        "it imports no edition of kinode:process/standard"
    );
    let of_packages = |name: &String| !is_standard(name) && !name.starts_with("wasi:");
    Ok(Outside {
        is_process: exports.iter().any(|name| name == ENTRY),
        api_imports: imports.into_iter().filter(of_packages).collect(),
    })
}

fn is_standard(name: &str) -> bool {
    INTERFACES.contains(&name)
}
