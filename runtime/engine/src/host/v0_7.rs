//! `kinode:process@0.7.0`: the interface of the book.

use self::kinode::process::standard as wit;

wasmtime::component::bindgen!({
    path: "wit/v0_7",
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
    edition: V0_7,
    grant: wit::ProcessId => |holder| (holder, node_types::MESSAGING.to_owned()),
    send_error: {  },
    newer: none,
}
