//! From bytes to machine code: once per host, never unchecked, and whatever
//! the worker does.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use common::{MIB, Seen, Setup, component, hello, init};
use node_engine::{Component, Engine, Exit, PrepareError, TenantBudget, WasmHash, precompile};

async fn runs(engine: &Engine, component: &Component) -> bool {
    let seen = Arc::new(Seen::default());
    let exit = engine
        .run(component, seen.host(), &TenantBudget::new(MIB))
        .await;
    exit == Exit::Finished && seen.texts() == ["hello"]
}

fn flip_last_byte(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn a_component_is_compiled_once_whoever_asks() {
    let setup = Setup::new();
    let engine = setup.engine();
    let budget = TenantBudget::new(MIB);
    let all = futures::future::join_all((0..8).map(|turn| {
        let (engine, budget) = (engine.clone(), Arc::clone(&budget));
        async move {
            match turn % 2 {
                0 => engine.prepare(hello()).await.unwrap(),
                _ => engine.prepare_for(&budget, hello()).await.unwrap(),
            }
        }
    }))
    .await;
    assert!(all.iter().all(|one| Arc::ptr_eq(one, &all[0])));
    assert_eq!(setup.runs(), 1);
    assert!(runs(&engine, &all[0]).await);
}

#[tokio::test]
async fn the_next_host_process_finds_the_artifact() {
    let setup = Setup::new();
    let hash = WasmHash::of(&hello());
    assert!(setup.engine().open(&hash).await.is_none());
    setup.engine().prepare(hello()).await.unwrap();
    let second = setup.engine();
    let component = second.prepare(hello()).await.unwrap();
    assert!(runs(&second, &component).await);
    let third = setup.engine();
    let component = third.open(&hash).await.unwrap();
    assert_eq!(component.hash(), &hash);
    assert_eq!(component.edition(), Some(node_types::Edition::V1_0));
    assert!(runs(&third, &component).await);
    assert_eq!(setup.runs(), 1);
}

#[tokio::test]
async fn a_changed_artifact_is_never_run() {
    let setup = Setup::new();
    setup.engine().prepare(hello()).await.unwrap();
    for (round, extension) in ["cwasm", "mac"].iter().enumerate() {
        flip_last_byte(&setup.cached(extension)[0]);
        let engine = setup.engine();
        assert!(engine.open(&WasmHash::of(&hello())).await.is_none());
        let component = engine.prepare(hello()).await.unwrap();
        assert!(runs(&engine, &component).await);
        assert_eq!(setup.runs(), round + 2);
    }
}

#[tokio::test]
async fn an_artifact_does_not_stand_in_for_another() {
    let setup = Setup::new();
    let engine = setup.engine();
    let other = init("unreachable");
    engine.prepare(other.clone()).await.unwrap();
    let given = (
        setup.cached("cwasm")[0].clone(),
        setup.cached("mac")[0].clone(),
    );
    let name = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let (from, to) = (WasmHash::of(&other), WasmHash::of(&hello()));
        path.with_file_name(name.replace(&from.to_string(), &to.to_string()))
    };
    fs::copy(&given.0, name(&given.0)).unwrap();
    fs::copy(&given.1, name(&given.1)).unwrap();
    let component = engine.prepare(hello()).await.unwrap();
    assert!(runs(&engine, &component).await);
    assert_eq!(setup.runs(), 2);
}

#[tokio::test]
async fn a_key_that_others_can_read_is_replaced() {
    let setup = Setup::new();
    setup.engine().prepare(hello()).await.unwrap();
    let key = setup.options.cache_dir.join("artifact.key");
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    setup.engine().prepare(hello()).await.unwrap();
    assert_eq!(setup.runs(), 2);
    assert_eq!(
        fs::metadata(&key).unwrap().permissions().mode() & 0o777,
        0o600
    );
}

#[tokio::test]
async fn old_artifacts_make_room() {
    let mut setup = Setup::new();
    setup.options.max_artifact_bytes = 1;
    let engine = setup.engine();
    engine.prepare(hello()).await.unwrap();
    engine.prepare(init("unreachable")).await.unwrap();
    assert_eq!(setup.cached("cwasm").len(), 1);
    assert_eq!(setup.cached("mac").len(), 1);
    assert_eq!(setup.cached("tmp").len(), 0);
}

