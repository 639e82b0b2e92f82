//! What sockets may take of a node, and of each other.

use super::super::super::sockets::{MAX_SOCKETS, MAX_WAITING, STRANGERS_SOCKETS};
use super::*;

#[tokio::test]
async fn a_full_app_holds_its_peer_back_and_loses_nothing() {
    let mut harness = Harness::new();
    harness.bind_socket(APP, "/", false).await;
    let mut client = open(&harness, Origin::Public, &url(""), &[]).await.unwrap();
    harness.channel().await;
    let room = harness.port.fill(APP, Share::OwnersRequests);
    const FRAMES: usize = 200;
    let piece = vec![b'x'; usize::try_from(PUBLIC_LIMIT).unwrap() - 4];
    let sending = async {
        for number in 0..FRAMES {
            let frame = [format!("{number:04}").as_bytes(), &piece].concat();
            client.send(Frame::Binary(frame.into())).await.unwrap();
        }
    };
    tokio::pin!(sending);
    // The peer is held back: the pipe and the buffers are smaller than this.
    let waited = tokio::time::timeout(Duration::from_millis(200), sending.as_mut()).await;
    assert!(waited.is_err());
    assert!(harness.sent.try_recv().is_err());
    room.add_permits(FRAMES);
    let receiving = async {
        for number in 0..FRAMES {
            let (_, blob) = harness.told().await;
            assert_eq!(blob.unwrap()[..4], *format!("{number:04}").as_bytes());
        }
    };
    tokio::join!(sending, receiving);
}

#[tokio::test]
async fn a_peer_that_does_not_read_is_closed() {
    let mut harness = Harness::new();
    harness.bind_socket(APP, "/", false).await;
    let mut slow = open(&harness, Origin::Public, &url(""), &[]).await.unwrap();
    let channel = harness.channel().await;
    let piece = [b'x'; 1000];
    let mut pushed = 0;
    let error = loop {
        let answer = harness.push(APP, channel, "Binary", &piece).await;
        if answer != json!({"Ok": null}) {
            break answer;
        }
        pushed += 1;
        assert!(pushed <= 2 * MAX_WAITING, "nothing is bounded");
    };
    assert_eq!(error, json!({"Err": "WsChannelNotFound"}));
    assert_eq!(close_code(&mut slow).await, 1013);
    assert_eq!(harness.told().await.0, json!({"WebSocketClose": channel}));
}

