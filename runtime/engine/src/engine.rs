//! The engine: from bytes to a running process.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use lifecycle::{TaskKind, Tasks};
use node_types::Edition;
use tokio::sync::Semaphore;
use wasmtime::component::types::{ComponentItem, Type};
use wasmtime::component::{ComponentExportIndex, InstancePre, Linker};

use crate::artifact::Artifacts;
use crate::cache::{self, Cache, Joined, Lead, Outcome};
use crate::compile::{Compiler, PrepareError, WorkerCommand};
use crate::exit::{Exit, exit_of, explain};
use crate::fair::{Fair, Slice};
use crate::guest::{Guest, new_store};
use crate::hash::WasmHash;
use crate::host::{self, ProcessHost};
use crate::inspect::{
    InspectError, Inspection, MAX_WASM_BYTES, edition_of, inspect, is_unknown_wasi,
};
use crate::stderr::Stderr;
use crate::ticker::Ticker;
use crate::{TenantBudget, config, wasi_files};

/// Disk for artifacts, unless options say otherwise.
const DEFAULT_ARTIFACT_BYTES: u64 = 4 << 30;

/// How to set up an [`Engine`].
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// Where compiled components are kept; private to this user.
    pub cache_dir: PathBuf,
    /// Folders beside the binary that [`crate::precompile`] filled.
    pub extra_artifact_dirs: Vec<PathBuf>,
    /// How to start a compile worker.
    pub worker: WorkerCommand,
    /// Threads of the runtime that guests run on.
    pub guest_workers: usize,
    /// Bytes of compiled components to keep in `cache_dir`.
    pub max_artifact_bytes: u64,
    /// CPU seconds for one compile, instead of those that follow from its size.
    pub compile_cpu_seconds: Option<u64>,
}

impl EngineOptions {
    /// Options with defaults for the rest.
    #[must_use]
    pub fn new(cache_dir: PathBuf, worker: WorkerCommand) -> Self {
        Self {
            cache_dir,
            extra_artifact_dirs: Vec::new(),
            worker,
            guest_workers: std::thread::available_parallelism().map_or(1, usize::from),
            max_artifact_bytes: DEFAULT_ARTIFACT_BYTES,
            compile_cpu_seconds: None,
        }
    }
}

/// Why there is no engine.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The processor or system lacks something wasmtime needs.
    #[error("failed to set up the WebAssembly engine: {0}")]
    Unsupported(String),
    /// The cache folder or the ticking thread.
    #[error("failed to set up the component cache in {path}: {error}")]
    Cache {
        /// The cache folder.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
}

/// A component ready to run, shared by all processes that run it.
pub struct Component {
    hash: WasmHash,
    edition: Option<Edition>,
    pre: InstancePre<Guest>,
    /// Where its `init` is.
    init: ComponentExportIndex,
}

impl Component {
    /// The hash of its bytes; [`Engine::open`] finds it again by this.
    #[must_use]
    pub fn hash(&self) -> &WasmHash {
        &self.hash
    }

    /// The generation of the interface it was built for, if it uses any.
    #[must_use]
    pub fn edition(&self) -> Option<Edition> {
        self.edition
    }
}

impl fmt::Debug for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Component")
            .field("hash", &self.hash)
            .field("edition", &self.edition)
            .finish_non_exhaustive()
    }
}

struct Inner {
    wasmtime: wasmtime::Engine,
    linker: Linker<Guest>,
    ticker: Ticker,
    artifacts: Arc<Artifacts>,
    compiler: Compiler,
    cache: Arc<Cache>,
    /// Turns beyond their slice that run at once on this host.
    host_turns: Arc<Semaphore>,
    tasks: Tasks,
}

