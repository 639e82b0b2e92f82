//! Servers whose answers are larger, longer or slower than anybody wants: the
//! app gets an error, the host's memory stays bounded, and its other nodes
//! answer meanwhile.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::StatusCode;

use super::super::support::{Footprint, Host, eventually};
use super::origin::{Origin, Reply};
use super::rebinding::{GOOD, OPEN};
use super::{Bed, Outcome};

/// Most that the resident memory of the host may rise, KiB: what a node's answers
/// may take together, and as much for all that carries them.
const MOST_KIB: u64 = 128 << 10;
/// Longest that an app is kept waiting, the RPC's own wait included.
const PROMPT: Duration = Duration::from_secs(30);
/// Longest that a neighbour's page may take on a busy machine.
const NEIGHBOUR: Duration = Duration::from_secs(10);
/// Longest that the host goes on with what no app waits for any more.
const LET_GO: Duration = Duration::from_secs(90);
/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// What an encoder of brotli makes of sixteen MiB of zeros, flushed.
const BROTLI_FIRST: [u8; 15] = *b"\xcf\xff\xff\x7f\xf8\x27\x00\xe2\xb1\x40\x20\xf7\xfe\xdf\x00";
/// The same of each sixteen MiB after them.
const BROTLI_THEN: [u8; 14] = *b"\xfc\xff\xff\x87\x7f\x02\x20\x0e\x0b\x00\x74\xef\xff\x0d";

/// Zeros as gzip: 258 of them in every thirteen bits, without an end.
fn gzip() -> (Vec<u8>, Vec<u8>) {
    let mut first = b"\x1f\x8b\x08\0\0\0\0\0\0\xff".to_vec();
    let (deflate, then) = deflate();
    first.extend(deflate);
    (first, then)
}

/// The same as bare deflate.
fn deflate() -> (Vec<u8>, Vec<u8>) {
    // The first block, of fixed codes, not the last: one literal zero.
    let mut bits = vec![false, true, false];
    bits.extend(high_first(0b0011_0000, 8));
    // Then "258 bytes from one byte back", again and again. Thirteen bytes
    // hold eight of them, so from the third byte on the stream repeats.
    let copy = [high_first(0b1100_0101, 8), high_first(0, 5)].concat();
    for _ in 0..8 * 5042 {
        bits.extend(&copy);
    }
    let whole: Vec<u8> = bits
        .chunks_exact(8)
        .map(|byte| {
            let bits = byte.iter().enumerate();
            bits.map(|(at, bit)| u8::from(*bit) << at).sum()
        })
        .collect();
    let then = whole[2..2 + 13 * 5041].to_vec();
    (whole[..2].to_vec(), then)
}

/// A code, the highest of its bits first.
fn high_first(code: u32, length: u32) -> Vec<bool> {
    (0..length).rev().map(|at| code >> at & 1 == 1).collect()
}

/// The same with the head that `zlib` puts before it, which is what HTTP calls
/// deflate.
fn zlib() -> (Vec<u8>, Vec<u8>) {
    let (deflate, then) = deflate();
    ([b"\x78\x9c".to_vec(), deflate].concat(), then)
}

/// Zeros as brotli: a GiB in less than a KiB.
fn brotli() -> (Vec<u8>, Vec<u8>) {
    (BROTLI_FIRST.to_vec(), BROTLI_THEN.repeat(64))
}

/// An answer of unknown length with this coding.
fn coded(coding: &str, (first, then): (Vec<u8>, Vec<u8>)) -> Reply {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: {coding}\r\n\
         Connection: close\r\n\r\n"
    );
    Reply::Endless {
        first: [head.into_bytes(), first].concat(),
        then,
    }
}