#[tokio::test]
async fn a_node_has_so_many_sockets() {
    let mut harness = Harness::new();
    harness.bind_socket(APP, "/", false).await;
    harness.bind_socket(APP, "/mine", true).await;
    let cookie = cookie(&harness);
    let signed_in = [("cookie", cookie.as_str())];
    let mut clients = Vec::new();
    for number in 0..MAX_SOCKETS {
        // Strangers first: they cannot have all.
        let (path, headers) = if number < STRANGERS_SOCKETS {
            (url(""), &[][..])
        } else {
            (url("/mine"), &signed_in[..])
        };
        let opened = open(&harness, Origin::Public, &path, headers).await;
        clients.push(opened.unwrap());
        harness.channel().await;
        if number + 1 == STRANGERS_SOCKETS {
            let refused = open(&harness, Origin::Public, &url(""), &[]).await;
            assert_eq!(refused.err(), Some(503));
        }
    }
    let refused = open(&harness, Origin::Public, &url("/mine"), &signed_in).await;
    assert_eq!(refused.err(), Some(503));
    clients.swap_remove(0);
    assert!(harness.told().await.0["WebSocketClose"].is_u64());
    // Its place is free as soon as its task has ended.
    while harness.server.sockets.free_places() == 0 {
        tokio::task::yield_now().await;
    }
    open(&harness, Origin::Public, &url(""), &[]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_fell_silent_is_noticed() {
    let mut harness = Harness::new();
    harness.bind_socket(APP, "/", false).await;
    let mut alive = open(&harness, Origin::Public, &url(""), &[]).await.unwrap();
    let alive_channel = harness.channel().await;
    let dead = open(&harness, Origin::Public, &url(""), &[]).await.unwrap();
    let dead_channel = harness.channel().await;
    let answering = async {
        // Reading is what answers pings.
        while let Some(Ok(frame)) = alive.next().await {
            assert!(frame.is_ping(), "{frame}");
        }
    };
    let waiting = async {
        let began = tokio::time::Instant::now();
        assert_eq!(
            harness.told().await.0,
            json!({"WebSocketClose": dead_channel})
        );
        assert!((90..=125).contains(&began.elapsed().as_secs()));
        let quiet = tokio::time::timeout(Duration::from_secs(600), harness.told()).await;
        assert!(quiet.is_err(), "{alive_channel} lives");
    };
    tokio::select! {
        () = answering => panic!("closed"),
        () = waiting => {}
    }
    drop(dead);
}

/// A node on which a message may have a megabyte.
async fn spacious() -> (Harness, String) {
    let mut harness = Harness::with(Config {
        public_message_bytes: 1 << 20,
        ..config(false)
    });
    harness.bind_socket(APP, "/", false).await;
    harness.bind_socket(APP, "/mine", true).await;
    let cookie = cookie(&harness);
    (harness, cookie)
}

/// Most of a message of a megabyte, in a frame of its own.
fn unfinished() -> Frame {
    use tokio_tungstenite::tungstenite::protocol::frame;
    let data = frame::coding::OpCode::Data(frame::coding::Data::Binary);
    Frame::Frame(frame::Frame::message(vec![7; 1_000_000], data, false))
}

#[tokio::test]
async fn unfinished_messages_of_strangers_close_no_socket_but_theirs() {
    let (mut harness, cookie) = spacious().await;
    let signed_in = [("cookie", cookie.as_str())];
    let mut mine = open(&harness, Origin::Public, &url("/mine"), &signed_in)
        .await
        .unwrap();
    harness.channel().await;
    let mut innocent = open(&harness, Origin::Public, &url(""), &[]).await.unwrap();
    harness.channel().await;
    let mut hogs = Vec::new();
    for _ in 0..9 {
        hogs.push(open(&harness, Origin::Public, &url(""), &[]).await.unwrap());
        harness.channel().await;
    }
    for hog in &mut hogs {
        // One that is closed meanwhile cannot send everything.
        let _ = hog.send(unfinished()).await;
    }
    // Those for whom there was no room are closed, and nobody else is.
    for _ in 0..5 {
        assert!(harness.told().await.0["WebSocketClose"].is_u64());
    }
    for client in [&mut innocent, &mut mine] {
        for bytes in [1, 10_000] {
            client
                .send(Frame::Binary(vec![1; bytes].into()))
                .await
                .unwrap();
            let (body, blob) = harness.told().await;
            assert!(body["WebSocketPush"].is_object(), "{body}");
            assert_eq!(blob.unwrap().len(), bytes);
        }
    }
    // The owner's may even be large.
    mine.send(Frame::Binary(vec![1; 1_000_000].into()))
        .await
        .unwrap();
    assert_eq!(harness.told().await.1.unwrap().len(), 1_000_000);
}

#[tokio::test(start_paused = true)]
async fn slow_readers_do_not_close_a_fast_one() {
    let (mut harness, cookie) = spacious().await;
    let signed_in = [("cookie", cookie.as_str())];
    let mut fast = open(&harness, Origin::Public, &url(""), &[]).await.unwrap();
    let fast_channel = harness.channel().await;
    let mut mine = open(&harness, Origin::Public, &url("/mine"), &signed_in)
        .await
        .unwrap();
    let my_channel = harness.channel().await;
    let piece = vec![b'x'; 1_000_000];
    let mut slow = Vec::new();
    for _ in 0..17 {
        slow.push(open(&harness, Origin::Public, &url(""), &[]).await.unwrap());
        let channel = harness.channel().await;
        for _ in 0..2 {
            let pushed = harness.push(APP, channel, "Binary", &piece).await;
            assert_eq!(pushed, json!({"Ok": null}));
        }
    }
    for (client, channel) in [(&mut fast, fast_channel), (&mut mine, my_channel)] {
        for bytes in [1000, 100_000] {
            let pushed = harness.push(APP, channel, "Binary", &piece[..bytes]).await;
            assert_eq!(pushed, json!({"Ok": null}));
            assert_eq!(client.next().await.unwrap().unwrap().len(), bytes);
        }
    }
}

#[tokio::test]
async fn frames_leave_room_for_those_who_matter_more() {
    let (mut harness, cookie) = spacious().await;
    harness.bind("/page", false, false).await;
    let signed_in = [("cookie", cookie.as_str())];
    let mut stranger = open(&harness, Origin::Public, &url(""), &[]).await.unwrap();
    harness.channel().await;
    let mut mine = open(&harness, Origin::Public, &url("/mine"), &signed_in)
        .await
        .unwrap();
    harness.channel().await;
    let room = harness.port.fill(APP, Share::StrangersFrames);
    stranger.send(Frame::text("flood")).await.unwrap();
    let page = request(Method::GET, &format!("/{APP}/page"), &[], "");
    let answer = harness.begin(page, Origin::Public);
    let message = harness.sent.recv().await.unwrap();
    harness.answer(&message, r#"{"status":200,"headers":{}}"#, None);
    assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
    harness.port.fill(APP, Share::StrangersRequests);
    mine.send(Frame::text("mine")).await.unwrap();
    assert_eq!(harness.told().await.1.unwrap(), "mine");
    room.add_permits(1);
    assert_eq!(harness.told().await.1.unwrap(), "flood");
}