/// Runs components. Clones are the same engine; its thread stops with the last.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    /// Sets up the engine; compiles run as tasks of `tasks`.
    ///
    /// # Errors
    /// [`EngineError`] when the cache folder cannot be used.
    pub fn new(options: EngineOptions, tasks: &Tasks) -> Result<Self, EngineError> {
        let unsupported = |error: wasmtime::Error| EngineError::Unsupported(format!("{error:#}"));
        let wasmtime = wasmtime::Engine::new(&config::wasmtime_config()).map_err(unsupported)?;
        let mut linker = Linker::new(&wasmtime);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(unsupported)?;
        wasi_files::add_to_linker(&mut linker).map_err(unsupported)?;
        host::add_to_linker(&mut linker).map_err(unsupported)?;
        let cache_dir = options.cache_dir;
        let cache_error = |error| EngineError::Cache {
            path: cache_dir.clone(),
            error,
        };
        let artifacts = Artifacts::open(
            &cache_dir,
            options.extra_artifact_dirs,
            config::compatibility_key(&wasmtime),
            options.max_artifact_bytes,
        )
        .map_err(cache_error)?;
        let artifacts = Arc::new(artifacts);
        let compiler = Compiler::new(
            options.worker,
            Arc::clone(&artifacts),
            options.compile_cpu_seconds,
        );
        let ticker = Ticker::start(wasmtime.weak()).map_err(cache_error)?;
        let turns = options.guest_workers.saturating_sub(1).max(1);
        Ok(Self(Arc::new(Inner {
            wasmtime,
            linker,
            ticker,
            artifacts,
            compiler,
            cache: Arc::new(Cache::default()),
            host_turns: Arc::new(Semaphore::new(turns)),
            tasks: tasks.clone(),
        })))
    }

    /// Tells by parsing whether `wasm` can run here. Reads the outermost level
    /// only: microseconds, whatever the size.
    ///
    /// # Errors
    /// [`InspectError`], worded for the person who installs the component.
    pub fn inspect(wasm: &[u8]) -> Result<Inspection, InspectError> {
        inspect(wasm)
    }

    /// The component with this hash, if it was prepared before, by this host
    /// process or an earlier one. Never compiles.
    pub async fn open(&self, hash: &WasmHash) -> Option<Arc<Component>> {
        if let Some(component) = self.0.cache.get(hash) {
            return Some(component);
        }
        let (inner, hash) = (Arc::clone(&self.0), *hash);
        let loaded = self
            .0
            .tasks
            .blocking(move || inner.load(&hash).and_then(Result::ok))
            .await??;
        Some(self.0.cache.insert(loaded))
    }

    /// Makes `wasm` ready to run: from memory, from an artifact on disk, or by
    /// compiling it in a worker process.
    ///
    /// # Errors
    /// [`PrepareError`]; its text is for people.
    ///
    /// # Cancel-Safety
    /// Safe; a compile goes on for whoever asks next.
    pub async fn prepare(&self, wasm: Bytes) -> Result<Arc<Component>, PrepareError> {
        self.prepare_within(wasm, None).await
    }

    /// [`Self::prepare`] in the name of a tenant, of which at most one component
    /// compiles and a few wait, so that it cannot fill the queue of the host.
    ///
    /// # Errors
    /// As [`Self::prepare`].
    pub async fn prepare_for(
        &self,
        budget: &Arc<TenantBudget>,
        wasm: Bytes,
    ) -> Result<Arc<Component>, PrepareError> {
        self.prepare_within(wasm, Some(Arc::clone(budget))).await
    }

    async fn prepare_within(
        &self,
        wasm: Bytes,
        budget: Option<Arc<TenantBudget>>,
    ) -> Result<Arc<Component>, PrepareError> {
        if wasm.len() > MAX_WASM_BYTES {
            return Err(InspectError::TooLarge(wasm.len()).into());
        }
        let hashed = wasm.clone();
        let hash = self
            .0
            .tasks
            .blocking(move || inspect(&hashed).map(|_| WasmHash::of(&hashed)))
            .await
            .ok_or(PrepareError::ShuttingDown)??;
        match self.0.cache.join(&hash) {
            Joined::Ready(component) => Ok(component),
            Joined::Wait(pending) => cache::outcome(pending).await,
            Joined::Lead(lead) => {
                let pending = lead.subscribe();
                let inner = Arc::clone(&self.0);
                self.0
                    .tasks
                    .spawn(TaskKind::abortable("prepare component"), async move {
                        inner.lead(lead, hash, wasm, budget).await;
                    });
                cache::outcome(pending).await
            }
        }
    }

    /// Runs `component` until it ends. Dropping the future stops the process at
    /// its next host call or tick.
    ///
    /// # Cancel-Safety
    /// Dropping it ends the process and frees what it held.
    pub async fn run(
        &self,
        component: &Component,
        host: Box<dyn ProcessHost>,
        budget: &Arc<TenantBudget>,
    ) -> Exit {
        let stderr = Stderr::default();
        let slice = Slice::new(self.0.ticker.clone());
        let our = host.our().to_string();
        let meter = host.meter();
        let mut store = new_store(
            &self.0.wasmtime,
            host,
            budget,
            Arc::clone(&meter),
            Arc::clone(&slice),
            stderr.clone(),
        );
        let process = async {
            let instance = match component.pre.instantiate_async(&mut store).await {
                Ok(instance) => instance,
                Err(error) => {
                    let message = explain(&error, &stderr);
                    return Exit::NotInstantiable { message };
                }
            };
            let ended = match instance.get_typed_func::<(&str,), ()>(&mut store, &component.init) {
                Ok(init) => init.call_async(&mut store, (&our,)).await,
                Err(error) => Err(error),
            };
            match ended {
                Ok(()) => Exit::Finished,
                Err(error) => exit_of(&error, &stderr),
            }
        };
        let fair = Fair::new(
            Box::pin(process),
            slice,
            meter,
            Arc::clone(budget),
            Arc::clone(&self.0.host_turns),
        );
        match AssertUnwindSafe(fair).catch_unwind().await {
            Ok(exit) => exit,
            Err(_) => {
                tracing::error!("a host function panicked: its process is ended");
                Exit::Trapped {
                    message: "the host failed while it served this process".to_owned(),
                }
            }
        }
    }
}

