//! `hyperware:process@1.0.0`.

use self::hyperware::process::standard as wit;

wasmtime::component::bindgen!({
    path: "wit/hyperware",
    world: "lib",
    imports: {
        // What is at hand needs no task switch.
        "hyperware:process/standard.get-on-exit": trappable,
        "hyperware:process/standard.our-capabilities": trappable,
        "hyperware:process/standard.get-blob": trappable,
        "hyperware:process/standard.our": trappable,
        "hyperware:process/standard.has-blob": trappable,
        "hyperware:process/standard.last-blob": trappable,
        default: async | trappable,
    },
});

super::bindings::edition! {
    edition: Hyperware,
    grant: (wit::ProcessId, String) => |grant| grant,
    send_error: { target },
    newer: all,
}
