//! The one wasmtime configuration, shared by host and compile worker.
//!
//! Invariant: whatever influences machine code is decided here and nowhere
//! else, so that an artifact of the worker always fits the host.

use std::hash::{DefaultHasher, Hash, Hasher};

use wasmtime::{Config, Engine, OptLevel, WasmBacktraceDetails};

/// Stack that guest code may use.
const MAX_WASM_STACK: usize = 512 << 10;
/// Stack of a guest together with the host functions it calls. Address space;
/// only touched pages are resident.
const ASYNC_STACK: usize = 2 << 20;

/// Settings for engine and worker.
///
/// Memory is allocated on demand, not from a pool: an instance then never gets
/// pages another tenant wrote to, and an idle host reserves nothing. Starting a
/// Rust process of 250 KB so takes well under 0.1 ms. Each linear memory reserves
/// 4 GiB and a guard of address space, which removes bounds checks; instances
/// of one component share the image of their data segments until they write.
/// A process has six mappings (`examples/density.rs` measures): two for its
/// stack, four for its memory, so the kernel's default of 65,530 carries about
/// ten thousand of them.
pub(crate) fn wasmtime_config() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .concurrency_support(false)
        .cranelift_opt_level(OptLevel::Speed)
        .max_wasm_stack(MAX_WASM_STACK)
        .async_stack_size(ASYNC_STACK)
        // Names of functions in traps, but no DWARF: parsing it is expensive
        // and guests ship megabytes of it.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        // Registering unwind tables is quadratic in the number of components.
        .native_unwind_info(false)
        .memory_init_cow(true)
        .guard_before_linear_memory(false)
        .wasm_memory64(false)
        .wasm_multi_memory(true)
        .relaxed_simd_deterministic(true);
    config
}

/// Names the configuration and version that artifacts are made for.
pub(crate) fn compatibility_key(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
