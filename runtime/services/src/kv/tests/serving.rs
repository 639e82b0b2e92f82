//! The module as processes meet it.

use std::collections::HashMap;
use std::time::Duration;

use node_types::{KernelMessage, Message};

use super::bench::*;

const MIB: u64 = 1 << 20;

fn silent(mut message: KernelMessage) -> KernelMessage {
    if let Message::Request(request) = &mut message.message {
        request.expects_response = None;
    }
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn success_is_told_to_those_who_asked_failure_to_all_and_nothing_to_strangers() {
    let mut bench = Bench::new(MIB);
    bench.ask(APP, r#""Open""#).await;
    let port = bench.port.clone();
    let request =
        |action: &str, blob: Option<&[u8]>| port.request(APP, KV, body("db", action), blob);
    let mut stranger = request(&set(b"k", None), Some(b"evil"));
    stranger.source.node = "stranger.dev".parse().unwrap();
    bench.send(stranger);
    bench.send(silent(request(&set(b"k", None), Some(b"good"))));
    let mut for_another = silent(request(&get(b"k"), None));
    for_another.rsvp = Some(port.address(OLD));
    bench.send(for_another);
    let answer = bench.next().await;
    assert_eq!(answer.target.process.as_str(), OLD);
    assert_eq!(text(&answer), r#"{"Get":{"key":[107]}}"#);
    assert_eq!(answer.lazy_load_blob.unwrap().bytes, "good");

    let failing = silent(request(&get(b"none"), None));
    let id = failing.id;
    bench.send(failing);
    let answer = bench.next().await;
    assert_eq!(answer.id, id);
    assert_eq!(text(&answer), r#"{"Err":"KeyNotFound"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_echo_the_metadata_and_inherit_nothing() {
    let mut bench = Bench::new(MIB);
    let mut open = bench.port.request(APP, KV, body("db", r#""Open""#), None);
    if let Message::Request(request) = &mut open.message {
        request.metadata = Some("mine".to_owned());
    }
    bench.send(open);
    let answer = bench.next().await;
    let Message::Response(response, None) = answer.message else {
        panic!("not a response");
    };
    assert!(!response.inherit);
    assert_eq!(response.metadata.as_deref(), Some("mine"));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_caller_is_served_in_order_whatever_way_its_requests_take() {
    let mut bench = Bench::new(256 * MIB);
    let mut expected: HashMap<String, Vec<_>> = HashMap::new();
    for caller in 0..4 {
        let process = format!("p{caller}:pkg:me.dev");
        bench.ask(&process, r#""Open""#).await;
    }
    for caller in 0..4 {
        let process = format!("p{caller}:pkg:me.dev");
        let ids = expected.entry(process.clone()).or_default();
        let key = [caller];
        let mut send = |action: String, blob: Option<&[u8]>| {
            let message = bench.port.request(&process, KV, body("db", &action), blob);
            ids.push(message.id);
            bench.send(message);
        };
        for round in 0..150_u8 {
            // Large ones go to the blocking pool, small ones are done at once.
            let size = if round % 5 == 0 { 100_000 } else { 1 };
            send(set(&key, None), Some(&vec![round; size]));
            send(get(&key), None);
        }
    }
    let mut got: HashMap<String, Vec<_>> = HashMap::new();
    for _ in 0..4 * 300 {
        let answer = bench.next().await;
        let process = answer.target.process.to_string();
        let ids = got.entry(process).or_default();
        if ids.len() % 2 == 1 {
            let round = (ids.len() / 2) as u8;
            let value = answer.lazy_load_blob.unwrap().bytes;
            assert_eq!(value[0], round, "a read sees the write before it");
        }
        ids.push(answer.id);
    }
    assert_eq!(got, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn small_requests_take_no_task() {
    let mut bench = Bench::new(MIB);
    bench.ask(APP, r#""Open""#).await;
    for number in 0..100_u8 {
        bench.set(APP, &[number], b"v").await;
        assert!(bench.value(APP, &[number]).await.is_some());
        let message = bench
            .port
            .request(APP, KV, body("db", &set(&[number], None)), Some(b"w"));
        let left = crate::callers::Serve::serve_now(&*bench.kv, message);
        assert_eq!(left, None, "it was done at once");
        assert_eq!(text(&bench.next().await), r#""Ok""#);
    }
    let slow = bench.port.request(APP, KV, body("db", r#""Open""#), None);
    let left = crate::callers::Serve::serve_now(&*bench.kv, slow.clone());
    assert_eq!(left, Some(slow));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_finishes_what_is_under_way() {
    let mut bench = Bench::new(256 * MIB);
    bench.ask(APP, r#""Open""#).await;
    for _ in 0..200 {
        let set = body("db", &set(b"k", None));
        bench.send(bench.port.request(APP, KV, set, Some(&[1; 100_000])));
    }
    bench.next().await;
    assert!(bench.tasks.shutdown(Duration::from_secs(20)).await);
    assert!(bench.tasks.is_empty());
    let mut bench = bench.reopen().await;
    while bench.sent.try_recv().is_ok() {}
    let value = bench.value(APP, b"k").await.unwrap();
    assert_eq!(value, vec![1; 100_000]);
}
