//! How much a process, and a server, can have of the node.

use futures::{SinkExt, StreamExt};
use tokio::sync::Semaphore;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::*;
use crate::Share;
use crate::http_client::sockets::{CHANNELS_OF_ONE, MAX_CHANNELS};
use crate::http_client::turns::{AT_ONCE, AT_ONCE_OF_ONE, TAKEN_OF_ONE};

fn open(url: &str, channel: usize) -> Value {
    json!({"WebSocketOpen": {"url": url, "headers": {}, "channel_id": channel}})
}

/// A server that answers nothing until it may.
async fn holding(tasks: &Tasks) -> (String, Arc<Semaphore>, Arc<AtomicUsize>) {
    let (may, came) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (held, count) = (may.clone(), came.clone());
    let address = listen(tasks, move |mut stream| {
        let (may, came) = (held.clone(), count.clone());
        async move {
            while read_request(&mut stream).await.is_some() {
                came.fetch_add(1, Ordering::SeqCst);
                may.acquire().await.unwrap().forget();
                let answer = response("200 OK", "", b"at last");
                if stream.write_all(&answer).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    (format!("http://{address}/"), may, came)
}

#[tokio::test]
async fn requests_wait_for_their_turn() {
    let mut rig = Rig::new();
    let (url, may, came) = holding(&rig.tasks).await;
    for _ in 0..20 {
        for source in [APP, OLD, "third:test:alice.dev"] {
            let message = rig.message(source, &http("GET", &url), None);
            rig.give(message);
        }
    }
    until(|| came.load(Ordering::SeqCst) == AT_ONCE).await;
    let client = rig.client.clone();
    until(|| client.turns.taken() == (60, 3)).await;
    // Those of one process go to nobody else, also when they all are answered.
    may.add_permits(60);
    for _ in 0..60 {
        assert_eq!(read(&rig.next().await)["Ok"]["Http"]["status"], 200);
    }
    until(|| client.turns.taken() == (0, 0)).await;
    assert_eq!(came.load(Ordering::SeqCst), 60);
}

#[tokio::test]
async fn too_many_requests_are_refused_and_all_end_with_their_process() {
    let mut rig = Rig::new();
    let (url, _may, came) = holding(&rig.tasks).await;
    for _ in 0..TAKEN_OF_ONE {
        let message = rig.message(APP, &http("GET", &url), None);
        rig.give(message);
    }
    let text = rig.failure(&url).await;
    assert_eq!(text, "too many requests at once; try again");
    until(|| came.load(Ordering::SeqCst) == AT_ONCE_OF_ONE).await;
    rig.client.process_ended(&APP.parse().unwrap());
    let client = rig.client.clone();
    until(|| client.turns.taken() == (0, 0)).await;
    // Nobody is told of them, and the next life begins anew.
    let (answer, _) = rig.ask(APP, &http("A B", &url), None).await;
    assert_eq!(answer, json!({"Err": {"BadMethod": {"method": "A B"}}}));
    assert_eq!(came.load(Ordering::SeqCst), AT_ONCE_OF_ONE);
}

#[tokio::test]
async fn bodies_that_wait_share_what_there_is() {
    let mut rig = Rig::new();
    let (url, _may, came) = holding(&rig.tasks).await;
    let body = vec![0; 700_000];
    let message = rig.message(APP, &http("POST", &url), Some(&body));
    rig.give(message);
    let (answer, _) = rig.ask(APP, &http("POST", &url), Some(&body)).await;
    let wanted = json!({"Err": {"ExecuteRequestFailed":
        "too many large requests at once; try again"}});
    assert_eq!(answer, wanted);
    until(|| came.load(Ordering::SeqCst) == 1).await;
    rig.client.process_ended(&APP.parse().unwrap());
    let client = rig.client.clone();
    until(|| client.uploads.held() == 0).await;
}

#[tokio::test]
async fn a_request_ends_when_nobody_waits_any_more() {
    let mut rig = Rig::new();
    let (url, _may, came) = holding(&rig.tasks).await;
    let mut message = rig.message(APP, &http("GET", &url), None);
    if let Message::Request(request) = &mut message.message {
        request.expects_response = Some(1);
    }
    rig.give(message);
    until(|| came.load(Ordering::SeqCst) == 1).await;
    // The node does not fall asleep meanwhile.
    assert_eq!(rig.used.load(Ordering::SeqCst), 1);
    let client = rig.client.clone();
    until(|| client.turns.taken() == (0, 0)).await;
    assert_eq!(rig.used.load(Ordering::SeqCst), 0);
    assert!(rig.sent.try_recv().is_err());
}

#[tokio::test]
async fn an_answer_waits_for_room() {
    let mut rig = Rig::new();
    let server = Server::start(&rig.tasks, |_| response("200 OK", "", b"hi")).await;
    let room = rig.port.fill(APP, Share::OwnersRequests);
    let message = rig.message(APP, &http("GET", &server.url("/")), None);
    rig.give(message);
    let client = rig.client.clone();
    until(|| client.downloads.held() == 2).await;
    assert!(rig.sent.try_recv().is_err());
    room.add_permits(1);
    assert_eq!(rig.next().await.lazy_load_blob.unwrap().bytes, "hi");
    until(|| client.downloads.held() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_does_not_wait_for_ever() {
    let mut rig = Rig::new();
    let server = Server::start(&rig.tasks, |_| response("200 OK", "", b"hi")).await;
    let _room = rig.port.fill(APP, Share::OwnersRequests);
    let mut message = rig.message(APP, &http("GET", &server.url("/")), None);
    if let Message::Request(request) = &mut message.message {
        request.expects_response = Some(100);
    }
    rig.give(message);
    let answer = rig.sent.recv().await.unwrap();
    let text = "the answer found no room for 30 seconds";
    assert_eq!(
        read(&answer),
        json!({"Err": {"ExecuteRequestFailed": text}})
    );
    let client = rig.client.clone();
    until(|| client.downloads.held() == 0).await;
}

#[tokio::test]
async fn the_body_of_a_request_is_bounded() {
    let mut rig = Rig::new();
    let body = vec![0; usize::try_from(LIMIT).unwrap() + 1];
    let action = http("POST", "http://127.0.0.1:1/");
    let (answer, _) = rig.ask(APP, &action, Some(&body)).await;
    let text = format!("the body of a request has at most {LIMIT} bytes");
    assert_eq!(answer, json!({"Err": {"BuildRequestFailed": text}}));
}

#[tokio::test]
async fn an_action_is_bounded() {
    let mut rig = Rig::new();
    let long = |length: usize| {
        let value = "x".repeat(length);
        json!({"Http": {"method": "A B", "version": null, "url": "http://127.0.0.1:1/",
            "headers": {"x-long": value}}})
    };
    let (answer, _) = rig.ask(APP, &long(MAX_ACTION - 1000), None).await;
    assert_eq!(answer, json!({"Err": {"BadMethod": {"method": "A B"}}}));
    let (answer, _) = rig.ask(APP, &long(MAX_ACTION), None).await;
    assert_eq!(answer, json!({"Err": "MalformedRequest"}));
    let (answer, _) = rig.ask(OLD, &long(MAX_ACTION), None).await;
    let text = "not an action: too long: it has at most 262144 bytes";
    assert_eq!(answer, json!({"Err": {"BadRequest": {"req": text}}}));
}

#[tokio::test]
async fn long_actions_that_wait_share_what_there_is() {
    let mut rig = Rig::new();
    let (url, _may, _came) = holding(&rig.tasks).await;
    let mut action = http("GET", &url);
    // Far more than servers take; this one does.
    action["Http"]["headers"] = json!({"x-long": "x".repeat(200_000)});
    for _ in 0..5 {
        let message = rig.message(APP, &action, None);
        rig.give(message);
    }
    let (answer, _) = rig.ask(APP, &action, None).await;
    let wanted = json!({"Err": {"ExecuteRequestFailed":
        "too many large requests at once; try again"}});
    assert_eq!(answer, wanted);
    rig.client.process_ended(&APP.parse().unwrap());
    let client = rig.client.clone();
    until(|| client.uploads.held() == 0).await;
}

#[tokio::test]
async fn of_a_message_only_what_an_answer_needs_is_kept() {
    let rig = Rig::new();
    let plain = rig.message(APP, &http("GET", "http://127.0.0.1:1/"), Some(b"hi"));
    let mut large = plain.clone();
    large.rsvp = Some(rig.port.address(OLD));
    if let Message::Request(request) = &mut large.message {
        request.metadata = Some("x".repeat(1 << 20));
        request.inherit = true;
    }
    let (bare, body, blob) = apart(large).unwrap();
    assert_eq!((bare.id, &bare.source), (plain.id, &plain.source));
    assert_eq!(bare.rsvp, Some(rig.port.address(OLD)));
    let wanted = Message::Request(Request {
        expects_response: Some(5),
        ..Request::default()
    });
    assert_eq!(bare.message, wanted);
    assert_eq!(bare.lazy_load_blob, None);
    assert_eq!(body, *plain.message.body());
    assert_eq!(blob.unwrap().bytes, "hi");
}

#[tokio::test]
async fn idle_connections_make_place() {
    let mut rig = Rig::with_connections(2);
    for _ in 0..4 {
        let server = Server::start(&rig.tasks, |_| response("200 OK", "", b"hi")).await;
        assert_eq!(rig.get(&server.url("/")).await.unwrap().2, "hi");
    }
    assert_eq!((rig.connected(), rig.client.pool.kept()), (4, 2));
    let address = listen(&rig.tasks, |stream| async move {
        let mut peer = accept_async(stream).await.unwrap();
        while let Some(Ok(_)) = peer.next().await {}
    })
    .await;
    let url = format!("ws://{address}/");
    for channel in 0..2 {
        let (answer, _) = rig.ask(APP, &open(&url, channel), None).await;
        assert_eq!(answer, json!({"Ok": "WebSocketAck"}));
    }
    assert_eq!(rig.client.pool.kept(), 0);
    let text = rig.failure(&format!("http://{address}/")).await;
    assert!(text.starts_with("too many connections"), "{text}");
}

#[tokio::test]
async fn channels_that_are_not_gone_yet_are_counted() {
    let mut rig = Rig::new();
    // Never reads that a socket is being closed.
    let address = listen(&rig.tasks, |stream| async move {
        let peer = accept_async(stream).await.unwrap();
        std::future::pending::<()>().await;
        drop(peer);
    })
    .await;
    let url = format!("ws://{address}/");
    for channel in 0..CHANNELS_OF_ONE {
        let (answer, _) = rig.ask(APP, &open(&url, channel), None).await;
        assert_eq!(answer, json!({"Ok": "WebSocketAck"}));
    }
    let refused = json!({"Err": {"WsOpenFailed": {"url": url}}});
    let one_more = open(&url, CHANNELS_OF_ONE);
    assert_eq!(rig.ask(APP, &one_more, None).await.0, refused);
    // A number again shares the place of what had it, until that is gone.
    let (answer, _) = rig.ask(APP, &open(&url, 0), None).await;
    assert_eq!(answer, json!({"Ok": "WebSocketAck"}));
    assert_eq!(rig.ask(APP, &open(&url, 0), None).await.0, refused);
    // Whoever is refused keeps what he has.
    let push = json!({"WebSocketPush": {"channel_id": 0, "message_type": "Ping"}});
    let (answer, _) = rig.ask(APP, &push, None).await;
    assert_eq!(answer, json!({"Ok": "WebSocketAck"}));
    let taken = CHANNELS_OF_ONE;
    assert_eq!(rig.client.sockets.count(), (taken, MAX_CHANNELS - taken));
    let again = async {
        while rig.ask(APP, &open(&url, 0), None).await.0 == refused {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again)
        .await
        .unwrap();
    assert_eq!(rig.client.sockets.count(), (taken, MAX_CHANNELS - taken));
}

#[tokio::test]
async fn channels_are_counted() {
    let mut rig = Rig::new();
    let address = listen(&rig.tasks, |stream| async move {
        let mut peer = accept_async(stream).await.unwrap();
        while let Some(Ok(_)) = peer.next().await {}
    })
    .await;
    let url = format!("ws://{address}/");
    let refused = json!({"Err": {"WsOpenFailed": {"url": url}}});
    for source in [APP, OLD] {
        for channel in 0..CHANNELS_OF_ONE {
            let (answer, _) = rig.ask(source, &open(&url, channel), None).await;
            assert_eq!(answer, json!({"Ok": "WebSocketAck"}));
        }
        let one_more = open(&url, CHANNELS_OF_ONE);
        assert_eq!(rig.ask(source, &one_more, None).await.0, refused);
    }
    assert_eq!(rig.client.sockets.count(), (MAX_CHANNELS, 0));
    let third = "third:test:alice.dev";
    assert_eq!(rig.ask(third, &open(&url, 1), None).await.0, refused);
    rig.client.process_ended(&OLD.parse().unwrap());
    let client = rig.client.clone();
    until(|| client.sockets.count().1 == CHANNELS_OF_ONE).await;
    let (answer, _) = rig.ask(third, &open(&url, 1), None).await;
    assert_eq!(answer, json!({"Ok": "WebSocketAck"}));
    // The node stops: everything ends in time.
    assert!(rig.tasks.shutdown(Duration::from_secs(10)).await);
    assert_eq!(rig.used.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_message_that_is_too_long_ends_its_channel() {
    let mut rig = Rig::new();
    let address = listen(&rig.tasks, |stream| async move {
        let mut peer = accept_async(stream).await.unwrap();
        let long = vec![0; usize::try_from(LIMIT).unwrap() + 1];
        let _ = peer.send(Frame::Binary(long.into())).await;
        while let Some(Ok(_)) = peer.next().await {}
    })
    .await;
    let (answer, _) = rig
        .ask(APP, &open(&format!("ws://{address}/"), 1), None)
        .await;
    assert_eq!(answer, json!({"Ok": "WebSocketAck"}));
    let closed = rig.next().await;
    assert_eq!(read(&closed), json!({"WebSocketClose": {"channel_id": 1}}));
    let client = rig.client.clone();
    until(|| client.sockets.count() == (0, MAX_CHANNELS)).await;
}

#[tokio::test]
async fn a_process_that_does_not_read_slows_its_server_down() {
    let mut rig = Rig::new();
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let address = listen(&rig.tasks, move |stream| {
        let sent = count.clone();
        async move {
            let mut peer = accept_async(stream).await.unwrap();
            let frame = Frame::Binary(vec![0; 100_000].into());
            while peer.send(frame.clone()).await.is_ok() {
                sent.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    let room = rig.port.fill(APP, Share::StrangersFrames);
    let (answer, _) = rig
        .ask(APP, &open(&format!("ws://{address}/"), 1), None)
        .await;
    assert_eq!(answer, json!({"Ok": "WebSocketAck"}));
    // The connection is full once nothing more is sent for a while.
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = sent.load(Ordering::SeqCst);
        if now == before && now > 0 {
            break;
        }
        before = now;
    }
    assert!(before < 1000, "{before}");
    assert!(rig.sent.try_recv().is_err());
    room.add_permits(before);
    for _ in 0..before {
        let message = rig.next().await;
        assert_eq!(message.lazy_load_blob.unwrap().bytes.len(), 100_000);
    }
}

#[tokio::test]
async fn a_server_that_does_not_read_loses_its_channel() {
    let mut rig = Rig::new();
    let address = listen(&rig.tasks, |stream| async move {
        let peer = accept_async(stream).await.unwrap();
        std::future::pending::<()>().await;
        drop(peer);
    })
    .await;
    let (answer, _) = rig
        .ask(APP, &open(&format!("ws://{address}/"), 1), None)
        .await;
    assert_eq!(answer, json!({"Ok": "WebSocketAck"}));
    let push = json!({"WebSocketPush": {"channel_id": 1, "message_type": "Binary"}});
    let bytes = vec![0; 500_000];
    let mut pushed = 0;
    let error = loop {
        let (answer, _) = rig.ask(APP, &push, Some(&bytes)).await;
        if answer["Err"] != Value::Null {
            break answer;
        }
        pushed += 1;
        assert!(pushed < 200);
    };
    let gone = json!({"Err": {"WsPushUnknownChannel": {"channel_id": 1}}});
    assert_eq!(error, gone);
    assert_eq!(
        read(&rig.next().await),
        json!({"WebSocketClose": {"channel_id": 1}})
    );
    assert_eq!(rig.ask(APP, &push, Some(&bytes)).await.0, gone);
}
