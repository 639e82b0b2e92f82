//! Running guests: how they end, and what they may not do.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use common::{
    MIB, Seen, Setup, component, hello, hog, init, printer, printer_for, run_once, trap_of,
};
use lifecycle::TaskKind;
use node_engine::{Engine, Exit, TenantBudget};
use tokio::sync::Notify;

#[tokio::test]
async fn a_guest_prints_and_finishes() {
    let (exit, seen) = run_once(hello()).await;
    assert_eq!(exit, Exit::Finished);
    assert_eq!(*seen.prints.lock(), [(0, "hello".to_owned())]);
}

#[tokio::test]
async fn init_is_told_its_address() {
    let (exit, seen) = run_once(init(
        "(call $print (i32.const 3) (local.get 0) (local.get 1))",
    ))
    .await;
    assert_eq!(exit, Exit::Finished);
    assert_eq!(
        *seen.prints.lock(),
        [(3, "a.dev@main:test:a.dev".to_owned())]
    );
}

#[tokio::test]
async fn every_edition_runs() {
    for interface in [
        "kinode:process/standard",
        "kinode:process/standard@0.7.0",
        "kinode:process/standard@0.8.0",
        "kinode:process/standard@1.0.0",
        "hyperware:process/standard@1.0.0",
    ] {
        let body = r#"(func (export "init") (param i32 i32)
            (call $print (i32.const 0) (i32.const 8) (i32.const 5)))"#;
        let (exit, seen) = run_once(printer_for(interface, body)).await;
        assert_eq!(exit, Exit::Finished, "{interface}");
        assert_eq!(seen.texts(), ["hello"], "{interface}");
    }
}

#[tokio::test]
async fn what_a_node_does_not_have_of_wasi_traps_when_called() {
    let guest = |body: &str| {
        component(&format!(
            r#"(component
              (import "wasi:http/outgoing-handler@0.2.0" (instance $http
                (export "handle" (func))))
              {{libc}}
              (core func $handle (canon lower (func $http "handle")))
              (core module $main
                (import "http" "handle" (func $handle))
                (func (export "init") (param i32 i32) {body}))
              (core instance $main (instantiate $main
                (with "http" (instance (export "handle" (func $handle))))))
              {{init}})"#
        ))
    };
    assert_eq!(run_once(guest("")).await.0, Exit::Finished);
    let message = trap_of(run_once(guest("(call $handle)")).await.0);
    assert!(message.contains("wasi:http/outgoing-handler"), "{message}");
}

#[tokio::test]
async fn an_init_of_another_shape_is_refused() {
    let component = component(
        r#"(component
          (core module $main (func (export "init")))
          (core instance $main (instantiate $main))
          (func (export "init") (canon lift (core func $main "init"))))"#,
    );
    let setup = Setup::new();
    let refused = setup.engine().prepare(component).await.unwrap_err();
    assert!(refused.to_string().contains("one string"), "{refused}");
}

#[tokio::test]
async fn a_trap_names_its_cause_and_place() {
    let (exit, _) = run_once(printer(
        r#"(func $inner unreachable)
           (func (export "init") (param i32 i32) (call $inner))"#,
    ))
    .await;
    let message = trap_of(exit);
    assert!(message.contains("unreachable"), "{message}");
    assert!(message.contains("in inner"), "{message}");
}

#[tokio::test]
async fn endless_recursion_traps() {
    let (exit, _) = run_once(printer(
        r#"(func $f (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1)))
           (func (export "init") (param i32 i32) (drop (call $f (i32.const 0))))"#,
    ))
    .await;
    let message = trap_of(exit);
    assert!(message.contains("call stack exhausted"), "{message}");
}

#[tokio::test]
async fn growing_memory_ends_at_the_tenants_limit_by_name() {
    let (exit, _) = run_once(init(
        r"(loop $again
            (memory.fill
              (i32.mul (memory.grow (i32.const 16)) (i32.const 65536))
              (i32.const 1) (i32.const 1048576))
            (br $again))",
    ))
    .await;
    let message = trap_of(exit);
    assert!(
        message.starts_with("memory limit reached: the node may use 64 MiB"),
        "{message}"
    );
}

