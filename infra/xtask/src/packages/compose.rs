//! Plugs the components that export an API into those that import it, as kit
//! does: the result is one component, which imports what a node provides.

use anyhow::{Context as _, ensure};
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions};

use super::component;

/// `socket` with those of `plugs` in it that it needs. One that needs none
/// comes back as it is.
pub fn plug(socket: Vec<u8>, plugs: &[&[u8]]) -> anyhow::Result<Vec<u8>> {
    if component::outside(&socket)?.api_imports.is_empty() {
        return Ok(socket);
    }
    let mut graph = CompositionGraph::new();
    let mut register = |name: &str, bytes: &[u8]| -> anyhow::Result<_> {
        let package = Package::from_bytes(name, None, bytes.to_vec(), graph.types_mut())?;
        Ok(graph.register_package(package)?)
    };
    let socket = register("process", &socket).context("read the component that imports")?;
    let mut registered = Vec::new();
    for (number, plug) in plugs.iter().enumerate() {
        let name = format!("api-{number}");
        registered.push(register(&name, plug).context("read a component that exports")?);
    }
    wac_graph::plug(&mut graph, registered, socket).context("plug APIs in")?;
    let composed = graph.encode(EncodeOptions::default())?;
    let left = component::outside(&composed)?.api_imports;
    ensure!(
        left.is_empty(),
        "nothing exports {}: is the package among the dependencies?",
        left.join(", ")
    );
    Ok(composed)
}