#[tokio::test]
async fn precompiled_folders_need_no_worker_but_must_be_intact() {
    let mut setup = Setup::new();
    let out = setup.dir.path().join("distro");
    assert_eq!(precompile(&hello(), &out).unwrap(), WasmHash::of(&hello()));
    precompile(&init("unreachable"), &out).unwrap();
    setup.options.extra_artifact_dirs = vec![out.clone()];
    let engine = setup.engine();
    let component = engine.prepare(hello()).await.unwrap();
    assert!(runs(&engine, &component).await);
    assert_eq!(setup.runs(), 0);

    // Writable by anyone: not trusted.
    fs::set_permissions(&out, fs::Permissions::from_mode(0o777)).unwrap();
    setup.engine().prepare(hello()).await.unwrap();
    assert_eq!(setup.runs(), 1);

    fs::set_permissions(&out, fs::Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(&out).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|it| it == "cwasm") {
            flip_last_byte(&path);
        }
    }
    setup.engine().prepare(init("unreachable")).await.unwrap();
    assert_eq!(setup.runs(), 2);
}

#[tokio::test]
async fn a_component_the_compiler_refuses_says_where() {
    let setup = Setup::new();
    let engine = setup.engine();
    let error = engine
        .prepare(init("(i32.add (i64.const 1) (i32.const 1))"))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, PrepareError::Invalid(message) if message.contains("type mismatch")),
        "{error}"
    );
    // The failure is not remembered against the next one.
    engine.prepare(hello()).await.unwrap();
}

#[tokio::test]
async fn a_function_that_no_node_has_is_named() {
    let setup = Setup::new();
    let wasm = component(
        r#"(component
          (import "kinode:process/standard@1.0.0" (instance $std
            (export "get-eth-block" (func (result u64)))))
          {libc}
          (core module $main (func (export "init") (param i32 i32)))
          (core instance $main (instantiate $main)) {init})"#,
    );
    let error = setup.engine().prepare(wasm).await.unwrap_err();
    assert!(
        matches!(&error, PrepareError::Mismatch(message) if message.contains("get-eth-block")),
        "{error}"
    );
}

#[tokio::test]
async fn a_worker_that_dies_is_a_typed_error() {
    for script in ["kill -9 $$", "exit 1", "echo out of memory >&2; kill -6 $$"] {
        let setup = Setup::with_worker(script);
        let error = setup.engine().prepare(hello()).await.unwrap_err();
        assert!(matches!(&error, PrepareError::WorkerDied(_)), "{error}");
        assert_eq!(setup.cached("tmp").len(), 0);
    }
}

#[tokio::test]
async fn a_worker_that_writes_nonsense_is_not_believed() {
    let setup = Setup::with_worker("cat >/dev/null; echo nonsense");
    let error = setup.engine().prepare(hello()).await.unwrap_err();
    assert!(matches!(&error, PrepareError::Host(_)), "{error}");
    assert_eq!(setup.cached("cwasm").len(), 0);
}

#[tokio::test]
async fn a_worker_that_takes_too_long_is_stopped() {
    let mut setup = Setup::with_worker("echo $$ >> pids; exec tail -f /dev/null");
    setup.options.compile_cpu_seconds = Some(1);
    let started = tokio::time::Instant::now();
    let error = setup.engine().prepare(hello()).await.unwrap_err();
    assert!(matches!(error, PrepareError::TooSlow(1)), "{error}");
    assert!(started.elapsed().as_secs() < 30);
}

#[tokio::test]
async fn the_worker_sees_nothing_of_the_hosts_environment() {
    let setup = Setup::with_worker("env >&2; exit 1");
    let error = setup
        .engine()
        .prepare(hello())
        .await
        .unwrap_err()
        .to_string();
    assert!(
        !error.contains("CARGO") && !error.contains("HOME="),
        "{error}"
    );
}

#[tokio::test]
async fn a_tenant_cannot_fill_the_queue() {
    let setup = Setup::with_worker("exec tail -f /dev/null");
    let engine = setup.engine();
    let budget = TenantBudget::new(MIB);
    let five = (0..5).map(|number| {
        let wasm = init(&format!("(drop (i32.const {number}))"));
        Box::pin(engine.prepare_for(&budget, wasm))
    });
    // One compiles, three wait; the fifth is refused at once.
    let (refused, _, waiting) = futures::future::select_all(five).await;
    assert!(matches!(refused, Err(PrepareError::Busy)), "{refused:?}");
    drop(waiting);
    setup
        .tasks
        .shutdown(std::time::Duration::from_secs(5))
        .await;
}

#[tokio::test]
async fn preparing_after_shutdown_says_so() {
    let setup = Setup::new();
    let engine = setup.engine();
    setup
        .tasks
        .shutdown(std::time::Duration::from_secs(5))
        .await;
    let error = engine.prepare(hello()).await.unwrap_err();
    assert!(matches!(error, PrepareError::ShuttingDown), "{error}");
}