#[tokio::test]
async fn memory_is_counted_over_all_processes_and_given_back() {
    let setup = Setup::new();
    let engine = setup.engine();
    let big = init(
        r"(drop (memory.grow (i32.const 600)))
          (call $print (i32.const 0) (i32.const 8) (i32.const 5))",
    );
    let component = engine.prepare(big).await.unwrap();
    let budget = TenantBudget::new(64 * MIB);
    let first = Arc::new(Seen::default());
    let hold = Arc::new(Notify::new());
    *first.hold.lock() = Some(Arc::clone(&hold));

    let holder = engine.run(&component, first.host(), &budget);
    let other = async {
        first.printed.notified().await;
        assert_eq!(budget.memory_in_use(), 601 * 65536);
        let exit = engine
            .run(&component, Arc::new(Seen::default()).host(), &budget)
            .await;
        let message = trap_of(exit);
        assert!(message.contains("38 MiB more were asked for"), "{message}");

        // Another tenant is not concerned.
        let stranger = TenantBudget::new(64 * MIB);
        let exit = engine
            .run(&component, Arc::new(Seen::default()).host(), &stranger)
            .await;
        assert_eq!(exit, Exit::Finished);
        hold.notify_one();
    };
    let (exit, ()) = tokio::join!(holder, other);
    assert_eq!(exit, Exit::Finished);
    assert_eq!(budget.memory_in_use(), 0);
}

#[tokio::test]
async fn a_component_too_big_to_start_says_why() {
    let setup = Setup::new();
    let engine = setup.engine();
    let component = engine.prepare(hello()).await.unwrap();
    let exit = engine
        .run(
            &component,
            Arc::new(Seen::default()).host(),
            &TenantBudget::new(1000),
        )
        .await;
    assert!(
        matches!(&exit, Exit::NotInstantiable { message } if message.contains("memory limit")),
        "{exit:?}"
    );
}

#[tokio::test]
async fn growing_a_table_ends_at_the_limit() {
    let (exit, _) = run_once(printer(
        r#"(table $t 1 funcref)
           (func (export "init") (param i32 i32)
             (loop $again
               (drop (table.grow $t (ref.null func) (i32.const 50000)))
               (br $again)))"#,
    ))
    .await;
    let message = trap_of(exit);
    assert!(message.starts_with("table limit reached"), "{message}");
}

#[tokio::test]
async fn a_panicking_host_ends_one_process_only() {
    let setup = Setup::new();
    let engine = setup.engine();
    let component = engine.prepare(hello()).await.unwrap();
    let budget = TenantBudget::new(64 * MIB);
    let seen = Arc::new(Seen::default());
    seen.panics.store(true, Ordering::Relaxed);
    let message = trap_of(engine.run(&component, seen.host(), &budget).await);
    assert!(message.contains("the host failed"), "{message}");
    assert_eq!(budget.memory_in_use(), 0);
    seen.panics.store(false, Ordering::Relaxed);
    assert_eq!(
        engine.run(&component, seen.host(), &budget).await,
        Exit::Finished
    );
}

/// A guest that saves one capability of `issuer`, a list of four parts.
fn saver(issuer: [&str; 4]) -> bytes::Bytes {
    let mut data = String::new();
    let mut fields = String::new();
    for (index, text) in issuer.iter().chain([&"null"]).enumerate() {
        let at = 1024 + index * 128;
        data.push_str(&format!("(data (i32.const {at}) \"{text}\")"));
        let place = 64 + index * 8;
        fields.push_str(&format!(
            "(i32.store (i32.const {place}) (i32.const {at}))
             (i32.store offset=4 (i32.const {place}) (i32.const {}))",
            text.len()
        ));
    }
    component(&format!(
        r#"(component
  (import "kinode:process/standard@1.0.0" (instance $std
    (type $p (record (field "process-name" string) (field "package-name" string) (field "publisher-node" string)))
    (export "process-id" (type $process (eq $p)))
    (type $a (record (field "node" string) (field "process" $process)))
    (export "address" (type $address (eq $a)))
    (type $c (record (field "issuer" $address) (field "params" string)))
    (export "capability" (type $capability (eq $c)))
    (export "save-capabilities" (func (param "caps" (list $capability))))))
  {{libc}}
  (core func $save (canon lower (func $std "save-capabilities")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 1))
    (import "std" "save" (func $save (param i32 i32)))
    {data}
    (func (export "init") (param i32 i32)
      {fields}
      (call $save (i32.const 64) (i32.const 1))))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "std" (instance (export "save" (func $save))))))
  {{init}})"#
    ))
}

