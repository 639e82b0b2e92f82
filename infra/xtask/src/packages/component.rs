//! Core modules to components: the adapter for WASI, and a look at the result.

use anyhow::{Context as _, ensure};
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

/// Wraps a `wasm32-wasip1` module built with the guest crate.
pub fn from_module(module: &[u8]) -> anyhow::Result<Vec<u8>> {
    let component = ComponentEncoder::default()
        .validate(true)
        .module(module)
        .context("read the interface in the module")?
        .adapter(
            WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
            WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
        )
        .context("add the WASI adapter")?
        .encode()
        .context("encode the component")?;
    check(&component)?;
    Ok(component)
}

fn check(component: &[u8]) -> anyhow::Result<()> {
    let DecodedWasm::Component(resolve, world) =
        wit_component::decode(component).context("decode the component")?
    else {
        anyhow::bail!("it is a WIT package, not a component");
    };
    let world = &resolve.worlds[world];
    let mut imports = world.imports.keys();
    let mut exports = world.exports.keys();
    ensure!(
        exports.any(|key| resolve.name_world_key(key) == ENTRY),
        "it does not export `{ENTRY}`: name guest::process! or guest::script! in the crate"
    );
    ensure!(
        imports.any(|key| INTERFACES.contains(&resolve.name_world_key(key).as_str())),
        "it imports no edition of kinode:process/standard"
    );
    Ok(())
}
