//! Guests written as text: they set hourly timers and tell when these elapse.

use bytes::Bytes;

/// How long a guest's timers run, in milliseconds.
pub(super) const HOUR: u64 = 3_600_000;

/// What the guest imports. Its core module may call `$print (verbosity)
/// (pointer) (length)`, `$receive (result)` and `$send (arguments)`.
const IMPORTS: &str = r#"
  (import "kinode:process/standard@1.0.0" (instance $std
    (type $p (record (field "process-name" string) (field "package-name" string)
      (field "publisher-node" string)))
    (export "process-id" (type $process (eq $p)))
    (type $a (record (field "node" string) (field "process" $process)))
    (export "address" (type $address (eq $a)))
    (type $bytes (list u8))
    (type $text (option string))
    (type $b (record (field "mime" $text) (field "bytes" $bytes)))
    (export "lazy-load-blob" (type $blob (eq $b)))
    (type $c (record (field "issuer" $address) (field "params" string)))
    (export "capability" (type $capability (eq $c)))
    (type $caps (list $capability))
    (type $seconds (option u64))
    (type $rq (record (field "inherit" bool) (field "expects-response" $seconds)
      (field "body" $bytes) (field "metadata" $text) (field "capabilities" $caps)))
    (export "request" (type $request (eq $rq)))
    (type $rs (record (field "inherit" bool) (field "body" $bytes)
      (field "metadata" $text) (field "capabilities" $caps)))
    (export "response" (type $response (eq $rs)))
    (export "context" (type $context (eq $bytes)))
    (type $may (option $context))
    (type $answer (tuple $response $may))
    (type $m (variant (case "request" $request) (case "response" $answer)))
    (export "message" (type $message (eq $m)))
    (type $k (enum "offline" "timeout"))
    (export "send-error-kind" (type $kind (eq $k)))
    (type $mayblob (option $blob))
    (type $e (record (field "kind" $kind) (field "target" $address)
      (field "message" $message) (field "lazy-load-blob" $mayblob)))
    (export "send-error" (type $error (eq $e)))
    (type $came (tuple $address $message))
    (type $failed (tuple $error $may))
    (type $received (result $came (error $failed)))
    (export "print-to-terminal" (func (param "verbosity" u8) (param "message" string)))
    (export "receive" (func (result $received)))
    (export "send-request" (func (param "target" $address) (param "request" $request)
      (param "context" $may) (param "lazy-load-blob" $mayblob)))))
  (core module $libc
    (memory (export "memory") 4)
    (global $top (mut i32) (i32.const 65536))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
      (global.set $top (i32.add (local.get $at) (local.get 3)))
      (local.get $at)))
  (core instance $libc (instantiate $libc))
  (core func $print (canon lower (func $std "print-to-terminal")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $receive (canon lower (func $std "receive")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
  (core func $send (canon lower (func $std "send-request")
    (memory (core memory $libc "memory")) (realloc (core func $libc "realloc"))))
"#;

/// Where the arguments of `$send` are: target, request, context, no blob. The
/// offsets are those of the canonical ABI.
const ARGUMENTS: u32 = 1024;

/// A guest whose `init` is `init`. It may call `$set` (an hourly timer with
/// the context "tick"), `$say` (prints "here") and `$serve` (receives for
/// ever). When a timer elapses the context is printed and `elapsed` is done;
/// when a request comes, `asked`.
fn guest(init: &str, elapsed: &str, asked: &str) -> Bytes {
    let body = format!("{{\\22SetTimer\\22:{HOUR}}}");
    let length = body.replace("\\22", "\"").len();
    let field = |offset: u32, value: u32| {
        format!(
            "(i32.store (i32.const {}) (i32.const {value}))",
            ARGUMENTS + offset
        )
    };
    let text = |offset: u32, at: u32, length: u32| field(offset, at) + &field(offset + 4, length);
    let arguments = [
        text(0, 16, 3),
        text(8, 24, 5),
        text(16, 32, 6),
        text(24, 40, 3),
        // The request begins at 32: an answer is expected, within two hours.
        field(40, 1),
        field(48, 7200),
        text(56, 64, u32::try_from(length).unwrap()),
        // The context.
        field(88, 1),
        text(92, 48, 4),
    ]
    .concat();
    let component = format!(
        r#"(component {IMPORTS}
  (core module $main
    (import "libc" "memory" (memory 1))
    (import "std" "print" (func $print (param i32 i32 i32)))
    (import "std" "receive" (func $receive (param i32)))
    (import "std" "send" (func $send (param i32)))
    (data (i32.const 16) "our")
    (data (i32.const 24) "timer")
    (data (i32.const 32) "distro")
    (data (i32.const 40) "sys")
    (data (i32.const 48) "tick")
    (data (i32.const 56) "here")
    (data (i32.const 64) "{body}")
    (func $set {arguments} (call $send (i32.const {ARGUMENTS})))
    (func $say (call $print (i32.const 0) (i32.const 56) (i32.const 4)))
    (func $serve
      (loop $again
        (call $receive (i32.const 2048))
        (if (i32.eqz (i32.load8_u (i32.const 2048)))
          (then (if (i32.load8_u (i32.const 2088))
            (then
              (call $print (i32.const 0)
                (i32.load (i32.const 2132)) (i32.load (i32.const 2136)))
              {elapsed})
            (else {asked}))))
        (br $again)))
    (func (export "init") (param i32 i32) {init}))
  (core instance $main (instantiate $main
    (with "libc" (instance $libc))
    (with "std" (instance
      (export "print" (func $print))
      (export "receive" (func $receive))
      (export "send" (func $send))))))
  (func (export "init") (param "our" string)
    (canon lift (core func $main "init")
      (memory (core memory $libc "memory")) (realloc (core func $libc "realloc")))))"#
    );
    wat::parse_str(&component).unwrap().into()
}

/// Sets a timer when it starts and again whenever it elapses.
pub(super) fn sets_at_start() -> Bytes {
    guest("(call $set) (call $serve)", "(call $set)", "(call $say)")
}

/// Sets a timer when it is asked to, and none of itself.
pub(super) fn sets_when_asked() -> Bytes {
    guest("(call $serve)", "", "(call $set) (call $say)")
}

/// Sets a timer, says so, and is busy from then on.
pub(super) fn never_returns() -> Bytes {
    guest("(call $set) (call $say) (loop $busy (br $busy))", "", "")
}
