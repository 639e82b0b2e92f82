//! What is accepted as a process, and what people are told otherwise.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use common::{component, hello};
use node_engine::{Engine, InspectError, MAX_WASM_BYTES};
use node_types::Edition;

/// A component that imports nothing but the named empty instances.
fn importing(names: &[&str]) -> bytes::Bytes {
    let imports: String = names
        .iter()
        .map(|name| format!("(import \"{name}\" (instance))"))
        .collect();
    component(&format!(
        r#"(component {imports} {{libc}}
          (core module $main (func (export "init") (param i32 i32)))
          (core instance $main (instantiate $main)) {{init}})"#
    ))
}

fn error(names: &[&str]) -> String {
    Engine::inspect(&importing(names)).unwrap_err().to_string()
}

#[test]
fn the_editions_and_wasi_are_accepted() {
    for (import, edition) in [
        ("kinode:process/standard", Edition::V0_7),
        ("kinode:process/standard@0.7.0", Edition::V0_7),
        ("kinode:process/standard@0.8.0", Edition::V0_8),
        ("kinode:process/standard@1.0.0", Edition::V1_0),
        ("hyperware:process/standard@1.0.0", Edition::Hyperware),
    ] {
        let inspection = Engine::inspect(&importing(&[import, "wasi:io/streams@0.2.0"]));
        assert_eq!(inspection.unwrap().edition, Some(edition), "{import}");
    }
    // Such a one cannot tell; and what no node has traps when it is called.
    let wasi = ["wasi:cli/stderr@0.2.3", "wasi:http/outgoing-handler@0.2.0"];
    assert_eq!(Engine::inspect(&importing(&wasi)).unwrap().edition, None);
}

#[test]
fn other_editions_are_named() {
    assert_eq!(
        error(&["kinode:process/standard@7.0.0"]),
        "built for kinode:process@7.0.0, which this host does not know: \
         build it for kinode:process@1.0.0"
    );
    assert_eq!(
        error(&[
            "kinode:process/standard@0.8.0",
            "kinode:process/standard@1.0.0"
        ]),
        "imports both kinode:process@0.8.0 and kinode:process@1.0.0: \
         build all of it for one version of the interface"
    );
}

#[test]
fn unknown_imports_are_named() {
    for name in ["foo:bar/x", "kinode:process/other@1.0.0"] {
        assert_eq!(
            error(&[name]),
            format!("imports {name}, which no node provides")
        );
    }
}

#[test]
fn what_is_no_component_is_told_apart() {
    let module = wat::parse_str("(module)").unwrap();
    assert_eq!(Engine::inspect(&module), Err(InspectError::CoreModule));
    assert_eq!(Engine::inspect(b""), Err(InspectError::Empty));
    assert_eq!(
        Engine::inspect(b"PK\x03\x04zip"),
        Err(InspectError::NotWasm)
    );
    assert_eq!(
        Engine::inspect(&vec![0; MAX_WASM_BYTES + 1]),
        Err(InspectError::TooLarge(MAX_WASM_BYTES + 1))
    );
    let no_init = wat::parse_str("(component)").unwrap();
    assert_eq!(Engine::inspect(&no_init), Err(InspectError::NoInit));
}

#[test]
fn every_cut_and_every_flipped_byte_is_survived() {
    let whole = hello();
    let mut accepted = 0;
    for length in 1..whole.len() {
        match Engine::inspect(&whole[..length]) {
            // Only the custom section with the names is missing.
            Ok(_) => accepted += 1,
            Err(error) => assert!(
                matches!(
                    error,
                    InspectError::Truncated(_)
                        | InspectError::NoInit
                        | InspectError::Malformed { .. }
                ),
                "{length}: {error}"
            ),
        }
    }
    assert!(accepted <= 1, "{accepted} cuts were accepted");
    for at in 0..whole.len() {
        let mut bytes = whole.to_vec();
        bytes[at] ^= 0x55;
        // Either answer is right; not answering is not.
        let _ = Engine::inspect(&bytes);
    }
    let mut truncated = whole.to_vec();
    truncated.truncate(whole.len() / 2);
    let error = Engine::inspect(&truncated).unwrap_err();
    assert!(error.to_string().contains("truncated"), "{error}");
}
