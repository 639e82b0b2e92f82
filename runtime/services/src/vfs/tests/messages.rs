//! The module as processes meet it.

use std::time::Duration;

use node_types::Edition;

use super::super::*;
use super::bench::{APP, Bench, DRIVE, OTHER, VFS};

const MIB: u64 = 1 << 20;

fn body(name: &str, action: &str) -> String {
    format!(r#"{{"path":"{DRIVE}/{name}","action":{action}}}"#)
}

async fn next(bench: &mut Bench) -> KernelMessage {
    tokio::time::timeout(Duration::from_secs(20), bench.sent.recv())
        .await
        .unwrap()
        .unwrap()
}

fn text(message: &KernelMessage) -> String {
    String::from_utf8(message.message.body().to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_echo_metadata_carry_blobs_and_follow_the_edition() {
    let mut bench = Bench::new(MIB).await;
    let inbox = bench.serve();
    bench.write("f", b"0123").await;
    let mut read = bench.port.request(APP, VFS, body("f", r#""Read""#), None);
    if let Message::Request(request) = &mut read.message {
        request.metadata = Some("mine".to_owned());
    }
    inbox.try_send(read.clone(), 0).unwrap();
    let answer = next(&mut bench).await;
    assert_eq!((answer.id, &answer.target), (read.id, &read.source));
    assert_eq!(text(&answer), r#""Read""#);
    let Message::Response(response, _) = &answer.message else {
        panic!("not a response");
    };
    assert!(!response.inherit);
    assert_eq!(response.metadata.as_deref(), Some("mine"));
    let blob = answer.lazy_load_blob.unwrap();
    assert_eq!(blob.mime.as_deref(), Some("application/octet-stream"));
    assert_eq!(blob.bytes, "0123");

    for (edition, action, wanted) in [
        (
            Some(Edition::V1_0),
            r#"{"Seek":{"Start":1}}"#,
            r#"{"SeekFrom":{"new_offset":1}}"#,
        ),
        (
            Some(Edition::V0_8),
            r#"{"Seek":{"Start":1}}"#,
            r#"{"SeekFrom":1}"#,
        ),
        (
            None,
            r#"{"Seek":{"seek_from":{"Start":1}}}"#,
            r#"{"SeekFrom":1}"#,
        ),
        (Some(Edition::V0_7), r#""Fly""#, "BadJson"),
        (None, r#""Fly""#, r#"{"Err":"MalformedRequest"}"#),
    ] {
        let process = format!("e{edition:?}:pkg:me.dev").replace(['(', ')'], "");
        if let Some(edition) = edition {
            bench.port.set_edition(&process, edition);
        }
        let asked = bench.port.request(&process, VFS, body("f", action), None);
        inbox.try_send(asked, 0).unwrap();
        let answer = text(&next(&mut bench).await);
        assert!(answer.contains(wanted), "{edition:?} {action}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_asked_are_answered_and_strangers_never() {
    let mut bench = Bench::new(MIB).await;
    let inbox = bench.serve();
    let port = bench.port.clone();
    let silent = |process: &str, action: &str, blob: Option<&[u8]>| {
        let mut message = port.request(process, VFS, body("f", action), blob);
        if let Message::Request(request) = &mut message.message {
            request.expects_response = None;
        }
        message
    };
    bench.port.set_edition("old:pkg:me.dev", Edition::V0_8);
    let mut stranger = bench
        .port
        .request(APP, VFS, body("f", r#""Write""#), Some(b"evil"));
    stranger.source.node = "you.dev".parse().unwrap();
    let mut for_another = silent(APP, r#""Len""#, None);
    for_another.rsvp = Some(bench.port.address(OTHER));
    for message in [
        stranger,
        silent(APP, r#""Read""#, None),
        silent(APP, r#""Write""#, Some(b"ours")),
        for_another,
    ] {
        inbox.try_send(message, 0).unwrap();
    }
    let answer = next(&mut bench).await;
    assert_eq!(answer.target.process.as_str(), OTHER);
    assert_eq!(text(&answer), r#"{"Len":4}"#);
    let failing = silent("old:pkg:me.dev", r#"{"ReadExact":99}"#, None);
    inbox.try_send(failing, 0).unwrap();
    assert!(text(&next(&mut bench).await).contains("IOError"));
    assert!(bench.tasks.shutdown(Duration::from_secs(10)).await);
    assert!(bench.sent.try_recv().is_err());
    assert_eq!(std::fs::read(bench.on_host("f")).unwrap(), b"ours");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_caller_is_served_in_order() {
    let mut bench = Bench::new(64 * MIB).await;
    let inbox = bench.serve();
    let mut expected = std::collections::HashMap::new();
    for caller in 0..6 {
        let process = format!("p{caller}:pkg:me.dev");
        let name = format!("log{caller}");
        let open = body(&name, r#"{"OpenFile":{"create":true}}"#);
        let mut ids = Vec::new();
        let mut send = |body: String, blob: Option<&[u8]>| {
            let message = bench.port.request(&process, VFS, body, blob);
            ids.push(message.id);
            let cost = message.cost();
            inbox.try_send(message, cost).unwrap();
        };
        send(open, None);
        for round in 0..200_u16 {
            // Of different sizes, so that disorder would show.
            let mut bytes = round.to_be_bytes().to_vec();
            bytes.resize(if round % 7 == 0 { 100_000 } else { 2 }, 0xee);
            send(body(&name, r#""WriteAll""#), Some(&bytes));
        }
        expected.insert(process, ids);
    }
    let mut got: std::collections::HashMap<String, Vec<_>> = Default::default();
    for _ in 0..6 * 201 {
        let answer = next(&mut bench).await;
        assert_eq!(text(&answer), r#""Ok""#);
        let process = answer.target.process.to_string();
        got.entry(process).or_default().push(answer.id);
    }
    assert_eq!(got, expected);
    for caller in 0..6 {
        let log = std::fs::read(bench.on_host(&format!("log{caller}"))).unwrap();
        let mut at = 0;
        for round in 0..200_u16 {
            assert_eq!(log[at..at + 2], round.to_be_bytes());
            at += if round % 7 == 0 { 100_000 } else { 2 };
        }
        assert_eq!(at, log.len());
    }
    assert_eq!(bench.quota.used(), bench.weighed());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reason_an_archive_is_refused_is_printed() {
    let mut bench = Bench::new(MIB).await;
    let inbox = bench.serve();
    let add = bench
        .port
        .request(APP, VFS, body("", r#""AddZip""#), Some(b"no zip"));
    inbox.try_send(add, 0).unwrap();
    assert_eq!(text(&next(&mut bench).await), r#"{"Err":"UnzipError"}"#);
    let prints = bench.port.prints();
    assert!(prints[0].2.contains("no zip archive"), "{prints:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_finishes_what_is_under_way_and_drops_the_rest() {
    let mut bench = Bench::new(64 * MIB).await;
    let inbox = bench.serve();
    for _ in 0..500 {
        let write = body("f", r#""Write""#);
        let write = bench.port.request(APP, VFS, write, Some(&[1; 100_000]));
        inbox.try_send(write, 0).unwrap();
    }
    next(&mut bench).await;
    assert!(bench.tasks.shutdown(Duration::from_secs(20)).await);
    assert!(bench.tasks.is_empty());
    assert_eq!(bench.staged(), 0);
    assert_eq!(std::fs::read(bench.on_host("f")).unwrap(), [1; 100_000]);
}
