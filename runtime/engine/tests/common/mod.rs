//! What the tests share: guests written as text, a host that records, and an
//! engine with a counted compile worker.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "each test binary uses its part, and a failure ends the test"
)]

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use node_engine::{
    Engine, EngineOptions, Exit, HostTrap, OutgoingRequest, ProcessHost, Received, SpawnChild,
    SpawnError, TempDrive, TenantBudget, WorkerCommand,
};
use node_types::{
    Address, Blob, Capability, Message, OnExit, ProcessId, Request, Response, SendError,
};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub const MIB: u64 = 1 << 20;

/// The memory and allocator of every guest: a bump allocator.
const LIBC: &str = r#"
  (core module $libc
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 4096))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
      (global.set $top (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
"#;

/// Lifts the core function `init` of instance `$main`.
const INIT: &str = r#"
  (func (export "init") (param "our" string)
    (canon lift (core func $main "init")
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
"#;

/// A component that can print. `fields` goes into its core module, which may
/// call `$print (verbosity) (pointer) (length)` and has "hello" at 8.
pub fn printer(fields: &str) -> Bytes {
    printer_for("kinode:process/standard@1.0.0", fields)
}

/// A printer that imports `interface`.
pub fn printer_for(interface: &str, fields: &str) -> Bytes {
    let text = format!(
        r#"(component
  (import "{interface}" (instance $std
    (export "print-to-terminal" (func (param "verbosity" u8) (param "message" string)))))
  {LIBC}
  (core func $print (canon lower (func $std "print-to-terminal")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 1))
    (import "std" "print" (func $print (param i32 i32 i32)))
    (data (i32.const 8) "hello")
    {fields})
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "std" (instance (export "print" (func $print))))))
  {INIT})"#
    );
    component(&text)
}

