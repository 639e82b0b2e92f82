//! Opening WebSockets: what is asked of servers, and when there is none.

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::*;

#[tokio::test]
async fn servers_that_do_not_agree_are_told_by_their_url() {
    let mut rig = Rig::new();
    let server = Server::start(&rig.tasks, |request| {
        let path = request.split(' ').nth(1).unwrap();
        match path {
            "/moved" => response("302 Found", "location: /live\r\n", b""),
            "/garbage" => b"what is this\r\n\r\nconnection: close".to_vec(),
            "/wrong" => b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\
                connection: upgrade\r\nsec-websocket-accept: wrong\r\n\r\n"
                .to_vec(),
            _ => response("404 Not Found", "connection: close\r\n", b""),
        }
    })
    .await;
    let silent = listen(&rig.tasks, |mut stream| async move {
        while read_request(&mut stream).await.is_some() {}
    })
    .await;
    let host = server.address;
    let mut urls: Vec<_> = ["/moved", "/garbage", "/wrong", "/missing"]
        .map(|path| format!("ws://{host}{path}"))
        .into();
    urls.push("ws://10.0.0.1/".to_owned());
    urls.push("wss://169.254.169.254/".to_owned());
    urls.push(format!("ws://me:secret@{host}/missing?token=secret"));
    for url in &urls {
        for source in [APP, OLD] {
            let (answer, _) = rig.ask(source, &open(url, 1), None).await;
            assert_eq!(answer, json!({"Err": {"WsOpenFailed": {"url": url}}}));
        }
    }
    // Why is printed.
    let prints = rig.port.prints();
    assert_eq!(prints.len(), 2 * urls.len());
    assert!(prints.iter().all(|(_, verbosity, _)| *verbosity == 1));
    // A URL may hold secrets.
    assert!(prints.iter().all(|(_, _, text)| !text.contains("secret")));
    assert!(prints[12].2.contains(&format!("at ws://{host}: ")));
    assert!(
        prints[8].2.contains("may not be reached"),
        "{}",
        prints[8].2
    );
    for url in ["http://127.0.0.1/", "no url", "ws://"] {
        let (answer, _) = rig.ask(APP, &open(url, 1), None).await;
        assert_eq!(answer, json!({"Err": {"BadUrl": {"url": url}}}));
    }
    let bad_header = json!({"WebSocketOpen": {"url": "ws://127.0.0.1/", "channel_id": 1,
        "headers": {"a b": "c"}}});
    let (answer, _) = rig.ask(APP, &bad_header, None).await;
    let wanted = json!({"BuildRequestFailed": "`a b` is not the name of a header"});
    assert_eq!(answer, json!({"Err": wanted}));
    // It is open neither before the server says so, nor after it was closed.
    let opening = rig.message(APP, &open(&format!("ws://{silent}/"), 1), None);
    let id = opening.id;
    rig.give(opening);
    let client = rig.client.clone();
    until(|| client.sockets.count().0 == 1).await;
    let closing = rig.message(APP, &close(1), None);
    rig.give(closing);
    let answers = [rig.next().await, rig.next().await];
    let failed = answers.iter().find(|answer| answer.id == id).unwrap();
    let wanted = json!({"Err": {"WsOpenFailed": {"url": format!("ws://{silent}/")}}});
    assert_eq!(read(failed), wanted);
    assert_eq!(rig.used.load(Ordering::SeqCst), 0);
    assert_eq!(rig.client.sockets.count(), (0, sockets_free(0)));
}

#[tokio::test]
async fn headers_are_the_processes_and_the_handshake_is_ours() {
    let mut rig = Rig::new();
    let (sender, mut heads) = mpsc::channel(1);
    let address = listen(&rig.tasks, move |mut stream| {
        let sender = sender.clone();
        async move {
            let head = read_request(&mut stream).await.unwrap();
            let mut lines = head.lines();
            let key = lines.find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
            let accept = derive_accept_key(key.unwrap().as_bytes());
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\
                 connection: upgrade\r\nsec-websocket-accept: {accept}\r\n\
                 sec-websocket-protocol: b\r\n\r\n"
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
            sender.send(head).await.unwrap();
            while stream.read_u8().await.is_ok() {}
        }
    })
    .await;
    let action = json!({"WebSocketOpen": {"url": format!("ws://me:pw@{address}/x?y"),
        "channel_id": 1, "headers": {"X-Own": "1", "Sec-WebSocket-Protocol": "a, b",
        "Sec-WebSocket-Key": "mine", "Sec-WebSocket-Extensions": "permessage-deflate",
        "Connection": "close", "Origin": "https://example.com"}}});
    assert_eq!(
        rig.ask(APP, &action, None).await.0,
        json!({"Ok": "WebSocketAck"})
    );
    let head = heads.recv().await.unwrap();
    let mut lines: Vec<_> = head.trim_end().lines().collect();
    assert_eq!(lines.remove(0), "GET /x?y HTTP/1.1");
    lines.retain(|line| !line.starts_with("Sec-WebSocket-Key: "));
    lines.sort_unstable();
    let host = format!("Host: {address}");
    assert_eq!(
        lines,
        [
            "Connection: Upgrade",
            host.as_str(),
            "Origin: https://example.com",
            "Sec-WebSocket-Protocol: a, b",
            "Sec-WebSocket-Version: 13",
            "Upgrade: websocket",
            "authorization: Basic bWU6cHc=",
            "x-own: 1",
        ]
    );
    assert!(!head.contains("mine"));
    let log = rig.log.0.lock();
    assert_eq!(
        (log[0].scheme.as_str(), log[0].address),
        ("ws", Some(address))
    );
}

