//! How sockets end, and what their peers are told.

use super::*;

#[tokio::test]
async fn each_end_has_its_code() {
    let mut harness = Harness::new();
    let app: ProcessId = APP.parse().unwrap();
    harness.bind_socket(APP, "/mine", true).await;
    harness.bind_socket(APP, "/", false).await;
    let first = cookie(&harness);
    harness.clock.advance(1);
    let second = cookie(&harness);
    let mine = url("/mine");
    let mut of_first = open(&harness, Origin::Public, &mine, &[("cookie", &first)])
        .await
        .unwrap();
    harness.channel().await;
    let mut of_second = open(&harness, Origin::Public, &mine, &[("cookie", &second)])
        .await
        .unwrap();
    harness.channel().await;
    let mut anybody = open(&harness, Origin::Public, &url(""), &[]).await.unwrap();
    harness.channel().await;

    let out = request(Method::POST, "/logout", &[("cookie", &first)], "");
    let answer = harness.server.handle(out, Origin::Public).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(close_code(&mut of_first).await, 1008);
    harness.told().await;
    harness
        .server
        .renew_login(config(false).login, &Secret::new([8; 32]));
    assert_eq!(close_code(&mut of_second).await, 1008);
    harness.told().await;
    let refused = open(&harness, Origin::Public, &mine, &[("cookie", &second)]).await;
    assert_eq!(refused.err(), Some(404));

    harness.server.process_ended(&app);
    assert_eq!(close_code(&mut anybody).await, 1011);
    harness.told().await;
    // Its next life finds its paths; once it is gone nobody does.
    let mut again = open(&harness, Origin::Public, &url(""), &[]).await.unwrap();
    harness.channel().await;
    harness.server.forget(&app);
    assert_eq!(close_code(&mut again).await, 1011);
    assert_eq!(
        open(&harness, Origin::Public, &url(""), &[]).await.err(),
        Some(404)
    );
    harness.told().await;

    harness.bind_socket(APP, "/", false).await;
    harness.port.refuse(APP);
    let mut refused = open(&harness, Origin::Public, &url(""), &[]).await.unwrap();
    assert_eq!(close_code(&mut refused).await, 1011);
    harness.bind_socket(OTHER, "/", false).await;
    let other = format!("ws://localhost/{OTHER}");
    let mut long = open(&harness, Origin::Public, &other, &[]).await.unwrap();
    harness.channel().await;
    let over = usize::try_from(PUBLIC_LIMIT).unwrap() + 1;
    long.send(Frame::Binary(vec![0; over].into()))
        .await
        .unwrap();
    assert_eq!(close_code(&mut long).await, 1009);
    harness.told().await;
    let mut stopped = open(&harness, Origin::Public, &other, &[]).await.unwrap();
    harness.channel().await;
    harness.tasks.token().cancel();
    assert_eq!(close_code(&mut stopped).await, 1001);
    assert!(harness.tasks.shutdown(Duration::from_secs(5)).await);
}

#[tokio::test]
async fn a_peer_is_told_that_the_host_is_back_in_a_moment() {
    let mut harness = Harness::new();
    harness.bind_socket(APP, "/", false).await;
    let url = format!("ws://localhost/{APP}");
    let mut socket = open(&harness, Origin::Public, &url, &[]).await.unwrap();
    harness.channel().await;
    harness.server.stops_for(node_api::StopReason::HostRestart);
    harness.tasks.token().cancel();
    assert_eq!(close_code(&mut socket).await, 1012);
}
