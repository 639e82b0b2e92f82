//! `kinode:process@0.8.0`.

use self::kinode::process::standard as wit;

wasmtime::component::bindgen!({
    path: "wit/v0_8",
    world: "lib",
    imports: {
        // What is at hand needs no task switch.
        "kinode:process/standard.get-on-exit": trappable,
        "kinode:process/standard.our-capabilities": trappable,
        "kinode:process/standard.get-blob": trappable,
        default: async | trappable,
    },
});

super::bindings::edition! {
    edition: V0_8,
    grant: wit::ProcessId => |holder| (holder, node_types::MESSAGING.to_owned()),
    send_error: { target },
    newer: none,
}