/// Answers that go on for ever or fall apart, by name.
fn bad(path: &str) -> Reply {
    let head = |headers: &str| {
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{headers}\r\n").into_bytes()
    };
    let endless = |first: Vec<u8>, then: &[u8]| Reply::Endless {
        first,
        then: then.to_vec(),
    };
    let zeros = vec![0; 64 << 10];
    match path.trim_start_matches('/') {
        "gzip" => coded("gzip", gzip()),
        "x-gzip" => coded("x-gzip", gzip()),
        "deflate" => coded("deflate", zlib()),
        "bare-deflate" => coded("deflate", deflate()),
        "brotli" => coded("br", brotli()),
        "twice" => coded("gzip, gzip", gzip()),
        "body" => endless(head(""), &zeros),
        "length" => endless(head("Content-Length: 9223372036854775807\r\n"), &zeros),
        "chunks" => endless(head("Transfer-Encoding: chunked\r\n"), b"1\r\nx\r\n"),
        "chunk" => endless(
            [
                head("Transfer-Encoding: chunked\r\n"),
                b"7fffffffffffffff\r\n".to_vec(),
            ]
            .concat(),
            &zeros,
        ),
        "extension" => endless(
            [head("Transfer-Encoding: chunked\r\n"), b"1;".to_vec()].concat(),
            &[b'x'; 4096],
        ),
        "trailers" => endless(
            [head("Transfer-Encoding: chunked\r\n"), b"0\r\n".to_vec()].concat(),
            b"x: y\r\n",
        ),
        "headers" => endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x-more: and more\r\n"),
        "header" => endless(b"HTTP/1.1 200 OK\r\nx-long: ".to_vec(), &[b'x'; 4096]),
        "line" => endless(Vec::new(), &[b'x'; 4096]),
        "continue" => endless(Vec::new(), b"HTTP/1.1 100 Continue\r\n\r\n"),
        "early" => endless(Vec::new(), b"HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n"),
        "zeros" => endless(Vec::new(), &zeros),
        other => worse(other),
    }
}

