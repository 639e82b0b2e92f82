//! Runs Wasm components as processes of a node.
//!
//! Owns everything that touches wasmtime: which components are accepted
//! ([`Engine::inspect`]), how they become machine code once per host
//! ([`Engine::prepare`], in a worker process), and under which limits they run
//! ([`Engine::run`]). Invariant: guest code runs only in a store that came out
//! of the one builder in `guest`, with memory, table and instance limits and
//! the epoch callback installed. The engine stops with its last clone; running
//! guests stop when their `run` future is dropped.

#![deny(unsafe_code)]

mod artifact;
mod budget;
mod cache;
mod compile;
mod config;
mod engine;
mod exit;
mod fair;
mod files;
mod guest;
mod hash;
mod host;
mod inspect;
mod limits;
mod meter;
mod stderr;
mod ticker;
mod wasi_files;
mod worker;

pub use budget::TenantBudget;
pub use compile::{PrepareError, WorkerCommand};
pub use engine::{Component, Engine, EngineError, EngineOptions};
pub use exit::Exit;
pub use files::{FileError, FileKind, FileStat, OpenHow, TempDrive, TempFiles};
pub use hash::WasmHash;
pub use host::*;
pub use inspect::{InspectError, Inspection, MAX_WASM_BYTES};
pub use limits::LimitReached;
pub use meter::GuestMeter;
pub use worker::{PrecompileError, compile_worker, precompile};
