//! `kinode:process@1.0.0`.

use self::kinode::process::standard as wit;

wasmtime::component::bindgen!({
    path: "wit/v1_0",
    world: "lib",
    imports: {
        // What is at hand needs no task switch.
        "kinode:process/standard.get-on-exit": trappable,
        "kinode:process/standard.our-capabilities": trappable,
        "kinode:process/standard.get-blob": trappable,
        "kinode:process/standard.our": trappable,
        "kinode:process/standard.has-blob": trappable,
        "kinode:process/standard.last-blob": trappable,
        default: async | trappable,
    },
});

super::bindings::edition! {
    edition: V1_0,
    grant: (wit::ProcessId, String) => |grant| grant,
    send_error: { target },
    newer: all,
}
