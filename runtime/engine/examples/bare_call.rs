//! The floors under a message between processes, for `make bench`: a bare call
//! into Wasm, a call of a component's export on a stack of its own, a call of a
//! process into its host, and a hop over a tokio channel. Prints
//! `name nanoseconds` lines; no other output.

#![expect(clippy::print_stdout, reason = "its output is its purpose")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;

use tokio::time::Instant;
use wasmtime::component::{Component, Linker};
use wasmtime::{Config, Engine, Instance, Module, Result, Store};

const ROUNDS: u32 = 1_000_000;

fn report(name: &str, rounds: u32, start: Instant) {
    let each = start.elapsed().as_nanos() / u128::from(rounds);
    println!("{name} {each}");
}

fn core_call(engine: &Engine) -> Result<()> {
    let module = Module::new(engine, wat::parse_str(r#"(module (func (export "f")))"#)?)?;
    let mut store = Store::new(engine, ());
    store.set_epoch_deadline(u64::MAX / 2);
    let instance = Instance::new(&mut store, &module, &[])?;
    let call = instance.get_typed_func::<(), ()>(&mut store, "f")?;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        call.call(&mut store, ())?;
    }
    report("wasm_call_core_ns", ROUNDS, start);
    Ok(())
}

async fn component_call(engine: &Engine) -> Result<()> {
    let text = r#"(component
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func (export "f") (canon lift (core func $i "f"))))"#;
    let component = Component::new(engine, wat::parse_str(text)?)?;
    let mut store = Store::new(engine, ());
    store.set_epoch_deadline(u64::MAX / 2);
    let instance = Linker::new(engine)
        .instantiate_async(&mut store, &component)
        .await?;
    let call = instance.get_typed_func::<(), ()>(&mut store, "f")?;
    let start = Instant::now();
    for _ in 0..ROUNDS {
        call.call_async(&mut store, ()).await?;
    }
    report("wasm_call_component_async_ns", ROUNDS, start);
    Ok(())
}

/// A process that asks its host for something trivial, over and over, with
/// all limits of a real one in place.
async fn host_call() -> Result<()> {
    let wasm = common::component(&format!(
        r#"(component
        (import "kinode:process/standard@1.0.0" (instance $std
          (export "has-blob" (func (result bool)))))
        {{libc}}
        (core func $ask (canon lower (func $std "has-blob")))
        (core module $main
          (import "std" "ask" (func $ask (result i32)))
          (func (export "init") (param i32 i32) (local $n i32)
            (local.set $n (i32.const {ROUNDS}))
            (loop $again
              (drop (call $ask))
              (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
        (core instance $main (instantiate $main
          (with "std" (instance (export "ask" (func $ask))))))
        {{init}})"#
    ));
    let dir = tempfile::tempdir()?;
    node_engine::precompile(&wasm, dir.path())?;
    let mut setup = common::Setup::new();
    setup.options.extra_artifact_dirs = vec![dir.path().to_owned()];
    let engine = setup.engine();
    let component = engine.prepare(wasm).await?;
    let host = Arc::new(common::Seen::default()).host();
    let budget = node_engine::TenantBudget::new(common::MIB);
    let start = Instant::now();
    let exit = engine.run(&component, host, &budget).await;
    report("process_to_host_call_ns", ROUNDS, start);
    assert_eq!(exit, node_engine::Exit::Finished);
    Ok(())
}

/// Two tasks that hand one message back and forth: the time of one hop.
async fn channel_hop() {
    let (to_echo, mut at_echo) = tokio::sync::mpsc::channel::<u32>(1);
    let (to_us, mut at_us) = tokio::sync::mpsc::channel::<u32>(1);
    let echo = async move {
        while let Some(number) = at_echo.recv().await {
            if to_us.send(number).await.is_err() {
                return;
            }
        }
    };
    let ask = async move {
        let start = Instant::now();
        for number in 0..ROUNDS {
            let _ = to_echo.send(number).await;
            let _ = at_us.recv().await;
        }
        report("channel_hop_ns", 2 * ROUNDS, start);
    };
    // Both on workers of the runtime, as processes are.
    let mut set = tokio::task::JoinSet::new();
    set.spawn(echo);
    set.spawn(ask);
    while set.join_next().await.is_some() {}
}

#[tokio::main(flavor = "multi_thread")]
async fn main() -> Result<()> {
    let mut config = Config::new();
    config.epoch_interruption(true).concurrency_support(false);
    let engine = Engine::new(&config)?;
    core_call(&engine)?;
    component_call(&engine).await?;
    host_call().await?;
    channel_hop().await;
    Ok(())
}