#[tokio::test]
async fn old_spellings_of_host_owned_ids_become_canonical() {
    let (exit, seen) = run_once(saver(["a.dev", "http_server", "distro", "sys"])).await;
    assert_eq!(exit, Exit::Finished);
    let issuer = seen.capabilities.lock()[0].issuer.to_string();
    assert_eq!(issuer, "a.dev@http-server:distro:sys");
}

#[tokio::test]
async fn a_malformed_id_ends_the_guest_with_its_name() {
    let (exit, seen) = run_once(saver(["a.dev", "../vfs", "distro", "sys"])).await;
    let message = trap_of(exit);
    assert!(message.contains("`../vfs` is not a name"), "{message}");
    assert!(seen.capabilities.lock().is_empty());
}

#[tokio::test]
async fn an_endless_loop_gives_way_to_others_on_one_thread() {
    let setup = Setup::new();
    let engine = setup.engine();
    let (hog, hello) = (
        engine.prepare(hog()).await.unwrap(),
        engine.prepare(hello()).await.unwrap(),
    );
    let budget = TenantBudget::new(64 * MIB);
    let seen = Arc::new(Seen::default());
    let spinning = engine.run(&hog, seen.host(), &budget);
    let others = async {
        for _ in 0..20 {
            // The same tenant: a process within its slice needs no permit.
            let exit = engine.run(&hello, seen.host(), &budget).await;
            assert_eq!(exit, Exit::Finished);
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        exit = spinning => panic!("the hog ended: {exit:?}"),
        () = others => {}
    }
    assert_eq!(seen.texts().len(), 20);
    assert_eq!(budget.memory_in_use(), 0, "dropping a run frees its store");
}

/// Starts `count` guests that print after every hundred thousand rounds.
async fn start_counting_hogs(engine: &Engine, setup: &Setup, count: usize) -> Arc<Seen> {
    let wasm = init(
        r"(local $n i32)
          (loop $forever
            (local.set $n (i32.const 100000))
            (loop $again
              (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (call $print (i32.const 0) (i32.const 8) (i32.const 1))
            (br $forever))",
    );
    let component = engine.prepare(wasm).await.unwrap();
    let budget = TenantBudget::new(64 * MIB);
    let seen = Arc::new(Seen::default());
    for _ in 0..count {
        let (engine, component) = (engine.clone(), Arc::clone(&component));
        let (budget, host) = (Arc::clone(&budget), seen.host());
        setup.tasks.spawn(TaskKind::abortable("hog"), async move {
            engine.run(&component, host, &budget).await;
        });
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hogs_leave_a_worker_to_others_and_tenants_share_evenly() {
    let mut setup = Setup::new();
    setup.options.guest_workers = 2;
    let engine = setup.engine();
    let hello = engine.prepare(hello()).await.unwrap();
    let many = start_counting_hogs(&engine, &setup, 8).await;
    let one = start_counting_hogs(&engine, &setup, 1).await;
    many.printed.notified().await;
    one.printed.notified().await;
    let before = (many.texts().len(), one.texts().len());

    // A bystander gets its answers while nine guests spin.
    let budget = TenantBudget::new(64 * MIB);
    let seen = Arc::new(Seen::default());
    let start = tokio::time::Instant::now();
    for _ in 0..50 {
        let exit = engine.run(&hello, seen.host(), &budget).await;
        assert_eq!(exit, Exit::Finished);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let took = start.elapsed();
    assert!(took < Duration::from_secs(5), "starved: {took:?}");

    let many = many.texts().len() - before.0;
    let one = one.texts().len() - before.1;
    assert!(
        one * 3 > many,
        "eight hogs of one tenant got {many} turns' work, one of another {one}"
    );
    assert!(setup.tasks.shutdown(Duration::from_secs(5)).await);
}
