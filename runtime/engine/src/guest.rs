//! The store of one process: its data, and the one builder.
//!
//! Invariant: there is no other way to make a store in this crate, and this one
//! always installs the limiter, the host-call caps and the epoch callback. All
//! of it is freed when the store is dropped.

use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::fair::Slice;
use crate::files::TempDrive;
use crate::host::ProcessHost;
use crate::limits::Limits;
use crate::stderr::Stderr;
use crate::wasi_files::Streams;
use crate::{GuestMeter, TenantBudget};

/// Bytes a guest may hand over in one host call: the largest local blob, and
/// room for what is beside it.
pub(crate) const MAX_HOSTCALL_BYTES: usize = 130 << 20;
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
    /// Its files, if it has any.
    pub(crate) temp: Option<TempDrive>,
    /// Of files.
    pub(crate) streams: Streams,
    /// Directories being listed.
    pub(crate) listings: usize,
    wasi: WasiCtx,
    pub(crate) resources: ResourceTable,
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
/// WASI is nearly all "no": no network, stdout to nowhere, and of files and the
/// environment the process' drive and where it is. Clocks, randomness, exit and
/// a captured stderr work.
pub(crate) fn new_store(
    engine: &wasmtime::Engine,
    host: Box<dyn ProcessHost>,
    budget: &Arc<TenantBudget>,
    meter: Arc<GuestMeter>,
    slice: Arc<Slice>,
    stderr: Stderr,
) -> Store<Guest> {
    let mut resources = ResourceTable::new();
    resources.set_max_capacity(MAX_RESOURCES);
    let temp = host.temp_drive();
    let mut wasi = WasiCtx::builder();
    wasi.stderr(stderr)
        .max_random_size(MAX_RANDOM_BYTES)
        .allow_ip_name_lookup(false)
        .allow_tcp(false)
        .allow_udp(false);
    if let Some(temp) = &temp {
        wasi.env("TEMP_DIR", &temp.path);
    }
    let guest = Guest {
        host,
        temp,
        streams: Streams::default(),
        listings: 0,
        wasi: wasi.build(),
        resources,
        limits: Limits::new(budget, meter),
    };
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| &mut guest.limits);
    store.set_hostcall_fuel(MAX_HOSTCALL_BYTES);
    store.set_max_component_handles(MAX_HANDLES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| Ok(slice.on_deadline()));
    store
}
