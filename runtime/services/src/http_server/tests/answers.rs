//! Headers both ways, and how long an app may take.

use node_api::Origin;
use node_types::Edition;

use super::*;

#[tokio::test]
async fn a_repeated_header_is_one_to_an_app() {
    let mut harness = Harness::new();
    harness.bind("/", false, false).await;
    let headers = [
        ("Accept", "text/html"),
        ("X-One", "1"),
        ("accept", "*/*;q=0.1"),
        ("Cookie", "a=1"),
        ("ACCEPT", "caf\u{e9}"),
        ("Cookie", "b=2"),
    ];
    let asked = request(Method::GET, &format!("/{APP}"), &headers, "");
    let answer = harness.begin(asked, Origin::Public);
    let message = harness.sent.recv().await.unwrap();
    let told: Value = serde_json::from_slice(message.message.body()).unwrap();
    let wanted = json!({"accept": "text/html, */*;q=0.1, ", "x-one": "1", "cookie": "a=1; b=2"});
    assert_eq!(told["Http"]["headers"], wanted);
    harness.answer(&message, r#"{"status":200,"headers":{}}"#, None);
    assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_app_sets_several_cookies_and_not_too_many_headers() {
    let mut harness = Harness::new();
    harness.bind("/", false, false).await;
    let path = format!("/{APP}");
    let many = |count: usize, length: usize| {
        let names = (0..count).map(|number| format!("x-{number}"));
        let headers: serde_json::Map<String, Value> = names
            .map(|name| (name, "v".repeat(length).into()))
            .collect();
        json!({"status": 200, "headers": headers}).to_string()
    };
    for (said, status) in [
        (
            r#"{"status":200,"headers":{"Set-Cookie":"a=1","X-A":"1","set-cookie":"b=2",
                "SET-COOKIE":"kinode-auth_alice.dev=x","Set-Cookie":"c=3","x-a":"2"}}"#
                .to_owned(),
            StatusCode::OK,
        ),
        (r#"{"status":200}"#.to_owned(), StatusCode::OK),
        (many(256, 1), StatusCode::OK),
        (many(257, 1), StatusCode::INTERNAL_SERVER_ERROR),
        (many(40_000, 1), StatusCode::INTERNAL_SERVER_ERROR),
        (many(2, 40_000), StatusCode::INTERNAL_SERVER_ERROR),
        (
            r#"{"status":200,"headers":[]}"#.to_owned(),
            StatusCode::INTERNAL_SERVER_ERROR,
        ),
    ] {
        let answer = harness.begin(request(Method::GET, &path, &[], ""), Origin::Public);
        let message = harness.sent.recv().await.unwrap();
        harness.answer(&message, said.clone(), None);
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), status, "{}", &said[..said.len().min(60)]);
        if said.contains("Set-Cookie") {
            let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().collect();
            assert_eq!(cookies, ["a=1", "b=2", "c=3"]);
            assert_eq!(answer.headers()["x-a"], "2");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn apps_of_the_newest_generation_have_the_time_that_the_client_gives() {
    let mut harness = Harness::new();
    harness.bind("/", false, false).await;
    let path = format!("/{APP}");
    for (edition, given, origin, wanted) in [
        (Edition::Hyperware, "1", Origin::Public, 1),
        (Edition::Hyperware, "0", Origin::Public, 1),
        (Edition::Hyperware, "30", Origin::Public, 30),
        (Edition::Hyperware, "9999", Origin::Public, 60),
        (Edition::Hyperware, "9999", Origin::Tunnel, 600),
        (Edition::Hyperware, "soon", Origin::Tunnel, 15),
        (Edition::Hyperware, "-1", Origin::Tunnel, 15),
        (Edition::V1_0, "1", Origin::Tunnel, 15),
        (Edition::V0_8, "600", Origin::Tunnel, 15),
    ] {
        harness.port.set_edition(APP, edition);
        let began = tokio::time::Instant::now();
        let header = [("X-Hyperware-Http-Server-Timeout", given)];
        let asked = request(Method::GET, &path, &header, "");
        let answer = harness.server.handle(asked, origin).await;
        assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
        assert_eq!(began.elapsed().as_secs(), wanted, "{edition:?} {given}");
        let message = harness.sent.recv().await.unwrap();
        let Message::Request(told) = &message.message else {
            panic!("not a request");
        };
        assert_eq!(told.expects_response, Some(wanted));
    }
}
