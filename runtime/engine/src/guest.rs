//! The store of one process: its data, and the one builder.
//!
//! Invariant: there is no other way to make a store in this crate, and this one
//! always installs the limiter, the host-call caps and the epoch callback. All
//! of it is freed when the store is dropped.

use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::TenantBudget;
use crate::fair::Slice;
use crate::host::ProcessHost;
use crate::limits::Limits;
use crate::stderr::Stderr;

/// Bytes a guest may hand over in one host call: the largest local blob, and
/// room for what is beside it.
const MAX_HOSTCALL_BYTES: usize = 130 << 20;
/// WASI resources (streams, pollables) a guest may hold.
const MAX_RESOURCES: usize = 1000;
/// Component-model handles a guest may hold.
const MAX_HANDLES: usize = 10_000;
/// Random bytes a guest may ask for at once.
const MAX_RANDOM_BYTES: u64 = 1 << 20;

/// What host functions find in the store.
pub(crate) struct Guest {
    /// The node.
    pub(crate) host: Box<dyn ProcessHost>,
    wasi: WasiCtx,
    resources: ResourceTable,
    limits: Limits,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.resources,
        }
    }
}

/// Builds the store of one process.
///
/// WASI is all "no": an empty environment, no folders, no network, stdout to
/// nowhere. Clocks, randomness, exit and a captured stderr work.
pub(crate) fn new_store(
    engine: &wasmtime::Engine,
    host: Box<dyn ProcessHost>,
    budget: &Arc<TenantBudget>,
    slice: Arc<Slice>,
    stderr: Stderr,
) -> Store<Guest> {
    let mut resources = ResourceTable::new();
    resources.set_max_capacity(MAX_RESOURCES);
    let wasi = WasiCtx::builder()
        .stderr(stderr)
        .max_random_size(MAX_RANDOM_BYTES)
        .allow_ip_name_lookup(false)
        .allow_tcp(false)
        .allow_udp(false)
        .build();
    let guest = Guest {
        host,
        wasi,
        resources,
        limits: Limits::new(budget),
    };
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| &mut guest.limits);
    store.set_hostcall_fuel(MAX_HOSTCALL_BYTES);
    store.set_max_component_handles(MAX_HANDLES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| Ok(slice.on_deadline()));
    store
}