/// Answers that are slow or broken.
fn worse(name: &str) -> Reply {
    let drip = |first: &[u8], then: &[u8]| Reply::Drip {
        first: first.to_vec(),
        then: then.to_vec(),
        pause: Duration::from_millis(500),
    };
    let whole = |text: &str| Reply::Whole(text.as_bytes().to_vec());
    match name {
        "silence" => Reply::Silence,
        "slow-head" => drip(b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
        "slow-body" => drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        "closed" => whole(""),
        "half" => whole("HTTP/1.1 200 OK\r\nContent-Le"),
        "short" => whole("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nxx"),
        "lengths" => whole("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 200\r\n\r\nx"),
        "negative" => whole("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx"),
        "no-gzip" => {
            whole("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope")
        }
        "no-brotli" => whole(
            "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 4\r\n\r\n\u{7f}\u{7f}\u{7f}\u{7f}",
        ),
        "chunk-size" => whole("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n"),
        "overflow" => {
            whole("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nx\r\n")
        }
        "no-http" => whole("220 mail.example ESMTP\r\n"),
        "switch" => {
            whole("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
        }
        _ => Reply::text("good"),
    }
}

/// Without end, so that the client has to have enough.
const ENDLESS: [&str; 18] = [
    "gzip",
    "x-gzip",
    "deflate",
    "bare-deflate",
    "brotli",
    "twice",
    "body",
    "length",
    "chunks",
    "chunk",
    "extension",
    "trailers",
    "headers",
    "header",
    "line",
    "continue",
    "early",
    "zeros",
];
/// Slow, or cut off, or nonsense.
const BROKEN: [&str; 13] = [
    "closed",
    "half",
    "short",
    "lengths",
    "negative",
    "no-gzip",
    "no-brotli",
    "chunk-size",
    "overflow",
    "no-http",
    "switch",
    "silence",
    "slow-head",
];

/// The largest resident memory while `watched` goes on, KiB.
async fn peak<T>(host: &Host, watched: impl Future<Output = T>) -> (T, u64) {
    let (over, most) = (AtomicBool::new(false), AtomicU64::new(0));
    let look = async {
        while !over.load(Ordering::Relaxed) {
            most.fetch_max(Footprint::of(host).rss_kib, Ordering::Relaxed);
            tokio::time::sleep(LOOK).await;
        }
    };
    let watched = async {
        let watched = watched.await;
        over.store(true, Ordering::Relaxed);
        watched
    };
    let (watched, ()) = tokio::join!(watched, look);
    (watched, most.into_inner())
}

/// Asks bob's node again and again until `watched` is over; the slowest answer.
async fn beside<T>(bed: &Bed, watched: impl Future<Output = T>) -> (T, Duration) {
    let over = AtomicBool::new(false);
    let ask = async {
        let mut slowest = Duration::ZERO;
        while !over.load(Ordering::Relaxed) {
            let begun = Instant::now();
            let (status, _) = bed.api.node_get("bob.localhost", "/our").await;
            assert_eq!(status, StatusCode::OK);
            slowest = slowest.max(begun.elapsed());
            tokio::time::sleep(LOOK).await;
        }
        slowest
    };
    let watched = async {
        let watched = watched.await;
        over.store(true, Ordering::Relaxed);
        watched
    };
    tokio::join!(watched, ask)
}

async fn start() -> (Bed, Origin) {
    let origin = Origin::start(GOOD, bad);
    let bed = Bed::start(&["--plan-egress-allow", OPEN]).await;
    bed.api.create_node("bob").await;
    // What is made once is not counted as the bombs'.
    let url = format!("http://{GOOD}:{}/fine", origin.port());
    for _ in 0..20 {
        let outcome = bed.get(&url).await;
        assert_eq!(outcome.text().as_deref(), Some("good"), "{outcome:?}");
    }
    (bed, origin)
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_fail_in_bounds_while_a_neighbour_is_served() {
    let (bed, origin) = start().await;
    let before = Footprint::of(&bed.host);
    let mut report = Vec::new();
    for name in ENDLESS {
        let sent = origin.sent();
        let begun = Instant::now();
        let url = format!("http://{GOOD}:{}/{name}", origin.port());
        let asked = beside(&bed, bed.get(&url));
        let ((outcome, slowest), most) = Box::pin(peak(&bed.host, asked)).await;
        let took = begun.elapsed();
        let rise = most.saturating_sub(before.rss_kib);
        let sent = origin.sent() - sent;
        println!("{name}: {took:?}, {rise} KiB more, {sent} bytes sent, a neighbour {slowest:?}");
        // An app that waits for the end of endless little things waits in vain.
        let failed = outcome.is_failure() || matches!(outcome, Outcome::Nothing);
        if !failed || took > PROMPT || rise > MOST_KIB || slowest > NEIGHBOUR {
            report.push(format!(
                "{name}: {took:?}, {rise} KiB, {slowest:?}, failed: {failed}"
            ));
        }
        eventually(&format!("the end of {name}"), LET_GO, async || {
            (origin.serving() == 0).then_some(())
        })
        .await;
    }
    assert!(report.is_empty(), "{report:#?}");
    let url = format!("http://{GOOD}:{}/fine", origin.port());
    assert_eq!(bed.get(&url).await.text().as_deref(), Some("good"));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_bombs_at_once_stay_in_the_bounds_of_one_node() {
    let (bed, origin) = start().await;
    let before = Footprint::of(&bed.host);
    let names = ENDLESS.iter().cycle().take(48);
    let asked = names.map(|name| {
        let request = super::get(&format!("http://{GOOD}:{}/{name}", origin.port()));
        let bed = &bed;
        async move { bed.try_ask(&request).await }
    });
    let all = futures::future::join_all(asked);
    let ((outcomes, slowest), most) = peak(&bed.host, beside(&bed, all)).await;
    for outcome in outcomes {
        assert!(outcome.text().is_none(), "{outcome:?}");
    }
    let rise = most.saturating_sub(before.rss_kib);
    println!("48 at once: {rise} KiB more, a neighbour's page at most {slowest:?}");
    // They share what one alone may take.
    assert!(rise <= MOST_KIB, "{rise} KiB");
    assert!(slowest <= NEIGHBOUR, "{slowest:?}");
    assert_eq!(bed.api.status("alice").await, "active");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_broken_or_slow_are_errors() {
    let (bed, origin) = start().await;
    let asked = BROKEN.map(|name| {
        let url = format!("http://{GOOD}:{}/{name}", origin.port());
        let bed = &bed;
        async move { (name, bed.get(&url).await) }
    });
    let begun = Instant::now();
    for (name, outcome) in futures::future::join_all(asked).await {
        let slow = matches!(name, "silence" | "slow-head");
        let failed = outcome.is_failure() || slow && matches!(outcome, Outcome::Nothing);
        // What is said after an answer that needs no body is nobody's.
        let bare = name == "switch" && outcome.text().is_none();
        assert!(failed || bare, "{name}: {outcome:?}");
    }
    assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
    let slow = super::get(&format!("http://{GOOD}:{}/slow-body", origin.port()));
    assert!(bed.try_ask(&slow).await.text().is_none());
}

#[test]
fn these_are_bombs() {
    let (first, then) = deflate();
    // The first bytes are known; the rest is what a decoder makes 208,092,481
    // zeros of, twenty times.
    assert_eq!(first, [0x62, 0x18]);
    assert_eq!(then.len(), 13 * 5041);
    assert_eq!(then[..then.len() - 13], then[13..]);
}