impl Inner {
    /// Prepares for everyone who waits for `hash`.
    async fn lead(
        self: Arc<Self>,
        lead: Lead,
        hash: WasmHash,
        wasm: Bytes,
        budget: Option<Arc<TenantBudget>>,
    ) {
        let mut outcome = self.load_blocking(hash).await;
        if outcome.is_none() {
            outcome = match self.compile(&hash, &wasm, budget).await {
                Ok(()) => self.load_blocking(hash).await,
                Err(error) => Some(Err(error)),
            };
        }
        lead.finish(outcome.unwrap_or_else(|| {
            Err(PrepareError::Host(
                "the compiler's output cannot be loaded".to_owned(),
            ))
        }));
    }

    async fn compile(
        &self,
        hash: &WasmHash,
        wasm: &Bytes,
        budget: Option<Arc<TenantBudget>>,
    ) -> Result<(), PrepareError> {
        let _turn = match &budget {
            None => None,
            Some(budget) => {
                let place = budget.compile_places.try_acquire();
                let place = place.map_err(|_| PrepareError::Busy)?;
                Some((place, budget.compile_turn.acquire().await.ok()))
            }
        };
        self.compiler.compile(hash, wasm).await
    }

    async fn load_blocking(self: &Arc<Self>, hash: WasmHash) -> Option<Outcome> {
        let inner = Arc::clone(self);
        self.tasks
            .blocking(move || inner.load(&hash))
            .await
            .unwrap_or(Some(Err(PrepareError::ShuttingDown)))
    }

    /// Maps the artifact of `hash` and links it, if there is one.
    fn load(&self, hash: &WasmHash) -> Option<Outcome> {
        let component = self.artifacts.load(&self.wasmtime, hash)?;
        Some(self.link(hash, &component))
    }

    fn link(&self, hash: &WasmHash, component: &wasmtime::component::Component) -> Outcome {
        let edition = component
            .component_type()
            .imports(&self.wasmtime)
            .find_map(|(name, _)| edition_of(name).ok().flatten());
        let mismatch = |error: &str| PrepareError::Mismatch(error.to_owned());
        let init = init_of(component)
            .ok_or_else(|| mismatch("its `init` does not take one string and return nothing"))?;
        let pre = self
            .linker_for(component)
            .and_then(|linker| linker.instantiate_pre(component))
            .map_err(|error| mismatch(&format!("{error:#}")))?;
        Ok(Arc::new(Component {
            hash: *hash,
            edition,
            pre,
            init,
        }))
    }

    /// The linker, with a trap for everything of WASI that no node has.
    fn linker_for(
        &self,
        component: &wasmtime::component::Component,
    ) -> wasmtime::Result<Cow<'_, Linker<Guest>>> {
        let unknown = component
            .component_type()
            .imports(&self.wasmtime)
            .any(|(name, _)| is_unknown_wasi(name));
        if !unknown {
            return Ok(Cow::Borrowed(&self.linker));
        }
        let mut linker = self.linker.clone();
        linker.define_unknown_imports_as_traps(component)?;
        Ok(Cow::Owned(linker))
    }
}

/// Where a component exports `init: func(our: string)`.
fn init_of(component: &wasmtime::component::Component) -> Option<ComponentExportIndex> {
    let (item, index) = component.get_export(None, "init")?;
    let ComponentItem::ComponentFunc(init) = item else {
        return None;
    };
    let takes_a_string = init.params().map(|(_, ty)| ty).eq([Type::String]);
    (takes_a_string && init.results().len() == 0).then_some(index)
}
