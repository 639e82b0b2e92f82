//! Wasm processes of a node: their life between Initialize and removal.
//!
//! Owns each process' component, mailbox slot and kill switch. Invariant: at
//! most one task runs a process, and it alone decides what its end means. A
//! process stops when killed, when it ends for good, or with the node's tasks.

mod executor;
mod host;
mod inbox;
mod outgoing;
mod rights;
mod run;
mod slept;
mod spawn;
mod temp;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use lifecycle::queue;
use node_engine::{Component, PrepareError};
use node_types::ProcessId;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::counters::Counters;
use crate::kernel::Kernel;
use crate::mailbox::{Mailbox, PROCESS_BOUNDS};
use crate::prints::PrintBudget;

pub(crate) use executor::Executor;
pub(crate) use inbox::ReceiverSlot;
pub(crate) use run::{prepare, run};
pub(crate) use slept::SleptTimer;

/// One Wasm process, initialised and maybe running.
pub(crate) struct WasmProcess {
    pub(crate) id: ProcessId,
    /// Its component's bytes until they are prepared.
    wasm: Mutex<Option<Bytes>>,
    prepared: OnceCell<Arc<Component>>,
    slot: ReceiverSlot,
    /// Cancelled when the process is killed.
    pub(crate) killed: CancellationToken,
    /// Whether its task has been started.
    pub(crate) running: AtomicBool,
    /// What it has used.
    pub(crate) counters: Arc<Counters>,
    /// What it may still print.
    pub(crate) prints: Mutex<PrintBudget>,
}

impl WasmProcess {
    /// A process of `wasm` with an empty mailbox.
    pub(crate) fn new(kernel: &Kernel, id: ProcessId, wasm: Bytes) -> (Arc<Self>, Mailbox) {
        Self::with(kernel, id, Some(wasm), OnceCell::new())
    }

    /// A process whose machine code is at hand.
    pub(crate) fn ready(
        kernel: &Kernel,
        id: ProcessId,
        component: Arc<Component>,
    ) -> (Arc<Self>, Mailbox) {
        Self::with(kernel, id, None, OnceCell::new_with(Some(component)))
    }

    fn with(
        kernel: &Kernel,
        id: ProcessId,
        wasm: Option<Bytes>,
        prepared: OnceCell<Arc<Component>>,
    ) -> (Arc<Self>, Mailbox) {
        let (sender, receiver) = queue::channel(PROCESS_BOUNDS);
        let process = Self {
            id,
            wasm: Mutex::new(wasm),
            prepared,
            slot: Arc::new(Mutex::new(Some(receiver.into()))),
            killed: kernel.tasks.token().child_token(),
            running: AtomicBool::new(false),
            counters: Arc::default(),
            prints: Mutex::new(PrintBudget::new(Instant::now())),
        };
        (Arc::new(process), Mailbox::Process(sender))
    }

    /// The machine code; compiled at the first call, once for everybody.
    async fn component(&self, kernel: &Kernel) -> Result<Arc<Component>, PrepareError> {
        let component = self
            .prepared
            .get_or_try_init(async || {
                let wasm = self.wasm.lock().clone().unwrap_or_default();
                kernel.engine.prepare_for(&kernel.budget, wasm).await
            })
            .await?;
        self.wasm.lock().take();
        Ok(component.clone())
    }
}