/// A printer whose `init` is `body`.
pub fn init(body: &str) -> Bytes {
    printer(&format!(r#"(func (export "init") (param i32 i32) {body})"#))
}

/// A component from its whole text; `{libc}` and `{init}` stand for the
/// common parts.
pub fn component(text: &str) -> Bytes {
    let text = text.replace("{libc}", LIBC).replace("{init}", INIT);
    wat::parse_str(&text)
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
        .into()
}

/// Prints once and returns.
pub fn hello() -> Bytes {
    init("(call $print (i32.const 0) (i32.const 8) (i32.const 5))")
}

/// Never returns.
pub fn hog() -> Bytes {
    init("(loop $again (br $again))")
}

/// Records what a guest prints; everything else traps.
pub struct TestHost {
    pub our: Address,
    pub seen: Arc<Seen>,
}

/// What the guests of a test did.
#[derive(Default)]
pub struct Seen {
    pub prints: Mutex<Vec<(u8, String)>>,
    pub capabilities: Mutex<Vec<Capability>>,
    /// Rung at each print.
    pub printed: Notify,
    /// Prints wait here while the flag is set.
    pub hold: Mutex<Option<Arc<Notify>>>,
    pub panics: std::sync::atomic::AtomicBool,
}

impl Seen {
    pub fn host(self: &Arc<Self>) -> Box<dyn ProcessHost> {
        Box::new(TestHost {
            our: "a.dev@main:test:a.dev".parse().unwrap(),
            seen: Arc::clone(self),
        })
    }

    pub fn texts(&self) -> Vec<String> {
        self.prints
            .lock()
            .iter()
            .map(|(_, it)| it.clone())
            .collect()
    }
}

fn no<T>() -> Result<T, HostTrap> {
    Err(HostTrap("not in this test".to_owned()))
}

#[async_trait]
impl ProcessHost for TestHost {
    fn our(&self) -> &Address {
        &self.our
    }
    fn temp_drive(&self) -> Option<TempDrive> {
        None
    }
    async fn print(&mut self, verbosity: u8, text: String) -> Result<(), HostTrap> {
        self.seen.prints.lock().push((verbosity, text));
        self.seen.printed.notify_one();
        assert!(
            !self.seen.panics.load(std::sync::atomic::Ordering::Relaxed),
            "the host panics on purpose"
        );
        let hold = self.seen.hold.lock().clone();
        if let Some(hold) = hold {
            hold.notified().await;
        }
        Ok(())
    }
    async fn set_on_exit(&mut self, _: OnExit) -> Result<(), HostTrap> {
        no()
    }
    fn on_exit(&self) -> OnExit {
        OnExit::None
    }
    async fn get_state(&mut self) -> Option<Bytes> {
        None
    }
    async fn set_state(&mut self, _: Bytes) -> Result<(), HostTrap> {
        no()
    }
    async fn clear_state(&mut self) -> Result<(), HostTrap> {
        no()
    }
    async fn spawn(&mut self, _: SpawnChild) -> Result<Result<ProcessId, SpawnError>, HostTrap> {
        no()
    }
    async fn save_capabilities(&mut self, caps: Vec<Capability>) -> Result<(), HostTrap> {
        self.seen.capabilities.lock().extend(caps);
        Ok(())
    }
    async fn drop_capabilities(&mut self, _: Vec<Capability>) -> Result<(), HostTrap> {
        no()
    }
    fn our_capabilities(&self) -> Vec<Capability> {
        Vec::new()
    }
    async fn receive(&mut self) -> Result<Received, HostTrap> {
        self.print(3, "receives".to_owned()).await?;
        no()
    }
    fn has_blob(&self) -> bool {
        false
    }
    fn get_blob(&self) -> Option<Blob> {
        None
    }
    fn last_blob(&self) -> Option<Blob> {
        None
    }
    async fn send_request(&mut self, _: OutgoingRequest) -> Result<(), HostTrap> {
        no()
    }
    async fn send_response(&mut self, _: Response, _: Option<Blob>) -> Result<(), HostTrap> {
        no()
    }
    async fn send_and_await_response(
        &mut self,
        _: Address,
        _: Request,
        _: Option<Blob>,
    ) -> Result<Result<(Address, Message), SendError>, HostTrap> {
        no()
    }
}

/// A cache folder, and a worker that leaves a line each time it runs.
pub struct Setup {
    pub dir: tempfile::TempDir,
    pub options: EngineOptions,
    pub tasks: lifecycle::Tasks,
}

impl Setup {
    pub fn new() -> Self {
        Self::with_worker(&format!(
            "exec {}",
            // Set for tests, not for examples, which precompile.
            option_env!("CARGO_BIN_EXE_node-engine-compile-worker").unwrap_or("false")
        ))
    }

    /// The worker is this shell script.
    pub fn with_worker(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let script = format!(
            "echo run >> {}; {script}",
            dir.path().join("runs").display()
        );
        let worker = WorkerCommand {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), script.into()],
        };
        Self {
            options: EngineOptions::new(dir.path().join("cache"), worker),
            tasks: lifecycle::Tasks::new(
                tokio::runtime::Handle::current(),
                &CancellationToken::new(),
            ),
            dir,
        }
    }

    pub fn engine(&self) -> Engine {
        Engine::new(self.options.clone(), &self.tasks).unwrap()
    }

    /// How often a worker was started.
    pub fn runs(&self) -> usize {
        std::fs::read_to_string(self.dir.path().join("runs"))
            .map_or(0, |lines| lines.lines().count())
    }

    /// The files in the artifact cache that end in `extension`.
    pub fn cached(&self, extension: &str) -> Vec<PathBuf> {
        std::fs::read_dir(self.dir.path().join("cache/artifacts"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|it| it == extension))
            .collect()
    }
}

/// Runs `wasm` alone with plenty of everything.
pub async fn run_once(wasm: Bytes) -> (Exit, Arc<Seen>) {
    let setup = Setup::new();
    let engine = setup.engine();
    let component = engine.prepare(wasm).await.unwrap();
    let seen = Arc::new(Seen::default());
    let exit = engine
        .run(&component, seen.host(), &TenantBudget::new(64 * MIB))
        .await;
    (exit, seen)
}

/// The message of a trap.
pub fn trap_of(exit: Exit) -> String {
    match exit {
        Exit::Trapped { message } => message,
        other => panic!("expected a trap, got {other:?}"),
    }
}
