//! What WASI offers a guest: stderr, exit, and "no".

mod common;

use common::{component, run_once, trap_of};
use node_engine::Exit;

/// A guest whose `init` is `body`, in which `$say` writes `text` to stderr.
fn complainer(text: &str, body: &str) -> bytes::Bytes {
    component(&format!(
        r#"(component
  (import "wasi:io/error@0.2.0" (instance $err (export "error" (type (sub resource)))))
  (alias export $err "error" (type $error))
  (import "wasi:io/streams@0.2.0" (instance $streams
    (export "output-stream" (type $os (sub resource)))
    (alias outer 1 $error (type $e))
    (type $s (variant (case "last-operation-failed" (own $e)) (case "closed")))
    (export "stream-error" (type $stream-error (eq $s)))
    (export "[method]output-stream.blocking-write-and-flush"
      (func (param "self" (borrow $os)) (param "contents" (list u8))
        (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $os))
  (import "wasi:cli/stderr@0.2.0" (instance $stderr
    (alias outer 1 $os (type $o))
    (export "output-stream" (type $stream (eq $o)))
    (export "get-stderr" (func (result (own $stream))))))
  {{libc}}
  (core func $get (canon lower (func $stderr "get-stderr")))
  (core func $write (canon lower
    (func $streams "[method]output-stream.blocking-write-and-flush")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core module $main
    (import "libc" "memory" (memory 1))
    (import "wasi" "get" (func $get (result i32)))
    (import "wasi" "write" (func $write (param i32 i32 i32 i32)))
    (data (i32.const 64) "{text}")
    (func $say
      (call $write (call $get) (i32.const 64) (i32.const {length}) (i32.const 16))
      (if (i32.load8_u (i32.const 16)) (then (loop $stuck (br $stuck)))))
    (func (export "init") (param i32 i32) {body}))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "wasi" (instance
      (export "get" (func $get)) (export "write" (func $write))))))
  {{init}})"#,
        length = text.len(),
    ))
}

/// A guest that exits with `ok` (0) or `err` (1).
fn exiter(status: u8) -> bytes::Bytes {
    component(&format!(
        r#"(component
  (import "wasi:cli/exit@0.2.0" (instance $exit
    (export "exit" (func (param "status" (result))))))
  {{libc}}
  (core func $exit (canon lower (func $exit "exit")))
  (core module $main
    (import "wasi" "exit" (func $exit (param i32)))
    (func (export "init") (param i32 i32) (call $exit (i32.const {status})) unreachable))
  (core instance $main (instantiate $main
    (with "wasi" (instance (export "exit" (func $exit))))))
  {{init}})"#
    ))
}

#[tokio::test]
async fn stderr_is_the_message_of_a_trap() {
    let (exit, _) = run_once(complainer(
        "panicked at src/lib.rs:7",
        "(call $say) unreachable",
    ))
    .await;
    assert_eq!(trap_of(exit), "panicked at src/lib.rs:7");
}

#[tokio::test]
async fn stderr_does_not_hide_a_limit() {
    let (exit, _) = run_once(complainer(
        "some log line",
        "(call $say) (drop (memory.grow (i32.const 2000)))",
    ))
    .await;
    let message = trap_of(exit);
    assert!(message.starts_with("memory limit reached"), "{message}");
    assert!(message.ends_with("some log line"), "{message}");
}

#[tokio::test]
async fn writing_to_stderr_without_end_neither_fails_nor_grows() {
    let body = r"(local $n i32)
      (loop $again
        (call $say)
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $n) (i32.const 500))))
      unreachable";
    let (exit, _) = run_once(complainer(&"0123456789".repeat(40), body)).await;
    let message = trap_of(exit);
    assert_eq!(message.len(), 5000);
    assert!(message.ends_with("0123456789"), "{message}");
}

#[tokio::test]
async fn exit_is_an_end_and_a_failing_one_a_trap() {
    let (exit, _) = run_once(exiter(0)).await;
    assert_eq!(exit, Exit::Finished);
    let (exit, _) = run_once(exiter(1)).await;
    let message = trap_of(exit);
    assert!(message.contains("exit status 1"), "{message}");
}