#[tokio::test]
async fn opening_a_number_again_closes_what_had_it() {
    let mut rig = Rig::new();
    let (url, mut peers) = hub(&rig.tasks).await;
    rig.open(APP, &url, 1).await;
    let mut first = peers.recv().await.unwrap();
    rig.open(APP, &url, 1).await;
    let mut second = peers.recv().await.unwrap();
    assert_eq!(close_code(&mut first).await, 1000);
    drop(first);
    assert_eq!(
        rig.ask(APP, &push(1, "Text"), Some(b"2")).await.0,
        acknowledged()
    );
    assert_eq!(second.next().await.unwrap().unwrap(), Frame::text("2"));
    let client = rig.client.clone();
    until(|| client.sockets.count() == (1, sockets_free(1))).await;
    // Only the end of the second is told.
    drop(second);
    assert_eq!(rig.told().await.0, close(1));
    until(|| client.sockets.count() == (0, sockets_free(0))).await;
    assert!(rig.sent.try_recv().is_err());
}

#[tokio::test]
async fn what_is_pushed_before_the_server_agrees_is_sent_after() {
    let mut rig = Rig::new();
    let (go, gone) = tokio::sync::watch::channel(false);
    let (sender, mut peers) = mpsc::channel(1);
    let address = listen(&rig.tasks, move |stream| {
        let (mut gone, sender) = (gone.clone(), sender.clone());
        async move {
            gone.wait_for(|gone| *gone).await.unwrap();
            sender
                .send(accept_async(stream).await.unwrap())
                .await
                .unwrap();
        }
    })
    .await;
    let opening = rig.message(APP, &open(&format!("ws://{address}/"), 1), None);
    rig.give(opening);
    assert_eq!(
        rig.ask(APP, &push(1, "Text"), Some(b"early")).await.0,
        acknowledged()
    );
    go.send_replace(true);
    assert_eq!(read(&rig.next().await), acknowledged());
    let mut peer = peers.recv().await.unwrap();
    assert_eq!(peer.next().await.unwrap().unwrap(), Frame::text("early"));
}

#[tokio::test]
async fn a_socket_that_its_process_cannot_be_told_of_ends() {
    let rig = Rig::new();
    let (url, mut peers) = hub(&rig.tasks).await;
    rig.port.refuse(APP);
    let opening = rig.message(APP, &open(&url, 1), None);
    rig.give(opening);
    let mut peer = peers.recv().await.unwrap();
    assert_eq!(close_code(&mut peer).await, 1011);
    let (client, used) = (rig.client.clone(), rig.used.clone());
    until(|| client.sockets.count() == (0, sockets_free(0))).await;
    assert_eq!(used.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn nothing_is_told_to_the_next_life_of_a_process() {
    let mut rig = Rig::new();
    let (url, mut peers) = hub(&rig.tasks).await;
    rig.open(APP, &url, 1).await;
    let mut first = peers.recv().await.unwrap();
    let room = rig.port.fill(APP, crate::Share::StrangersFrames);
    first.send(Frame::text("too late")).await.unwrap();
    assert_eq!(rig.ask(APP, &close(1), None).await.0, acknowledged());
    assert_eq!(close_code(&mut first).await, 1000);
    drop(first);
    // The frame, or the end, waits for room.
    let (client, used) = (rig.client.clone(), rig.used.clone());
    until(|| used.load(Ordering::SeqCst) == 0).await;
    assert_eq!(client.sockets.count(), (1, sockets_free(1)));
    rig.client.process_ended(&APP.parse().unwrap());
    until(|| client.sockets.count() == (0, sockets_free(0))).await;
    room.add_permits(2);
    assert!(rig.sent.try_recv().is_err());
}
